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
from gateway.matching.capture import Capture, dot_response, model_capture, odd
from gateway.matching.proof import Proof

REALIGN_ABOVE = 0.16
MOST_REALIGNED = 24
PAGE_FLOOR = 0.08
"""The ink range of a line counts as at least this share of the page's median, or noise would look like a change."""
LINE_FLOOR = 0.25
"""Within a line, the local ink range counts as at least this share of the line's: pale print beside bold print."""
DOT = 0.11
"""Diameter of the smallest mark that must be visible, a decimal point, in line heights."""

_REALIGN_MARGIN = 6
_MOST_SHIFT = 5.0
_MOST_STRETCH = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """One value per line, float32 (n,) unless said otherwise.

    ``residual``: stroke residual, relative to the ink range.
    ``cut``: bool (n,), some of the line's ink lies outside the query's frame.
    ``contrast``: ink range relative to the page's median.
    ``visibility``: how strongly a decimal point of that line's size would show, relative to the ink range.
    ``outside``: the strongest unexplained ink outside all lines, relative to the ink range (one float).
    ``typical``: the median ink range of the lines in the query's grey levels (one float).
    ``negative``: whether the query shows the page inverted.
    """

    residual: np.ndarray
    cut: np.ndarray
    contrast: np.ndarray
    visibility: np.ndarray
    outside: float
    typical: float
    negative: bool


