"""Where on a picture is the page: a first map, right to a few pixels.

Plain scaling in one of the four turns where the aspects agree, the place where another proof was found, the outline of
a page that lies on something else, or matched features; the correlation of the thumbnails, without the light that fell
on them, says which is better. All maps lead from proof pixels to the prepared query's pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from gateway.matching.proof import Proof
from gateway.matching.query import FEATURE_SIDE, FEATURES, Features, Query, orb_features, outline_of, reduced

ASPECT_TOLERANCE = 0.02
ENOUGH_CORRELATION = 0.85
"""From which a map is right to some pixels. Those of flat copies correlate by .9 and more."""
LEAST_CORRELATION = 0.25
LEAST_INLIERS = 12
FEW_FEATURES = 600
"""The strongest, which mostly say as much as all: matching takes time by the square of them."""

_PROOF_THUMBNAIL = 320
_SHADE = 31  # pixels of a thumbnail: wider than what is printed close together, narrower than a shadow
_FEATURE_SIDE = 900


class NotAligned(Exception):
    """The two pages cannot be laid over each other. ``reason`` is a slug."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def coarse_alignment(proof: Proof, query: Query) -> np.ndarray:
    """float64 (3, 3): the best map from proof to query pixels by the correlation of their thumbnails; found once for
    each proof. What takes longer is only tried where the rest is not good enough."""
    if proof not in query.maps:
        query.maps[proof] = _best_map(proof, query)
    return query.maps[proof]


def _best_map(proof: Proof, query: Query) -> np.ndarray:
    thumbnail = _shadeless_thumbnail(proof.image)
    found = []
    for candidates in _candidates(proof, query):
        found += [(_correlation(thumbnail, proof, query, homography), homography) for homography in candidates]
        if any(score >= ENOUGH_CORRELATION for score, _ in found):
            break
    score, best = max(found, key=lambda map_: map_[0], default=(-1.0, None))
    if best is None or score < LEAST_CORRELATION:
        raise NotAligned("not-aligned")
    return best


def _candidates(proof: Proof, query: Query) -> Iterator[Iterable[np.ndarray]]:
    """Maps to choose among, the costlier ones later."""
    yield scaled_turns(proof.image.shape, query.grey.shape)
    yield known_maps(proof.image.shape, query)
    yield outlined_turns(proof, query)
    yield sheet_turns(proof, query)
    side = min(_FEATURE_SIDE, max(proof.image.shape))
    features = orb_features(proof.image, side)
    for most in (FEW_FEATURES, FEATURES):
        yield by_features(proof, features.strongest(most), query, side, most)


