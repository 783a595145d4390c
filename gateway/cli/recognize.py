"""Read files here and print their text; nothing is stored."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import reading
from gateway.cli.settings import load

if TYPE_CHECKING:
    from gateway.config import Settings

NAME = "recognize"
HELP = "read files here and print their text; nothing is stored"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print lines with boxes and scores, one object a file")
    reading.add_options(parser)


def run(chosen: argparse.Namespace) -> int:
    """Read each file; the status is 1 when any could not be read."""
    settings = load()
    return 2 if settings is None else _recognize(settings, chosen)


def _recognize(settings: Settings, chosen: argparse.Namespace) -> int:
    from gateway.errors import BadRequest
    from gateway.image import PageRange, decode
    from gateway.readers.local import reader_spec
    from gateway.wiring import cores, image_limits
    from worker.constraints import Constraints, parse_charset, parse_lexicon, parse_pattern

    try:
        pages = PageRange.parse(chosen.pages) if chosen.pages else None
    except BadRequest as error:
        print(error.detail, file=sys.stderr)
        return 2
    try:
        charset = parse_charset(chosen.charset) if chosen.charset else ""
        lexicon = parse_lexicon(chosen.lexicon).split(",") if chosen.lexicon else []
        pattern = parse_pattern(chosen.pattern) if chosen.pattern else ""
    except ValueError as error:
        print(f"--charset, --lexicon or --pattern: {error}", file=sys.stderr)
        return 2
    constraints = Constraints(charset, tuple(lexicon), pattern)
    reader = reader_spec(settings, settings.reader_threads or cores()).build()
    failed = 0
    for file in chosen.files:
        try:
            document = decode(file.read_bytes(), image_limits(settings), pages)
            read = [
                (number, reader.read(page, chosen.layout, constraints))
                for number, page in zip(document.numbers, document.pages, strict=True)
            ]
        except Exception as error:  # one file's trouble is not the next one's
            advice = getattr(error, "detail", None) or getattr(error, "strerror", None) or type(error).__name__
            print(f"{file}: {advice}", file=sys.stderr)
            failed += 1
            continue
        if chosen.json:
            lines = [
                {
                    "text": line.text,
                    "score": round(line.score, 4),
                    "box": line.box,
                    "page": number,
                    "reader": line.reader,
                }
                for number, page_lines in read
                for line in page_lines
            ]
            print(json.dumps({"file": str(file), "lines": lines}, ensure_ascii=False))
        else:
            if len(chosen.files) > 1:
                print(f"== {file}")
            print("\n".join(line.text for _, page_lines in read for line in page_lines))
    return 1 if failed else 0
