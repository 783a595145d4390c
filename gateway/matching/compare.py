"""What the aligned query shows of a proof: how far each line is from it, and what there is outside all lines."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gateway.matching.align import Alignment
from gateway.matching.capture import Capture, dot_response, level_at, model_capture
from gateway.matching.folds import shade_of_folds
from gateway.matching.marks import FAINT_LEVELS, Row, rows_of_marks, with_groups, without_covered
from gateway.matching.paper import Paper, filled, quarter
from gateway.matching.proof import Proof
from gateway.matching.residual import line_residuals, line_scale, realigned

DOT = 0.11
"""Diameter of the smallest mark that must be visible, a decimal point, in line heights."""
FAINT_ROW = 4
"""So many marks of one size in a row are text, however pale."""

FAINT_FOLD, STRONG_FOLD = 0.06, 0.35
"""Contrasts between which marks that line up from edge to edge are a fold's shade ..."""
FOLD_VARIES = 0.08
"""... which varies by so much along the fold: a mark on it does not line up."""

_OUTSIDE_STEPS = 40  # of which ink outside the lines is measured, per typical ink range


@dataclass(frozen=True, eq=False)
class Comparison:
    """One value per line, float32 (n,) unless said otherwise.

    ``residual``: stroke residual, relative to the ink range.
    ``cut``: bool (n,), some of the line's ink lies outside the query's frame.
    ``contrast``: ink range relative to the page's median.
    ``visibility``: how strongly a decimal point of that line's size would show, relative to the ink range.
    ``outside``: the strongest unexplained ink outside all lines, relative to the ink range (one float).
    ``rows``: marks outside all lines, however pale, that stand like print.
    ``typical``: the median ink range of the lines in the query's grey levels (one float).
    ``negative``: whether the query shows the page inverted.
    """

    residual: np.ndarray
    cut: np.ndarray
    contrast: np.ndarray
    visibility: np.ndarray
    outside: float
    rows: tuple[Row, ...]
    typical: float
    negative: bool


def compare(proof: Proof, alignment: Alignment, paper: Paper) -> Comparison | None:
    """Compare every line of ``proof``; ``None`` when there is no ink to compare."""
    windows = line_windows(proof)
    text = text_mask(proof)
    line_height = float(np.median(proof.text_heights))
    sheet = paper.mask(proof.image.shape)
    inside = alignment.inside & sheet
    seen = filled(alignment.image, sheet, 2 * line_height)
    capture = model_capture(alignment.rendition, seen, text, inside, line_height)
    if capture is None:
        return None
    ranges = ink_ranges(capture.expected, windows)
    typical = float(np.median(ranges[ranges > 0])) if (ranges > 0).any() else 0.0
    if typical <= 0:
        return None
    scales = [line_scale(capture.expected[y0:y1, x0:x1], line_range, typical)
              for (x0, y0, x1, y1), line_range in zip(windows.tolist(), ranges.tolist(), strict=True)]
    residual = line_residuals(capture, windows, scales)
    cut = cut_lines(capture, windows, ranges, inside)
    residual = realigned(capture, windows, scales, residual, cut)
    strength, rows = ink_outside(capture, typical, text, inside, line_height, paper.shadow())
    return Comparison(
        residual=residual,
        cut=cut,
        contrast=ranges / typical,
        visibility=visibility(proof, text, capture, typical),
        outside=strength,
        rows=tuple(rows),
        typical=typical,
        negative=bool(capture.weights.sum() <= 0),
    )


def line_windows(proof: Proof) -> np.ndarray:
    """int (n, 4): each line's box widened by a pixel and cut to the image; left, top, right, bottom (exclusive)."""
    height, width = proof.image.shape
    boxes = proof.boxes
    low = np.clip(np.floor(boxes[:, :2]) - 1, 0, [width, height])
    high = np.clip(np.ceil(boxes[:, 2:]) + 1, 0, [width, height])
    return np.concatenate([low, high], axis=1).astype(np.int64)


def text_mask(proof: Proof) -> np.ndarray:
    """bool (h, w): the lines themselves and a pixel around. The window of a slanted line holds much that is none of it,
    and that no reading of the line shows."""
    mask = np.zeros(proof.image.shape, np.uint8)
    for quad in proof.quads:
        cv2.fillConvexPoly(mask, np.round(quad - 0.5).astype(np.int32), 1)
    return cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0


