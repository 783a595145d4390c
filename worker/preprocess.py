"""One transform for training and inference: a line crop becomes a grey strip of the network's height.

Grey, then the optional steps, then the resize. What each optional step costs and gains is in docs/recogniser.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np


@dataclass(frozen=True)
class Preprocess:
    """Switches and sizes. ``height`` and ``minimum_width`` are in pixels of the network's input.

    Shorter lines are padded to ``minimum_width``: the network's gates look at a whole line's mean, which a word alone
    in a narrow strip moves away from what they were trained on.
    """

    height: int = 48
    minimum_width: int = 320
    clahe: bool = False
    denoise: bool = False
    binarise: Literal["no", "otsu", "adaptive"] = "no"

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """A uint8 RGB ``(h, w, 3)`` or grey ``(h, w)`` crop of at least 1x1 to uint8 grey ``(height, w')``.

        The aspect is kept; ``w'`` is at least 1. Raises ``ValueError`` for another dtype or shape.
        """
        image = to_grey(crop)
        if self.clahe:
            image = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(image)
        if self.denoise:
            image = cv2.fastNlMeansDenoising(image, None, h=7, templateWindowSize=5, searchWindowSize=15)
        if self.binarise == "otsu":
            image = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
        elif self.binarise == "adaptive":
            image = cv2.adaptiveThreshold(image, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, 11, 2)
        return self.resize(image)

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Grey ``(h, w)`` to ``(height, w')``: area averages downwards, linear upwards.

        Cubic, which overshoots at strokes, read worse: see docs/recogniser.md.
        """
        height, width = image.shape
        if height == self.height:
            return image
        scaled = max(1, round(width * self.height / height))
        kind = cv2.INTER_AREA if height > self.height else cv2.INTER_LINEAR
        return cv2.resize(image, (scaled, self.height), interpolation=kind)


def to_grey(crop: np.ndarray) -> np.ndarray:
    """uint8 RGB or grey to uint8 grey (0.299 R + 0.587 G + 0.114 B). Raises ``ValueError`` for anything else."""
    if crop.dtype != np.uint8 or crop.size == 0:
        raise ValueError("a crop is a uint8 array of at least one pixel")
    if crop.ndim == 3 and crop.shape[2] == 3:
        return cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY)
    if crop.ndim == 2:
        return np.ascontiguousarray(crop)
    raise ValueError("a crop has the shape (h, w) or (h, w, 3)")


def to_batch(strips: list[np.ndarray], width: int) -> np.ndarray:
    """uint8 strips ``(h, w)`` to one float32 batch ``(N, 1, h, width)`` in -1..1; zeros (mid grey) at the right.

    ``width`` is at least the widest strip's.
    """
    batch = np.zeros((len(strips), 1, strips[0].shape[0], width), np.float32)
    for row, strip in zip(batch[:, 0], strips, strict=True):
        np.multiply(strip, 1 / 127.5, out=row[:, : strip.shape[1]], casting="unsafe")
        row[:, : strip.shape[1]] -= 1
    return batch
