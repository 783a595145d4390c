"""Laying a picture over a proof: from nothing known to a fraction of a pixel.

A coarse map (:mod:`gateway.matching.coarse`), a homography refined on pieces of text lines, then a smooth displacement
field for what bends a little. Where that fails, paper that bends a lot (:mod:`gateway.matching.bent`). Every step can
fail; then there is no alignment.
All maps lead from proof pixels to the prepared query's pixels. Calibrated with OpenCV 5.0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gateway.matching.bent import BEND, LEAST_SUPPORTED, bent_field, graphics_off, lies_flat, query_places, supported
from gateway.matching.coarse import (
    Correspondences,
    NotAligned,
    Pair,
    coarse_alignment,
    homography_of,
    local_scale,
    scaling,
)
from gateway.matching.field import displacement_field, sample_field
from gateway.matching.pieces import PieceMatches, Pieces, match_pieces
from gateway.matching.proof import Proof
from gateway.matching.query import Query

PIECE_AGREES = 0.6
LEAST_AGREEMENT = 0.7
"""Share of the pieces of lines that must be found (NCC above :data:`PIECE_AGREES`). True copies show nearly all,
other fillings of the same form 60 % at most."""
SURE_AGREEMENT = 0.9
"""Below this, whether the paper is bent is asked all the same."""
LEAST_BENT_AGREEMENT = 0.6
"""The same on paper that bends a lot, where shade and slant hide some pieces. Every line of it is to be read again."""
STILL = 0.1
"""Pixels of misplacement that are not worth correcting: a quarter of a pixel already doubles the residual of a copy."""
OVERSAMPLING = 1.25
"""A query with more pixels than this per proof pixel is reduced to 1.1 before it is resampled."""

LEAST_ON_FLAT_PAPER, LEAST_ON_BENT_PAPER = 0.55, 0.2
"""Share of the pieces near the plane of most features, from which bends are looked for, where these lie in it and where
they don't. Other fillings of a form lie in it, and up to .5 of their pieces; a bend of theirs would cost the most."""
MOST_OFF = 1.5
"""Proof pixels that rules and pictures may be off, or what is outside the lines cannot be compared pixel by pixel."""
CONCLUSIVE = 0.5
"""Share of the pieces that must lie so for the paper to be flat as a whole."""

MOST_GRID_PIXELS = 12_000_000

_MOST_PIECES = 200
_SMOOTH_ROUNDS = ((5, 50.0), (3, 40.0), (2, 40.0), (2, 30.0))


@dataclass(frozen=True, eq=False)
class Alignment:
    """A query seen in the proof's frame.

    ``image``: float32 (h, w), the query's grey levels at the proof's pixels.
    ``inside``: bool (h, w), which of these the query's frame really shows.
    ``homography``: float64 (3, 3), proof pixels, displaced by ``field``, to prepared query pixels.
    ``field``: float32 (gh, gw, 2) displacement in proof pixels on a coarse grid over the proof, or ``None``.
    ``query_scale``: prepared query pixels per proof pixel at the middle of the page.
    ``rendition``: uint8 (h, w), the proof as the query's pixels would render it: laid on their grid and back.
    ``agreement``: share of the pieces of lines found where they should be.
    ``bent``: whether the paper bends too much for pixels to be compared: the lines lie where the field says, to a part
    of their height, but none of them proves its text.
    """

    image: np.ndarray
    inside: np.ndarray
    homography: np.ndarray
    field: np.ndarray | None
    query_scale: float
    agreement: float
    rendition: np.ndarray
    bent: bool = False

    def to_query(self, points: np.ndarray) -> np.ndarray:
        """float32 (n, 2) proof pixels to float32 (n, 2) prepared query pixels."""
        points = np.asarray(points, np.float32).reshape(-1, 2)
        if self.field is not None:
            height, width = self.image.shape
            points = points + sample_field(self.field, points, width, height)
        return cv2.perspectiveTransform(points[None].astype(np.float64), self.homography)[0].astype(np.float32)


def align(proof: Proof, query: Query) -> Alignment:
    """Lay ``query`` over ``proof``. Raises :class:`NotAligned`."""
    pieces = Pieces.of(proof)
    if not len(pieces):
        raise NotAligned("no-pieces")
    pair = Pair(proof, query)
    flat = refused = None
    try:
        flat = flat_alignment(pair, coarse_alignment(pair), pieces)
        if flat.agreement >= SURE_AGREEMENT:
            return flat
    except NotAligned as error:
        refused = error
    # Only now the costlier question whether the paper is bent: most nominees are other pages.
    try:
        bent = bent_alignment(pair, pieces)
    except NotAligned:
        bent = None
    best = max((found for found in (flat, bent) if found is not None), key=lambda found: found.agreement, default=None)
    if best is None:
        raise refused or NotAligned("not-aligned")
    return best


