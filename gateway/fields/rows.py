"""Lines as people read a form: rows from left to right, whichever way the page lies."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter

from gateway.record import PageLine

BREAK = "|"
"""Between two lines of a row."""
UNSURE = "\N{REPLACEMENT CHARACTER}"
"""Stands for what may be a figure or none."""
ENDS = rf"(?=[{BREAK}(]|[一-鿿]{{2}}|$)"
"""What may follow a number that is whole: nothing of its line, or words."""

_BAR_BESIDE_FIGURES = re.compile(r"(?<=[\d.,¥])\||\|(?=[\d.,])")
_MINUS_SIGNS = str.maketrans("‐−–", "---")


@dataclass(frozen=True, slots=True)
class Placed:
    """A line in the page's own directions, pixels."""

    line: PageLine
    left: float
    right: float
    middle: float
    height: float


@dataclass(frozen=True, slots=True)
class Row:
    """Lines that stand side by side. ``text``: theirs in NFKC (RFC 5198's K form) without white space, with a
    :data:`BREAK` between them; ``starts``: where each begins in it."""

    text: str
    starts: tuple[int, ...]
    lines: tuple[Placed, ...]

    def at(self, place: int) -> Placed:
        """The line that ``text[place]`` is of."""
        return self.lines[bisect_right(self.starts, place) - 1]


def rows_of(lines: Sequence[PageLine]) -> list[Row]:
    """The rows of one page from top to bottom, without lines that run in another direction (column titles, seals)."""
    # The longest line says where the page's right is: it is the surest one.
    right_x, right_y = max((_direction(line) for line in lines), key=lambda way: math.hypot(*way), default=(1.0, 0.0))
    length = math.hypot(right_x, right_y) or 1.0
    right_x, right_y = right_x / length, right_y / length

    upright = []
    for line in lines:
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = line.box
        along_x, along_y = x2 - x1, y2 - y1
        if along_x * right_x + along_y * right_y > 0.9 * math.hypot(along_x, along_y):
            left = x1 * right_x + y1 * right_y
            right = x2 * right_x + y2 * right_y
            middle = ((y1 + y2 + y3 + y4) * right_x - (x1 + x2 + x3 + x4) * right_y) / 4
            height = (y4 - y1) * right_x - (x4 - x1) * right_y
            upright.append(Placed(line, left, right, middle, height))

    rows: list[list[Placed]] = []
    for placed in sorted(upright, key=attrgetter("middle")):
        if rows and _stands_in(rows[-1], placed):
            rows[-1].append(placed)
        else:
            rows.append([placed])
    return [_row(sorted(row, key=attrgetter("left"))) for row in rows]


def _stands_in(row: Sequence[Placed], placed: Placed) -> bool:
    middle = sum(other.middle for other in row) / len(row)
    return placed.middle - middle < 0.5 * min(placed.height, *(other.height for other in row))


def _direction(line: PageLine) -> tuple[float, float]:
    (x1, y1), (x2, y2), *_ = line.box
    return x2 - x1, y2 - y1


def _row(lines: Sequence[Placed]) -> Row:
    texts = [_plain(placed.line.text) for placed in lines]
    starts = accumulate((len(text) + len(BREAK) for text in texts[:-1]), initial=0)
    return Row(BREAK.join(texts), tuple(starts), tuple(lines))


def _plain(text: str) -> str:
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    # A rule of the form is read as such a bar, but so is a 1: beside figures it is a sign that belongs to no value.
    return _BAR_BESIDE_FIGURES.sub(UNSURE, plain).replace(BREAK, "").translate(_MINUS_SIGNS)
