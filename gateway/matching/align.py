"""Laying a picture over a proof: from nothing known to a fraction of a pixel.

A coarse map (:mod:`gateway.matching.coarse`), a homography refined on pieces of text lines, then a smooth displacement
field for what bends. Every step can fail; then there is no alignment.
All maps lead from proof pixels to the prepared query's pixels. Calibrated with OpenCV 5.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.coarse import NotAligned, coarse_alignment, local_scale, scaling
from gateway.matching.field import displacement_field, sample_field
from gateway.matching.pieces import (
    PIECE_AGREES,
    PieceMatches,
    Pieces,
    corners_outside,
    match_pieces,
    match_rules,
    pieces_of_rules,
)
from gateway.matching.proof import Proof
from gateway.matching.query import Query

LEAST_AGREEMENT = 0.7
"""Share of the pieces of lines that must be found (NCC above ``PIECE_AGREES``). True copies show nearly all,
other fillings of the same form 60 % at most."""
STILL = 0.1
"""Pixels of misplacement from which on no further round is worth its cost: a quarter of a pixel already doubles the
residual of a copy."""
OVERSAMPLING = 1.25
"""A query with more pixels than this per proof pixel is reduced to 1.1 before it is resampled."""

MOST_GRID_PIXELS = 12_000_000

_FIELD_ROUNDS = ((10, 24, 160.0), (10, 24, 100.0), (8, 24, 60.0), (4, 4, 45.0))
"""Pixels: how far pieces of lines are looked for, how far corners and the pieces that were not found there, and over
how much the field is smooth. Where there is little on the page, the first rounds can be far off."""
_SETTLED = 0.8  # pixels


class Rounds(NamedTuple):
    """``searches``: how far pieces are looked for, in pixels, and how many. ``tolerance``: pixels by which a piece may
    disagree with the homography."""

    searches: tuple[tuple[int, int], ...]
    tolerance: float


FLAT = Rounds(((10, 64), (4, 64), (2, 96)), 1.5)
BENT = Rounds(((12, 64), (12, 64)), 3.0)


@dataclass(frozen=True, eq=False)
class Alignment:
    """A query seen in the proof's frame.

    ``image``: uint8 (h, w), the query's grey levels at the proof's pixels.
    ``inside``: bool (h, w), which of these the query's frame really shows.
    ``homography``: float64 (3, 3), proof pixels, displaced by ``field``, to prepared query pixels.
    ``field``: float32 (gh, gw, 2) displacement in proof pixels on a coarse grid over the proof, or ``None``.
    ``query_scale``: prepared query pixels per proof pixel at the middle of the page.
    ``rendition``: uint8 (h, w), the proof as the query's pixels would render it: laid on their grid and back.
    ``agreement``: share of the pieces of lines found where they should be.
    """

    image: np.ndarray
    inside: np.ndarray
    homography: np.ndarray
    field: np.ndarray | None
    query_scale: float
    agreement: float
    rendition: np.ndarray

    def to_query(self, points: np.ndarray) -> np.ndarray:
        """float32 (n, 2) proof pixels to float32 (n, 2) prepared query pixels."""
        points = np.asarray(points, np.float32).reshape(-1, 2)
        if not len(points):
            return points
        if self.field is not None:
            height, width = self.image.shape
            points = points + sample_field(self.field, points, width, height)
        return cv2.perspectiveTransform(points[None].astype(np.float64), self.homography)[0].astype(np.float32)

    def to_proof(self, points: np.ndarray) -> np.ndarray:
        """float32 (n, 2) prepared query pixels to float32 (n, 2) proof pixels, nearly the inverse of
        :meth:`to_query`: the field is smooth."""
        points = cv2.perspectiveTransform(np.float64(points)[None], np.linalg.inv(self.homography))[0]
        if self.field is not None:
            height, width = self.image.shape
            points = points - sample_field(self.field, points, width, height)
        return points.astype(np.float32)


def align(proof: Proof, query: Query) -> Alignment:
    """Lay ``query`` over ``proof``. Raises :class:`NotAligned`."""
    homography = coarse_alignment(proof, query)
    scale = local_scale(homography, proof.image.shape)
    if not np.isfinite(scale) or scale <= 0:
        raise NotAligned("not-aligned")
    grey, reduction = _reduced_query(query.grey, scale)
    reduced = reduction @ homography
    pieces = Pieces.of(proof)
    if not len(pieces):
        raise NotAligned("no-pieces")
    start = reduced
    reduced, matches, agreement = refine_homography(proof.image, grey, start, pieces)
    if agreement < LEAST_AGREEMENT:
        # Paper that bends within a piece shows in shorter ones.
        reduced, matches, agreement = refine_homography(proof.image, grey, start, pieces.halved(), BENT)
    query.maps[proof] = np.linalg.inv(reduction) @ reduced
    if agreement < LEAST_AGREEMENT:
        raise NotAligned("another-page")
    field = None
    if not _lies_still(matches):
        field, followed = displacement_field_of(proof.image, grey, reduced, pieces)
        if max(agreement_of(matches), followed) < LEAST_AGREEMENT:
            raise NotAligned("another-page")
    image, inside = resample(grey, reduced, field, proof.image.shape)
    rendition = render_on_grid(proof.image, reduced, grey.shape)
    return Alignment(image, inside, np.linalg.inv(reduction) @ reduced, field, scale, agreement, rendition)


def _reduced_query(grey: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The query with at most :data:`OVERSAMPLING` pixels per proof pixel, and the map to its pixels."""
    if scale <= OVERSAMPLING:
        return grey, np.eye(3)
    factor = 1.1 / scale
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    reduced = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return reduced, scaling(size[0] / grey.shape[1], size[1] / grey.shape[0])


