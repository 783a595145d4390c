"""What happens to a document on its way to the next upload: encodings, apps, screens, cameras.

Every capture is a function ``(page, rng) -> page`` on uint8 RGB pages (h, w, 3).
"""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

Page = np.ndarray
Capture = Callable[[Page, np.random.Generator], Page]


def encoded(page: Page, codec: str, quality: int) -> Page:
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, codec, quality=quality)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))


def scaled(page: Page, factor: float) -> Page:
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(page, None, fx=factor, fy=factor, interpolation=mode)


def toned(page: Page, gain: float = 1.0, offset: float = 0.0, gamma: float = 1.0) -> Page:
    levels = np.clip((np.arange(256) / 255) ** gamma * 255 * gain + offset, 0, 255).astype(np.uint8)
    return levels[page]


def noisy(page: Page, rng: np.random.Generator, sigma: float) -> Page:
    return np.clip(page + rng.normal(0, sigma, page.shape), 0, 255).astype(np.uint8)


def rotated(page: Page, degrees: float) -> Page:
    height, width = page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
    new = int(width * cosine + height * sine), int(width * sine + height * cosine)
    turn[:, 2] += (new[0] - width) / 2, (new[1] - height) / 2
    return cv2.warpAffine(page, turn, new, flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))


def framed(page: Page, top: int, right: int, bottom: int, left: int, colour: tuple[int, int, int]) -> Page:
    return cv2.copyMakeBorder(page, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)


def cropped(page: Page, share: float) -> Page:
    height, width = page.shape[:2]
    dy, dx = round(height * share), round(width * share)
    return np.ascontiguousarray(page[dy:height - dy, dx:width - dx])


def _perspective(page: Page, rng: np.random.Generator, out: tuple[int, int], fill: float, jitter: float,
                 background: Page | None) -> Page:
    """``page`` laid into a frame of ``out`` = (w, h) pixels, its corners moved by up to ``jitter`` of its side."""
    height, width = page.shape[:2]
    scale = fill * min(out[0] / width, out[1] / height)
    w, h = width * scale, height * scale
    x, y = (out[0] - w) / 2, (out[1] - h) / 2
    corners = np.float32([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
    corners += rng.uniform(-jitter, jitter, (4, 2)).astype(np.float32) * np.float32([w, h])
    source = page
    if scale < 0.6:
        source = cv2.resize(page, None, fx=scale * 1.5, fy=scale * 1.5, interpolation=cv2.INTER_AREA)
    sh, sw = source.shape[:2]
    transform = cv2.getPerspectiveTransform(np.float32([[0, 0], [sw, 0], [sw, sh], [0, sh]]), corners)
    canvas = np.full((out[1], out[0], 3), 255, np.uint8) if background is None else background.copy()
    cv2.warpPerspective(source, transform, out, dst=canvas, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_TRANSPARENT)
    return canvas


def _desk(rng: np.random.Generator, out: tuple[int, int]) -> Page:
    """A table top: brown, slightly grained."""
    w, h = out
    grain = cv2.GaussianBlur(rng.normal(0, 1, (h, w)).astype(np.float32), (0, 0), sigmaX=40, sigmaY=2)
    grain *= 6 / max(1e-6, float(grain.std()))
    base = np.array([rng.integers(60, 120), rng.integers(45, 80), rng.integers(30, 60)], np.float32)
    return np.clip(base + grain[..., None], 0, 255).astype(np.uint8)


def photographed(page: Page, rng: np.random.Generator, long_side: int) -> Page:
    """A phone's picture of the page on a table: perspective, uneven light, defocus, sensor noise, sharpening, JPEG."""
    height, width = page.shape[:2]
    aspect = 4 / 3
    out = (long_side, round(long_side / aspect)) if width > height else (round(long_side / aspect), long_side)
    picture = _perspective(page, rng, out, 0.9, 0.025, _desk(rng, out))
    h, w = picture.shape[:2]
    ys, xs = np.mgrid[0:h, 0:w].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * (xs / w - 0.5) + np.sin(angle) * (ys / h - 0.5)) * rng.uniform(0.15, 0.4)
    light = (0.82 + slope)[..., None] * np.float32([1.0, rng.uniform(0.95, 1.0), rng.uniform(0.86, 1.0)])
    picture = picture.astype(np.float32) * light
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 0.9))
    picture += rng.normal(0, rng.uniform(2, 4), picture.shape)
    picture = picture + 0.6 * (picture - cv2.GaussianBlur(picture, (0, 0), 1.5))
    return encoded(np.clip(picture, 0, 255).astype(np.uint8), "JPEG", 85)


