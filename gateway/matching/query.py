"""The page that asks: what several nominees are compared with, computed once."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

MAX_PIXELS = 10_000_000
"""Larger pages are reduced first: a proof has 2.5 million pixels at most."""
FEATURE_SIDE = 1035
THUMBNAIL_SIDE = 360
FEATURES = 1500


class Features(NamedTuple):
    """``points``: float32 (n, 2) in pixels of the image; ``descriptors``: uint8 (n, 32), or ``None`` without any."""

    points: np.ndarray
    descriptors: np.ndarray | None


class Query:
    """A page (uint8 RGB, (h, w, 3)) prepared for comparison.

    ``scale``: pixels of :attr:`grey` per pixel of the page, at most 1.
    """

    def __init__(self, page: np.ndarray) -> None:
        if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or page.size == 0:
            raise ValueError("a page is a uint8 RGB array (h, w, 3)")
        height, width = page.shape[:2]
        self.page_size = (width, height)
        self.scale = min(1.0, (MAX_PIXELS / (width * height)) ** 0.5)
        self.rgb = page if self.scale == 1.0 else _reduced(page, self.scale)
        self.grey = cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY)
        self._features: dict[int, Features] = {}

    def features(self, side: int = FEATURE_SIDE) -> Features:
        """ORB key points of the page, found at a longest side of ``side`` pixels."""
        if side not in self._features:
            self._features[side] = orb_features(self.grey, side)
        return self._features[side]

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """uint8 grey, its longest side at most :data:`THUMBNAIL_SIDE`."""
        scale = THUMBNAIL_SIDE / max(self.grey.shape)
        return _reduced(self.grey, scale) if scale < 1 else self.grey


def orb_features(grey: np.ndarray, side: int) -> Features:
    """ORB (Rublee et al., 2011) on ``grey`` (uint8, (h, w)) reduced to a longest side of ``side`` pixels."""
    scale = min(1.0, side / max(grey.shape))
    image = _reduced(grey, scale) if scale < 1 else grey
    detector = cv2.ORB_create(FEATURES, 1.2, 6, edgeThreshold=15, patchSize=31, fastThreshold=10)
    keys, descriptors = detector.detectAndCompute(image, None)
    points = (np.float32([key.pt for key in keys]).reshape(-1, 2) + 0.5) / scale - 0.5
    return Features(points, descriptors)


def _reduced(image: np.ndarray, scale: float) -> np.ndarray:
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
