"""A phone's picture of a sheet on a table: perspective, bent paper, uneven light, defocus, sensor noise, sharpening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

Size = tuple[int, int]
"""Width, height in pixels."""
Grid = np.ndarray
"""float32 (h, w): a coordinate or a factor for every pixel of the picture."""

Bend = Callable[[Grid, Grid, np.random.Generator], tuple[Grid, Grid, Grid]]
"""From where on the flat sheet (shares of its width and height) a pixel would come, to where it does come from on a
bent one, and how much light it gets there."""

_PAGE_SHARE = 0.9
_JITTER = 0.025
_TILE = 640


def quadrilateral(sheet: Size, frame: Size, fill: float, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """(3, 3): ``sheet`` pixels to ``frame`` pixels; it fills ``fill`` of the frame, its corners moved by up to
    ``jitter`` of its sides."""
    width, height = sheet
    scale = fill * min(frame[0] / width, frame[1] / height)
    w, h = width * scale, height * scale
    x, y = (frame[0] - w) / 2, (frame[1] - h) / 2
    corners = np.float32([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
    corners += rng.uniform(-jitter, jitter, (4, 2)).astype(np.float32) * np.float32([w, h])
    return cv2.getPerspectiveTransform(np.float32([[0, 0], [width, 0], [width, height], [0, height]]), corners)


def curl(u: Grid, v: Grid, rng: np.random.Generator) -> tuple[Grid, Grid, Grid]:
    """Paper that rises in a gentle wave of about 1 % of the page's height."""
    phase = rng.uniform(0, 2 * np.pi)
    wave = 1.5 * np.pi * u + phase
    light = 1 + 0.08 * np.cos(wave)
    return (u + 0.003 * np.sin(2 * np.pi * v + phase)).astype(np.float32), \
        (v + 0.008 * np.sin(wave)).astype(np.float32), light.astype(np.float32)