def curled(page: Page, rng: np.random.Generator) -> Page:
    """Paper that bends: rows displaced along a gentle wave of about 1 % of the page's height."""
    height, width = page.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi)
    ys += 0.008 * height * np.sin(1.5 * np.pi * xs / width + phase)
    xs += 0.003 * width * np.sin(2 * np.pi * ys / height + phase)
    return cv2.remap(page, xs, ys, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(255, 255, 255))


def messaged(page: Page, rng: np.random.Generator) -> Page:
    """What a chat app does to a picture: longest side 1280 px, JPEG at 65, twice."""
    factor = min(1.0, 1280 / max(page.shape[:2]))
    small = scaled(page, factor) if factor < 1 else page
    return encoded(encoded(small, "JPEG", 65), "JPEG", 65)


def screenshot(page: Page, rng: np.random.Generator) -> Page:
    """The page shown on a screen at another zoom, with empty margins around it."""
    small = scaled(page, float(rng.uniform(0.8, 1.1)))
    return framed(small, int(rng.integers(30, 120)), int(rng.integers(20, 200)), int(rng.integers(30, 120)),
                  int(rng.integers(20, 200)), (45, 45, 48))


CAPTURES: dict[str, Capture] = {
    "unchanged": lambda page, rng: page,
    "jpeg 30": lambda page, rng: encoded(page, "JPEG", 30),
    "webp 50": lambda page, rng: encoded(page, "WEBP", 50),
    "x 2": lambda page, rng: scaled(page, 2.0),
    "x 0.75": lambda page, rng: scaled(page, 0.75),
    "x 0.5": lambda page, rng: scaled(page, 0.5),
    "x 0.35": lambda page, rng: scaled(page, 0.35),
    "brighter": lambda page, rng: toned(page, gain=1.15, offset=10),
    "gamma 1.6": lambda page, rng: toned(page, gamma=1.6),
    "low contrast": lambda page, rng: toned(page, gain=0.55, offset=60),
    "turned 90": lambda page, rng: np.ascontiguousarray(np.rot90(page, 1)),
    "turned 180": lambda page, rng: np.ascontiguousarray(np.rot90(page, 2)),
    "turned 270": lambda page, rng: np.ascontiguousarray(np.rot90(page, 3)),
    "rotated 2°": lambda page, rng: rotated(page, float(rng.choice([-2.0, 2.0]))),
    "perspective": lambda page, rng: _perspective(page, rng, (page.shape[1], page.shape[0]), 0.94, 0.02, None),
    "border 5 %": lambda page, rng: framed(page, *[round(0.05 * max(page.shape))] * 4, (255, 255, 255)),
    "blur 1.2": lambda page, rng: cv2.GaussianBlur(page, (0, 0), 1.2),
    "noise 12": lambda page, rng: noisy(page, rng, 12),
    "chat app": messaged,
    "screenshot": screenshot,
    "photo 2400": lambda page, rng: photographed(page, rng, 2400),
    "photo 1280": lambda page, rng: photographed(page, rng, 1280),
    "crop 1 %": lambda page, rng: cropped(page, 0.01),
    "curled": curled,
}
