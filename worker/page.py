"""A page image to its text lines: detect, order, crop, recognise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np

from worker.crops import crop_line, is_tall, text_band, turned
from worker.order import reading_order
from worker.types import Box, Line, LineReading

Layout = Literal["auto", "line"]
LAYOUTS: tuple[str, ...] = get_args(Layout)


class Detector(Protocol):
    """Finds text lines: uint8 RGB page to float32 ``(n, 4, 2)`` quadrilaterals."""

    def detect(self, page: np.ndarray) -> np.ndarray: ...


class Recognizer(Protocol):
    """Reads line crops (uint8 RGB), one reading each, in the order given."""

    def recognise(self, crops: Sequence[np.ndarray]) -> list[LineReading]: ...


class PageReader:
    """Reads upright pages, uint8 RGB ``(h, w, 3)``. Keeps nothing from one page to the next."""

    def __init__(self, detector: Detector, recognizer: Recognizer) -> None:
        self._detector = detector
        self._recognizer = recognizer

    def read(self, page: np.ndarray, layout: Layout = "auto") -> list[Line]:
        """The page's text lines in reading order; lines that read as nothing are left out.

        ``layout="line"`` takes the whole image, blank edges above and below apart, for one line. Reading a returned box
        again with :meth:`read_lines` gives the same text. Raises ``ValueError`` for another shape, dtype or layout.
        """
        _check(page)
        if layout not in LAYOUTS:
            raise ValueError(f"layout is one of {', '.join(LAYOUTS)}")
        if layout == "line":
            (top, bottom), width = text_band(page), page.shape[1]
            quads = np.array([[(0, top), (width, top), (width, bottom), (0, bottom)]], np.float32)
        else:
            quads = self._detector.detect(page)
            quads = quads[reading_order(quads)]
        # A tenth of a pixel is what a box is stored with; reading just that keeps readings repeatable.
        boxes = [tuple((round(float(x), 1), round(float(y), 1)) for x, y in quad) for quad in quads]
        readings = self.read_lines(page, boxes)
        return [
            Line(reading.text, reading.score, box, reading.reader)
            for reading, box in zip(readings, boxes, strict=True)
            if reading.text.strip()
        ]

    def read_lines(self, page: np.ndarray, boxes: Sequence[Box]) -> list[LineReading]:
        """Readings of just these boxes, in their order; one that reads as nothing has an empty text and score 0.

        A tall box is read as it stands and turned, and the likelier reading counts: it may be one narrow character
        or a line that runs down the page. Raises ``ValueError`` for a page of another shape or dtype or a box of
        other than four finite corners.
        """
        _check(page)
        quads = [np.array(box, np.float32) for box in boxes]
        if not all(quad.shape == (4, 2) and np.isfinite(quad).all() for quad in quads):
            raise ValueError("a box has four finite corners (x, y)")
        crops = [crop_line(page, quad) for quad in quads]
        tall = [number for number, crop in enumerate(crops) if is_tall(crop)]
        readings = self._recognizer.recognise([*crops, *(turned(crops[number]) for number in tall)])
        result = readings[: len(crops)]
        for number, other in zip(tall, readings[len(crops) :], strict=True):
            if other.score > result[number].score:
                result[number] = other
        return result


def _check(page: np.ndarray) -> None:
    if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or not page.size:
        raise ValueError("a page is a uint8 array (height, width, 3) of at least one pixel")
