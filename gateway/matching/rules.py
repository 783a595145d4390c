"""The straight lines that a page is ruled with: borders of tables, lines to write on, underlines."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_CONTRAST = 20  # grey levels
_LENGTH = 5  # line heights


class Rules(NamedTuple):
    """uint8 (h, w) each: 1 where a level or an upright rule runs."""

    level: np.ndarray
    upright: np.ndarray

    def around(self) -> np.ndarray:
        """bool (h, w): both, and 2 pixels around."""
        return cv2.dilate(self.level | self.upright, np.ones((5, 5), np.uint8)) > 0


def rules_of(grey: np.ndarray, line_height: float, kind: int = cv2.MORPH_BLACKHAT) -> Rules:
    """The lines of ``grey`` (uint8 (h, w)) that are longer than any character. ``kind``: black-hat for dark ones,
    top-hat for light ones."""
    side = 2 * round(0.35 * line_height) + 1
    strokes = cv2.morphologyEx(grey, kind, np.ones((side, side), np.uint8))
    strokes = (strokes >= _CONTRAST).astype(np.uint8)
    length = max(1, round(_LENGTH * line_height))
    return Rules(*(cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones(shape, np.uint8))
                   for shape in ((1, length), (length, 1))))