def _may_be_bent(pair: Pair, matches: Correspondences, plane: np.ndarray, pieces: Pieces) -> bool:
    """Whether enough pieces of lines lie near ``plane``, the homography that most ``matches`` follow, for the others to
    be bent away rather than another text."""
    seen = _warped(pair.query.grey, plane, pair.proof.image.shape, cv2.INTER_LINEAR)
    found = match_pieces(pair.proof.image, seen, pieces.sample(64), 6)
    least = LEAST_ON_FLAT_PAPER if lies_flat(matches, plane) else LEAST_ON_BENT_PAPER
    return len(found.scores) > 0 and bool((found.scores > PIECE_AGREES).mean() >= least)


def flat_alignment(pair: Pair, homography: np.ndarray, pieces: Pieces) -> Alignment:
    """From a first ``homography`` that is right to a few pixels, on paper that hardly bends."""
    proof = pair.proof.image
    grey, reduction, scale = _reduced_query(pair.query.grey, homography, proof.shape)
    reduced, matches = refine_homography(proof, grey, reduction @ homography, pieces)
    agreement = _agreement(matches)
    field = None if _lies_still(matches) else displacement_field_of(proof, grey, reduced, pieces)
    image, inside = resample(grey, reduced, field, proof.shape)
    rendition = render_on_grid(proof, reduced, grey.shape)
    return Alignment(image, inside, np.linalg.inv(reduction) @ reduced, field, scale, agreement, rendition)


def bent_alignment(pair: Pair, pieces: Pieces) -> Alignment:
    """Of creased, curled or folded paper. Raises :class:`NotAligned`, at once where the paper lies flat."""
    matches = supported(pair.matches)
    if len(matches.proof) < LEAST_SUPPORTED:
        raise NotAligned("not-aligned")
    plane = homography_of(matches)
    if plane is None or not _may_be_bent(pair, matches, plane, pieces):
        raise NotAligned("another-page")
    homography = homography_of(matches, BEND)
    if homography is None:
        raise NotAligned("not-aligned")
    proof = pair.proof.image
    grey, reduction, scale = _reduced_query(pair.query.grey, homography, proof.shape)
    reduced = reduction @ homography
    on_grid = matches._replace(query=cv2.perspectiveTransform(matches.query[None].astype(np.float64), reduction)[0])
    field = bent_field(proof, grey, reduced, on_grid, pieces)
    image, inside = resample(grey, reduced, field, proof.shape)
    found = match_pieces(proof, np.clip(image, 0, 255).astype(np.uint8), pieces.sample(_MOST_PIECES), 3)
    _agreement(found, LEAST_BENT_AGREEMENT)
    # Flow can squeeze what was added into nothing, so it is only the way to a field too smooth to do that.
    height, width = proof.shape
    total = found._replace(shifts=found.shifts + sample_field(field, found.centres, width, height))
    first = displacement_field(total, proof.shape, 60.0)
    if first is None:
        raise NotAligned("not-aligned")
    field = displacement_field_of(proof, grey, reduced, pieces, first.field, _SMOOTH_ROUNDS, 0.2)
    image, inside = resample(grey, reduced, field, proof.shape)
    left = match_pieces(proof, np.clip(image, 0, 255).astype(np.uint8), pieces.sample(_MOST_PIECES), 6)
    agreement = _agreement(left, LEAST_AGREEMENT if lies_flat(matches, plane) else LEAST_BENT_AGREEMENT)
    in_place = (left.scores > PIECE_AGREES) & (np.abs(left.shifts).max(axis=1, initial=0) < 1.0)
    bent = bool(in_place.mean() < SURE_AGREEMENT) or \
        graphics_off(proof, grey, reduced, field, pieces.proof.boxes) > MOST_OFF
    rendition = render_on_grid(proof, reduced, grey.shape)
    return Alignment(image, inside, np.linalg.inv(reduction) @ reduced, field, scale, agreement, rendition, bent)


def _agreement(matches: PieceMatches, least: float = LEAST_AGREEMENT) -> float:
    """The share of pieces that were found. Raises :class:`NotAligned` below ``least``."""
    agreement = float((matches.scores > PIECE_AGREES).mean()) if len(matches.scores) else 0.0
    if agreement < least:
        raise NotAligned("another-page")
    return agreement


def _reduced_query(
    grey: np.ndarray, homography: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, float]:
    """The query with at most :data:`OVERSAMPLING` pixels per pixel of a proof of ``shape``, the map to its pixels, and
    the scale before. Raises :class:`NotAligned`."""
    scale = local_scale(homography, shape)
    if not np.isfinite(scale) or scale <= 0:
        raise NotAligned("not-aligned")
    if scale <= OVERSAMPLING:
        return grey, np.eye(3), scale
    factor = 1.1 / scale
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    reduced = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return reduced, scaling(size[0] / grey.shape[1], size[1] / grey.shape[0]), scale


