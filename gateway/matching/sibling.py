"""A second look: a page laid into the frame of another filling of the same form.

What two fillings share, rules and labels, lays one over the other however the page was pictured. Seen like that it has
the frame of its own original, where both were made from one template, and its fingerprint is as good as that of an
undistorted copy. It only nominates: what is compared is always the page itself.
"""

from __future__ import annotations

import logging

import cv2
import numpy as np

from gateway.matching.align import refine_homography
from gateway.matching.coarse import NotAligned, coarse_alignment, local_scale, scaling
from gateway.matching.pieces import Pieces
from gateway.matching.proof import Proof
from gateway.matching.query import Query

log = logging.getLogger(__name__)

LONG_SIDE = 720
"""Pixels; fingerprints are taken of no more."""
MOST_FINENESS = 1.1
"""Query pixels per proof pixel that are enough to find pieces of lines."""
SAME_FRAME = 0.003
"""Share of the longer side by which the corners of two equal frames may differ."""


def in_frame_of(proof: Proof, query: Query) -> np.ndarray | None:
    """uint8 RGB (h, w, 3): ``query`` as the page of ``proof`` would show it, its longest side at most
    :data:`LONG_SIDE` pixels; ``None`` when the two have too little in common to be laid over each other, or when the
    query has that frame as it is, so that another look would see nothing new. Never raises.
    """
    try:
        return _seen(proof, query)
    except NotAligned:
        return None
    except (cv2.error, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        # It costs a nominee at most. The message could quote pixels; its type says enough.
        log.warning("a second look failed: %s", type(error).__name__)
        return None


def _seen(proof: Proof, query: Query) -> np.ndarray | None:
    homography = coarse_alignment(proof, query)
    grey, reduction = _no_finer(query.grey, local_scale(homography, proof.image.shape), MOST_FINENESS)
    homography, _, _ = refine_homography(proof.image, grey, reduction @ homography, Pieces.of(proof))
    if not np.isfinite(homography).all():
        raise NotAligned("not-aligned")
    if _has_that_frame(proof.image.shape, grey.shape, homography):
        return None
    height, width = proof.image.shape
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grey, reduction = _no_finer(grey, local_scale(homography, proof.image.shape) / scale, 1.0)
    homography = reduction @ homography @ scaling(width / size[0], height / size[1])
    seen = cv2.warpPerspective(grey, homography, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                               borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(seen, cv2.COLOR_GRAY2RGB)


def _has_that_frame(proof_shape: tuple[int, ...], query_shape: tuple[int, ...], homography: np.ndarray) -> bool:
    """Whether ``homography`` maps the corners of the proof to those of the query."""
    unit = np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]], np.float64)
    mapped = cv2.perspectiveTransform(unit * proof_shape[1::-1], homography)
    return bool(np.abs(mapped - unit * query_shape[1::-1]).max() < SAME_FRAME * max(query_shape))


def _no_finer(grey: np.ndarray, scale: float, most: float) -> tuple[np.ndarray, np.ndarray]:
    """``grey``, which has ``scale`` pixels per pixel of a target, with at most ``most``; and the map to its pixels."""
    if not np.isfinite(scale) or scale <= 0:
        raise NotAligned("not-aligned")
    if scale <= most:
        return grey, np.eye(3)
    size = max(1, round(grey.shape[1] * most / scale)), max(1, round(grey.shape[0] * most / scale))
    reduced = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return reduced, scaling(size[0] / grey.shape[1], size[1] / grey.shape[0])
