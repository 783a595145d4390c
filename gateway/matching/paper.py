"""The sheet in the picture: the light that falls on it, and where it ends.

A photograph shows a table around the sheet, and where paper curls, the alignment, which follows print, is off by some
pixels at the edges: a strip of the table then lies within the frame. It is told from the sheet by its light, and counts
as what it is, something beyond the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.align import Alignment
from gateway.matching.capture import odd
from gateway.matching.proof import Proof

LEAST_LIGHT = 0.5
"""Share of the page's light below which a shadow is taken for no darker: noise does not get paler with the ink."""
TABLE = 0.8
"""A strip along the edge is no paper when its light is less than this share of the light further in, or that is less
than this share of its own."""
DEEPEST = 2.0
"""Line heights from the frame's edge within which the sheet begins."""

_REDUCTION = 4
_DARKNESS = 16  # grey levels that the light is told from noise by
_FURTHER_IN = 1.5  # line heights beyond the deepest, by which the sheet's light is known
_SHORTEST = 3.0  # line heights along the edge: no mark on the paper
_PENUMBRA = 0.2  # line heights: the edge is blurred
_POINTS = 24  # per side


class Paper(NamedTuple):
    """``light``: float32 (h / 4, w / 4), the light that falls on the query's page, relative to that on most of it.
    ``outline``: float32 (n, 2), where the sheet ends, clockwise in proof pixels: the frame, or a strip within."""

    light: np.ndarray
    outline: np.ndarray

    def shadow(self) -> np.ndarray:
        """float32 (h / 4, w / 4) in :data:`LEAST_LIGHT`..1: in a shadow all ink is paler."""
        return np.clip(self.light, LEAST_LIGHT, 1.0)

    def mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """bool (h, w): the sheet, in a proof of ``shape``."""
        return cv2.fillPoly(np.zeros(shape[:2], np.uint8), [self.outline.round().astype(np.int32)], 1) > 0


def paper_of(proof: Proof, alignment: Alignment) -> Paper:
    """The sheet that ``alignment`` shows of ``proof``."""
    line_height = float(np.median(proof.text_heights))
    height, width = proof.image.shape
    # One side after the other becomes the upper one; positions run clockwise.
    seen = alignment.image
    top, right, bottom, left = (
        strip_depths(np.rot90(seen, turns), np.rot90(alignment.rendition, turns), line_height) for turns in range(4))
    t = np.linspace(0, 1, _POINTS)
    x, y = t * (width - 1), t * (height - 1)
    outline = np.concatenate([
        np.stack([np.clip(x, left[-1], width - 1 - right[0]), top], axis=1),
        np.stack([width - 1 - right, np.clip(y, top[-1], height - 1 - bottom[0])], axis=1),
        np.stack([np.clip(x, left[0], width - 1 - right[-1])[::-1], height - 1 - bottom], axis=1),
        np.stack([left, np.clip(y, top[0], height - 1 - bottom[-1])[::-1]], axis=1),
    ])
    return Paper(light_on(seen, alignment.rendition, line_height), outline.astype(np.float32))


def light_on(seen: np.ndarray, expected: np.ndarray, line_height: float) -> np.ndarray:
    """float32 (h / 4, w / 4): the light that falls on the query's page, relative to that on most of it. ``seen``,
    ``expected``: the query and the proof, uint8 (h, w). Ink is passed over: the lightest place around counts."""
    window = np.ones((odd(2 * line_height / _REDUCTION),) * 2, np.uint8)
    light = _ratio(*(cv2.blur(cv2.dilate(quarter(image), window), window.shape) for image in (seen, expected)))
    return light / np.percentile(light, 90)


def strip_depths(seen: np.ndarray, expected: np.ndarray, line_height: float) -> np.ndarray:
    """float64 (n,): how deep from its upper edge ``seen`` (uint8 (h, w)) shows something else than the sheet
    (``expected``, likewise), in pixels, at points from left to right."""
    deepest, further = (round(lines * line_height) for lines in (DEEPEST, DEEPEST + _FURTHER_IN))
    if further > len(seen) // 2:
        return np.zeros(_POINTS)
    light = _ratio(*(cv2.blur(np.ascontiguousarray(image[:further]), (3, 3)) for image in (seen, expected)))
    share = light[:deepest] / np.median(light[deepest::4], axis=0)
    depths = np.cumprod((share < TABLE) | (share > 1 / TABLE), axis=0).sum(axis=0)
    depths[depths == deepest] = 0  # a band of the page, or a shadow
    length = np.ones((1, odd(_SHORTEST * line_height)), np.uint8)
    depths = cv2.morphologyEx(depths[None].astype(np.uint8), cv2.MORPH_OPEN, length)[0].astype(np.float64)
    depths[depths > 0] += _PENUMBRA * line_height
    step = -(-len(depths) // (_POINTS - 1))
    around = cv2.dilate(depths[None], np.ones((1, 2 * step + 1), np.uint8))[0]
    return around[np.linspace(0, len(depths) - 1, _POINTS).astype(int)]


def _ratio(seen: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return (seen.astype(np.float32) + _DARKNESS) / (expected.astype(np.float32) + _DARKNESS)


def quarter(image: np.ndarray) -> np.ndarray:
    """``image`` (uint8 (h, w)) at a quarter of its size."""
    return cv2.resize(image, None, fx=1 / _REDUCTION, fy=1 / _REDUCTION, interpolation=cv2.INTER_AREA)


def filled(image: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """``image`` (uint8 (h, w)) with what is around ``reach`` pixels within ``mask`` (bool (h, w)) in place of what is
    outside it."""
    if mask.all():
        return image
    weight = quarter(mask.astype(np.uint8) * 255).astype(np.float32)
    level = cv2.GaussianBlur(quarter(np.where(mask, image, 0).astype(np.uint8)).astype(np.float32), (0, 0),
                             reach / _REDUCTION)
    level *= 255 / np.maximum(cv2.GaussianBlur(weight, (0, 0), reach / _REDUCTION), 1)
    return np.where(mask, image, cv2.convertScaleAbs(cv2.resize(level, image.shape[::-1])))
