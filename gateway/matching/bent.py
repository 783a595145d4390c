"""Where on a picture is a page whose paper is creased, curled or folded.

Matched features that agree with their neighbours say roughly how the paper lies. Dense optical flow between the evened
out pictures follows the creases, and pieces of text lines, found again, keep it on the lines.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gateway.matching.coarse import Correspondences, NotAligned, scaling
from gateway.matching.field import interpolated, outliers
from gateway.matching.pieces import PieceMatches, Pieces, match_pieces

BEND = 25.0
"""Query pixels within which bent paper is near a homography."""
LEAST_SUPPORTED = 12
"""Matches that agree with their neighbours, below which nothing is known about how the paper lies."""
FLAT = 2.5
"""Proof pixels from a homography within which matches lie on flat paper ..."""
FLAT_SHARE = 0.85
"""... when so many of them do. What disagrees on flat paper is another text, and nothing to be mended."""

_NEIGHBOURS = 8
_LEAST_SUPPORT = 4  # neighbours that agree with a match
_PLAY, _PLAY_PIXELS = 0.25, 3.0  # disagreement that bends may cause: a share of the distance, and pixels
_JOINT, _JOINT_REACH = 0.35, 120.0  # neighbours on one patch of paper: difference of their shifts, distance
_LEAST_PATCH = 4

_FLOW_SCALE = 0.5
_EVENING = 31  # pixels, a line and its surroundings at half size
_ROUNDS = ((8.0, None), (5.0, 8), (4.0, 4))
"""Of the flow: how much it is smoothed (sigma, pixels at half size), and how far pieces are searched for after it."""
_MOST_PIECES = 400
_PIECE_FOUND = 0.6
_LEAST_FOUND = 0.4  # of the pieces, or going on is no use
_PIECE_REACH = 60.0  # proof pixels around a piece that follow it


def supported(matches: Correspondences) -> Correspondences:
    """Those of ``matches`` that agree with some neighbours on one local rotation and scale."""
    count = len(matches.proof)
    if count <= _NEIGHBOURS:
        return matches.only(np.zeros(count, bool))
    near = cKDTree(matches.proof).query(matches.proof, _NEIGHBOURS + 1)[1][:, 1:]
    a = _complex(matches.proof[near] - matches.proof[:, None])
    b = _complex(matches.query[near] - matches.query[:, None])
    with np.errstate(all="ignore"):
        similarity = b / a
    sane = (np.abs(a) > 4) & (np.abs(similarity) > 0.2) & (np.abs(similarity) < 5)
    predicted = np.where(sane, similarity, 0)[:, :, None] * a[:, None, :]  # match, hypothesis, neighbour
    agrees = np.abs(predicted - b[:, None, :]) < _PLAY * np.abs(predicted) + _PLAY_PIXELS
    support = np.where(sane, agrees.sum(axis=2), 0).max(axis=1)
    return matches.only(support > _LEAST_SUPPORT)  # a hypothesis agrees with itself


def lies_flat(matches: Correspondences, homography: np.ndarray) -> bool:
    """Whether nearly all ``matches`` (supported ones) follow ``homography`` (proof to query pixels)."""
    shifts = _shifts(matches, homography)
    return bool((np.linalg.norm(shifts, axis=1) < FLAT).mean() >= FLAT_SHARE)


def bent_field(
    proof: np.ndarray, query: np.ndarray, homography: np.ndarray, matches: Correspondences, pieces: Pieces
) -> np.ndarray:
    """float32 (h / 2, w / 2, 2): the displacement in proof pixels that lays ``query`` (uint8) over ``proof`` (uint8
    (h, w)) before ``homography``, as far as that can be found. Raises :class:`NotAligned`."""
    small = cv2.resize(proof, None, fx=_FLOW_SCALE, fy=_FLOW_SCALE, interpolation=cv2.INTER_AREA)
    shape = small.shape
    small_query = cv2.resize(query, None, fx=_FLOW_SCALE, fy=_FLOW_SCALE, interpolation=cv2.INTER_AREA)
    to_small = scaling(small_query.shape[1] / query.shape[1], small_query.shape[0] / query.shape[0]) @ homography
    even, texture = evened(small), _texture(small)
    field = _field_of_matches(matches, homography, shape, proof.shape)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rectangles = pieces.halved().sample(_MOST_PIECES)
    for sigma, radius in _ROUNDS:
        seen = evened(cv2.remap(small_query, *query_places(to_small, field, shape, proof.shape), cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_REPLICATE))
        field = _followed(field, _believed(flow.calc(even, seen, None), texture, sigma))
        if radius is not None:
            places = query_places(homography, field, proof.shape, proof.shape)
            seen = cv2.remap(query, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            found = match_pieces(proof, seen, rectangles, radius)
            if not len(found.scores) or (found.scores > _PIECE_FOUND).mean() < _LEAST_FOUND:
                raise NotAligned("another-page")
            field = field + _correction(found, radius, shape, proof.shape)
    return field


def graphics_off(
    proof: np.ndarray, query: np.ndarray, homography: np.ndarray, field: np.ndarray, boxes: np.ndarray
) -> float:
    """How many proof pixels rules and pictures, away from the lines of text (``boxes``, (n, 4)), are off under
    ``field``, as flow sees it (99th percentile)."""
    small = cv2.resize(proof, None, fx=_FLOW_SCALE, fy=_FLOW_SCALE, interpolation=cv2.INTER_AREA)
    shape = small.shape
    small_query = cv2.resize(query, None, fx=_FLOW_SCALE, fy=_FLOW_SCALE, interpolation=cv2.INTER_AREA)
    to_small = scaling(small_query.shape[1] / query.shape[1], small_query.shape[0] / query.shape[0]) @ homography
    away = np.ones(shape, bool)
    for x0, y0, x1, y1 in np.round(boxes * _FLOW_SCALE).astype(int).tolist():
        away[max(0, y0 - 4):y1 + 5, max(0, x0 - 4):x1 + 5] = False
    texture = _texture(small)
    drawn = away & (texture > 0.4)
    if not drawn.any():
        return 0.0
    seen = cv2.remap(small_query, *query_places(to_small, field, shape, proof.shape), cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(evened(small), evened(seen), None)
    moved = _believed(flow, texture, 3.0)
    return float(np.percentile(np.linalg.norm(moved[drawn], axis=1), 99) / _FLOW_SCALE)


def query_places(
    homography: np.ndarray, field: np.ndarray | None, shape: tuple[int, ...], proof_shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Two float32 ``shape``: x and y of the query's pixels that belong to a raster of ``shape`` over a proof of
    ``proof_shape``, displaced by ``field`` (proof pixels)."""
    height, width = shape[:2]
    y_step, x_step = proof_shape[0] / height, proof_shape[1] / width
    x, y = np.meshgrid((np.arange(width, dtype=np.float32) + np.float32(0.5)) * np.float32(x_step) - np.float32(0.5),
                       (np.arange(height, dtype=np.float32) + np.float32(0.5)) * np.float32(y_step) - np.float32(0.5))
    if field is not None:
        dense = field if field.shape[:2] == (height, width) else \
            cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
        x += dense[..., 0]
        y += dense[..., 1]
    h = homography.astype(np.float32)
    depth = h[2, 0] * x + h[2, 1] * y + h[2, 2]
    return (h[0, 0] * x + h[0, 1] * y + h[0, 2]) / depth, (h[1, 0] * x + h[1, 1] * y + h[1, 2]) / depth


