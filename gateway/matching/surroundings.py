"""What a comparison inside the proof's frame cannot see: ink beyond the frame, and ink that only colour shows."""

from __future__ import annotations

import cv2
import numpy as np

from gateway.matching.align import Alignment
from gateway.matching.capture import level_at
from gateway.matching.marks import FAINT_LEVELS, LEAST_MARK, Row, rows_of_marks, without_covered
from gateway.matching.paper import Paper
from gateway.matching.proof import Proof
from gateway.matching.query import Query, reduced
from gateway.matching.rules import rules_of

INK_BEYOND = 0.35
"""Contrast of a stroke beyond the frame, relative to the page's typical ink range, from which it counts as ink ..."""
MOST_GRAIN = 0.1
"""... above the grain of what is there, the median contrast. Grain counts as no more than this: what is printed densely
has contrast all over, too."""
FAINT_BEYOND, GRAINS = 0.1, 7.0
"""A row of marks is print from this contrast on, relative to the page's typical ink range, when they are as many times
as strong as the grain, its median. Tables reach .06 and 6 times."""
COLOUR_CONTRAST = 60
"""Grey levels by which a colour channel changes within 5 x 5 pixels ..."""
GREY_SHARE = 0.15
"""... while the grey image changes by less than this share of it: ink that a grey proof cannot show."""

_LINE_HEIGHT, _FINE_LINE_HEIGHT = 15.0, 30.0  # pixels of a text line in the reduced query that is looked at
_MARGIN = 0.5  # around the frame, in line heights: the paper's edge and its shadow
_SMALL_PRINT, _ROW = 0.5, 4  # its height in line heights, and how many marks of one size in a row it has

_SEEN_FROM = np.where(np.arange(256) < COLOUR_CONTRAST, 0, np.ceil(GREY_SHARE * np.arange(256))).astype(np.uint8)
"""By the contrast of a colour channel, the contrast of the grey image from which such ink can be seen there."""


def ink_beyond_frame(proof: Proof, query: Query, alignment: Alignment, paper: Paper, typical: float) -> float:
    """The strongest stroke of the query outside what the proof shows, relative to the ink range ``typical`` (grey
    levels). A status bar, a neighbouring page or a pattern of the table counts; a plain or softly grained one doesn't.
    """
    grey, factor, line_height = _reduced(query.grey, proof, alignment)
    outline = (alignment.to_query(paper.outline) + 0.5) * factor - 0.5
    if not np.isfinite(outline).all() or np.abs(outline).max() > 1e6:
        return float("inf")
    height, width = grey.shape
    shown = cv2.fillPoly(np.zeros((height, width), np.uint8), [outline.round().astype(np.int32)], 1)
    margin = np.ones((2 * round(_MARGIN * line_height) + 1,) * 2, np.uint8)
    beyond = cv2.dilate(shown, margin) == 0
    strokes = cv2.blur(stroke_strength(grey, line_height), (3, 3))[beyond]
    if not strokes.size:
        return 0.0
    return float(strokes.max()) / max(typical, 1.0) - min(MOST_GRAIN, level_at(strokes, 0.5) / max(typical, 1.0))