def creases(u: Grid, v: Grid, rng: np.random.Generator) -> tuple[Grid, Grid, Grid]:
    """Paper folded in three and unfolded again: its parts stand at slight angles, the folds are bright and dark."""
    light = np.ones_like(u)
    folded = v.copy()
    for number in (1, 2):
        at = number / 3 + rng.uniform(-0.04, 0.04) + rng.uniform(-0.02, 0.02) * u
        beyond = np.clip(v - at, 0, None)
        angle = rng.uniform(-0.02, 0.02)
        folded += (angle * beyond).astype(np.float32)
        distance = (v - at) / 0.0025
        light *= (1 + np.sign(angle) * 0.06 * (v > at) - 0.10 * np.exp(-distance**2)).astype(np.float32)
    return u, folded, light.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Exposure:
    """A camera over a table, ready to take pictures of sheets of one size, all in the same way."""

    map_x: Grid
    map_y: Grid
    reduction: float
    light: np.ndarray
    table: np.ndarray
    covered: np.ndarray
    defocus: float
    noise: np.ndarray

    @classmethod
    def of(cls, sheet: Size, long_side: int, rng: np.random.Generator, bend: Bend | None = None,
           shadow: bool = False) -> Exposure:
        """``sheet``: the page's size. ``long_side``: of the 4:3 picture, pixels."""
        width, height = sheet
        frame = (long_side, round(0.75 * long_side)) if width > height else (round(0.75 * long_side), long_side)
        transform = quadrilateral(sheet, frame, _PAGE_SHARE, _JITTER, rng)
        ys, xs = np.mgrid[0:frame[1], 0:frame[0]].astype(np.float32)
        inverse = np.linalg.inv(transform)
        depth = inverse[2, 0] * xs + inverse[2, 1] * ys + inverse[2, 2]
        u = ((inverse[0, 0] * xs + inverse[0, 1] * ys + inverse[0, 2]) / depth / width).astype(np.float32)
        v = ((inverse[1, 0] * xs + inverse[1, 1] * ys + inverse[1, 2]) / depth / height).astype(np.float32)
        relief = np.ones_like(u)
        if bend is not None:
            u, v, relief = bend(u, v, rng)
        scale = _PAGE_SHARE * min(frame[0] / width, frame[1] / height)
        reduction = min(1.0, 1.5 * scale) if scale < 0.6 else 1.0
        light = _lamp(xs / frame[0], ys / frame[1], rng) * relief
        if shadow:
            light *= _shadow(xs / frame[0], ys / frame[1], rng)
        tint = np.float32([1.0, rng.uniform(0.95, 1.0), rng.uniform(0.86, 1.0)])
        noise = _tiled(rng.standard_normal((_TILE, _TILE, 3), np.float32), frame) * np.float32(rng.uniform(2, 4))
        covered = ((u >= 0) & (u < 1) & (v >= 0) & (v < 1))[..., None]
        return cls(u * np.float32(width), v * np.float32(height), reduction, light[..., None] * tint,
                   _desk(frame, rng), covered, float(rng.uniform(0.5, 0.9)), noise)

    def take(self, page: np.ndarray) -> np.ndarray:
        """The picture of ``page``: both uint8 RGB (h, w, 3)."""
        source, factor = page, np.float32(1.0)
        if self.reduction < 1:
            source = cv2.resize(page, None, fx=self.reduction, fy=self.reduction, interpolation=cv2.INTER_AREA)
            factor = np.float32(source.shape[1] / page.shape[1])
        sheet = cv2.remap(source, (self.map_x + 0.5) * factor - 0.5, (self.map_y + 0.5) * factor - 0.5,
                          cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        picture = np.where(self.covered, sheet, self.table).astype(np.float32) * self.light
        picture = cv2.GaussianBlur(picture, (0, 0), self.defocus) + self.noise
        picture += 0.6 * (picture - cv2.GaussianBlur(picture, (0, 0), 1.5))
        return np.clip(picture, 0, 255).astype(np.uint8)

    def places(self, quads: np.ndarray) -> np.ndarray:
        """float32 (n, 4, 2): where upright boxes of the sheet (its pixels, (n, 4, 2)) lie in the picture."""
        found = []
        for (left, top), (right, bottom) in zip(quads.min(axis=1), quads.max(axis=1), strict=True):
            shown = (self.map_x >= left) & (self.map_x <= right) & (self.map_y >= top) & (self.map_y <= bottom)
            found.append(_upright_first(cv2.boxPoints(cv2.minAreaRect(np.argwhere(shown)[:, ::-1].astype(np.float32)))))
        return np.float32(found).reshape(-1, 4, 2)


def _upright_first(corners: np.ndarray) -> np.ndarray:
    """``corners`` (4, 2) of a nearly upright rectangle, clockwise from its top left."""
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)


def _tiled(tile: np.ndarray, frame: Size) -> np.ndarray:
    """A picture of ``frame`` pixels made of ``tile``: sensor noise has no structure that could be seen repeating."""
    across, down = (-(-side // _TILE) for side in frame)
    return np.tile(tile, (down, across, 1))[:frame[1], :frame[0]]


def _lamp(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """Light that falls off across the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    return np.float32(0.82) + ((np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
                               * rng.uniform(0.15, 0.4)).astype(np.float32)


def _shadow(x: Grid, y: Grid, rng: np.random.Generator) -> Grid:
    """The shadow of a hand or a phone: half the picture, with a soft edge."""
    angle = rng.uniform(0, 2 * np.pi)
    edge = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + rng.uniform(-0.15, 0.15)) / 0.02
    return (1 - rng.uniform(0.25, 0.4) / (1 + np.exp(-np.clip(edge, -30, 30)))).astype(np.float32)


def _desk(frame: Size, rng: np.random.Generator) -> np.ndarray:
    """A table top: brown, slightly grained."""
    coarse = rng.standard_normal((frame[1], frame[0] // 16), np.float32)
    grain = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), sigmaX=2.5, sigmaY=2), frame, interpolation=cv2.INTER_CUBIC)
    grain *= 6 / max(1e-6, float(grain.std()))
    base = np.array([rng.integers(60, 120), rng.integers(45, 80), rng.integers(30, 60)], np.float32)
    return np.clip(base + grain[..., None], 0, 255).astype(np.uint8)
