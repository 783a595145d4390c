"""The ``ocr-gateway`` command: one module a command.

Each has ``NAME``, ``HELP``, ``configure(parser)`` and ``run(chosen) -> int`` (the exit status). What a command needs
is imported when it runs, so that a small command starts fast.
"""

from __future__ import annotations

import argparse
import io
import os
import sys

from gateway import __version__
from gateway.cli import check, keys, lookup, purge, recognize, report, serve, warm, work

COMMANDS = (serve, work, recognize, check, lookup, purge, report, warm, keys)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status (2: usage or settings)."""
    parser = argparse.ArgumentParser(
        prog="ocr-gateway", description="A caching OCR gateway. Settings: OCR_* variables."
    )
    parser.add_argument("--version", action="version", version=f"ocr-gateway {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        own = commands.add_parser(command.NAME, help=command.HELP, description=command.__doc__)
        command.configure(own)
        own.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    # A file's name may be in another encoding than the terminal's, and a text have letters that it lacks. The bytes of
    # such a name become escapes that JSON has, too.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return chosen.run(chosen)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
