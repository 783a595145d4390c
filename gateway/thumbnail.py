"""A page as a picture for people: the thumbnail stored beside a result, the large preview stored nowhere."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

MAX_SIDE = 320
PREVIEW_MAX_SIDE = 1600
# Ten photographs and documents took 3.1 KB on average at 40, 3.9 KB at 60 and 4.6 KB at 75.
_QUALITY, _METHOD = 60, 4
# An invoice takes 90 KB. Method 4 would save 5 % of that for twice the time, JPEG would take twice as much.
_PREVIEW_QUALITY, _PREVIEW_METHOD = 75, 2


def thumbnail(page: np.ndarray) -> bytes:
    """WebP of an upright uint8 RGB page (h, w, 3); its longest side is at most :data:`MAX_SIDE`, never enlarged."""
    return _webp(page, MAX_SIDE, _QUALITY, _METHOD)


def preview(page: np.ndarray) -> bytes:
    """Like :func:`thumbnail`, large enough to read: :data:`PREVIEW_MAX_SIDE`."""
    return _webp(page, PREVIEW_MAX_SIDE, _PREVIEW_QUALITY, _PREVIEW_METHOD)


def _webp(page: np.ndarray, max_side: int, quality: int, method: int) -> bytes:
    height, width, _ = page.shape
    scale = min(1.0, max_side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Lanczos keeps print crisp, but Pillow would hold the page again, at 4 bytes a pixel: it is averaged down first.
    twice = min(width, 2 * size[0]), min(height, 2 * size[1])
    if twice != (width, height):
        page = cv2.resize(page, twice, interpolation=cv2.INTER_AREA)
    image = Image.fromarray(page).resize(size, Image.Resampling.LANCZOS)
    encoded = BytesIO()
    image.save(encoded, "WEBP", quality=quality, method=method)
    return encoded.getvalue()
