"""How far each line of a proof is from what the aligned query shows there.

The measure is the *stroke residual*: what the capture model leaves unexplained, relative to the range of the ink right
there, averaged over 3 x 3 pixels, at its worst place in the line. Noise, blur and shade stay below .13; one changed
digit reaches .3 and more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from gateway.matching.align import Alignment
from gateway.matching.capture import Capture, dot_response, level_at, model_capture, odd
from gateway.matching.folds import shade_of_folds
from gateway.matching.marks import FAINT_LEVELS, Row, rows_of_marks, without_covered
from gateway.matching.paper import Paper, filled, quarter
from gateway.matching.proof import Proof

REALIGN_ABOVE = 0.10
MOST_REALIGNED = 40
"""Parts of lines that are aligned once more: each costs about half a millisecond."""
PAGE_FLOOR = 0.08
"""The ink range of a line counts as at least this share of the page's median, or noise would look like a change."""
LINE_FLOOR = 0.25
"""Within a line, the local ink range counts as at least this share of the line's: pale print beside bold print."""
DOT = 0.11
"""Diameter of the smallest mark that must be visible, a decimal point, in line heights."""
FAINT_ROW = 4
"""So many marks of one size in a row are text, however pale."""

FAINT_FOLD, STRONG_FOLD = 0.08, 0.35
"""Contrasts between which marks that line up from edge to edge are a fold's shade ..."""
FOLD_VARIES = 0.08
"""... which varies by so much along the fold: a mark on it does not line up."""

_OUTSIDE_STEPS = 40  # of which ink outside the lines is measured, per typical ink range
_MOST_SHIFT = 8.0
_REALIGN_MARGIN = 9
_OVERLAP = 4  # of neighbouring parts, to either side: together as much as they may shift, or ink could hide between
_MOST_STRETCH = np.array([[0.05, 0.10], [0.05, 0.05]])  # and slant, and rise


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


def line_scale(window: np.ndarray, line_range: float, typical: float) -> np.ndarray:
    """float32 (1, w) or (h, 1): the ink range that residuals in ``window`` (float32 (h, w), a line) are held against.

    It is the range of the ink within about three line heights along the line, so that a change in pale print is not
    judged by the bold word beside it. The line's middle half decides: rules and underlines run along its edges.
    """
    height, width = window.shape
    if height == 0 or width == 0:
        return np.ones((1, 1), np.float32)
    along_rows = width < height  # a vertical line
    thickness = min(height, width)
    edge = thickness // 5
    middle = window[:, edge:width - edge] if along_rows else window[edge:height - edge]
    high, low = (cv2.reduce(middle, int(along_rows), kind).ravel() for kind in (cv2.REDUCE_MAX, cv2.REDUCE_MIN))
    reach = np.ones((1, odd(3.0 * thickness)), np.uint8)
    local = cv2.dilate(high[None], reach) - cv2.erode(low[None], reach)
    floor = max(PAGE_FLOOR * typical, LINE_FLOOR * line_range)
    scale = np.clip(np.minimum(local, max(line_range, floor)), floor, 4 * typical)
    return scale.reshape(-1, 1) if along_rows else scale


def line_residuals(capture: Capture, windows: np.ndarray, scales: list[np.ndarray]) -> np.ndarray:
    """float32 (n,): the stroke residual of each window; inf for an empty one."""
    found = []
    for (x0, y0, x1, y1), scale in zip(windows.tolist(), scales, strict=True):
        if x1 <= x0 or y1 <= y0:
            found.append(np.inf)
            continue
        found.append(stroke_residual((capture.seen[y0:y1, x0:x1] - capture.expected[y0:y1, x0:x1]) / scale))
    return np.float32(found)