def refine_homography(
    proof: np.ndarray, query: np.ndarray, homography: np.ndarray, pieces: Pieces, rounds: Rounds = FLAT
) -> tuple[np.ndarray, PieceMatches, float]:
    """Re-fit ``homography`` on where pieces of lines are found. Returns it with the last matches, and the largest share
    of pieces that were found in any round."""
    matches, agreement = None, 0.0
    for radius, most in rounds.searches:
        seen = _warped(query, homography, proof.shape, cv2.INTER_LINEAR)
        matches = match_pieces(proof, seen, pieces.sample(most), radius)
        # A page that bends agrees within a wide radius, and no more where the next round looks.
        agreement = max(agreement, agreement_of(matches))
        good = matches.scores > 0.55
        if good.sum() < 10:
            break
        still = np.percentile(np.abs(matches.shifts[good]), 80) < STILL
        if still and _is_whole(proof.shape, query.shape, homography):
            break  # plain scaling is exact
        correction, inliers = cv2.findHomography(matches.centres[good], (matches.centres + matches.shifts)[good],
                                                 cv2.RANSAC, rounds.tolerance)
        if correction is None or int(inliers.sum()) < 8:
            break
        homography = homography @ correction
        if still:
            break
    assert matches is not None
    return homography, matches, agreement


def agreement_of(matches: PieceMatches) -> float:
    """The share of the pieces that were found, in 0..1."""
    return float((matches.scores > PIECE_AGREES).mean()) if len(matches.scores) else 0.0


def _lies_still(matches: PieceMatches) -> bool:
    """Whether what is left after the homography is nothing that a field could mend."""
    good = matches.scores > PIECE_AGREES
    return bool(good.sum() >= 10 and np.percentile(np.abs(matches.shifts[good]), 95) < 2 * STILL)


def displacement_field_of(
    proof: np.ndarray, query: np.ndarray, homography: np.ndarray, pieces: Pieces
) -> tuple[np.ndarray | None, float]:
    """float32 (gh, gw, 2): the smooth remainder after ``homography``, found in up to four rounds, ``None`` on a page
    with too few pieces to tell; and the share of the pieces that were found by then."""
    field, size = None, np.inf
    fine, corners, rules = pieces.halved(), corners_outside(pieces.proof), pieces_of_rules(pieces.proof)
    for round_, (radius, farther, reach) in enumerate(_FIELD_ROUNDS):
        if size < _SETTLED and round_ < len(_FIELD_ROUNDS) - 1:
            continue  # most of the page lies where it should; the last round is for single lines that don't
        seen, _ = resample(query, homography, field, proof.shape, cv2.INTER_LINEAR)
        sample = pieces.sample(200) if round_ == 0 else fine.sample(360)
        lines = match_pieces(proof, seen, sample, radius, farther)
        others = match_pieces(proof, seen, corners, farther).and_(match_rules(proof, seen, rules, radius))
        found = displacement_field(lines.and_(others), proof.shape, reach)
        if found is None:
            if field is None and len(pieces) >= 10:
                raise NotAligned("not-aligned")
            break
        field, size = found.field if field is None else field + found.field, found.size
    return field, agreement_of(lines)


