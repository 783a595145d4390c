"""How two readings of one page agree: in everything, but for what a reader may misread, or not in their figures."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import cv2
import numpy as np

Agreement = Literal["agree", "noise", "digits"]

SAME_PLACE = 0.3
"""Share of the smaller of two boxes that the other one covers when both hold (part of) the same text."""

_FIGURE = re.compile(r"-?\d+(?:[.,]\d+)*")
_MINUS_SIGNS = str.maketrans("−–—", "---")


class PlacedText(Protocol):
    """A line of either reading. ``box``: four corners, pixels."""

    @property
    def text(self) -> str: ...

    @property
    def box(self) -> Sequence[Sequence[float]]: ...


def agreement(one: Sequence[PlacedText], other: Sequence[PlacedText]) -> Agreement:
    """Compare two readings, each in reading order, place by place; lines that one reading split are put together.

    ``agree``: the same characters, but for spaces and compatibility forms (Unicode NFKC). ``digits``: somewhere the
    figures differ, in a digit, a separator's place or a sign, or one reading has figures where the other has nothing.
    ``noise``: anything else.
    """
    found: Agreement = "agree"
    for first, second in _by_place(one, other):
        mine, theirs = _plain(first), _plain(second)
        if figures(mine) != figures(theirs):
            return "digits"
        if mine != theirs:
            found = "noise"
    return found


def figures(text: str) -> list[str]:
    """The numbers in ``text``; a comma counts as a point, for neither is told from the other with certainty."""
    return [figure.replace(",", ".") for figure in _FIGURE.findall(text.translate(_MINUS_SIGNS))]


def _plain(lines: Sequence[PlacedText]) -> str:
    return "".join(unicodedata.normalize("NFKC", "".join(line.text for line in lines)).split())


def _by_place(
    one: Sequence[PlacedText], other: Sequence[PlacedText]
) -> Iterator[tuple[list[PlacedText], list[PlacedText]]]:
    """The lines of both readings that share a place, in each reading's order."""
    everything = [*one, *other]
    joined_to = list(range(len(everything)))  # a disjoint-set forest

    def place(number: int) -> int:
        while joined_to[number] != number:
            number = joined_to[number]
        return number

    for i, j in _candidates(one, other):
        if _overlap(one[i].box, other[j].box) >= SAME_PLACE:
            joined_to[place(len(one) + j)] = place(i)
    shared: dict[int, tuple[list[PlacedText], list[PlacedText]]] = {}
    for number, line in enumerate(everything):
        shared.setdefault(place(number), ([], []))[number >= len(one)].append(line)
    yield from shared.values()


def _candidates(one: Sequence[PlacedText], other: Sequence[PlacedText]) -> Iterator[list[int]]:
    """Pairs whose upright bounds touch: so few that the rest can be exact."""
    if not one or not other:
        return
    first, second = (
        np.asarray([line.box for line in lines], np.float32).reshape(len(lines), -1, 2) for lines in (one, other)
    )
    low = np.maximum(first.min(axis=1)[:, None], second.min(axis=1)[None])
    high = np.minimum(first.max(axis=1)[:, None], second.max(axis=1)[None])
    yield from np.argwhere((low < high).all(axis=2)).tolist()


def _overlap(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float:
    first, second = np.asarray(one, np.float32), np.asarray(other, np.float32)
    smaller = min(cv2.contourArea(first), cv2.contourArea(second))
    shared, _ = cv2.intersectConvexConvex(first, second)
    return shared / smaller if smaller > 0 else 0.0