def stroke_residual(relative: np.ndarray) -> float:
    """The largest 3 x 3 mean, positive or negative, of ``relative`` (float32 (h, w))."""
    smooth = cv2.blur(relative, (3, 3), borderType=cv2.BORDER_REFLECT)
    low, high, _, _ = cv2.minMaxLoc(smooth)
    # A value that is none is passed over by minMaxLoc, not by the sum.
    return max(high, -low) if np.isfinite(float(smooth.sum())) else np.inf


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
    places = np.flatnonzero(strength > _OUTSIDE_STEPS // 10)
    if not len(places):  # nothing worth a closer look
        return float(strength.max()) / _OUTSIDE_STEPS, rows
    y, x = np.divmod(places, width)
    contrast = cv2.dilate(quarter(capture.contrast), kernel)
    at = np.minimum(y // 4, contrast.shape[0] - 1), np.minimum(x // 4, contrast.shape[1] - 1)
    scale = np.maximum(contrast[at] * (capture.gain * abs(float(capture.weights.sum())) / typical), light[at])
    return float((strength.ravel()[places] / scale).max()) / _OUTSIDE_STEPS, rows


def realigned(
    capture: Capture, windows: np.ndarray, scales: list[np.ndarray], residual: np.ndarray, cut: np.ndarray
) -> np.ndarray:
    """``residual`` after the worst lines were aligned once more, in short parts, where these agree badly, and within
    narrow bounds."""
    improved = residual.copy()
    left_to_try = MOST_REALIGNED
    for i in np.argsort(-residual).tolist():
        x0, y0, x1, y1 = windows[i].tolist()
        if residual[i] <= REALIGN_ABOVE or left_to_try <= 0:
            break
        if cut[i] or min(x1 - x0, y1 - y0) < 6:
            continue
        rest = (capture.seen[y0:y1, x0:x1] - capture.expected[y0:y1, x0:x1]) / scales[i]
        strength = np.abs(cv2.blur(rest, (3, 3), borderType=cv2.BORDER_REFLECT))
        worst = 0.0
        for left, right in pairwise(np.linspace(x0, x1, 1 + _parts(x1 - x0, y1 - y0)).astype(int).tolist()):
            found = float(strength[:, left - x0:right - x0].max())
            if found > REALIGN_ABOVE and left_to_try > 0:
                left_to_try -= 1
                left, right = max(x0, left - _OVERLAP), min(x1, right + _OVERLAP)
                scale = scales[i][:, left - x0:right - x0] if scales[i].shape[1] > 1 else scales[i]
                found = min(found, _realigned_part(capture, scale, left, y0, right, y1))
            worst = max(worst, found)
        improved[i] = min(improved[i], worst)
    return improved


def _parts(along: int, across: int) -> int:
    return max(1, int(np.ceil(along / (6.0 * across))))


def _realigned_part(capture: Capture, scale: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> float:
    """Stroke residual of one part after an affine ECC alignment (Evangelidis and Psarakis, 2008), from where it should
    be or else from where it looks most alike; inf when it fails or strays."""
    height, width = capture.expected.shape
    left, top = max(0, x0 - _REALIGN_MARGIN), max(0, y0 - _REALIGN_MARGIN)
    expected = np.ascontiguousarray(capture.expected[y0:y1, x0:x1])
    around = np.ascontiguousarray(
        capture.seen[top:min(height, y1 + _REALIGN_MARGIN), left:min(width, x1 + _REALIGN_MARGIN)])
    place = np.float32([x0 - left, y0 - top])
    found = _realigned_from(expected, around, place, place, scale)
    if found > REALIGN_ABOVE:
        _, _, _, likeliest = cv2.minMaxLoc(cv2.matchTemplate(around, expected, cv2.TM_CCOEFF_NORMED))
        found = min(found, _realigned_from(expected, around, place, np.float32(likeliest), scale))
    return found


def _realigned_from(
    expected: np.ndarray, around: np.ndarray, place: np.ndarray, start: np.ndarray, scale: np.ndarray
) -> float:
    """Stroke residual of ``expected`` (float32 (h, w)) in ``around``, aligned from ``start`` (x, y) on. ``place``:
    where it should be."""
    first = np.float32([[1, 0, start[0]], [0, 1, start[1]]])
    try:
        # OpenCV 5 refuses NumPy scalars in the criteria.
        _, motion = cv2.findTransformECC(expected, around, first, cv2.MOTION_AFFINE, (3, 25, 1e-3), None, 3)
    except cv2.error:
        return np.inf
    if not np.isfinite(motion).all() or (np.abs(motion[:, :2] - np.eye(2)) > _MOST_STRETCH).any() or \
            np.abs(motion[:, 2] - place).max() > _MOST_SHIFT:
        return np.inf
    seen = cv2.warpAffine(around, motion, expected.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)
    expected, seen = expected - expected.mean(), seen - seen.mean()
    gain = float((expected * seen).sum() / ((expected * expected).sum() + 1e-3))
    return stroke_residual((seen - min(1.3, max(0.75, gain)) * expected) / scale)