def resample(
    query: np.ndarray, homography: np.ndarray, field: np.ndarray | None, shape: tuple[int, ...],
    interpolation: int = cv2.INTER_CUBIC,
) -> tuple[np.ndarray, np.ndarray]:
    """``query`` at the pixels of a proof of ``shape``: uint8 (h, w), and bool (h, w) where its frame shows them, with a
    pixel of play."""
    height, width = shape[:2]
    if field is None:
        return _warped(query, homography, shape, interpolation), _shown(query.shape, homography, shape)
    dense = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = cv2.split(dense)
    x += np.arange(width, dtype=np.float32)
    y += np.arange(height, dtype=np.float32)[:, None]
    query_x, query_y, depth = (float(a) * x + float(b) * y + float(c) for a, b, c in homography)
    query_x /= depth
    query_y /= depth
    seen = cv2.remap(query, query_x, query_y, interpolation, borderMode=cv2.BORDER_REPLICATE)
    inside = (query_x >= -1) & (query_y >= -1) & (query_x <= query.shape[1]) & (query_y <= query.shape[0])
    return seen, inside


def _shown(query_shape: tuple[int, ...], homography: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool (h, w) of ``shape``: which pixels ``homography`` maps into a frame of ``query_shape``."""
    height, width = shape[:2]
    corners = np.float64([[0, 0, 1], [width - 1, 0, 1], [width - 1, height - 1, 1], [0, height - 1, 1]]) @ homography.T
    places, depth = corners[:, :2], corners[:, 2:]
    # What is between the corners is mapped to between them.
    if (depth > 0).all() and (-depth <= places).all() and (places <= query_shape[1::-1] * depth).all():
        return np.ones((height, width), bool)
    frame = np.ones((query_shape[0] + 2, query_shape[1] + 2), np.uint8)
    moved = np.float64([[1, 0, 1], [0, 1, 1], [0, 0, 1]]) @ homography
    return cv2.warpPerspective(frame, moved, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) > 0


def render_on_grid(proof: np.ndarray, homography: np.ndarray, query_shape: tuple[int, ...]) -> np.ndarray:
    """uint8 (h, w): ``proof`` averaged over the pixels of a query of ``query_shape`` and sampled back from them.

    A page that was made smaller has lost what lies between its pixels, and where the pixels fall decides what. Doing
    the same to the proof leaves a difference of texts as the only one.
    """
    if proof.shape[:2] == query_shape[:2] and _is_whole(proof.shape, query_shape, homography):
        return proof
    fineness = int(np.ceil(1.0 / max(0.1, local_scale(homography, proof.shape))))
    height, width = query_shape[0] * fineness, query_shape[1] * fineness
    if width * height > MOST_GRID_PIXELS:
        return proof
    finer = scaling(fineness, fineness) @ homography
    laid = _warped(proof, np.linalg.inv(finer), (height, width), cv2.INTER_LINEAR)
    if fineness > 1:
        laid = cv2.resize(laid, query_shape[1::-1], interpolation=cv2.INTER_AREA)
    return _warped(laid, homography, proof.shape, cv2.INTER_CUBIC)


def _warped(image: np.ndarray, homography: np.ndarray, shape: tuple[int, ...], interpolation: int) -> np.ndarray:
    """uint8 (h, w) of ``shape``: ``image`` at the pixels that ``homography`` leads to."""
    size = shape[1], shape[0]
    if _is_whole(shape, image.shape, homography):
        return image if shape[:2] == image.shape[:2] else cv2.resize(image, size, interpolation=interpolation)
    return cv2.warpPerspective(image, homography, size, flags=interpolation | cv2.WARP_INVERSE_MAP,
                               borderMode=cv2.BORDER_REPLICATE)


def _is_whole(shape: tuple[int, ...], other: tuple[int, ...], homography: np.ndarray) -> bool:
    """Whether ``homography`` maps the frame of ``shape`` to the whole ``other``, as it does for a page that was only
    encoded anew or scaled: that takes no resampling, or one that costs a third."""
    return np.allclose(homography, scaling(other[1] / shape[1], other[0] / shape[0]), rtol=0, atol=1e-9)