def compare(proof: Proof, alignment: Alignment) -> Comparison | None:
    """Compare every line of ``proof``; ``None`` when there is no ink to compare."""
    windows = line_windows(proof)
    text = np.zeros(proof.image.shape, bool)
    for x0, y0, x1, y1 in windows.tolist():
        text[y0:y1, x0:x1] = True
    line_height = float(np.median(proof.text_heights))
    capture = model_capture(alignment.rendition, alignment.image, text, alignment.inside, line_height)
    if capture is None:
        return None
    ranges = ink_ranges(capture.expected, windows)
    typical = float(np.median(ranges[ranges > 0])) if (ranges > 0).any() else 0.0
    if typical <= 0:
        return None
    scale = contrast_scale(capture, windows, ranges, typical)
    relative = (capture.seen - capture.expected) / scale
    residual = line_residuals(relative, windows)
    cut = cut_lines(capture, windows, ranges, alignment.inside)
    residual = realigned(capture, scale, windows, residual, cut)
    return Comparison(
        residual=residual,
        cut=cut,
        contrast=ranges / typical,
        visibility=visibility(proof, text, capture, typical),
        outside=ink_outside(capture, scale, text, alignment.inside, line_height),
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


def contrast_scale(capture: Capture, windows: np.ndarray, ranges: np.ndarray, typical: float) -> np.ndarray:
    """float32 (h, w): the ink range that a residual is measured against at each pixel.

    In a line, the range of the ink within about three line heights along it, so that a change in pale print is not
    judged by the bold word beside it. Elsewhere the page's typical range, or the local one where that is larger.
    """
    height, width = capture.expected.shape
    quarter = cv2.resize(capture.contrast, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    around = cv2.resize(cv2.dilate(quarter, np.ones((5, 5), np.uint8)), (width, height))
    scale = np.maximum(around * (capture.gain * abs(float(capture.weights.sum()))), typical).astype(np.float32)
    for (x0, y0, x1, y1), line_range in zip(windows.tolist(), ranges.tolist(), strict=True):
        if x1 <= x0 or y1 <= y0:
            continue
        local = _range_along(capture.expected[y0:y1, x0:x1])
        floor = max(PAGE_FLOOR * typical, LINE_FLOOR * line_range)
        scale[y0:y1, x0:x1] = np.clip(np.minimum(local, max(line_range, floor)), floor, 4 * typical)
    return scale


def _range_along(window: np.ndarray) -> np.ndarray:
    """The ink range along the longer side of ``window`` (h, w), shaped to broadcast over it. Its middle half decides:
    rules and underlines run along the edges."""
    height, width = window.shape
    across = 0 if width >= height else 1
    thickness = min(height, width)
    edge = thickness // 5
    middle = window[edge:height - edge] if across == 0 else window[:, edge:width - edge]
    high, low = middle.max(axis=across), middle.min(axis=across)
    reach = np.ones((1, odd(3.0 * thickness)), np.uint8)
    profile = (cv2.dilate(high[None], reach) - cv2.erode(low[None], reach))[0]
    return profile[None, :] if across == 0 else profile[:, None]






def line_residuals(relative: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """float32 (n,): the largest 3 x 3 mean of ``relative`` (float32 (h, w)) in each window; inf for an empty one."""
    smooth = np.abs(cv2.blur(relative, (3, 3), borderType=cv2.BORDER_REFLECT))
    return np.float32([
        smooth[y0:y1, x0:x1].max() if x1 > x0 and y1 > y0 else np.inf for x0, y0, x1, y1 in windows.tolist()
    ])


def cut_lines(capture: Capture, windows: np.ndarray, ranges: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """bool (n,): whether ink of the line lies where the query's frame does not reach."""
    cut = []
    for (x0, y0, x1, y1), line_range in zip(windows.tolist(), ranges.tolist(), strict=True):
        hidden = ~inside[y0:y1, x0:x1]
        cut.append(bool((hidden & (capture.contrast[y0:y1, x0:x1] > 0.2 * line_range)).any()))
    return np.array(cut, bool)


def visibility(proof: Proof, text: np.ndarray, capture: Capture, typical: float) -> np.ndarray:
    """float32 (n,): the response to a decimal point of each line's size, relative to the page's typical ink range.
    ``text``: bool (h, w), where the lines are."""
    low, paper, high = (float(level) for level in np.percentile(proof.image[text], (3, 50, 97)))
    ink = low if paper - low > high - paper else high
    sizes = np.clip(np.round(DOT * proof.text_heights * 4) / 4, 0.5, 8.0)
    responses = {size: dot_response(capture.weights, size, paper, ink) * capture.gain
                 for size in np.unique(sizes).tolist()}
    return np.float32([responses[size] for size in sizes.tolist()]) / typical


def ink_outside(
    capture: Capture, scale: np.ndarray, text: np.ndarray, inside: np.ndarray, line_height: float
) -> float:
    """The strongest ink outside the lines that one picture has and the other has not within 2 pixels around.

    The tolerance is for rules and logos, which the alignment does not follow. The outermost pixels of the page are
    left out: there the paper ends.
    """
    seen, expected = capture.seen, capture.expected
    kernel = np.ones((5, 5), np.uint8)
    excess = np.maximum(
        np.maximum(seen - cv2.dilate(expected, kernel), cv2.erode(expected, kernel) - seen),
        np.maximum(expected - cv2.dilate(seen, kernel), cv2.erode(seen, kernel) - expected),
    )
    strength = cv2.blur(np.maximum(excess, 0) / scale, (3, 3))
    edge = max(3, round(0.35 * line_height))
    height, width = strength.shape
    compared = np.zeros((height, width), np.uint8)
    compared[edge:height - edge, edge:width - edge] = 1
    compared &= cv2.erode(inside.astype(np.uint8), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8))
    compared[text] = 0
    return float(strength[compared > 0].max()) if compared.any() else 0.0


def realigned(
    capture: Capture, scale: np.ndarray, windows: np.ndarray, residual: np.ndarray, cut: np.ndarray
) -> np.ndarray:
    """``residual`` after the worst lines were aligned once more, each in short parts and within narrow bounds."""
    improved = residual.copy()
    worst = [i for i in np.argsort(-residual)[:MOST_REALIGNED].tolist() if residual[i] > REALIGN_ABOVE and not cut[i]]
    for i in worst:
        x0, y0, x1, y1 = windows[i].tolist()
        if min(x1 - x0, y1 - y0) < 6:
            continue
        parts = max(1, int(np.ceil((x1 - x0) / (6.0 * (y1 - y0)))))
        cuts = np.linspace(x0, x1, parts + 1).astype(int).tolist()
        found = []
        for left, right in pairwise(cuts):
            found.append(_realigned_part(capture, scale, max(x0, left - 4), y0, min(x1, right + 4), y1))
            if found[-1] is None or found[-1] >= improved[i]:
                break
        else:
            improved[i] = max(found)
    return improved


def _realigned_part(capture: Capture, scale: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> float | None:
    """Stroke residual of one part after an affine ECC alignment (Evangelidis and Psarakis, 2008); ``None`` when it
    fails or strays."""
    height, width = capture.expected.shape
    left, top = max(0, x0 - _REALIGN_MARGIN), max(0, y0 - _REALIGN_MARGIN)
    expected = np.ascontiguousarray(capture.expected[y0:y1, x0:x1])
    around = np.ascontiguousarray(
        capture.seen[top:min(height, y1 + _REALIGN_MARGIN), left:min(width, x1 + _REALIGN_MARGIN)])
    start = np.array([[1, 0, x0 - left], [0, 1, y0 - top]], np.float32)
    try:
        # OpenCV 5 refuses NumPy scalars in the criteria.
        _, motion = cv2.findTransformECC(expected, around, start.copy(), cv2.MOTION_AFFINE, (3, 25, 1e-3), None, 3)
    except cv2.error:
        return None
    change = motion - start
    if not np.isfinite(motion).all() or np.abs(change[:, :2]).max() > _MOST_STRETCH or \
            np.abs(change[:, 2]).max() > _MOST_SHIFT:
        return None
    seen = cv2.warpAffine(around, motion, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)
    expected, seen = expected - expected.mean(), seen - seen.mean()
    gain = float((expected * seen).sum() / ((expected * expected).sum() + 1e-3))
    rest = (seen - min(1.3, max(0.75, gain)) * expected) / scale[y0:y1, x0:x1]
    return float(np.abs(cv2.blur(rest, (3, 3), borderType=cv2.BORDER_REFLECT)).max())
