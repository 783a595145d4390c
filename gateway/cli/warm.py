"""Refill edges with what their logs say will be looked up: after a restart, on a new machine, every hour from a timer.

What comes next is predicted from how lately, how often and at what hours of the day each result was looked up; the
weights are learnt from the log itself. Only results in the log are asked for, none that was last looked up longer ago
than a result lives, and each keeps its own end: warming adds no life.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

NAME = "warm"
HELP = "refill edges with what their access logs say will be looked up next"

_WEEK_HOURS = 7 * 24
_DEFAULT_EDGES = ("http://127.0.0.1:8080",)


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("logs", nargs="+", type=Path, metavar="ACCESS_LOG", help="plain, .gz, or - for standard input")
    parser.add_argument(
        "--url", action="append", metavar="URL", help="an edge; may be repeated (default: http://127.0.0.1:8080)"
    )
    parser.add_argument(
        "--count", type=_positive, default=10_000, help="most results (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=100.0, help="most requests a second to one edge (default: %(default)s)"
    )
    parser.add_argument("--hours", type=_positive, default=1, help="how far to look ahead (default: %(default)s)")
    parser.add_argument(
        "--ttl", type=_positive, default=_WEEK_HOURS * 3600, help="OCR_TTL of the gateways, seconds (default: a week)"
    )
    parser.add_argument("--least", type=float, default=0.0, help="leave out what is less probable, 0 to 1")
    parser.add_argument("--dry-run", action="store_true", help="print what would be asked for, and its probability")
    parser.add_argument("--full-ids", action="store_true", help="ids in full: in open mode an id opens its text")


def run(chosen: argparse.Namespace) -> int:
    """Plan from the logs, then ask each edge in turn."""
    if chosen.rate <= 0:
        print("--rate: requests a second, above 0", file=sys.stderr)
        return 2
    try:
        plan = [(each, share) for each, share in _plan(chosen) if share >= chosen.least]
    except OSError as error:
        print(f"{error.filename or 'log'}: {error.strerror or error}", file=sys.stderr)
        return 1
    if chosen.dry_run:
        for address, share in plan:
            identity, slash, rendering = address.partition("/")
            print(f"{share:.4f}  {identity if chosen.full_ids else identity[:8] + '…'}{slash}{rendering}")
        return 0
    return max(_warm(url, [address for address, _ in plan], chosen.rate) for url in chosen.url or _DEFAULT_EDGES)


def _plan(chosen: argparse.Namespace) -> list[tuple[str, float]]:
    from tqdm import tqdm

    from gateway.edge_log.hours import HOUR_SECONDS, hourly
    from gateway.edge_log.lines import LogReader, total_size
    from gateway.edge_log.predictor import Predictor

    with tqdm(total=total_size(chosen.logs), unit="B", unit_scale=True, leave=False, disable=None) as bar:
        lookups = hourly(LogReader(chosen.logs, bar.update), max(1, chosen.ttl // HOUR_SECONDS))
    predictor = Predictor(chosen.hours)
    for hour, counts in lookups:
        predictor.advance(hour, counts)
    predictor.fit()
    return predictor.rank(chosen.count)


def _warm(url: str, addresses: list[str], rate: float) -> int:
    from tqdm import tqdm

    from gateway.warming import CODINGS, EdgeAway, warm

    try:
        with tqdm(total=len(addresses) * len(CODINGS), unit=" requests", leave=False, disable=None) as bar:
            tally = warm(url, addresses, rate, advanced=bar.update)
    except (EdgeAway, ValueError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    print(
        f"{url}: {len(addresses)} results asked for: {tally['filled']} answers filled, {tally['there']} there already, "
        f"{tally['gone']} gone, {tally['refused']} not kept by the edge, {tally['failed']} failed"
    )
    return 1 if tally["failed"] else 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return number
