"""Reading order of text lines: rows from top to bottom, a row from left to right, columns of running text one by one.

Tables and forms are read in rows, even where their cells stand in columns: a label stays beside its value. Columns are
read one after the other only where both sides look like running text (many rows that fill their column).
Everything is relative to the lines' own height, so the order is the same at every scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Two lines share a row when their centres lie closer than this share of the lower one's height.
SAME_ROW = 0.5
# What makes running text of the rows on one side of a gutter.
PROSE_ROWS = 4
PROSE_FILLED = 0.7
PROSE_SHARE = 0.6
PROSE_WIDTH = 9.0
# Lines across a gutter (headings, say) split a page into zones; with more than this share of them it is no gutter.
ACROSS = 0.25


@dataclass(frozen=True)
class _Layout:
    """Geometry of every line after the page's skew is taken out: arrays of shape (n,)."""

    x: np.ndarray
    y: np.ndarray
    left: np.ndarray
    right: np.ndarray
    height: np.ndarray


def reading_order(quads: np.ndarray) -> np.ndarray:
    """Indices that put ``quads`` float ``(n, 4, 2)`` (corners clockwise from the top-left) into reading order.

    A permutation of 0..n-1; the sequence of quads does not depend on the order in which they are given.
    """
    quads = np.asarray(quads, np.float64).reshape(-1, 4, 2)
    if len(quads) == 0:
        return np.zeros(0, np.int64)
    # A fixed order first, so that every tie below is broken by the geometry alone.
    start = np.lexsort(quads.reshape(len(quads), 8).T[::-1])
    layout = _measure(quads[start])
    return start[_blocks(layout, np.arange(len(quads)), depth=2)]


def _measure(quads: np.ndarray) -> _Layout:
    across = (quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3]) / 2
    down = (quads[:, 2] + quads[:, 3] - quads[:, 0] - quads[:, 1]) / 2
    width, height = np.hypot(*across.T), np.hypot(*down.T)
    long = width > 3 * height
    # The median line's own angle, not an average: one vertical or slanted line must not tilt the page. Short boxes
    # alone tell no more than which way up it is.
    angles = np.arctan2(across[:, 1], across[:, 0])
    if long.any():
        angle = _median(angles[long])
        cos, sin = np.cos(angle), np.sin(angle)
    else:
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[round(_median(angles) / (np.pi / 2)) % 4]
    level = quads @ np.array([[cos, -sin], [sin, cos]])
    centre = level.mean(1)
    # A tall box (vertical text) counts with its width, or it would join the rows of all lines beside it.
    return _Layout(
        x=centre[:, 0],
        y=centre[:, 1],
        left=level[..., 0].min(1),
        right=level[..., 0].max(1),
        height=np.maximum(np.minimum(width, height), 1e-9),
    )


def _median(values: np.ndarray) -> float:
    return float(np.sort(values)[(len(values) - 1) // 2])


def _blocks(layout: _Layout, members: np.ndarray, depth: int) -> np.ndarray:
    """``members`` in reading order, columns of running text (at most 2 ** depth of them) told apart."""
    gutter = _gutter(layout, members, depth)
    if gutter is None:
        return _in_rows(layout, members)
    zones: list[np.ndarray] = []
    crossing = members[(layout.left[members] < gutter) & (layout.right[members] > gutter)]
    crossing = crossing[np.argsort(layout.y[crossing], kind="stable")]
    bounds = [-np.inf, *layout.y[crossing], np.inf]
    sides = members[~np.isin(members, crossing)]
    for number, (top, bottom) in enumerate(pairwise(bounds)):
        zone = sides[(layout.y[sides] >= top) & (layout.y[sides] < bottom)]
        for side in (layout.x[zone] < gutter, layout.x[zone] >= gutter):
            zones.append(_blocks(layout, zone[side], depth - 1))
        if number < len(crossing):
            zones.append(crossing[number : number + 1])
    return np.concatenate(zones)


def _gutter(layout: _Layout, members: np.ndarray, depth: int) -> float | None:
    """The x of a vertical gutter with running text, in ``2 ** (depth - 1)`` columns at most, on both sides, or None."""
    if not depth or len(members) < 2 * PROSE_ROWS:
        return None
    left, right = layout.left[members], layout.right[members]
    start, end = left.min(), right.max()
    edges = np.unique(left[(left > start + 0.25 * (end - start)) & (left < start + 0.75 * (end - start))])
    if not len(edges):
        return None
    height = np.sort(layout.height[members])[(len(members) - 1) // 2]
    places = edges - 0.25 * height
    crossed = ((left[None] < places[:, None]) & (right[None] > places[:, None])).sum(1)
    # The place that the fewest lines cross; of equals the one that most lines begin at.
    begun = (np.abs(left[None] - edges[:, None]) < height).sum(1)
    best = np.lexsort((places, -begun, crossed))[0]
    if crossed[best] > ACROSS * len(members):
        return None
    place = float(places[best])
    west, east = members[right <= place], members[left >= place]
    for side in (west, east):
        if not _is_prose(layout, side) and _gutter(layout, side, depth - 1) is None:
            return None
    overlap = min(layout.y[west].max(), layout.y[east].max()) - max(layout.y[west].min(), layout.y[east].min())
    shorter = min(np.ptp(layout.y[west]), np.ptp(layout.y[east]))
    return place if overlap > 0.5 * shorter else None


def _is_prose(layout: _Layout, members: np.ndarray) -> bool:
    if len(members) < PROSE_ROWS:
        return False
    left, right = layout.left[members], layout.right[members]
    width = np.sort(right)[int(0.9 * (len(members) - 1))] - np.sort(left)[int(0.1 * (len(members) - 1))]
    height = np.sort(layout.height[members])[(len(members) - 1) // 2]
    filled = (right - left >= PROSE_FILLED * width).mean()
    return bool(filled >= PROSE_SHARE and width >= PROSE_WIDTH * height)


def _in_rows(layout: _Layout, members: np.ndarray) -> np.ndarray:
    """``members`` row by row. A row is followed from left to right, so that its lines may climb or fall a little."""
    waiting = members[np.argsort(layout.y[members], kind="stable")].tolist()
    ordered: list[int] = []
    while waiting:
        first = waiting[0]
        row = [first]
        for other in waiting[1:]:
            apart = layout.y[other] - layout.y[first]
            if apart > SAME_ROW * layout.height[first]:
                break
            if apart <= SAME_ROW * min(layout.height[first], layout.height[other]):
                row.append(other)
        row.sort(key=lambda index: (layout.x[index], layout.y[index]))
        ordered += row
        taken = set(row)
        waiting = [index for index in waiting if index not in taken]
    return np.array(ordered, np.int64)
