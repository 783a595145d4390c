#!/usr/bin/env python3
"""Render the edge's nginx configuration from environment variables (standard library only).

``render.py FOLDER`` writes the configuration to FOLDER, and prints the settings it used. ``--run`` then becomes nginx
in the foreground, with a small process beside it that can begin a new epoch (:mod:`edge_config.control`). By hand
and in the container alike, so there is one set of templates and one way of reading them.
All mistakes are reported together, each naming its variable; then nothing is written and the exit status is 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edge_config import control, tls
from edge_config.settings import MistakesError, describe, load
from edge_config.templates import render


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Render the edge's nginx configuration from OCR_* variables.")
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument("--run", action="store_true", help="then become nginx, in the foreground")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    try:
        values = load(os.environ)
        render(folder, values)
    except MistakesError as mistakes:
        print(mistakes, file=sys.stderr)
        return 2
    print(describe(values), flush=True)
    if arguments.run:
        control.start(folder, Path(str(values["OCR_EDGE_DIR"])))
        nginx = tls.program()
        os.execv(nginx, [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