def rows_around(proof: Proof, query: Query, alignment: Alignment, paper: Paper, typical: float) -> list[Row]:
    """The rows of marks, those of small print included, where the inside is not compared: on the frame of what the
    proof shows, because the paper ends there, or beyond, however pale they are there; in pixels of the prepared query.
    ``typical``: as for :func:`ink_beyond_frame`."""
    grey, factor, line_height = _reduced(query.grey, proof, alignment, _FINE_LINE_HEIGHT)
    outline = (alignment.to_query(paper.outline) + 0.5) * factor - 0.5
    lines = (alignment.to_query(proof.quads.reshape(-1, 2)) + 0.5) * factor - 0.5
    if not np.isfinite(outline).all() or not np.isfinite(lines).all() or np.abs(outline).max() > 1e6:
        raise ArithmeticError("the frame lies nowhere")
    shown = cv2.fillPoly(np.zeros(grey.shape, np.uint8), [outline.round().astype(np.int32)], 1)
    margin = np.ones((2 * round(_MARGIN * line_height) + 1,) * 2, np.uint8)
    reach = cv2.dilate(shown, margin)
    rim, beyond = reach - cv2.erode(shown, margin), reach == 0
    cv2.fillPoly(rim, list(lines.reshape(-1, 4, 2).round().astype(np.int32)), 0)
    side = 2 * round(0.35 * _SMALL_PRINT * line_height) + 1
    kernel = np.ones((side, side), np.uint8)
    rows: list[Row] = []
    # Dark print and light print apart: the gaps between small letters are light strokes, and would join them.
    for kind in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        strength = cv2.morphologyEx(grey, kind, kernel)
        if beyond.any():
            grain = level_at(strength[beyond], 0.5)
            rows += _rows_in(np.where(beyond, strength, 0), grain, typical, line_height)
        _, strokes = cv2.threshold(strength, INK_BEYOND * typical, 1, cv2.THRESH_BINARY)
        strokes &= rim
        if cv2.countNonZero(strokes) < _ROW * LEAST_MARK * _SMALL_PRINT * line_height:
            continue
        # A rule along the edge is a row of dashes where the rim cuts it, and joins the characters that stand on it.
        strokes = (strokes > 0) & ~_on_rules(proof, alignment, strokes, factor, kind)
        rows += rows_of_marks(strokes, _SMALL_PRINT * line_height, _ROW)
    return [Row(*(value / factor for value in row)) for row in without_covered(rows)]


def _rows_in(strength: np.ndarray, grain: float, typical: float, line_height: float) -> list[Row]:
    """The rows of marks in ``strength`` (uint8 (h, w)) that stand out from the ``grain`` (grey levels) of what they
    stand on. Pale print stands out as a row where each of its strokes is too weak to count as ink."""
    least = max(FAINT_BEYOND * typical, GRAINS * grain)
    levels = [least * step / FAINT_LEVELS[0] for step in FAINT_LEVELS]
    return [row for level in levels for row in rows_of_marks(strength > level, _SMALL_PRINT * line_height, _ROW)]


def _on_rules(proof: Proof, alignment: Alignment, places: np.ndarray, factor: float, kind: int) -> np.ndarray:
    """bool (h, w): which of ``places`` (uint8 (h, w), in the query reduced by ``factor``) lie on a rule of the proof,
    dark or light as ``kind`` says (black-hat or top-hat)."""
    rules = rules_of(proof.image, float(np.median(proof.text_heights)), kind).around()
    rows, columns = np.nonzero(places)
    x, y = np.round(alignment.to_proof((np.stack([columns, rows], axis=1) + 0.5) / factor - 0.5)).astype(int).T
    height, width = rules.shape
    shown = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    found = np.zeros(places.shape, bool)
    found[rows[shown], columns[shown]] = rules[y[shown], x[shown]]
    return found


def stroke_strength(grey: np.ndarray, line_height: float) -> np.ndarray:
    """uint8 (h, w): contrast of what is narrower than a character, dark or light (black-hat and top-hat)."""
    side = 2 * round(0.35 * line_height) + 1
    kernel = np.ones((side, side), np.uint8)
    return cv2.max(cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel), cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel))


def has_colour_only_ink(proof: Proof, query: Query, alignment: Alignment) -> bool:
    """Whether the query has strokes that vanish when it is made grey, such as red on green of one brightness."""
    rgb, _, _ = _reduced(query.rgb, proof, alignment)
    kernel = np.ones((5, 5), np.uint8)
    red, green, blue = cv2.split(cv2.subtract(cv2.dilate(rgb, kernel), cv2.erode(rgb, kernel)))
    channels = cv2.max(red, cv2.max(green, blue))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    brightness = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel))
    unseen = cv2.compare(brightness, cv2.LUT(channels, _SEEN_FROM), cv2.CMP_LT)
    return bool(cv2.erode(unseen, np.ones((3, 3), np.uint8)).any())


def _reduced(
    image: np.ndarray, proof: Proof, alignment: Alignment, to: float = _LINE_HEIGHT
) -> tuple[np.ndarray, float, float]:
    """``image`` (of the query) with text lines of about ``to`` pixels, never enlarged; the factor; the line height."""
    height = float(np.percentile(proof.text_heights, 20)) * alignment.query_scale
    factor = min(1.0, to / max(1.0, height))
    if factor > 0.9:
        return image, 1.0, height
    return reduced(image, factor), factor, height * factor