def refine_homography(
    proof: np.ndarray, query: np.ndarray, homography: np.ndarray, pieces: Pieces
) -> tuple[np.ndarray, PieceMatches]:
    """Re-fit ``homography`` on where pieces of lines are found. Returns it with the last matches."""
    matches = None
    for radius, most in ((10, 64), (4, 64), (2, 96)):
        seen = _warped(query, homography, proof.shape, cv2.INTER_LINEAR)
        matches = match_pieces(proof, seen, pieces.sample(most), radius)
        good = matches.scores > 0.55
        if good.sum() < 10 or np.percentile(np.abs(matches.shifts[good]), 80) < STILL:
            break
        correction, inliers = cv2.findHomography(matches.centres[good], (matches.centres + matches.shifts)[good],
                                                 cv2.RANSAC, 1.5)
        if correction is None or int(inliers.sum()) < 8:
            break
        homography = homography @ correction
    assert matches is not None
    return homography, matches


def _lies_still(matches: PieceMatches) -> bool:
    """Whether what is left after the homography is nothing that a field could mend."""
    good = matches.scores > PIECE_AGREES
    return bool(good.sum() >= 10 and np.percentile(np.abs(matches.shifts[good]), 95) < 2 * STILL)


def displacement_field_of(
    proof: np.ndarray, query: np.ndarray, homography: np.ndarray, pieces: Pieces, field: np.ndarray | None = None,
    rounds: tuple[tuple[int, float], ...] = ((6, 80.0), (14, 70.0), (6, 50.0), (3, 40.0)), settled: float = 0.8,
) -> np.ndarray | None:
    """float32 (gh, gw, 2): the smooth remainder after ``homography`` and a first ``field``, found in up to as many
    ``rounds`` of a search radius and a reach (pixels), until a round moves less than ``settled`` pixels."""
    fine = pieces.halved()
    for round_, (radius, reach) in enumerate(rounds):
        seen, _ = resample(query, homography, field, proof.shape, cv2.INTER_LINEAR)
        sample = pieces.sample(200) if field is None else fine.sample(360)
        found = displacement_field(match_pieces(proof, seen.astype(np.uint8), sample, radius), proof.shape, reach)
        if found is None:
            if field is None and len(pieces) >= 10:
                raise NotAligned("not-aligned")
            break
        field = found.field if field is None else field + found.field
        if found.size < settled or (round_ >= 2 and found.size < 1.5 * settled):
            break
    return field


def resample(
    query: np.ndarray, homography: np.ndarray, field: np.ndarray | None, shape: tuple[int, ...],
    interpolation: int = cv2.INTER_CUBIC,
) -> tuple[np.ndarray, np.ndarray]:
    """``query`` at the pixels of a proof of ``shape``: float32 (h, w), and bool (h, w) where its frame shows them."""
    query_x, query_y = query_places(homography, field, shape, shape)
    seen = cv2.remap(query, query_x, query_y, interpolation, borderMode=cv2.BORDER_REPLICATE)
    inside = (query_x >= -1) & (query_y >= -1) & (query_x <= query.shape[1]) & (query_y <= query.shape[0])
    return seen.astype(np.float32), inside


def render_on_grid(proof: np.ndarray, homography: np.ndarray, query_shape: tuple[int, ...]) -> np.ndarray:
    """uint8 (h, w): ``proof`` averaged over the pixels of a query of ``query_shape`` and sampled back from them.

    A page that was made smaller has lost what lies between its pixels, and where the pixels fall decides what. Doing
    the same to the proof leaves a difference of texts as the only one.
    """
    fineness = int(np.ceil(1.0 / max(0.1, local_scale(homography, proof.shape))))
    height, width = query_shape[0] * fineness, query_shape[1] * fineness
    if width * height > MOST_GRID_PIXELS:
        return proof
    finer = scaling(fineness, fineness) @ homography
    laid = cv2.warpPerspective(proof, finer, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if fineness > 1:
        laid = cv2.resize(laid, query_shape[1::-1], interpolation=cv2.INTER_AREA)
    return _warped(laid, homography, proof.shape, cv2.INTER_CUBIC)


def _warped(query: np.ndarray, homography: np.ndarray, shape: tuple[int, ...], interpolation: int) -> np.ndarray:
    return cv2.warpPerspective(query, homography, (shape[1], shape[0]), flags=interpolation | cv2.WARP_INVERSE_MAP,
                               borderMode=cv2.BORDER_REPLICATE)
