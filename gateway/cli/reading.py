"""What changes a reading, as arguments of the commands that have files read."""

from __future__ import annotations

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--layout``, ``--pages``, ``--charset``, ``--lexicon``, ``--pattern``: the HTTP parameters of these names."""
    parser.add_argument("--layout", choices=["auto", "line"], default="auto", help="line: the image is one text line")
    parser.add_argument("--pages", default="", help="pages of a PDF or TIFF, such as 2 or 1-3")
    parser.add_argument("--charset", default="", help="characters the text is made of, such as digits or upper:-/")
    parser.add_argument("--lexicon", default="", help="words the text may hold, with commas between them")
    parser.add_argument("--pattern", default="", help=r"what lines may look like, such as \d{4}-\d{2}-\d{2}")