def scaled_turns(proof_shape: tuple[int, ...], query_shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """The plain scalings in four turns under which both frames coincide, where their aspects agree."""
    height, width = proof_shape[:2]
    for turns in range(4):
        query_height, query_width = query_shape[:2] if turns % 2 == 0 else query_shape[1::-1]
        if abs(np.log(query_width / query_height * height / width)) > ASPECT_TOLERANCE:
            continue
        sx, sy = query_width / width, query_height / height
        yield quarter_turns(turns, query_width, query_height) @ scaling(sx, sy)


def known_maps(proof_shape: tuple[int, ...], query: Query) -> list[np.ndarray]:
    """The plausible maps that were found for other proofs of that shape: fillings of one form lie in the same place."""
    return [homography for proof, homography in query.maps.items()
            if proof.image.shape == proof_shape and plausible(homography, proof_shape, query.grey.shape)]


def outlined_turns(proof: Proof, query: Query) -> Iterator[np.ndarray]:
    """The plausible maps of the proof's frame, in four turns, to the outline of the page that the query shows."""
    if query.outline is not None:
        yield from _turns(_frame(proof.image.shape), query.outline, proof, query)


def sheet_turns(proof: Proof, query: Query) -> Iterator[np.ndarray]:
    """The plausible maps of the sheet that a photograph in the proof shows, in four turns, to the outline of the page
    that the query shows, and to the query's frame."""
    sheet = outline_of(proof.image)
    if sheet is None:
        return
    for seen in (query.outline, _frame(query.grey.shape)):
        if seen is not None:
            yield from _turns(sheet, seen, proof, query)


def _turns(corners: np.ndarray, seen: np.ndarray, proof: Proof, query: Query) -> Iterator[np.ndarray]:
    """The plausible maps of ``corners`` (float32 (4, 2), proof pixels) to those ``seen`` (likewise, the query's)."""
    for turns in range(4):
        homography = cv2.getPerspectiveTransform(corners, np.roll(seen, turns, axis=0))
        if plausible(homography, proof.image.shape, query.grey.shape):
            yield homography


def _frame(shape: tuple[int, ...]) -> np.ndarray:
    """float32 (4, 2): the corners of an image of ``shape``, clockwise from the top left."""
    height, width = shape[:2]
    return np.float32([[0, 0], [width, 0], [width, height], [0, height]]) - np.float32(0.5)


def quarter_turns(turns: int, width: int, height: int) -> np.ndarray:
    """float64 (3, 3): pixels of a ``width`` x ``height`` image to those of ``np.rot90(image, turns)``."""
    matrix = np.eye(3)
    for _ in range(turns % 4):
        matrix = np.array([[0, 1, 0], [-1, 0, width - 1], [0, 0, 1.0]]) @ matrix
        width, height = height, width
    return matrix


def by_features(proof: Proof, features: Features, query: Query, side: int, most: int) -> Iterator[np.ndarray]:
    """The first plausible map from ``features`` of the proof, found at a longest side of ``side`` pixels, to the
    query's ``most``. Those of two pictures are alike only where a character is of a like size in both: of a small proof
    the query is first seen as small, as if the page filled it."""
    for query_side in sorted({side * FEATURE_SIDE // _FEATURE_SIDE, FEATURE_SIDE}):
        homography = homography_of_features(features, query.features(query_side).strongest(most))
        if homography is not None and plausible(homography, proof.image.shape, query.grey.shape):
            yield homography
            return


def homography_of_features(proof: Features, query: Features) -> np.ndarray | None:
    """float64 (3, 3) from matched descriptors (ratio test, MAGSAC++; Barath et al., 2020); ``None`` without enough."""
    if proof.descriptors is None or query.descriptors is None:
        return None
    if min(len(proof.points), len(query.points)) < LEAST_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(proof.descriptors, query.descriptors, k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < 0.85 * pair[1].distance]
    if len(good) < LEAST_INLIERS:
        return None
    source = proof.points[[match.queryIdx for match in good]]
    target = query.points[[match.trainIdx for match in good]]
    homography, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 4.0, maxIters=3000, confidence=0.999)
    if homography is None or int(inliers.sum()) < LEAST_INLIERS:
        return None
    return homography


def plausible(homography: np.ndarray, proof_shape: tuple[int, ...], query_shape: tuple[int, ...]) -> bool:
    """Whether a camera could have seen the page like this: convex, not mirrored, not tiny, not too oblique."""
    height, width = proof_shape[:2]
    frame = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    corners = cv2.perspectiveTransform(frame, homography)[0].astype(np.float32)
    if not np.isfinite(corners).all() or not cv2.isContourConvex(corners):
        return False
    area = cv2.contourArea(corners, oriented=True)
    if area < 0.04 * query_shape[0] * query_shape[1]:
        return False
    top, right, bottom, left = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    if min(top, right, bottom, left) < 4:
        return False
    aspect = (top + bottom) / (left + right) * height / width
    return 0.5 < top / bottom < 2 and 0.5 < left / right < 2 and 0.6 < aspect < 1.6


def local_scale(homography: np.ndarray, shape: tuple[int, ...]) -> float:
    """Query pixels per proof pixel at the middle of a proof of ``shape``."""
    x, y = shape[1] / 2, shape[0] / 2
    points = np.array([[[x, y], [x + 10, y], [x, y + 10]]], np.float64)
    middle, right, below = cv2.perspectiveTransform(points, homography)[0]
    return float(np.sqrt(np.linalg.norm(right - middle) * np.linalg.norm(below - middle)) / 10)


def _shadeless_thumbnail(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, _PROOF_THUMBNAIL / max(image.shape))
    return _shadeless(cv2.GaussianBlur(reduced(image, scale), (0, 0), 1.2))


def _shadeless(thumbnail: np.ndarray) -> np.ndarray:
    """float32 (h, w): what is printed. A shadow across the page would outweigh it."""
    return cv2.subtract(thumbnail, cv2.blur(thumbnail, (_SHADE, _SHADE)), dtype=cv2.CV_32F)


def _correlation(thumbnail: np.ndarray, proof: Proof, query: Query, homography: np.ndarray) -> float:
    """Correlation of the proof's shadeless ``thumbnail`` with the query seen through ``homography``, in -1..1."""
    height, width = thumbnail.shape
    to_proof = scaling(proof.image.shape[1] / width, proof.image.shape[0] / height)
    small = query.thumbnail
    to_small = scaling(small.shape[1] / query.grey.shape[1], small.shape[0] / query.grey.shape[0])
    seen = cv2.warpPerspective(small, to_small @ homography @ to_proof, (width, height),
                               flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    return correlation(thumbnail, _shadeless(cv2.GaussianBlur(seen, (0, 0), 1.0)))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two float arrays of one shape; 0 when either is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def scaling(sx: float, sy: float) -> np.ndarray:
    """float64 (3, 3): pixel centres of an image to those of the same image scaled by ``sx`` and ``sy``."""
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1.0]])
