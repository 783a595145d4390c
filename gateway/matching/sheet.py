"""Which part of a picture is the sheet of paper that carries the text, and what was added to it or lies beside it.

Creases and shadows darken paper broadly and by a little; ink is narrow and dark against the paper right beside it, also
in the shade. So strokes are measured relative to their background, and looked for on the sheet only. Off the sheet lie
tables and hands, whose grain is no text: there only rows of marks of one size count.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.align import Alignment
from gateway.matching.marks import looks_like_text
from gateway.matching.proof import Proof
from gateway.matching.query import Query
from gateway.matching.surroundings import frame_outline

ADDED = 0.4
"""Contrast of a stroke, relative to that of the lines, from which it counts as ink."""
LEAST_EXTENT = 1.5
"""Length of a stroke on bent paper that counts by itself, in line heights: shorter ones are misplaced corners."""
PLAY = 0.6
"""Misplacement of what is no text (rules, pictures), in line heights."""
LEAST_MARK, APART = 0.4, 0.9
"""Extent of a mark that counts by itself, and how far from all ink of the proof it must reach, in line heights: a digit
where nothing was. Nearer, it may be a piece of a rule that lies elsewhere."""
END, END_PLAY, LEAST_AT_END = 1.0, 0.2, 0.15
"""Before and behind a line's box, in line heights: how far a sign or digit is looked for that a number was given there,
the misplacement of text, and the extent that counts (a minus sign's). Reading the line again would not show it."""
ADDED_ROW, ROW_BESIDE = 3, 5
"""Marks of one size in a row that are taken for text, on the sheet and beside it."""

_SIDE = 256
_PAPER = 0.72  # brightness of paper relative to that around the nearest lines
_LINE_HEIGHT = 15.0  # pixels of a text line in the reduced query that is looked at
_BLACK = 8.0  # grey levels that no ink falls below


class Added(NamedTuple):
    """What a picture of bent paper has and the proof has not, as contrast relative to that of the lines; 0 for nothing.
    ``inside``: strokes on the part of the sheet that the proof shows. ``beyond``: strokes on other parts of the sheet,
    infinite when there is text beside it."""

    inside: float
    beyond: float


class Sheet(NamedTuple):
    """``paper``: uint8 mask (h, w), at most 256 pixels a side, where the paper is seen. ``whole``: the same with its
    holes filled (pictures, blots)."""

    paper: np.ndarray
    whole: np.ndarray


def added_on_bent_paper(proof: Proof, query: Query, alignment: Alignment) -> Added:
    """Strokes that ``query`` has and ``proof`` has not, where ``alignment`` followed bent paper."""
    return Added(_added_inside(proof, alignment), _added_beyond(proof, query, alignment))


def _added_inside(proof: Proof, alignment: Alignment) -> float:
    shape = proof.image.shape
    seen = np.clip(alignment.image, 0, 255).astype(np.uint8)
    before, after = sheet_of(proof.image, proof.quads), sheet_of(seen, proof.quads)
    if before is None or after is None:
        return np.inf
    line_height = float(np.median(proof.text_heights))
    text = _boxes(proof.boxes, shape, 0.0) > 0
    known, new = stroke_contrast(proof.image, line_height), stroke_contrast(seen, line_height)
    known /= _typical(known, text)
    new /= _typical(new, text)
    strokes = _excess(new, known, PLAY * line_height)
    # Neither beside the sheet nor in pictures, and a hole in the sheet that the proof has not is a blot.
    looked_at = [cv2.erode(mask, np.ones((7, 7), np.uint8), borderValue=1) for mask in (*before, *after)]
    blots = (after.whole > after.paper) & (cv2.dilate(before.whole - before.paper, np.ones((9, 9), np.uint8)) == 0)
    if (cv2.erode((blots & (looked_at[1] > 0)).astype(np.uint8), np.ones((3, 3), np.uint8))).any():
        return np.inf
    region = cv2.resize(np.minimum.reduce(looked_at), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    edge = round(line_height)
    region[:edge], region[-edge:], region[:, :edge], region[:, -edge:] = False, False, False, False
    region &= alignment.inside
    at_ends = np.where(_line_ends(proof) & ~text & region, _excess(new, known, END_PLAY * line_height), 0)
    if (_extents(at_ends > ADDED) >= LEAST_AT_END * line_height).any():
        return np.inf
    strokes[_boxes(proof.boxes, shape, 0.35 * line_height) > 0] = 0  # read again anyway
    marks = (strokes > ADDED) & region
    if looks_like_text(marks, line_height, ADDED_ROW) or _stands_apart(marks, known, line_height):
        return np.inf
    strokes[~region] = np.nan
    return strongest(strokes, LEAST_EXTENT * line_height)


def _excess(new: np.ndarray, known: np.ndarray, play: float) -> np.ndarray:
    """float32 (h, w): by how much the strokes ``new`` exceed all that are ``known`` within ``play`` pixels."""
    side = 2 * round(play) + 1
    around = cv2.dilate(known, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return cv2.blur(np.maximum(new - 1.3 * around, 0), (3, 3))


def _extents(marks: np.ndarray) -> np.ndarray:
    """int (n,): the longer side of each connected part of ``marks`` (bool (h, w)), pixels."""
    facts = cv2.connectedComponentsWithStats(marks.astype(np.uint8))[2][1:]
    return np.maximum(facts[:, cv2.CC_STAT_WIDTH], facts[:, cv2.CC_STAT_HEIGHT])


def _line_ends(proof: Proof) -> np.ndarray:
    """bool (h, w): what lies within :data:`END` line heights before and behind a line, in its direction."""
    ends = np.zeros(proof.image.shape, np.uint8)
    for (a, b, c, d), height in zip(proof.quads, proof.text_heights, strict=True):
        along, across = (b - a + c - d) / 2, (d - a + c - b) / 2
        if np.linalg.norm(across) > 2.5 * np.linalg.norm(along):  # a vertical line
            a, b, c, d, along = b, c, d, a, across
        reach = along / max(1.0, float(np.linalg.norm(along))) * END * height
        for quad in ((a - reach, a, d, d - reach), (b, b + reach, c + reach, c)):
            cv2.fillConvexPoly(ends, np.round(quad).astype(np.int32), 1)
    return ends > 0


def _stands_apart(marks: np.ndarray, known: np.ndarray, line_height: float) -> bool:
    """Whether one of ``marks`` (bool (h, w)) is where the proof, with strokes ``known``, has no ink around."""
    distance = cv2.distanceTransform((known <= ADDED).astype(np.uint8), cv2.DIST_L2, 5)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(marks.astype(np.uint8))
    large = np.maximum(facts[:, cv2.CC_STAT_WIDTH], facts[:, cv2.CC_STAT_HEIGHT]) >= LEAST_MARK * line_height
    large[0] = False
    return bool((large[labels] & (distance >= APART * line_height)).any())


def _added_beyond(proof: Proof, query: Query, alignment: Alignment) -> float:
    line_height = float(np.median(proof.text_heights)) * alignment.query_scale
    factor = min(1.0, _LINE_HEIGHT / max(1.0, line_height))
    size = max(1, round(query.grey.shape[1] * factor)), max(1, round(query.grey.shape[0] * factor))
    grey = cv2.resize(query.grey, size, interpolation=cv2.INTER_AREA)
    line_height *= factor
    quads = (alignment.to_query(proof.quads.reshape(-1, 2)) * factor).reshape(-1, 4, 2)
    outline = alignment.to_query(frame_outline(proof.image.shape)) * factor
    if not np.isfinite(quads).all() or not np.isfinite(outline).all() or np.abs(outline).max() > 1e5:
        return np.inf
    sheet = sheet_of(grey, quads)
    if sheet is None:
        return np.inf
    text = cv2.fillPoly(np.zeros(grey.shape, np.uint8), list(np.round(quads).astype(np.int32)), 1) > 0
    strokes = cv2.blur(stroke_contrast(grey, line_height), (3, 3))
    strokes /= _typical(strokes, text)
    on = cv2.resize(cv2.dilate(sheet.whole, np.ones((7, 7), np.uint8)), size, interpolation=cv2.INTER_NEAREST) > 0
    if looks_like_text((strokes > ADDED) & ~on, line_height, ROW_BESIDE):
        return np.inf
    shown = cv2.fillPoly(np.zeros(grey.shape, np.uint8), [outline.round().astype(np.int32)], 1)
    shown = cv2.dilate(shown, np.ones((2 * round(line_height) + 1,) * 2, np.uint8)) > 0
    paper = cv2.resize(cv2.erode(sheet.whole, np.ones((5, 5), np.uint8), borderValue=1), size,
                       interpolation=cv2.INTER_NEAREST) > 0
    strokes[~paper] = np.nan
    strokes[shown] = 0
    return strongest(strokes, LEAST_EXTENT * line_height)


def _boxes(boxes: np.ndarray, shape: tuple[int, ...], margin: float) -> np.ndarray:
    """uint8 mask of ``shape``: the lines' ``boxes`` (n, 4) widened by ``margin`` pixels."""
    mask = np.zeros(shape[:2], np.uint8)
    low, high = np.floor(boxes[:, :2] - margin).astype(int), np.ceil(boxes[:, 2:] + margin).astype(int)
    for (x0, y0), (x1, y1) in zip(np.maximum(low, 0).tolist(), np.maximum(high, 0).tolist(), strict=True):
        mask[y0:y1, x0:x1] = 1
    return mask


def _typical(strokes: np.ndarray, text: np.ndarray) -> float:
    """The contrast of the ink in the lines ``text`` (bool (h, w))."""
    return max(0.05, float(np.percentile(strokes[text], 90))) if text.any() else 1.0


def sheet_of(grey: np.ndarray, quads: np.ndarray) -> Sheet | None:
    """The sheet in ``grey`` (uint8 (h, w)) that carries lines at ``quads`` (n, 4, 2); ``None`` without any line."""
    scale = min(1.0, _SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    light = cv2.medianBlur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), 5).astype(np.float32)
    text = np.zeros(small.shape, np.uint8)
    cv2.fillPoly(text, list(np.round(quads * scale).astype(np.int32)), 1)
    if not text.any():
        return None
    weight = text.astype(np.float32)
    reach = _SIDE / 10
    level = (cv2.GaussianBlur(light * weight, (0, 0), reach) + 1e-4 * float(np.median(light[text > 0]))) / \
        (cv2.GaussianBlur(weight, (0, 0), reach) + 1e-4)
    light_enough = (light > _PAPER * level).astype(np.uint8)
    paper = cv2.morphologyEx(light_enough, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) | text
    _, parts = cv2.connectedComponents(paper)
    paper = np.isin(parts, np.unique(parts[text > 0])).astype(np.uint8)
    around = cv2.copyMakeBorder(1 - paper, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, parts = cv2.connectedComponents(around)
    return Sheet(paper, (parts != parts[0, 0])[1:-1, 1:-1].astype(np.uint8))


def stroke_contrast(grey: np.ndarray, line_height: float) -> np.ndarray:
    """float32 (h, w) in 0..1: how much darker each pixel of ``grey`` is than what lies within half a line around it;
    what is broader than a stroke has none."""
    side = 2 * round(0.45 * line_height) + 1
    around = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)).astype(np.float32)
    return 1 - (grey.astype(np.float32) + _BLACK) / (around + _BLACK)


def strongest(strokes: np.ndarray, least_extent: float) -> float:
    """The largest of ``strokes`` (float32 (h, w), NaN where nothing was looked at) that belongs to a connected stroke
    above :data:`ADDED` of at least ``least_extent`` pixels which reaches as far from what was not looked at: the rim of
    a hand or of the sheet does not. 0 without any."""
    unseen = np.isnan(strokes)
    found = np.where(unseen, 0, strokes)
    depth = cv2.distanceTransform(1 - unseen.astype(np.uint8), cv2.DIST_L2, 3)
    _, labels, facts, _ = cv2.connectedComponentsWithStats((found > ADDED).astype(np.uint8))
    extent = np.maximum(facts[:, cv2.CC_STAT_WIDTH], facts[:, cv2.CC_STAT_HEIGHT])
    worst = 0.0
    for i in np.flatnonzero(extent[1:] >= least_extent) + 1:
        left, top, width, height = facts[i, :4].tolist()
        part = np.s_[top:top + height, left:left + width]
        stroke = labels[part] == i
        if depth[part][stroke].max() >= least_extent:
            worst = max(worst, float(found[part][stroke].max()))
    return worst
