"""The page that asks: what several nominees are compared with, computed once."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.canonical import page_quad
from gateway.matching.proof import Proof

MAX_PIXELS = 10_000_000
"""Larger pages are reduced first: a proof has 2.5 million pixels at most."""
FEATURE_SIDE = 1035
THUMBNAIL_SIDE = 360
OUTLINE_SIDE = 720
FEATURES = 1500


class Features(NamedTuple):
    """``points``: float32 (n, 2) in pixels of the image; ``descriptors``: uint8 (n, 32), or ``None`` without any. The
    strongest come first."""

    points: np.ndarray
    descriptors: np.ndarray | None

    def strongest(self, most: int) -> Features:
        """At most ``most`` of them."""
        return Features(self.points[:most], None if self.descriptors is None else self.descriptors[:most])


class Query:
    """A page (uint8 RGB, (h, w, 3)) prepared for comparison.

    ``scale``: pixels of :attr:`grey` per pixel of the page, at most 1. ``maps``: by proof, the best homography so far
    from its pixels to those of :attr:`grey`.
    """

    def __init__(self, page: np.ndarray) -> None:
        if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or page.size == 0:
            raise ValueError("a page is a uint8 RGB array (h, w, 3)")
        height, width = page.shape[:2]
        self.page_size = (width, height)
        self.scale = min(1.0, (MAX_PIXELS / (width * height)) ** 0.5)
        self.rgb = page if self.scale == 1.0 else reduced(page, self.scale)
        self.grey = cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)
        self.maps: dict[Proof, np.ndarray] = {}
        self._features: dict[int, Features] = {}

    def features(self, side: int = FEATURE_SIDE) -> Features:
        """ORB key points of the page, found at a longest side of ``side`` pixels."""
        if side not in self._features:
            self._features[side] = orb_features(self.grey, side)
        return self._features[side]

    @cached_property
    def outline(self) -> np.ndarray | None:
        """float32 (4, 2): the corners of a page that lies on something else, clockwise from the top left; ``None``
        when there is none to be seen."""
        return outline_of(self.grey)

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """uint8 grey, its longest side at most :data:`THUMBNAIL_SIDE`."""
        scale = THUMBNAIL_SIDE / max(self.grey.shape)
        return reduced(self.grey, scale) if scale < 1 else self.grey


def outline_of(grey: np.ndarray) -> np.ndarray | None:
    """float32 (4, 2): :attr:`Query.outline` of ``grey`` (uint8 (h, w))."""
    scale = min(1.0, OUTLINE_SIDE / max(grey.shape))
    quad = page_quad(reduced(grey, scale) if scale < 1 else grey)
    return None if quad is None else ((quad + 0.5) / scale - 0.5).astype(np.float32)


def orb_features(grey: np.ndarray, side: int) -> Features:
    """ORB (Rublee et al., 2011) on ``grey`` (uint8, (h, w)) reduced to a longest side of ``side`` pixels."""
    scale = min(1.0, side / max(grey.shape))
    image = reduced(grey, scale) if scale < 1 else grey
    detector = cv2.ORB_create(FEATURES, 1.2, 6, edgeThreshold=15, patchSize=31, fastThreshold=10)
    keys, descriptors = detector.detectAndCompute(image, None)
    order = np.argsort([-key.response for key in keys], kind="stable")
    points = (np.float32([key.pt for key in keys]).reshape(-1, 2) + 0.5) / scale - 0.5
    return Features(points[order], None if descriptors is None else descriptors[order])


def reduced(image: np.ndarray, scale: float) -> np.ndarray:
    """``image`` (uint8, (h, w) or (h, w, 3)) in ``scale``, 0..1, of its size, right to half a pixel.

    Whole pixels are averaged, and what is left is interpolated: averaging over parts of pixels takes ten times as long.
    """
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    whole = min(width // size[0], height // size[1])
    if whole > 1:
        rows, columns = height // whole, width // whole
        image = cv2.resize(image[:rows * whole, :columns * whole], (columns, rows), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
