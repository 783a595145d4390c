"""Marks that may be text by how they stand: some of one size, side by side, in a row. Grain and folds seldom do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree

LEAST_MARK, MOST_MARK = 0.3, 3.0
"""Sizes of marks that may be characters, in line heights."""
FAINT_LEVELS = (0.06, 0.09, 0.12, 0.16, 0.22, 0.3)
"""Contrasts, relative to the page's typical ink range, at which rows of marks are looked for: at a single one the
characters of a blurred word are one mark, or none. Noise of good photographs reaches .08, but in no row; that of
creased paper .15, and now and then it looks like a row of small print."""
MOST_MARKS = 4000
"""With more of them nothing can be told from them, neither that there is text nor that there is none."""

_NEIGHBOURS = 8
_COVERED = 0.7  # share of a row's box that lies in another row's


class Row(NamedTuple):
    """Marks in a row: their box in pixels, ``right`` and ``bottom`` exclusive, and the median of their longer sides."""

    left: float
    top: float
    right: float
    bottom: float
    size: float


def rows_of_marks(strokes: np.ndarray, line_height: float, least: int) -> list[Row]:
    """The rows of ``least`` and more marks of one size in ``strokes`` (bool (h, w)); so many marks that nothing can be
    told from them are one row. ``line_height``: pixels."""
    mask = strokes.astype(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)  # mostly there is nothing, or little
    least_side = LEAST_MARK * line_height
    if max(width, height) < least_side or cv2.countNonZero(mask) < least * least_side:
        return []
    inked = np.ascontiguousarray(mask[y:y + height, x:x + width])
    _, _, facts, centres = cv2.connectedComponentsWithStats(inked)
    sizes = np.maximum(facts[:, cv2.CC_STAT_WIDTH], facts[:, cv2.CC_STAT_HEIGHT])
    marks = (sizes > least_side) & (sizes < MOST_MARK * line_height)
    marks[0] = False
    if marks.sum() < least:
        return []
    if marks.sum() > MOST_MARKS:
        return [Row(x, y, x + width, y + height, line_height)]
    corners = facts[marks, :2] + [x, y]
    boxes = np.concatenate([corners, corners + facts[marks, 2:4]], axis=1)
    centres, sizes = centres[marks], sizes[marks].astype(np.float64)
    return [
        Row(*boxes[row, :2].min(axis=0).tolist(), *boxes[row, 2:].max(axis=0).tolist(), float(np.median(sizes[row])))
        for row in _rows(centres, sizes, least)
    ]


def without_covered(rows: Iterable[Row]) -> list[Row]:
    """``rows`` but for those that mostly lie within a larger one: what is found at several levels counts once."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: -_area(row)):
        if all(_area(_common(row, other)) < _COVERED * _area(row) for other in kept):
            kept.append(row)
    return kept


def _common(a: Row, b: Row) -> Row:
    return Row(max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom), a.size)


def _area(row: Row) -> float:
    return max(0.0, row.right - row.left) * max(0.0, row.bottom - row.top)


def _rows(centres: np.ndarray, sizes: np.ndarray, least: int) -> list[list[int]]:
    """The indices of marks (``centres``, (n, 2); ``sizes``, (n,)) that stand in rows of ``least`` and more."""
    near = cKDTree(centres).query(centres, min(1 + _NEIGHBOURS, len(centres)))[1][:, 1:]
    offset = centres[near] - centres[:, None]
    distance = np.linalg.norm(offset, axis=2)
    alike = (distance < 2.0 * sizes[:, None]) & (np.abs(np.log(sizes[near] / sizes[:, None])) < np.log(1.5))
    direction = offset / np.maximum(distance, 1e-6)[..., None]
    # A mark with a neighbour on either side, in one line.
    opposite = np.where(alike[:, :, None] & alike[:, None, :], direction @ direction.transpose(0, 2, 1), 1.0)
    found, taken = [], set[int]()
    for first in np.flatnonzero(opposite.min(axis=(1, 2), initial=1.0) < -0.95).tolist():
        if first in taken:
            continue
        heading_x, heading_y = direction[first][alike[first]][0]
        row, frontier = {first}, [first]
        while frontier:
            at = frontier.pop()
            across = np.abs(heading_x * direction[at, :, 1] - heading_y * direction[at, :, 0])
            joined = {*near[at][alike[at] & (across < 0.25)].tolist()} - row
            row |= joined
            frontier += joined
        if len(row) >= least:
            taken |= row
            found.append(sorted(row))
    return found
