"""Marks that are text by how they stand: some of one size, side by side, in a row. Grain, folds and rims do not."""

from __future__ import annotations

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


def looks_like_text(strokes: np.ndarray, line_height: float, least: int) -> bool:
    """Whether ``least`` marks of one size stand in a row in ``strokes`` (bool (h, w)), or so many marks that there may
    be such a row. ``line_height``: pixels."""
    mask = strokes.astype(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)  # mostly there is nothing, or little
    if max(width, height) < LEAST_MARK * line_height:
        return False
    found = np.ascontiguousarray(mask[y:y + height, x:x + width])
    count, _, facts, centres = cv2.connectedComponentsWithStats(found)
    sizes = np.maximum(facts[:, cv2.CC_STAT_WIDTH], facts[:, cv2.CC_STAT_HEIGHT])
    marks = (sizes > LEAST_MARK * line_height) & (sizes < MOST_MARK * line_height)
    marks[0] = False
    if count < least or marks.sum() < least:
        return False
    if marks.sum() > MOST_MARKS:
        return True
    centres, sizes = centres[marks], sizes[marks].astype(np.float64)
    near = cKDTree(centres).query(centres, min(9, len(centres)))[1][:, 1:]
    offset = centres[near] - centres[:, None]
    distance = np.linalg.norm(offset, axis=2)
    alike = (distance < 2.0 * sizes[:, None]) & (np.abs(np.log(sizes[near] / sizes[:, None])) < np.log(1.5))
    direction = offset / np.maximum(distance, 1e-6)[..., None]
    for i in range(len(centres)):
        heading = direction[i][alike[i]]
        if len(heading) >= 2 and (heading @ heading.T).min() < -0.95:  # a neighbour on either side, in one line
            row, frontier = {i}, [i]
            while frontier and len(row) < least:
                at = frontier.pop()
                for k in np.flatnonzero(alike[at]).tolist():
                    other = int(near[at, k])
                    cross = abs(direction[i][alike[i]][0, 0] * direction[at, k, 1] -
                                direction[i][alike[i]][0, 1] * direction[at, k, 0])
                    if other not in row and cross < 0.25:
                        row.add(other)
                        frontier.append(other)
            if len(row) >= least:
                return True
    return False
