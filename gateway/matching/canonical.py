"""Fingerprints that nominate: pHash, a canonical hash of the rectified page, and a hash of the page in its frame.

A photograph, a turned or a framed copy is bits away from its original under a plain pHash. The canonical hash first
undoes what it can: the page's quadrilateral, uneven light, a small slant, the margins. But where the margins of a form
end depends on what is filled in, so fillings of one form are told apart by the whole frame. None ever decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

COARSE = 8
"""Side of the DCT block of the hash that is searched: 64 bits."""
FINE = 24
"""Side of the DCT block of the hash that ranks: 576 bits."""
FINE_BYTES = FINE * FINE // 8
FRAMED = 36
"""Side of the DCT block of the hash that tells fillings of one form apart: 1,296 bits."""
FRAMED_BYTES = FRAMED * FRAMED // 8
LEAST_INK = 0.002
"""Share of inked pixels below which a page looks like any blank one."""
MOST_INK = 0.6

_SIDE = 720
_RECTIFIED_SIDE = 640
_LEAST_PAGE_SHARE = 0.15
_LEAST_STEP = 30  # grey levels between the page and what surrounds it
_LEAST_SIDE = 60
_LEAST_SIGMA = 1.5  # pixels, from which an image is blurred in fewer pixels


@dataclass(frozen=True)
class Fingerprint:
    """
    ``phash``: the page's 64-bit pHash. ``canonical``: 64-bit hashes of the rectified page, first as it is, then in the
    other turns. ``fine``: its 576-bit hashes (72 bytes each) in the same order. ``framed``: 1,296-bit hashes (162
    bytes each) of the page in its own frame, neither rectified nor cropped, in the same turns; the lowest frequencies
    come first. A fingerprint that was read back from an index entry has the first of each only, one of an older entry
    nothing ``framed``.
    """

    phash: int
    canonical: tuple[int, ...]
    fine: tuple[bytes, ...]
    framed: tuple[bytes, ...] = ()


def fingerprint(page: np.ndarray, phash: str) -> Fingerprint | None:
    """The fingerprint of ``page`` (uint8 RGB (h, w, 3)), whose pHash (16 hex digits) is known.

    ``None`` for a page with too little to go by (blank, plain, a mere gradient, a sliver): it nominates nothing and is
    not to be indexed.
    """
    if min(page.shape[:2]) < 16:
        return None
    grey = _small_grey(page)
    upright = rectified(grey)
    ink = ink_map(upright)
    share = float((ink > 0.5).mean())
    if not LEAST_INK <= share <= MOST_INK:
        return None
    text = crop_to_ink(deskewed(ink))
    whole = ink if upright is grey else ink_map(grey)
    return Fingerprint(
        int(phash, 16),
        tuple(int.from_bytes(_packed(block), "big") for block in _turned_blocks(text, COARSE)),
        tuple(_packed(block) for block in _turned_blocks(text, FINE)),
        tuple(_packed(block, _LOW_FIRST) for block in _turned_blocks(whole, FRAMED)),
    )


def as_filling_of(look: Fingerprint, sibling: Fingerprint) -> Fingerprint:
    """``look``, of a page laid into the frame of ``sibling``, searched among what is near either, in no other turn: the
    64-bit hashes of a photograph are poorer than those of any other filling of its form."""
    return Fingerprint(sibling.phash, (look.canonical[0], sibling.canonical[0]), look.fine[:1] * 2, look.framed[:1] * 2)


def _small_grey(page: np.ndarray) -> np.ndarray:
    scale = _SIDE / max(page.shape[:2])
    size = max(16, round(page.shape[1] * scale)), max(16, round(page.shape[0] * scale))
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def rectified(grey: np.ndarray) -> np.ndarray:
    """uint8 (h, w): the page cut out of its surroundings and squared, or ``grey`` when it fills the picture."""
    quad = page_quad(grey)
    if quad is None:
        return grey
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    width, height = float(sides[0] + sides[2]) / 2, float(sides[1] + sides[3]) / 2
    scale = _RECTIFIED_SIDE / max(width, height)
    if min(width, height) < _LEAST_SIDE:
        return grey
    width, height = round(width * scale), round(height * scale)
    bleed = np.float32([width, height]) * 0.008  # cut inside the page's edge
    target = np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * (np.float32([width, height]) + 2 * bleed) - bleed
    transform = cv2.getPerspectiveTransform(quad, target.astype(np.float32))
    return cv2.warpPerspective(grey, transform, (width, height), borderMode=cv2.BORDER_REPLICATE)


def page_quad(grey: np.ndarray) -> np.ndarray | None:
    """float32 (4, 2): the largest quadrilateral that is clearly brighter or darker than what surrounds it, clockwise
    from the top left; ``None`` when there is none."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 2.5)
    _, light = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    edges = cv2.dilate(cv2.Canny(smooth, 20, 60), np.ones((3, 3), np.uint8))
    quads = []
    for candidates in (light, edges):
        contours, _ = cv2.findContours(candidates, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        found = [_as_quad(contour) for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:3]]
        quads += [quad for quad in found if quad is not None and _stands_out(quad, smooth)]
    # Of a page that is half in a shadow, its lit half stands out, too.
    return _clockwise(max(quads, key=cv2.contourArea)) if quads else None


