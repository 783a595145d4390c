"""The proof: what is kept of an original page so that a later picture can be verified against it.

A grey image of the page, just large enough to tell its characters apart, and the boxes of its lines.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from PIL import Image

TARGET_TEXT_HEIGHT = 18.0
"""Pixels that the 20th percentile of the text heights is brought to. Below about 12 px the margin between a changed
character and a re-encoded one gets thin."""
KEPT_SCALE = 0.75
"""A page that would be reduced to more than this is kept as it is: resampling shifts strokes between pixels, and
copies of half the size of an untouched page leave a third of the residual."""
MAX_PIXELS = 2_500_000
MAX_SIDE = 16_000
"""WebP ends at 16,383."""
CODECS = (
    {"format": "AVIF", "quality": 40, "subsampling": "4:0:0", "speed": 7, "max_threads": 1, "codec": "aom",
     "advanced": {"tune": "psnr"}},
    {"format": "WEBP", "quality": 60, "method": 4},
    {"format": "WEBP", "quality": 85, "method": 4},
)
"""Tried in turn until the image is faithful. AVIF tuned for the squared error, which is what the comparison sees, takes
two thirds of WebP's bytes at the same noise. It takes three times as long, so what it fails at (pale print, mostly) is
left to WebP."""
MOST_CODEC_ERROR = 0.07
"""What a codec may change in a line, relative to the line's ink range: smoothed and averaged over 3 x 3 pixels, as the
comparison does."""

X_HEIGHTS = 1.3
"""Letters without ascenders are this much lower than others of their size: only lower print is smaller print."""
LEADERS = 0.15
"""Lower rows of marks, as a share of the line's height, are points and dashes ..."""
ASTERISKS, FLOATING = 0.45, 0.75
"""... and those lower than the first of these that end above the second are asterisks or primes. Small print stands on
the line."""

_MAGIC = b"OCRproof"
_VERSION = 2
_HEADER = struct.Struct("<8sHIIIIIII")  # magic, version, crc, page w, h, image w, h, number of lines, bytes of lines
_UNIT = 16  # boxes and heights are kept in sixteenths of a pixel
_MAX_LINES = 100_000
_PROFILE_ROWS = 32
_SMOOTHING = 0.7  # sigma in pixels, of the comparison


class ProofError(ValueError):
    """The bytes are no proof that this version can read. Callers take it for no proof at all."""


@dataclass(frozen=True, eq=False)
class Proof:
    """
    ``image``: uint8 (h, w), grey.
    ``quads``: float32 (n, 4, 2), the corners (x, y) of each line in proof pixels, clockwise from its text's top-left.
    ``text_heights``: float32 (n,), how high each line's ink is, in proof pixels.
    ``page_size``: (width, height) of the original page in pixels.
    """

    image: np.ndarray
    quads: np.ndarray
    text_heights: np.ndarray
    page_size: tuple[int, int]

    @property
    def scale(self) -> float:
        """Proof pixels per page pixel, at most 1."""
        return self.image.shape[1] / self.page_size[0]

    def is_of(self, boxes: Sequence[Sequence[Sequence[float]]]) -> bool:
        """Whether this is the proof of a record with lines at ``boxes`` (n quads in pixels of the original page)."""
        if len(boxes) != len(self.quads):
            return False
        height, width = self.image.shape
        scale = np.float32([width / self.page_size[0], height / self.page_size[1]])
        return bool(np.abs(np.float32(boxes).reshape(-1, 4, 2) * scale - self.quads).max(initial=0) < 1)

    @cached_property
    def boxes(self) -> np.ndarray:
        """float32 (n, 4): left, top, right, bottom of each line's upright bounding box in proof pixels."""
        return np.concatenate([self.quads.min(axis=1), self.quads.max(axis=1)], axis=1).reshape(-1, 4)

    def to_bytes(self, ahead: EncodedImage | None = None) -> bytes:
        """One versioned blob: header, checksum, lines, image (AVIF or WebP). ``ahead``: the page's image, encoded when
        not all was known of its lines; it is taken when it would come out the same."""
        image = ahead.blob if ahead and ahead.is_of(self) else EncodedImage.of(self).blob
        lines = _packed(self.quads, self.text_heights)
        height, width = self.image.shape
        facts = (*self.page_size, width, height, len(self.quads), len(lines))
        return _HEADER.pack(_MAGIC, _VERSION, _checksum(facts, lines + image), *facts) + lines + image

    @classmethod
    def from_bytes(cls, blob: bytes) -> Proof:
        """Raises :class:`ProofError` for anything but a whole proof of this version."""
        if len(blob) < _HEADER.size:
            raise ProofError("too short")
        magic, version, checksum, *facts = _HEADER.unpack_from(blob)
        if magic != _MAGIC or version != _VERSION:
            raise ProofError("not a proof of this version")
        body = blob[_HEADER.size:]
        page_width, page_height, width, height, count, line_bytes = facts
        if checksum != _checksum(facts, body):
            raise ProofError("damaged")
        if not (0 < width <= page_width and 0 < height <= page_height and width * height <= MAX_PIXELS and
                count <= _MAX_LINES):
            raise ProofError("impossible sizes")
        quads, heights = _unpacked(body[:line_bytes], count)
        return cls(_decoded(body[line_bytes:], (width, height)), quads, heights, (page_width, page_height))


