"""Places beside the lines that must be read: rows of marks that may be print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.matching.marks import Row

MOST_SUSPECTS = 24
"""Places with pale marks outside the lines that are read; a page with more of them is another one."""
SLANT = 2.5
"""The shorter side of a row of marks that can be read, relative to their size: others run slantwise."""
LEAST_PRINT_HEIGHT = 4.0
"""Height of a row of marks in the page, pixels, below which nothing can be read."""
ROOM = 0.2
"""Around a row of marks that is read, relative to their size: what detectors leave. With more, what stands beside it is
read with it."""


def legible(rows: Sequence[Row], scale: float) -> list[Row]:
    """Those of ``rows`` that are high enough for print. ``scale``: pixels of the page in one of theirs."""
    return [row for row in rows if min(row.right - row.left, row.bottom - row.top) * scale >= LEAST_PRINT_HEIGHT]


def can_be_read(rows: Sequence[Row]) -> bool:
    """Whether reading the boxes of ``rows`` would tell whether they are print: few, and level or upright."""
    return len(rows) <= MOST_SUSPECTS and all(
        min(row.right - row.left, row.bottom - row.top) <= SLANT * row.size for row in rows)


def boxes_of(rows: Sequence[Row]) -> np.ndarray:
    """float32 (k, 4, 2): the boxes of ``rows``, in their pixels, with some room around."""
    found = [(row.left - room, row.top - room, row.right + room, row.bottom + room)
             for row in rows for room in [ROOM * row.size]]
    left, top, right, bottom = np.float32(found).reshape(-1, 4).T
    return np.stack([left, top, right, top, right, bottom, left, bottom], axis=1).reshape(-1, 4, 2)
