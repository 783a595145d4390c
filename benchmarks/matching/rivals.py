"""The rules that the matcher is compared with: whole-image hashes and whole-image similarity."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import imagehash
import numpy as np
from PIL import Image

try:
    import pdqhash
except ImportError:  # an extra of the benchmark
    pdqhash = None

_PDQ_SIDE = 512  # PDQ samples 64 x 64 means of the page: more pixels only cost time
_SSIM_SIDE = 1000


@dataclass(frozen=True, slots=True)
class Likeness:
    """``phash``: bits of 64. ``pdq``: bits of 256, -1 without the ``pdqhash`` package. ``ssim``: -1..1."""

    phash: int
    pdq: int
    ssim: float


class Rivals:
    """Measures of a page (uint8 RGB (h, w, 3)) against other pictures."""

    def __init__(self, page: np.ndarray) -> None:
        self._page = page
        self._phash = imagehash.phash(Image.fromarray(page))
        self._pdq = pdq(page)

    def likeness(self, query: np.ndarray) -> Likeness:
        """How alike the rules find the two."""
        other = pdq(query)
        bits = -1 if self._pdq is None or other is None else int((self._pdq != other).sum())
        return Likeness(int(self._phash - imagehash.phash(Image.fromarray(query))), bits, ssim(self._page, query))


def pdq(page: np.ndarray) -> np.ndarray | None:
    """The PDQ hash (Facebook, 2019): 256 bits as uint8."""
    if pdqhash is None:
        return None
    scale = min(1.0, _PDQ_SIDE / max(page.shape[:2]))
    small = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else page
    return pdqhash.compute(np.ascontiguousarray(small))[0]


def ssim(page: np.ndarray, query: np.ndarray) -> float:
    """Mean SSIM (Wang et al., 2004) of the grey pages, both reduced to the page's size, at most 1000 pixels a side."""
    scale = min(1.0, _SSIM_SIDE / max(page.shape[:2]))
    size = max(16, round(page.shape[1] * scale)), max(16, round(page.shape[0] * scale))
    a, b = (cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32)
            for image in (page, query))

    def smooth(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5)

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(ratio.mean())
