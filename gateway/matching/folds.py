"""Where paper was folded: shade along a straight line from one edge of the sheet to the other."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import median_filter

LEAST_COVER = 0.85
"""Share of the way across the sheet on which a fold is to be seen. Rules and strokes of a pen end before the edge."""

_REDUCTION = 4
_HALF_WIDTH = 0.4  # line heights to either side of a fold
_ALONG = 6.0  # line heights to either side over which the shade of a fold is much the same
_SLANT = np.deg2rad(4.0)
_MOST = 8  # lines that are looked at, likeliest first
_LEAST_COMPARED = 0.3  # share of the way that is compared at all


def shade_of_folds(strength: np.ndarray, compared: np.ndarray, least: float, line_height: float) -> np.ndarray:
    """uint8 (h, w): how much of ``strength`` (likewise) is the shade of nearly level or upright folds: along lines of
    strengths above ``least``, the median around. ``compared``: bool (h, w), where ``strength`` says anything."""
    height, width = strength.shape
    coarse, known = _pooled(strength), _pooled(compared.astype(np.uint8))
    level = _shade(coarse, known, least, line_height / _REDUCTION)
    upright = _shade(np.ascontiguousarray(coarse.T), np.ascontiguousarray(known.T), least, line_height / _REDUCTION)
    found = cv2.max(level, np.ascontiguousarray(upright.T))
    return found.repeat(_REDUCTION, axis=0).repeat(_REDUCTION, axis=1)[:height, :width]


def _pooled(image: np.ndarray) -> np.ndarray:
    """uint8: the largest value in each square of ``image`` (uint8 (h, w))."""
    height, width = image.shape
    padded = np.pad(image, ((0, -height % _REDUCTION), (0, -width % _REDUCTION)))
    rows, columns = padded.shape
    return padded.reshape(rows // _REDUCTION, _REDUCTION, columns // _REDUCTION, _REDUCTION).max(axis=(1, 3))


def _shade(strength: np.ndarray, known: np.ndarray, least: float, line_height: float) -> np.ndarray:
    """As :func:`shade_of_folds`, of level folds. ``line_height``: in pixels of ``strength``."""
    marks, width = (strength > least).astype(np.uint8), strength.shape[1]
    reach, along = max(1, round(_HALF_WIDTH * line_height)), 2 * round(_ALONG * line_height) + 1
    found = np.zeros_like(strength)
    lines = cv2.HoughLines(marks, 1, np.pi / 720, max(1, width // 4), min_theta=np.pi / 2 - _SLANT,
                           max_theta=np.pi / 2 + _SLANT)
    for rho, theta in () if lines is None else lines.reshape(len(lines), -1)[:_MOST, :2].tolist():
        ends = [(x, round((rho - x * np.cos(theta)) / np.sin(theta))) for x in (0, width - 1)]
        band, middle = (cv2.line(np.zeros_like(marks), *ends, 1, thickness) for thickness in (2 * reach + 1, 1))
        way = (middle & known).any(axis=0)
        # A fold may leave its line by some pixels.
        covered = cv2.dilate((band & marks).max(axis=0)[None], np.ones((1, 2 * reach + 1), np.uint8))[0] > 0
        if way.mean() < _LEAST_COMPARED or (covered & way).sum() < LEAST_COVER * way.sum():
            continue
        if covered[way][0] and covered[way][-1]:
            profile = (band * strength).max(axis=0)[way]
            shade = np.zeros(width, np.uint8)
            shade[way] = median_filter(profile, min(along, len(profile)), mode="nearest")
            found = cv2.max(found, band * shade)
    return found
