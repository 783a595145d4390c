"""The stroke residual of a line: how far what the query shows of it is from the proof.

It is what the capture model leaves unexplained, relative to the range of the ink right there, averaged over 3 x 3
pixels, at its worst place in the line. Noise, blur and shade stay below .13; one changed digit reaches .3 and more.
Where a line agrees badly, its parts are aligned once more, within narrow bounds: paper bends, and does not tear.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.capture import Capture, odd

REALIGN_ABOVE = 0.10
MOST_REALIGNED = 40
"""Parts of lines that are aligned once more: each costs about half a millisecond."""
PAGE_FLOOR = 0.08
"""The ink range of a line counts as at least this share of the page's median, or noise would look like a change."""
LINE_FLOOR = 0.25
"""Within a line, the local ink range counts as at least this share of the line's: pale print beside bold print."""

_MOST_SHIFT = 8.0
_REALIGN_MARGIN = 9
_OVERLAP = 4  # of neighbouring parts, to either side
_MOST_TORN = 1.5  # pixels between where neighbouring parts end: ink hides in a gap, and a repeated one is found twice
_MOST_STRETCH = np.array([[0.05, 0.10], [0.05, 0.05]])  # and slant, and rise


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
        worst, before = 0.0, None
        for left, right in pairwise(np.linspace(x0, x1, 1 + _parts(x1 - x0, y1 - y0)).astype(int).tolist()):
            found = _Part(float(strength[:, left - x0:right - x0].max()), _STILL, _STILL)
            if found.residual > REALIGN_ABOVE and left_to_try > 0:
                left_to_try -= 1
                around = max(x0, left - _OVERLAP), min(x1, right + _OVERLAP)
                scale = scales[i][:, around[0] - x0:around[1] - x0] if scales[i].shape[1] > 1 else scales[i]
                found = min(found, _realigned_part(capture, scale, (left, right), around, y0, y1), key=_residual)
            worst = max(worst, found.residual)
            if before is not None and np.abs(found.start - before.end).max() > _MOST_TORN:
                worst = np.inf
            before = found
        improved[i] = min(improved[i], worst)
    return improved


class _Part(NamedTuple):
    """Part of a line: its stroke residual, and how far its ``start`` and its ``end`` are from where they should be,
    float64 (2,) each, in pixels."""

    residual: float
    start: np.ndarray
    end: np.ndarray


_STILL = np.zeros(2)


def _residual(part: _Part) -> float:
    return part.residual


def _parts(along: int, across: int) -> int:
    return max(1, int(np.ceil(along / (6.0 * across))))


def _realigned_part(
    capture: Capture, scale: np.ndarray, part: tuple[int, int], around: tuple[int, int], y0: int, y1: int
) -> _Part:
    """The ``part`` (left, right) of a line after an affine ECC alignment (Evangelidis and Psarakis, 2008) of what is
    ``around`` it (likewise), from where it should be or else from where it looks most alike; its residual is inf when
    that fails or strays."""
    height, width = capture.expected.shape
    x0, x1 = around
    left, top = max(0, x0 - _REALIGN_MARGIN), max(0, y0 - _REALIGN_MARGIN)
    expected = np.ascontiguousarray(capture.expected[y0:y1, x0:x1])
    seen = np.ascontiguousarray(
        capture.seen[top:min(height, y1 + _REALIGN_MARGIN), left:min(width, x1 + _REALIGN_MARGIN)])
    place = np.float32([x0 - left, y0 - top])
    ends = np.array([[x - x0, (y1 - y0) / 2, 1.0] for x in part])
    found = _realigned_from(expected, seen, place, place, scale, ends)
    if found.residual > REALIGN_ABOVE:
        _, _, _, likeliest = cv2.minMaxLoc(cv2.matchTemplate(seen, expected, cv2.TM_CCOEFF_NORMED))
        found = min(found, _realigned_from(expected, seen, place, np.float32(likeliest), scale, ends), key=_residual)
    return found


def _realigned_from(
    expected: np.ndarray, around: np.ndarray, place: np.ndarray, start: np.ndarray, scale: np.ndarray, ends: np.ndarray
) -> _Part:
    """``expected`` (float32 (h, w)) in ``around``, aligned from ``start`` (x, y) on. ``place``: where it should be.
    ``ends``: float64 (2, 3), homogeneous, of the part in ``expected``."""
    first = np.float32([[1, 0, start[0]], [0, 1, start[1]]])
    try:
        # OpenCV 5 refuses NumPy scalars in the criteria.
        _, motion = cv2.findTransformECC(expected, around, first, cv2.MOTION_AFFINE, (3, 25, 1e-3), None, 3)
    except cv2.error:
        return _Part(np.inf, _STILL, _STILL)
    if not np.isfinite(motion).all() or (np.abs(motion[:, :2] - np.eye(2)) > _MOST_STRETCH).any() or \
            np.abs(motion[:, 2] - place).max() > _MOST_SHIFT:
        return _Part(np.inf, _STILL, _STILL)
    seen = cv2.warpAffine(around, motion, expected.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)
    expected, seen = expected - expected.mean(), seen - seen.mean()
    gain = float((expected * seen).sum() / ((expected * expected).sum() + 1e-3))
    return _Part(stroke_residual((seen - min(1.3, max(0.75, gain)) * expected) / scale),
                 *(ends @ motion.T - ends[:, :2] - place))