def _as_quad(contour: np.ndarray) -> np.ndarray | None:
    hull = cv2.convexHull(contour)
    corners = cv2.approxPolyDP(hull, 0.03 * cv2.arcLength(hull, True), True)
    return corners[:, 0].astype(np.float32) if len(corners) == 4 and cv2.isContourConvex(corners) else None


def _stands_out(quad: np.ndarray, grey: np.ndarray) -> bool:
    if cv2.contourArea(quad) < _LEAST_PAGE_SHARE * grey.size:
        return False
    mask = cv2.fillConvexPoly(np.zeros(grey.shape, np.uint8), quad.round().astype(np.int32), 1)
    narrow, wide = np.ones((9, 9), np.uint8), np.ones((31, 31), np.uint8)
    # Right at the edge, or light that falls off across a page would cut it in two.
    inside = grey[(cv2.erode(mask, narrow) > 0) & (cv2.erode(mask, wide, borderValue=1) == 0)]
    outside = grey[(cv2.dilate(mask, narrow) == 0) & (cv2.dilate(mask, wide) > 0)]
    if outside.size <= 0.005 * grey.size or inside.size == 0:
        return False
    return abs(float(np.median(inside)) - float(np.median(outside))) >= _LEAST_STEP


def _clockwise(quad: np.ndarray) -> np.ndarray:
    total, difference = quad.sum(axis=1), quad[:, 1] - quad[:, 0]
    return quad[[total.argmin(), difference.argmin(), total.argmax(), difference.argmax()]]


def ink_map(grey: np.ndarray) -> np.ndarray:
    """float32 (h, w) in 0..1: how inked each pixel is against its local background, whatever the light."""
    if np.median(grey) < 90:
        grey = 255 - grey
    paper = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    background = cv2.resize(cv2.GaussianBlur(_shrunk(paper, 2), (0, 0), 3), grey.shape[::-1])
    ink = np.clip(1 - grey.astype(np.float32) / (background.astype(np.float32) + 1), 0, 1)
    visible = ink[ink > 0.06]
    full = float(np.percentile(visible, 85)) if visible.size > 200 else 0.4
    ink /= max(full, 0.05)
    ink[ink < 0.3] = 0
    return np.minimum(ink, 1)


def deskewed(ink: np.ndarray) -> np.ndarray:
    """``ink`` turned by up to 4.8 degrees, to where its rows and columns are sharpest."""
    scale = min(1.0, 360 / max(ink.shape))
    small = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else ink
    angle = _sharpest(_shrunk(small, 2), np.arange(-4.0, 4.1, 1.0))
    angle = _sharpest(small, angle + np.arange(-0.8, 0.81, 0.2))
    return ink if abs(angle) < 0.15 else _turned(ink, angle)


def _sharpest(ink: np.ndarray, angles: np.ndarray) -> float:
    """That of ``angles``, in degrees, by which ``ink`` is turned to where its rows and columns are sharpest."""
    def sharpness(degrees: float) -> float:
        turned = _turned(ink, degrees)
        return float(np.var(np.diff(turned.sum(axis=1))) + np.var(np.diff(turned.sum(axis=0))))

    return max(angles.tolist(), key=sharpness)


def _turned(image: np.ndarray, degrees: float) -> np.ndarray:
    height, width = image.shape
    return cv2.warpAffine(image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (width, height))


def crop_to_ink(ink: np.ndarray, tail: float = 0.004) -> np.ndarray:
    """The part of ``ink`` that holds all but a ``tail`` of it on each side."""
    strong = cv2.medianBlur((ink > 0.45).astype(np.uint8) * 255, 3) > 0
    spans = []
    for axis in (0, 1):
        profile = np.minimum(strong.sum(axis=axis), 0.25 * strong.shape[axis]).astype(np.float64)  # rules count less
        mass = np.cumsum(profile) / max(1.0, profile.sum())
        spans.append((int(np.searchsorted(mass, tail)), int(np.searchsorted(mass, 1 - tail)) + 1))
    (left, right), (top, bottom) = spans
    return ink[top:bottom, left:right] if right - left > 20 and bottom - top > 20 else ink


def _turned_blocks(image: np.ndarray, side: int) -> list[np.ndarray]:
    """The lowest DCT coefficients, float32 (side, side), of ``image`` in its four turns."""
    small = _reduced(image, 4 * side)
    return [_block(np.ascontiguousarray(np.rot90(small, turn)), side) for turn in range(4)]


def _reduced(image: np.ndarray, size: int) -> np.ndarray:
    sigma = max(0.6, max(image.shape) / (3 * size))
    factor = max(1, int(sigma / _LEAST_SIGMA))
    smooth = cv2.GaussianBlur(_shrunk(image, factor), (0, 0), sigma / factor)
    return cv2.resize(smooth, (size, size), interpolation=cv2.INTER_AREA)


def _shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    """``image`` (h, w) in a ``factor``-th of its size: what is slow is as well seen there."""
    height, width = image.shape
    return cv2.resize(image, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)


def _block(small: np.ndarray, side: int) -> np.ndarray:
    return cv2.dct(small)[:side, :side]


def _packed(block: np.ndarray, order: np.ndarray | slice = slice(None)) -> bytes:
    """One bit for each coefficient: whether it exceeds their median."""
    return np.packbits((block > np.median(block)).ravel()[order]).tobytes()


_LOW_FIRST = np.maximum(*np.indices((FRAMED, FRAMED))).ravel().argsort(kind="stable")
"""The coefficients of the framed hash by their higher frequency: every square block at the origin is a prefix."""
