"""What happens to a document on its way to the next upload: encodings, apps, screens, cameras.

A capture is prepared once for a page's layout and then applied to the page and to all pages that differ from it in one
thing: the same scale, noise and crop for all of them, so that nothing but the change can tell them apart.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from benchmarks.matching import camera
from benchmarks.matching.documents.page import Document, ink_box

Page = np.ndarray
"""uint8 RGB (h, w, 3)."""
Apply = Callable[[Page], Page]


@dataclass(frozen=True)
class Layout:
    """``width``, ``height`` of a page in pixels; ``ink``: left, top, right, bottom of all its text."""

    width: int
    height: int
    ink: tuple[float, float, float, float]

    @classmethod
    def of(cls, document: Document) -> Layout:
        boxes = np.array([ink_box(run) for run in document.runs])
        ink = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
        return cls(document.width, document.height, ink)


Capture = Callable[[Layout, np.random.Generator], Apply]


# --- encodings, scales, tones -----------------------------------------------------------------------------------
def encoded(page: Page, codec: str, quality: int) -> Page:
    """``page`` after a lossy codec."""
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, codec, quality=quality)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))


def scaled(page: Page, factor: float) -> Page:
    """``page`` resized by ``factor``."""
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(page, None, fx=factor, fy=factor, interpolation=mode)


def _tone(gain: float = 1.0, offset: float = 0.0, gamma: float = 1.0) -> Capture:
    levels = np.clip((np.arange(256) / 255) ** gamma * 255 * gain + offset, 0, 255).astype(np.uint8)
    return lambda layout, rng: lambda page: levels[page]


def _jpeg(quality: int) -> Capture:
    return lambda layout, rng: lambda page: encoded(page, "JPEG", quality)


def _webp(quality: int) -> Capture:
    return lambda layout, rng: lambda page: encoded(page, "WEBP", quality)


def _scale(factor: float) -> Capture:
    return lambda layout, rng: lambda page: scaled(page, factor)


def _blur(sigma: float) -> Capture:
    return lambda layout, rng: lambda page: cv2.GaussianBlur(page, (0, 0), sigma)


def _noise(sigma: float) -> Capture:
    def prepare(layout: Layout, rng: np.random.Generator) -> Apply:
        noise = rng.standard_normal((layout.height, layout.width, 3), np.float32) * sigma
        return lambda page: np.clip(page + noise, 0, 255).astype(np.uint8)

    return prepare


# --- geometry ---------------------------------------------------------------------------------------------------
def _turn(quarters: int) -> Capture:
    return lambda layout, rng: lambda page: np.ascontiguousarray(np.rot90(page, quarters))


def _rotation(degrees: float) -> Capture:
    """By ``degrees`` to either side, the frame grown to hold the page, white outside."""
    def prepare(layout: Layout, rng: np.random.Generator) -> Apply:
        width, height = layout.width, layout.height
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees * float(rng.choice([-1, 1])), 1.0)
        cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
        new = int(width * cosine + height * sine), int(width * sine + height * cosine)
        turn[:, 2] += (new[0] - width) / 2, (new[1] - height) / 2
        return lambda page: cv2.warpAffine(page, turn, new, flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))

    return prepare


def _perspective(layout: Layout, rng: np.random.Generator) -> Apply:
    size = layout.width, layout.height
    transform = camera.quadrilateral(size, size, 0.94, 0.02, rng)
    return lambda page: cv2.warpPerspective(page, transform, size, flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))


def _border(share: float, colour: tuple[int, int, int]) -> Capture:
    def prepare(layout: Layout, rng: np.random.Generator) -> Apply:
        side = round(share * max(layout.width, layout.height))
        return lambda page: cv2.copyMakeBorder(page, *[side] * 4, cv2.BORDER_CONSTANT, value=colour)

    return prepare


def _crop(share: float) -> Capture:
    """Up to ``share`` of each side is lost, but no text, and never more than half of the margin beside it."""
    def prepare(layout: Layout, rng: np.random.Generator) -> Apply:
        width, height = layout.width, layout.height
        left, top = (int(min(share * side, 0.5 * margin))
                     for side, margin in ((width, layout.ink[0]), (height, layout.ink[1])))
        right, bottom = (int(min(share * side, 0.5 * (side - margin)))
                         for side, margin in ((width, layout.ink[2]), (height, layout.ink[3])))
        return lambda page: np.ascontiguousarray(page[top:height - bottom, left:width - right])

    return prepare


# --- apps and screens -------------------------------------------------------------------------------------------
def _messaged(layout: Layout, rng: np.random.Generator) -> Apply:
    """What a chat app does to a picture: longest side 1280 px, JPEG at 65, twice."""
    factor = min(1.0, 1280 / max(layout.width, layout.height))

    def apply(page: Page) -> Page:
        return encoded(encoded(scaled(page, factor) if factor < 1 else page, "JPEG", 65), "JPEG", 65)

    return apply


def _screenshot(colour: tuple[int, int, int]) -> Capture:
    """The page shown on a screen at another zoom, with empty margins around it."""
    def prepare(layout: Layout, rng: np.random.Generator) -> Apply:
        factor = float(rng.uniform(0.8, 1.1))
        margins = [int(value) for value in rng.integers([30, 30, 20, 20], [120, 120, 200, 200])]
        return lambda page: cv2.copyMakeBorder(scaled(page, factor), *margins, cv2.BORDER_CONSTANT, value=colour)

    return prepare


@dataclass(frozen=True)
class Photograph:
    """A capture by :mod:`benchmarks.matching.camera`. ``long_side``: of the picture, pixels."""

    long_side: int
    bend: camera.Bend | None = None
    shadow: bool = False

    def exposure(self, layout: Layout, rng: np.random.Generator) -> camera.Exposure:
        """The camera, ready for sheets of this layout."""
        return camera.Exposure.of((layout.width, layout.height), self.long_side, rng, self.bend, self.shadow)

    def __call__(self, layout: Layout, rng: np.random.Generator) -> Apply:
        exposure = self.exposure(layout, rng)
        return lambda page: developed(exposure, page)


def developed(exposure: camera.Exposure, page: Page) -> Page:
    """The picture of ``page`` as a phone stores it."""
    return encoded(exposure.take(page), "JPEG", 85)


PHOTOGRAPHS = {
    "photo 2400": Photograph(2400),
    "photo 1280": Photograph(1280),
    "photo shadow": Photograph(1920, shadow=True),
    "curled": Photograph(1920, camera.curl),
    "creased": Photograph(1920, camera.creases),
}

CAPTURES: dict[str, Capture] = {
    "unchanged": lambda layout, rng: lambda page: page,
    "jpeg 90": _jpeg(90),
    "jpeg 70": _jpeg(70),
    "jpeg 40": _jpeg(40),
    "webp 80": _webp(80),
    "webp 50": _webp(50),
    "x 2": _scale(2.0),
    "x 1.3": _scale(1.3),
    "x 0.75": _scale(0.75),
    "x 0.5": _scale(0.5),
    "x 0.35": _scale(0.35),
    "gamma 0.6": _tone(gamma=0.6),
    "gamma 1.6": _tone(gamma=1.6),
    "low contrast": _tone(gain=0.55, offset=60),
    "clipped": _tone(gain=1.15, offset=10),
    "turned 90": _turn(1),
    "turned 180": _turn(2),
    "turned 270": _turn(3),
    "rotated 1": _rotation(1.0),
    "rotated 3": _rotation(3.0),
    "perspective": _perspective,
    "border white": _border(0.05, (255, 255, 255)),
    "border dark": _border(0.08, (30, 30, 35)),
    "blur 0.8": _blur(0.8),
    "blur 1.2": _blur(1.2),
    "noise 6": _noise(6),
    "noise 12": _noise(12),
    "chat app": _messaged,
    "screenshot dark": _screenshot((45, 45, 48)),
    "screenshot light": _screenshot((240, 240, 242)),
    "crop 1": _crop(0.01),
    "crop 3": _crop(0.03),
    "crop 5": _crop(0.05),
    **PHOTOGRAPHS,
}

GROUPS: dict[str, tuple[str, ...]] = {
    "as good as unchanged": tuple(
        name for name in CAPTURES
        if not name.startswith(("photo", "crop", "curled", "creased")) and name not in ("x 0.5", "x 0.35")
    ),
    "photographs, flat": ("photo 2400", "photo 1280", "photo shadow"),
    "half size": ("x 0.5",),
    "x 0.35": ("x 0.35",),
    "crops that cut no text": ("crop 1", "crop 3", "crop 5"),
    "curled or creased": ("curled", "creased"),
}
"""Captures that are of one difficulty."""


def generator(kind: str, seed: int, capture: str) -> np.random.Generator:
    """The chance of one capture of one document, the same for all its hard pairs."""
    return np.random.default_rng([seed, *f"{kind} {capture}".encode()])
