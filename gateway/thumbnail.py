"""The small picture stored beside a result."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

MAX_SIDE = 320
# Ten photographs and documents took 3.1 KB on average at 40, 3.9 KB at 60 and 4.6 KB at 75.
QUALITY = 60


def thumbnail(page: np.ndarray) -> bytes:
    """WebP of an upright uint8 RGB page (h, w, 3); its longest side is at most :data:`MAX_SIDE`, never enlarged."""
    height, width, _ = page.shape
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Lanczos keeps print crisp, but Pillow would hold the page again, at 4 bytes a pixel: it is averaged down first.
    twice = min(width, 2 * size[0]), min(height, 2 * size[1])
    if twice != (width, height):
        page = cv2.resize(page, twice, interpolation=cv2.INTER_AREA)
    image = Image.fromarray(page).resize(size, Image.Resampling.LANCZOS)
    encoded = BytesIO()
    image.save(encoded, "WEBP", quality=QUALITY, method=4)
    return encoded.getvalue()