@dataclass(frozen=True)
class EncodedImage:
    """A proof's image, and what it was encoded for. ``size``: (width, height). ``boxes``: those that it is faithful
    in, as :attr:`Proof.boxes` has them."""

    blob: bytes
    size: tuple[int, int]
    boxes: frozenset[tuple[float, ...]]

    @classmethod
    def of(cls, proof: Proof) -> EncodedImage:
        """The image of ``proof``. Raises :class:`ProofError` when no codec takes it."""
        return cls(_encoded(proof.image, proof.boxes), proof.image.shape[::-1], _set_of(proof.boxes))

    def is_of(self, proof: Proof) -> bool:
        """Whether it is the image of ``proof``, which is of the same page."""
        return self.size == proof.image.shape[::-1] and _set_of(proof.boxes) <= self.boxes


def _set_of(boxes: np.ndarray) -> frozenset[tuple[float, ...]]:
    return frozenset(map(tuple, boxes.tolist()))


def encode_image(page: np.ndarray, boxes: np.ndarray) -> EncodedImage:
    """The costly part of :func:`encode_proof`, before it is known which of ``boxes`` hold text and where it begins."""
    return EncodedImage.of(_drawn(page, boxes))


def encode_proof(page: np.ndarray, boxes: np.ndarray, ahead: EncodedImage | None = None) -> bytes:
    """What is stored as the proof of ``page`` (uint8 RGB, (h, w, 3)) with lines at ``boxes`` (float, (n, 4, 2) quads in
    page pixels). ``ahead``: what :func:`encode_image` made of the same page."""
    return _drawn(page, boxes).to_bytes(ahead)


def _drawn(page: np.ndarray, boxes: np.ndarray) -> Proof:
    quads = np.asarray(boxes, np.float32).reshape(-1, 4, 2)
    if len(quads) > _MAX_LINES or not np.isfinite(quads).all() or np.abs(quads).max(initial=0) > 1e6:
        raise ValueError("boxes must be finite, inside the page and at most 100,000")
    height, width = page.shape[:2]
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    heights = text_heights(grey, quads)
    scale = proof_scale(width, height, heights)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    quads = quads * np.float32([size[0] / width, size[1] / height])
    return Proof(grey, quads, heights * np.float32(size[1] / height), (width, height))


def make_proof(page: np.ndarray, boxes: np.ndarray) -> Proof:
    """The proof of ``page`` as a look-up finds it: what comes out of the codec, not what went in."""
    return Proof.from_bytes(encode_proof(page, boxes))


def proof_scale(width: int, height: int, heights: np.ndarray) -> float:
    """How much a page of ``width`` x ``height`` pixels with text of ``heights`` (n,) pixels is reduced, in (0, 1]."""
    limits = [1.0, (MAX_PIXELS / (width * height)) ** 0.5 * 0.999, MAX_SIDE / max(width, height)]
    if len(heights):
        scale = TARGET_TEXT_HEIGHT / max(1.0, float(np.percentile(heights, 20)))
        limits.append(1.0 if scale > KEPT_SCALE else scale)
    return min(limits)


