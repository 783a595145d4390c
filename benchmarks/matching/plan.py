"""Which documents, captures and changes are measured at which size of the benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.matching.captures import CAPTURES
from benchmarks.matching.documents import KINDS
from benchmarks.matching.pairs import CHANGES, ONE_CHARACTER

COPY = ""
"""The change of a true copy."""

ONE_CHARACTER_PAIRS = (("digit", 3), ("look-alike", 2), ("letter", 1), ("any digit", 1), ("point", 1), ("character", 1))
OTHER_PAIRS = tuple((change, 1) for change in CHANGES if change not in ONE_CHARACTER)
PAIRS = tuple((change, number) for change, count in (*ONE_CHARACTER_PAIRS, *OTHER_PAIRS) for number in range(count))
"""The hard pairs of every document: the change, and its number among those of one kind."""


@dataclass(frozen=True)
class Size:
    """``fillings``: of each kind in the index. ``measured``: of each kind that are asked for. ``copies``,
    ``one_character``, ``others``: captures of each measured document itself, and of each of its hard pairs."""

    fillings: int
    measured: int
    copies: int
    one_character: int
    others: int


SIZES = {
    "quick": Size(36, 2, 19, 1, 1),
    "default": Size(36, 6, 38, 3, 3),
    "full": Size(36, 36, 38, 20, 5),
}


@dataclass(frozen=True)
class Job:
    """What is measured of one document: ``checks`` are (capture, change, number of the change)."""

    kind: str
    seed: int
    checks: tuple[tuple[str, str, int], ...]

    @property
    def name(self) -> str:
        return f"{self.kind} {self.seed}"


def names(size: Size, seed: int, kinds: Sequence[str]) -> list[tuple[str, int]]:
    """(kind, seed) of every filling in the index."""
    return [(kind, seed + number) for kind in kinds for number in range(size.fillings)]


def jobs(size: Size, seed: int, kinds: Sequence[str] = tuple(KINDS), captures: Sequence[str] = tuple(CAPTURES),
         changes: Sequence[str] = (COPY, *CHANGES)) -> list[Job]:
    """The work, spread so that every kind meets every capture and every change."""
    work = []
    for number in range(size.measured):
        for place, kind in enumerate(kinds):
            turn = number * len(kinds) + place
            checks: list[tuple[str, str, int]] = []
            if COPY in changes:
                checks += [(capture, COPY, 0) for capture in _some(captures, size.copies, turn)]
            for row, (change, which) in enumerate(PAIRS):
                count = size.one_character if change in ONE_CHARACTER else size.others
                if change in changes:
                    checks += [(capture, change, which) for capture in _some(captures, count, 5 * turn + 7 * row)]
            order = {capture: index for index, capture in enumerate(captures)}
            checks.sort(key=lambda check: order[check[0]])
            work.append(Job(kind, seed + number, tuple(checks)))
    return work


def _some(captures: Sequence[str], count: int, first: int) -> Iterable[str]:
    """``count`` of ``captures``, spread evenly over them, another choice for every ``first``."""
    total = len(captures)
    if count >= total:
        return captures
    return [captures[(first + index * total // count) % total] for index in range(count)]
