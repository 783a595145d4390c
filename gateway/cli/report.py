"""Say what the edge's access logs tell about the cache: hit rates by hour, response times, hottest ids, what was saved.

Give the logs of the edges that clients talk to (a shield's would count requests twice): plain, .gz, or - for standard
input. Gigabytes are read in a stream, in constant memory. Lines that are not the access log's are counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

NAME = "report"
HELP = "hit rates, response times, hottest ids and savings from the edge's access logs"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("logs", nargs="+", type=Path, metavar="ACCESS_LOG")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw it too; needs the extra `plot`")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many of the hottest ids (default: 10)")
    parser.add_argument("--full-ids", action="store_true", help="ids in full: in open mode an id opens its text")


def run(chosen: argparse.Namespace) -> int:
    """Print the figures of all logs together."""
    from tqdm import tqdm

    from gateway.edge_log.lines import LogReader, total_size
    from gateway.edge_log.summary import summarise
    from gateway.edge_log.text import render

    try:
        total = total_size(chosen.logs)
        with tqdm(total=total, unit="B", unit_scale=True, leave=False, disable=None) as bar:
            reader = LogReader(chosen.logs, bar.update)
            summary = summarise(reader)
    except OSError as error:
        print(f"{error.filename or 'log'}: {error.strerror or error}", file=sys.stderr)
        return 1
    facts = summary.facts(reader.bad, max(0, chosen.top), chosen.full_ids)
    print(json.dumps(facts, ensure_ascii=False) if chosen.json else render(facts))
    return _plotted(facts, chosen.plot) if chosen.plot else 0


def _plotted(facts: dict, path: Path) -> int:
    from gateway.edge_log.plot import save

    try:
        save(facts, path)
    except ImportError:
        print("--plot needs matplotlib: pip install 'ocr-gateway[plot]'", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"{path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    return 0
