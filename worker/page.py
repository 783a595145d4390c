"""A page image to its text lines: detect, order, crop, recognise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import numpy as np

from worker.constraints import UNCONSTRAINED, Constraints
from worker.crops import crop_line, is_tall, text_band
from worker.order import reading_order
from worker.turning import MARGIN, page_turn, turned
from worker.types import Box, Found, Line, LineReading

Layout = Literal["auto", "line"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
BAD = 0.4
"""A score under this is what text on its head gets, and little else."""


_CHARACTERS = Constraints(characters=True)


class Detector(Protocol):
    """Finds text lines: uint8 RGB page to float32 ``(n, 4, 2)`` quadrilaterals."""

    def detect(self, page: np.ndarray) -> np.ndarray: ...


class Recognizer(Protocol):
    """Reads line crops (uint8 RGB), one reading each, in the order given."""

    def recognise(
        self, crops: Sequence[np.ndarray], constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]: ...


class Reviewer(Protocol):
    """Improves readings of crops (uint8 RGB), one each, in the order given."""

    def review(
        self, crops: Sequence[np.ndarray], readings: Sequence[LineReading], constraints: Constraints
    ) -> list[LineReading]: ...


class PageReader:
    """Reads pages, uint8 RGB ``(h, w, 3)``, whichever way up. Keeps nothing from one page to the next.

    ``recognizer`` reads all lines, in every direction that a line may run; ``reviewer`` has the last word on each.
    ``defaults`` hold where who asks constrains nothing.
    """

    def __init__(
        self,
        detector: Detector,
        recognizer: Recognizer,
        reviewer: Reviewer | None = None,
        defaults: Constraints = UNCONSTRAINED,
    ) -> None:
        self._detector = detector
        self._recognizer = recognizer
        self._reviewer = reviewer
        self._defaults = defaults

    def read(
        self,
        page: np.ndarray,
        layout: Layout = "auto",
        constraints: Constraints = UNCONSTRAINED,
        found: Found | None = None,
    ) -> list[Line]:
        """The page's text lines in reading order; lines that read as nothing are left out.

        ``layout="line"`` takes the whole image, blank edges above and below apart, for one line. Reading a returned box
        again with :meth:`read_lines` and the same ``constraints`` gives the same text. Raises ``ValueError`` for
        another shape, dtype or layout.
        """
        _check(page)
        if layout not in LAYOUTS:
            raise ValueError(f"layout is one of {', '.join(LAYOUTS)}")
        if layout == "line":
            (top, bottom), width = text_band(page), page.shape[1]
            quads = np.array([[(0, top), (width, top), (width, bottom), (0, bottom)]], np.float32)
        else:
            quads = self._detector.detect(page)
        # A tenth of a pixel is what a box is stored with; reading just that keeps readings repeatable.
        quads = np.array([_box(quad) for quad in quads], np.float32).reshape(-1, 4, 2)
        attempts = _Attempts(page, self._recognizer)
        if layout == "auto":
            quads = turned(quads, page_turn(quads, attempts.readings))
            quads = quads[reading_order(quads)]
        if found:
            found([_box(quad) for quad in quads])
        best = self._read(attempts, quads, constraints)
        return [
            Line(each.reading.text, each.reading.score, _box(each.quad), each.reading.reader, each.reading.characters)
            for each in best
            if each.reading.text.strip()
        ]

    def read_lines(
        self, page: np.ndarray, boxes: Sequence[Box], constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]:
        """Readings of just these boxes, in their order; one that reads as nothing has an empty text and score 0.

        Raises ``ValueError`` for a page of another shape or dtype or a box of other than four finite corners.
        """
        _check(page)
        quads = [np.array(box, np.float32) for box in boxes]
        if not all(quad.shape == (4, 2) and np.isfinite(quad).all() for quad in quads):
            raise ValueError("a box has four finite corners (x, y)")
        return [each.reading for each in self._read(_Attempts(page, self._recognizer), quads, constraints)]

    def _read(self, attempts: _Attempts, quads: Sequence[np.ndarray], constraints: Constraints) -> list[_Attempt]:
        """The best attempt at each quad; its own quad begins at the corner that the text begins at.

        A tall box is read in three directions, as it may be one narrow character or a line that runs down or up; one
        that reads badly is read upside down, too. The quad of a best attempt gives the same reading again. Which way
        a line runs does not depend on the constraints: digits alone read as surely on their head.
        """
        constraints = constraints.with_defaults(self._defaults)
        best = attempts.at(quads)
        ways = [(number, quarters) for number, first in enumerate(best) for quarters in first.other_ways()]
        others = attempts.at([turned(quads[number], quarters) for number, quarters in ways])
        for (number, quarters), other in zip(ways, others, strict=True):
            so_far = best[number].reading
            if _is_on_its_head(so_far, other.reading) if quarters == 2 else other.reading.score > so_far.score:
                best[number] = other
        changing = [number for number, each in enumerate(best) if constraints.may_change(each.reading)]
        self._read_again(best, changing, constraints)
        if constraints.characters:  # whether they are told or not, the text and its score are the same
            unchanged = sorted({*range(len(best))} - {*changing})
            self._read_again(best, unchanged, _CHARACTERS)
            for number in unchanged:
                best[number] = replace(best[number], reading=_within(constraints, best[number].reading))
        if self._reviewer:
            readings = [each.reading for each in best]
            readings = self._reviewer.review([each.crop for each in best], readings, constraints)
            best = [replace(each, reading=reading) for each, reading in zip(best, readings, strict=True)]
        return best

    def _read_again(self, attempts: list[_Attempt], chosen: Sequence[int], constraints: Constraints) -> None:
        if chosen:
            again = self._recognizer.recognise([attempts[number].crop for number in chosen], constraints)
            for number, reading in zip(chosen, again, strict=True):
                attempts[number] = replace(attempts[number], reading=reading)


@dataclass(frozen=True, slots=True)
class _Attempt:
    quad: np.ndarray
    crop: np.ndarray
    reading: LineReading

    def other_ways(self) -> tuple[int, ...]:
        """The quarter turns in which the text may stand as well."""
        if is_tall(self.crop):
            return 1, 3
        return (2,) if self.reading.score < BAD else ()


class _Attempts:
    """Reads lines of one page without constraints; what was read before is not read again."""

    def __init__(self, page: np.ndarray, recognizer: Recognizer) -> None:
        self._page = page
        self._recognizer = recognizer
        self._made: dict[bytes, _Attempt] = {}

    def at(self, quads: Sequence[np.ndarray]) -> list[_Attempt]:
        """One each, in their order; float32 ``(4, 2)``."""
        new = {key: quad for quad in quads if (key := quad.tobytes()) not in self._made}
        crops = [crop_line(self._page, quad) for quad in new.values()]
        readings = self._recognizer.recognise(crops)
        for (key, quad), crop, reading in zip(new.items(), crops, readings, strict=True):
            self._made[key] = _Attempt(quad, crop, reading)
        return [self._made[quad.tobytes()] for quad in quads]

    def readings(self, quads: Sequence[np.ndarray]) -> list[LineReading]:
        """Of each, in their order."""
        return [attempt.reading for attempt in self.at(quads)]


def _is_on_its_head(upright: LineReading, turned_over: LineReading) -> bool:
    # A reading that skips most of the characters is easily sure of the few it has.
    complete = 2 * len(turned_over.text) >= len(upright.text)
    return complete and turned_over.score > upright.score + MARGIN


def _within(constraints: Constraints, reading: LineReading) -> LineReading:
    """``reading`` without alternatives that are ruled out."""
    return replace(
        reading,
        characters=tuple(
            each._replace(alternatives=tuple(other for other in each.alternatives if constraints.allows(other[0])))
            for each in reading.characters
        ),
    )


def _box(quad: np.ndarray) -> Box:
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in quad)


def _check(page: np.ndarray) -> None:
    if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or not page.size:
        raise ValueError("a page is a uint8 array (height, width, 3) of at least one pixel")
