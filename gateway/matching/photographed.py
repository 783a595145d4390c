"""Known from a photograph: the sheet alone, without what it lies on.

Another picture of the sheet shows another desk, or another part of it. But a page may have a panel, a dark header or a
border of its own that stands out just as a sheet does, and what lies beyond is then part of it. So an outline only
counts where it is certain, and where the new picture shows something else all around it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.align import Alignment
from gateway.matching.capture import model_capture, odd
from gateway.matching.compare import text_mask
from gateway.matching.paper import Paper, filled, light_on
from gateway.matching.proof import Proof
from gateway.matching.query import outline_of

LEAST_STEP, LEAST_CERTAIN = 0.3, 0.9
"""An outline is certain where the light changes across it by this share of what it does mostly, and as a whole when it
is at so many of its points. A sheet that curls by a line height is at .8 of them."""
NOISES = 2.6
"""The new picture shows something else where its grain differs by so many times as much as on blank paper ..."""
LEAST_ELSE = 0.35
"""... in this share of every part of the surroundings. Two wooden desks do by 3 times and more. A page's own margin
does by 2.2, as noise is weaker on white paper; by more only where something was added, which is never all around."""

_BESIDE = (0.3, 0.45, 0.6)  # line heights from an outline where the light is looked at, on either side
_AROUND = (0.5, 2.0)  # line heights beyond an outline where the surroundings are looked at
_GRAIN = (0.25, 1.5)  # line heights
_POINTS, _PARTS = 24, 6  # per side
_LEAST_NOISE = 0.5  # grey levels


class _Outline(NamedTuple):
    """``corners``: float32 (4, 2), clockwise from the top left, in pixels. ``inwards``: float32 (4, 2), a unit vector
    across the side that begins at each."""

    corners: np.ndarray
    inwards: np.ndarray

    @classmethod
    def of(cls, corners: np.ndarray) -> _Outline:
        along = np.roll(corners, -1, axis=0) - corners
        inwards = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        return cls(corners, inwards)

    def points(self, t: np.ndarray, depth: float = 0.0) -> np.ndarray:
        """float32 (4, n, 2): points at ``t`` (n,), in 0..1, of the sides of an outline ``depth`` pixels further in."""
        # A corner is where the side that ends there and the one that begins there meet.
        sides = np.stack([np.roll(self.inwards, 1, axis=0), self.inwards], axis=1)
        starts = (self.corners + np.linalg.solve(sides, np.full((4, 2, 1), depth))[:, :, 0])[:, None]
        return (starts + t[:, None] * (np.roll(starts, -1, axis=0) - starts)).astype(np.float32)

    def holds(self, quads: np.ndarray) -> bool:
        """Whether all of ``quads`` (n, 4, 2) lie within."""
        return bool((((quads.reshape(-1, 1, 2) - self.corners) * self.inwards).sum(axis=2) >= 0).all())

    def is_certain(self, image: np.ndarray, line_height: float) -> bool:
        """Whether ``image`` (uint8 (h, w)) is lighter or darker within than without, and right there, nearly
        everywhere: paper that curls ends elsewhere, and a page with a dark header ends with the picture."""
        t = (np.arange(_POINTS) + 0.5) / _POINTS
        inside, outside = (
            np.median([_levels(image, self.points(t, side * lines * line_height)) for lines in _BESIDE], axis=0)
            for side in (1, -1))
        steps = inside - outside  # no number beyond the picture
        typical = float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else 0.0
        return typical != 0 and bool((steps * np.sign(typical) >= LEAST_STEP * abs(typical)).mean() >= LEAST_CERTAIN)


def photographed_sheet(proof: Proof, alignment: Alignment) -> Paper | None:
    """The sheet that the picture in ``proof`` shows on something else. ``None`` when there is no certain outline with
    all lines in it, or when the query does not show something else around."""
    corners = outline_of(proof.image)
    if corners is None:
        return None
    outline = _Outline.of(corners)
    line_height = float(np.median(proof.text_heights))
    if not (outline.holds(proof.quads) and outline.is_certain(proof.image, line_height)
            and _is_on_something_else(outline, proof, alignment, line_height)):
        return None
    return Paper(light_on(alignment.image, alignment.rendition, line_height),
                 outline.points(np.linspace(0, 1, _POINTS)).reshape(-1, 2))


def shown_on(paper: Paper, alignment: Alignment, line_height: float) -> Alignment:
    """``alignment`` without what either picture shows beyond ``paper``."""
    mask = paper.mask(alignment.image.shape)
    image, rendition = (filled(image, mask, 2 * line_height) for image in (alignment.image, alignment.rendition))
    return replace(alignment, image=image, rendition=rendition, inside=alignment.inside & mask)


def _is_on_something_else(outline: _Outline, proof: Proof, alignment: Alignment, line_height: float) -> bool:
    """Whether the query shows beside each part of the ``outline`` what the proof does not, or nothing at all."""
    text, shown = text_mask(proof), alignment.inside
    capture = model_capture(alignment.rendition, alignment.image, text, shown, line_height)
    if capture is None:
        return False
    difference = capture.seen - capture.expected
    # Its grain alone: what was added to a margin changes the slow shade of all that is near.
    fine, coarse = (cv2.blur(difference, (odd(lines * line_height),) * 2) for lines in _GRAIN)
    other = np.abs(fine - coarse)
    around_text = cv2.dilate(text.astype(np.uint8), np.ones((odd(line_height),) * 2, np.uint8)) > 0
    paper = _within(outline.points(np.zeros(1), line_height), text.shape) & shown & ~around_text
    if not paper.any():
        return False
    level = NOISES * max(_LEAST_NOISE, float(np.median(other[paper])))
    near, far = (outline.points(np.linspace(0, 1, _PARTS + 1), -lines * line_height) for lines in _AROUND)
    parts = np.stack([near[:, :-1], near[:, 1:], far[:, 1:], far[:, :-1]], axis=2).reshape(-1, 4, 2)
    beside = (_within(part, text.shape) & shown for part in parts)
    return all((other[part] > level).mean() >= LEAST_ELSE for part in beside if part.any())


def _within(corners: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """bool (h, w) of ``shape``: the polygon of ``corners`` (n, 2), or (n, 1, 2)."""
    return cv2.fillPoly(np.zeros(shape, np.uint8), [corners.reshape(-1, 2).round().astype(np.int32)], 1) > 0


def _levels(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """float32 (4, n): the levels of ``image`` (uint8 (h, w)) at ``points`` (float32 (4, n, 2)), NaN beyond it."""
    return cv2.remap(image.astype(np.float32), points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                     borderValue=np.nan)
