"""A smooth displacement field from scattered, partly wrong displacements.

A robust cubic trend over the page, plus a kernel-weighted local linear fit of what it leaves. Pieces that disagree
with their neighbours lose their weight, so that no single word can bend the paper to itself.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.distance import cdist

from gateway.matching.pieces import PieceMatches

GRID_COLUMNS = 28
TOLERANCE = 1.2
_TOLERANCE_APART = 0.025
"""Disagreement with the neighbours, in pixels, at which a piece keeps half its weight; and by how much more for every
pixel that these are away: paper may bend in between."""
_LEAST_SCORE = 0.45
_LEAST_PIECES = 6
_NEAREST = 6  # pieces that bear on every place: a title far from all other print has few
_MOST_ROWS = 32_000
_RIDGE = np.diag([0.3, 0.6, 0.6])


class Field(NamedTuple):
    """``field``: float32 (gh, gw, 2), pixels; ``error``: median disagreement of the pieces with it, pixels;
    ``size``: 90th percentile of the displacements it was made from, pixels."""

    field: np.ndarray
    error: float
    size: float


def displacement_field(matches: PieceMatches, shape: tuple[int, ...], reach: float) -> Field | None:
    """The field over an image of ``shape`` through ``matches``, smooth over about ``reach`` pixels; ``None`` when too
    few pieces were found."""
    found = matches.scores > _LEAST_SCORE
    if (found & matches.known.all(axis=1)).sum() < _LEAST_PIECES:
        return None
    height, width = shape[:2]
    size = np.array([width, height], np.float64)
    points = matches.centres[found].astype(np.float64)
    known = matches.known[found].astype(np.float64)
    shifts = matches.shifts[found] * known
    confidence = matches.scores[found].astype(np.float64) ** 2
    rows = int(np.clip(round(GRID_COLUMNS * height / width), 4, 4 * GRID_COLUMNS))
    grid = np.stack(np.meshgrid((np.arange(GRID_COLUMNS) + 0.5) / GRID_COLUMNS * width,
                                (np.arange(rows) + 0.5) / rows * height), axis=-1).reshape(-1, 2)

    count = known.sum(axis=0).min()
    terms = 10 if count >= 40 else 6 if count >= 24 else 3 if count >= 10 else 1
    basis = _polynomial(points / size - 0.5, terms)
    trend = _robust_trend(basis, shifts, confidence, known)
    rest = shifts - basis @ trend

    neighbours = _kernel(points, points, reach)
    np.fill_diagonal(neighbours, 0.0)
    apart = np.sqrt((neighbours * cdist(points, points, "sqeuclidean")).sum(axis=1) / neighbours.sum(axis=1))
    tolerance = TOLERANCE + _TOLERANCE_APART * apart
    weights = confidence
    for _ in range(3):
        fitted = _local_linear(points, points, rest, neighbours * weights, known, reach)
        disagreement = np.linalg.norm((rest - fitted) * known, axis=1)
        weights = confidence / (1 + (disagreement / tolerance) ** 4)

    field = _polynomial(grid / size - 0.5, terms) @ trend
    field += _local_linear(grid, points, rest, _kernel(grid, points, reach) * weights, known, reach)
    return Field(field.reshape(rows, GRID_COLUMNS, 2).astype(np.float32), float(np.median(disagreement)),
                 float(np.percentile(np.linalg.norm(shifts, axis=1), 90)))


def sample_field(field: np.ndarray, points: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 (n, 2): ``field`` (gh, gw, 2) over ``width`` x ``height`` pixels, at ``points`` (n, 2)."""
    rows, columns = field.shape[:2]
    x = ((points[:, 0] + 0.5) / width * columns - 0.5).astype(np.float32)
    y = ((points[:, 1] + 0.5) / height * rows - 0.5).astype(np.float32)
    # OpenCV refuses maps of more rows.
    parts = zip(*(np.array_split(values[:, None], 1 + len(values) // _MOST_ROWS) for values in (x, y)), strict=True)
    return np.concatenate([cv2.remap(field, *part, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
                           for part in parts])


def _polynomial(unit: np.ndarray, terms: int) -> np.ndarray:
    """float64 (n, terms): the first of 1, x, y, x², xy, y², x³, x²y, xy², y³ of points (n, 2) in -0.5..0.5."""
    x, y = unit[:, 0], unit[:, 1]
    powers = [np.ones_like(x), x, y, x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y]
    return np.stack(powers[:terms], axis=1)


def _robust_trend(basis: np.ndarray, shifts: np.ndarray, confidence: np.ndarray, known: np.ndarray) -> np.ndarray:
    """float64 (terms, 2): iteratively reweighted least squares with Cauchy weights."""
    weights = confidence
    for _ in range(4):
        root = np.sqrt(weights[:, None] * known)
        trend = np.stack([np.linalg.lstsq(basis * root[:, [axis]], shifts[:, axis] * root[:, axis], rcond=None)[0]
                          for axis in (0, 1)], axis=1)
        error = np.linalg.norm((shifts - basis @ trend) * known, axis=1)
        weights = confidence / (1 + (error / max(0.3, 1.5 * float(np.median(error)))) ** 2)
    return trend


def _kernel(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    """float64 (len(a), len(b)): Gaussian weights of the distances, over ``reach`` or as far as the nearest few are."""
    squared = cdist(a, b, "sqeuclidean")
    nearest = min(_NEAREST, len(b) - 1)
    return np.exp(-squared / (2 * np.maximum(reach * reach, np.partition(squared, nearest, axis=1)[:, [nearest]])))


def _local_linear(
    at: np.ndarray, points: np.ndarray, values: np.ndarray, weights: np.ndarray, known: np.ndarray, reach: float
) -> np.ndarray:
    """float64 (len(at), 2): at each place, the value of a weighted linear fit of ``values`` (n, 2) around it, as far as
    these are ``known`` (n, 2)."""
    (x, y), (at_x, at_y) = ((places - points.mean(axis=0)).T / reach for places in (points, at))
    fitted = []
    for axis in (0, 1):
        value = values[:, axis]
        # Moments about one origin for all places, then moved to each.
        moments = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y, value, x * value, y * value], axis=1)
        n, sx, sy, sxx, sxy, syy, sv, sxv, syv = ((weights * known[:, axis]) @ moments).T
        sxx, sxy, syy = (sxx - at_x * (2 * sx - at_x * n), sxy - at_x * sy - at_y * (sx - at_x * n),
                         syy - at_y * (2 * sy - at_y * n))
        sx, sy, sxv, syv = sx - at_x * n, sy - at_y * n, sxv - at_x * sv, syv - at_y * sv
        normal = np.stack([n, sx, sy, sx, sxx, sxy, sy, sxy, syy], axis=1).reshape(-1, 3, 3) + _RIDGE
        fitted.append(np.linalg.solve(normal, np.stack([sv, sxv, syv], axis=1)[..., None])[:, 0])
    return np.concatenate(fitted, axis=1)