def evened(grey: np.ndarray) -> np.ndarray:
    """uint8 (h, w): ``grey`` (uint8) with the same mean and contrast everywhere, whatever the light."""
    image = grey.astype(np.float32)
    window = (_EVENING, _EVENING)
    mean = cv2.blur(image, window)
    spread = np.sqrt(np.maximum(cv2.blur(image * image, window) - mean * mean, 0))
    return np.clip(128 + (image - mean) / (spread + 12) * 45, 0, 255).astype(np.uint8)


def _field_of_matches(
    matches: Correspondences, homography: np.ndarray, shape: tuple[int, ...], proof_shape: tuple[int, ...]
) -> np.ndarray:
    """float32 (*shape, 2): what the largest coherent part of ``matches`` says about the whole page."""
    points = matches.proof.astype(np.float64)
    shifts = _shifts(matches, homography)
    kept = _coherent(points, shifts)
    if kept.sum() < LEAST_SUPPORTED // 2:
        raise NotAligned("not-aligned")
    grid, rows, columns = _grid(proof_shape)
    values, _ = interpolated(grid, points[kept], shifts[kept], np.ones(int(kept.sum())))
    return cv2.resize(values.reshape(rows, columns, 2).astype(np.float32), shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _coherent(points: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """bool (n,): the largest patch of points whose shifts follow their neighbours', and those that continue it."""
    count = len(points)
    distance, near = cKDTree(points).query(points, min(_NEIGHBOURS + 1, count))
    joint = (np.linalg.norm(shifts[near] - shifts[:, None], axis=2) < _JOINT * distance + _PLAY_PIXELS) & \
        (distance < _JOINT_REACH)
    one = np.repeat(np.arange(count), near.shape[1]).reshape(near.shape)[joint]
    _, patch = connected_components(coo_matrix((np.ones(len(one)), (one, near[joint])), shape=(count, count)),
                                    directed=False)
    sizes = np.bincount(patch)
    kept = patch == sizes.argmax()
    for _ in range(4):
        value, gap = interpolated(points, points[kept], shifts[kept], np.ones(int(kept.sum())))
        error = np.linalg.norm(value - shifts, axis=1) - 0.2 * np.where(kept, 0, gap)
        joined = kept.copy()
        for other in np.flatnonzero(sizes >= _LEAST_PATCH).tolist():
            members = patch == other
            joined |= members & bool(np.median(error[members]) < 2 * _PLAY_PIXELS)
        if (joined == kept).all():
            break
        kept |= joined
    return kept


def _shifts(matches: Correspondences, homography: np.ndarray) -> np.ndarray:
    """float64 (n, 2): where ``homography`` puts the query's points in the proof, minus where they belong."""
    back = cv2.perspectiveTransform(matches.query[None].astype(np.float64), np.linalg.inv(homography))[0]
    return back - matches.proof


def _texture(grey: np.ndarray) -> np.ndarray:
    """float32 (h, w) in 0..1: how much there is to follow at each pixel of ``grey``."""
    contrast = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(np.float32)
    return np.minimum(contrast / 60, 1) ** 2


def _believed(flow: np.ndarray, texture: np.ndarray, sigma: float) -> np.ndarray:
    """``flow`` (float32 (h, w, 2)) smoothed, and believed only where the proof has ``texture``. On blank paper it would
    squeeze whatever was added into nothing; there it continues what is around."""
    smooth = np.zeros_like(flow)
    trust = np.full(texture.shape, 1e-6, np.float32)
    for reach, weight in ((sigma, 1.0), (4 * sigma, 0.02), (16 * sigma, 0.0004)):
        step = max(1, int(reach / 4))  # a wide blur of small images is the same, and cheap
        size = max(1, texture.shape[1] // step), max(1, texture.shape[0] // step)
        seen = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
        moved = cv2.resize(flow * texture[..., None], size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(np.dstack([moved, seen]), (0, 0), reach / step)
        blurred = cv2.resize(blurred, texture.shape[::-1], interpolation=cv2.INTER_LINEAR)
        smooth += weight * blurred[..., :2]
        trust += weight * blurred[..., 2]
    return smooth / trust[..., None]


def _followed(field: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """``field`` after ``flow`` (both (h, w, 2); the flow in pixels of that raster)."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    there = cv2.remap(field, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return there + flow / np.float32(_FLOW_SCALE)


def _correction(
    matches: PieceMatches, radius: int, shape: tuple[int, ...], proof_shape: tuple[int, ...]
) -> np.ndarray:
    """float32 (*shape, 2): the smooth shift that puts found pieces where they belong, and nothing far from them."""
    found = matches.scores > _PIECE_FOUND
    points, shifts = matches.centres[found].astype(np.float64), matches.shifts[found].astype(np.float64)
    weights = matches.scores[found].astype(np.float64) ** 2
    if len(points) < LEAST_SUPPORTED:
        return np.zeros((*shape[:2], 2), np.float32)
    error = outliers(points, shifts, weights)
    kept = error < max(1.5, 0.3 * radius)
    if kept.sum() < LEAST_SUPPORTED:
        return np.zeros((*shape[:2], 2), np.float32)
    grid, rows, columns = _grid(proof_shape)
    values, gap = interpolated(grid, points[kept], shifts[kept], weights[kept] / (1 + error[kept] ** 2), stiffness=2.0)
    values *= np.exp(-(gap / _PIECE_REACH) ** 2)[:, None]
    return cv2.resize(values.reshape(rows, columns, 2).astype(np.float32), shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _grid(shape: tuple[int, ...], columns: int = 40) -> tuple[np.ndarray, int, int]:
    """float64 (rows * columns, 2): a raster of points over an image of ``shape``; its rows and columns."""
    height, width = shape[:2]
    rows = int(np.clip(round(columns * height / width), 4, 4 * columns))
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height)
    return np.stack([x, y], axis=-1).reshape(-1, 2), rows, columns


def _complex(vectors: np.ndarray) -> np.ndarray:
    return vectors[..., 0].astype(np.float64) + 1j * vectors[..., 1]