def ink_ranges(expected: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """float32 (n,): 98th minus 2nd percentile of the levels in each window, 0 for an empty one."""
    found = []
    for x0, y0, x1, y1 in windows.tolist():
        values = expected[y0:y1, x0:x1].ravel()
        values = values[::max(2, values.size // 2000)]
        if values.size < 8:
            found.append(0.0)
            continue
        k = values.size // 50
        values = np.partition(values, (k, values.size - 1 - k))
        found.append(float(values[values.size - 1 - k] - values[k]))
    return np.float32(found)


def cut_lines(capture: Capture, windows: np.ndarray, ranges: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """bool (n,): whether ink of the line lies where the query's frame does not reach."""
    if inside.all():
        return np.zeros(len(windows), bool)
    cut = []
    for (x0, y0, x1, y1), line_range in zip(windows.tolist(), ranges.tolist(), strict=True):
        hidden = ~inside[y0:y1, x0:x1]
        cut.append(bool((hidden & (capture.contrast[y0:y1, x0:x1] > 0.2 * line_range)).any()))
    return np.array(cut, bool)


def visibility(proof: Proof, text: np.ndarray, capture: Capture, typical: float) -> np.ndarray:
    """float32 (n,): the response to a decimal point of each line's size, relative to the page's typical ink range.
    ``text``: bool (h, w), where the lines are."""
    levels = proof.image.ravel()[np.flatnonzero(text)[::3]]
    low, paper, high = (float(level_at(levels, share)) for share in (0.03, 0.50, 0.97))
    ink = low if paper - low > high - paper else high
    sizes = np.clip(np.round(DOT * proof.text_heights * 4) / 4, 0.5, 8.0)
    responses = {size: dot_response(capture.weights, size, paper, ink) * capture.gain
                 for size in np.unique(sizes).tolist()}
    return np.float32([responses[size] for size in sizes.tolist()]) / typical


def ink_outside(
    capture: Capture, typical: float, text: np.ndarray, inside: np.ndarray, line_height: float, light: np.ndarray
) -> tuple[float, list[Row]]:
    """The strongest ink outside the lines that one picture has and the other has not within 2 pixels around, relative
    to the local range of the ink or the page's ``typical`` one in the ``light`` that falls there
    (:meth:`Paper.shadow`), whichever is larger; and the rows of marks in that ink, however pale they are.

    The tolerance is for rules and logos, which the alignment does not follow. The outermost pixels of the page are
    left out: there the paper ends.
    """
    unit = _OUTSIDE_STEPS / typical
    # Rounded to bytes: a step is a small part of the limit, and bytes are several times as fast.
    seen, expected = (cv2.addWeighted(image, unit, image, 0, 128, dtype=cv2.CV_8U)
                      for image in (capture.seen, capture.expected))
    kernel = np.ones((5, 5), np.uint8)
    excess = cv2.max(
        cv2.max(cv2.subtract(seen, cv2.dilate(expected, kernel)), cv2.subtract(cv2.erode(expected, kernel), seen)),
        cv2.max(cv2.subtract(expected, cv2.dilate(seen, kernel)), cv2.subtract(cv2.erode(seen, kernel), expected)),
    )
    edge = max(3, round(0.35 * line_height))
    height, width = excess.shape
    compared = np.zeros((height, width), np.uint8)
    compared[edge:height - edge, edge:width - edge] = 1
    if not inside.all():
        compared &= cv2.erode(inside.astype(np.uint8), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8))
    compared[text] = 0
    if not compared.any():
        return 0.0, []
    strength = cv2.blur(excess, (3, 3))
    strength *= compared
    excess *= compared
    # Smoothing joins the characters of small print.
    rows = without_covered(
        row
        for image, size in ((strength, line_height), (excess, line_height / 2))
        for level in FAINT_LEVELS
        for row in rows_of_marks(image > level * _OUTSIDE_STEPS, size, FAINT_ROW)
    )
    if FAINT_FOLD * _OUTSIDE_STEPS < strength.max() < STRONG_FOLD * _OUTSIDE_STEPS:
        shade = shade_of_folds(strength, compared > 0, FAINT_FOLD * _OUTSIDE_STEPS, line_height)
        strength[(shade > 0) & (strength <= cv2.add(shade, FOLD_VARIES * _OUTSIDE_STEPS))] = 0
    excess *= strength > 0
    for image in (strength, excess):
        rows = with_groups(rows, image, [level * _OUTSIDE_STEPS for level in FAINT_LEVELS], line_height / 2)
    places = np.flatnonzero(strength > _OUTSIDE_STEPS // 10)
    if not len(places):  # nothing worth a closer look
        return float(strength.max()) / _OUTSIDE_STEPS, rows
    y, x = np.divmod(places, width)
    contrast = cv2.dilate(quarter(capture.contrast), kernel)
    at = np.minimum(y // 4, contrast.shape[0] - 1), np.minimum(x // 4, contrast.shape[1] - 1)
    scale = np.maximum(contrast[at] * (capture.gain * abs(float(capture.weights.sum())) / typical), light[at])
    return float((strength.ravel()[places] / scale).max()) / _OUTSIDE_STEPS, rows
