"""Cuts text lines out of a page and straightens them."""

from __future__ import annotations

import cv2
import numpy as np

# A crop higher than this many times its width may be a line that runs down the page.
TALL = 1.5
# A picture of one line: the least contrast of ink (of 255), the faintest ink as a share of the strongest, the air kept
# above and below as a share of the ink's height, and the share of the rows that is little to gain.
INK = 30
FAINTEST = 0.35
AIR = 0.15
WORTH = 0.8
# Longer sides are cut down to this, to bound the memory that one quadrilateral can ask for.
LONGEST = 16384


def crop_line(page: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """The pixels of one line, uint8 RGB ``(h, w, 3)``, at least 1x1 and at most 16384 pixels a side.

    ``page`` is uint8 RGB ``(h, w, 3)``; ``quad`` float ``(4, 2)``, finite corners ``(x, y)`` in page pixels, clockwise
    from the top-left. What lies outside of the page repeats its border.
    """
    quad = np.asarray(quad, np.float32).reshape(4, 2)
    width = max(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[2] - quad[3]))
    height = max(np.linalg.norm(quad[3] - quad[0]), np.linalg.norm(quad[2] - quad[1]))
    columns, rows = (int(np.clip(round(float(side)), 1, LONGEST)) for side in (width, height))
    target = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
    # Corners are the outer ones of pixels, warpPerspective counts from pixels' centres: half a pixel on both sides.
    transform = cv2.getPerspectiveTransform(quad - 0.5, target - 0.5)
    return cv2.warpPerspective(
        page, transform, (columns, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def text_band(page: np.ndarray) -> tuple[int, int]:
    """The rows (first, behind the last) that a picture of one line needs: its ink with some air.

    The recogniser scales a picture to a fixed height, so broad blank edges above and below would make its text small.
    Only even edges are taken for blank; where there are none, or little to gain, it is all rows.
    """
    height = page.shape[0]
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY).astype(np.int16)
    paper = np.median(np.concatenate((grey[0], grey[-1], grey[:, 0], grey[:, -1])))
    contrast = np.abs(grey - paper)
    strongest = np.percentile(contrast, 99.5)
    if strongest < INK:
        return 0, height
    rows = np.flatnonzero((contrast > FAINTEST * strongest).any(axis=1))
    air = max(2, round(AIR * (rows[-1] + 1 - rows[0])))
    top, bottom = max(0, int(rows[0]) - air), min(height, int(rows[-1]) + 1 + air)
    return (top, bottom) if bottom - top < WORTH * height else (0, height)


def is_tall(crop: np.ndarray) -> bool:
    """Whether the crop is so much higher than wide that its text may run downwards or upwards."""
    return crop.shape[0] >= TALL * crop.shape[1]