def text_heights(grey: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """float32 (n,): the height of the ink in each of ``quads`` (n, 4, 2) of ``grey`` (uint8 (h, w)), in pixels.

    Detectors leave between nothing and half a line around the text, so a box does not say how large its letters are.
    """
    return np.float32([_text_height(grey, quad) for quad in quads])


def _text_height(grey: np.ndarray, quad: np.ndarray) -> float:
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    across, along = float(sides[1] + sides[3]) / 2, float(sides[0] + sides[2]) / 2
    if across > 2.5 * along:  # a vertical line: its letters are as high as it is wide
        quad, across, along = np.roll(quad, -1, axis=0), along, across
    if across < 1 or along < 1:
        return across
    rows = _PROFILE_ROWS
    columns = int(np.clip(along / across * rows, rows // 2, 20 * rows))
    target = np.float32([[0, 0], [columns, 0], [columns, rows], [0, rows]])
    line = cv2.warpPerspective(grey, cv2.getPerspectiveTransform(quad.astype(np.float32), target), (columns, rows),
                               flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    ink = np.abs(line - np.median(line))
    share = (ink > 0.4 * ink.max()).mean(axis=1)
    share[share > 0.75] = 0  # rules
    mass = np.cumsum(share)
    if mass[-1] <= 0:
        return across
    low, high = np.searchsorted(mass, [0.02 * mass[-1], 0.98 * mass[-1]])
    tallest = float(high - low + 1) / rows * across
    return min(tallest, X_HEIGHTS * _least_height(ink > 0.4 * ink.max(), int(low), int(high)) / rows * across)


def _least_height(ink: np.ndarray, low: int, high: int) -> float:
    """The height of the smallest print in a line, in rows of ``ink`` (bool (rows, columns)); its print fills ``low`` to
    ``high``. A character is what stands between blank columns; three beside each other count as the highest of them,
    for points and dashes are low in any print."""
    inked = np.pad(ink[low:high + 1], ((0, 0), (1, 1)))
    edges = np.flatnonzero(np.diff(inked.any(axis=0).astype(np.int8)))
    heights = []
    for left, right in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        filled = np.flatnonzero(inked[:, left + 1:right + 1].any(axis=1))
        height = float(filled[-1] - filled[0] + 1)
        is_mark = height < ASTERISKS * len(inked) and filled[-1] < FLOATING * len(inked)
        heights.append(float(len(inked)) if is_mark else height)
    if len(heights) < 3:
        return float(high - low + 1)
    highest = np.maximum.reduce([heights[:-2], heights[1:-1], heights[2:]])
    return float(highest[highest >= LEADERS * (high - low + 1)].min(initial=high - low + 1))


def _encoded(image: np.ndarray, boxes: np.ndarray) -> bytes:
    """``image`` by the first codec that is built in and keeps every stroke in ``boxes`` (float32 (n, 4))."""
    blob = None
    for options in CODECS:
        buffer = io.BytesIO()
        try:
            Image.fromarray(image).save(buffer, **options)
        except (KeyError, OSError, ValueError):  # not built in, or the image is beyond its limits
            continue
        blob = buffer.getvalue()
        if is_faithful(image, _decoded(blob, image.shape[::-1]), boxes):
            break
    if blob is None:
        raise ProofError("the image could not be encoded")
    return blob


def is_faithful(image: np.ndarray, decoded: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether ``decoded`` (uint8 (h, w)) shows all strokes that ``image`` has in ``boxes`` (float32 (n, 4)).

    An encoder that spends its bits elsewhere, or draws one glyph with another's pixels, must not become a proof.
    """
    height, width = image.shape
    change = cv2.GaussianBlur(cv2.subtract(decoded, image, dtype=cv2.CV_32F), (0, 0), _SMOOTHING)
    error = np.abs(cv2.blur(change, (3, 3)))
    for x0, y0, x1, y1 in np.clip(np.round(boxes), 0, [width, height, width, height]).astype(int).tolist():
        line = image[y0:y1, x0:x1]
        if line.size and error[y0:y1, x0:x1].max() > max(3.0, MOST_CODEC_ERROR * float(np.ptp(line))):
            return False
    return True


def _decoded(blob: bytes, size: tuple[int, int]) -> np.ndarray:
    """uint8 (h, w): the image of ``size`` (width, height) in ``blob``."""
    try:
        with Image.open(io.BytesIO(blob), formats=("AVIF", "WEBP")) as image:
            if image.size != size:
                raise ProofError("inconsistent")
            # Three equal channels, or nearly so after WebP: the first is the grey.
            return np.array(image if image.mode == "L" else image.convert("RGB").getchannel(1))
    except (OSError, ValueError, SyntaxError) as error:
        raise ProofError("undecodable") from error


def _packed(quads: np.ndarray, heights: np.ndarray) -> bytes:
    """Corners relative to the first, that to the line before; zigzag, by bytes of one weight, deflated."""
    units = np.concatenate([quads.reshape(-1, 8), heights.reshape(-1, 1)], axis=1)
    units = np.round(units * _UNIT).astype(np.int32)
    units[:, 2:8] -= np.tile(units[:, :2], 3)
    units[1:, :2] -= units[:-1, :2].copy()
    zigzag = ((units << 1) ^ (units >> 31)).astype("<u4")
    planes = np.ascontiguousarray(zigzag.T).view(np.uint8).reshape(9, -1, 4).transpose(0, 2, 1)
    return zlib.compress(planes.tobytes(), 9)


def _unpacked(blob: bytes, count: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 (n, 4, 2) quads and float32 (n,) heights of ``count`` lines."""
    size = count * 9 * 4
    try:
        raw = zlib.decompressobj().decompress(blob, size + 1)
    except zlib.error as error:
        raise ProofError("undecodable") from error
    if len(raw) != size:
        raise ProofError("inconsistent")
    planes = np.frombuffer(raw, np.uint8).reshape(9, 4, count).transpose(0, 2, 1)
    zigzag = np.ascontiguousarray(planes).reshape(9, count * 4).view("<u4").T.astype(np.int64)
    units = (zigzag >> 1) ^ -(zigzag & 1)
    units[:, :2] = np.cumsum(units[:, :2], axis=0)
    units[:, 2:8] += np.tile(units[:, :2], 3)
    values = (units / _UNIT).astype(np.float32)
    return values[:, :8].reshape(-1, 4, 2), values[:, 8].copy()


def _checksum(facts: tuple[int, ...] | list[int], body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(repr(tuple(facts)).encode()))
