"""The proof: what is kept of an original page so that a later picture can be verified against it.

A grey image of the page, just large enough to tell its characters apart, and the boxes of its lines.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

TARGET_TEXT_HEIGHT = 16.0
"""Pixels that the 20th percentile of the text heights is brought to. Below about 12 px the margin between a changed
character and a re-encoded one gets thin."""
MAX_PIXELS = 2_500_000
MAX_SIDE = 16_000
"""WebP ends at 16,383."""
WEBP_QUALITY = 60

_MAGIC = b"OCRproof"
_VERSION = 1
_HEADER = struct.Struct("<8sHIIIIIII")  # magic, version, crc, page w, h, image w, h, number of boxes, bytes of boxes
_BOX_UNIT = 16  # boxes are kept in sixteenths of a pixel
_MAX_LINES = 100_000
_PROFILE_ROWS = 32


class ProofError(ValueError):
    """The bytes are no proof that this version can read. Callers take it for no proof at all."""


@dataclass(frozen=True, eq=False)
class Proof:
    """
    ``image``: uint8 (h, w), grey.
    ``quads``: float32 (n, 4, 2), the corners (x, y) of each line in proof pixels, clockwise from its text's top-left.
    ``page_size``: (width, height) of the original page in pixels.
    """

    image: np.ndarray
    quads: np.ndarray
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

    @cached_property
    def text_heights(self) -> np.ndarray:
        """float32 (n,): how high each line's ink is, in proof pixels."""
        return text_heights(self.image, self.quads)

    def to_bytes(self) -> bytes:
        """One versioned blob: header, checksum, boxes, WebP."""
        done, webp = cv2.imencode(".webp", self.image, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
        if not done:
            raise ProofError("the image could not be encoded")
        boxes = zlib.compress(np.round(self.quads * _BOX_UNIT).astype("<i4").tobytes(), 9)
        body = boxes + webp.tobytes()
        height, width = self.image.shape
        facts = (*self.page_size, width, height, len(self.quads), len(boxes))
        return _HEADER.pack(_MAGIC, _VERSION, _checksum(facts, body), *facts) + body

    @classmethod
    def from_bytes(cls, blob: bytes) -> Proof:
        """Raises :class:`ProofError` for anything but a whole proof of this version."""
        if len(blob) < _HEADER.size:
            raise ProofError("too short")
        magic, version, checksum, *facts = _HEADER.unpack_from(blob)
        if magic != _MAGIC or version != _VERSION:
            raise ProofError("not a proof of this version")
        body = blob[_HEADER.size:]
        page_width, page_height, width, height, count, box_bytes = facts
        if checksum != _checksum(facts, body):
            raise ProofError("damaged")
        if not (0 < width <= page_width and 0 < height <= page_height and width * height <= MAX_PIXELS and
                count <= _MAX_LINES):
            raise ProofError("impossible sizes")
        size = count * 8 * 4
        try:
            inflater = zlib.decompressobj()
            raw = inflater.decompress(body[:box_bytes], size + 1)
            image = cv2.imdecode(np.frombuffer(body[box_bytes:], np.uint8), cv2.IMREAD_GRAYSCALE)
        except (zlib.error, cv2.error) as error:
            raise ProofError("undecodable") from error
        if len(raw) != size or image is None or image.shape != (height, width):
            raise ProofError("inconsistent")
        quads = (np.frombuffer(raw, "<i4").reshape(count, 4, 2) / _BOX_UNIT).astype(np.float32)
        return cls(image, quads, (page_width, page_height))


def encode_proof(page: np.ndarray, boxes: np.ndarray) -> bytes:
    """What is stored as the proof of ``page`` (uint8 RGB, (h, w, 3)) with lines at ``boxes`` (float, (n, 4, 2) quads in
    page pixels)."""
    quads = np.asarray(boxes, np.float32).reshape(-1, 4, 2)
    if len(quads) > _MAX_LINES or not np.isfinite(quads).all() or np.abs(quads).max(initial=0) > 1e6:
        raise ValueError("boxes must be finite, inside the page and at most 100,000")
    height, width = page.shape[:2]
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    scale = proof_scale(width, height, text_heights(grey, quads))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    quads = quads * np.float32([size[0] / width, size[1] / height])
    return Proof(grey, quads, (width, height)).to_bytes()


def make_proof(page: np.ndarray, boxes: np.ndarray) -> Proof:
    """The proof of ``page`` as a look-up finds it: what comes out of the codec, not what went in."""
    return Proof.from_bytes(encode_proof(page, boxes))


def proof_scale(width: int, height: int, heights: np.ndarray) -> float:
    """How much a page of ``width`` x ``height`` pixels with text of ``heights`` (n,) pixels is reduced, in (0, 1]."""
    limits = [1.0, (MAX_PIXELS / (width * height)) ** 0.5 * 0.999, MAX_SIDE / max(width, height)]
    if len(heights):
        limits.append(TARGET_TEXT_HEIGHT / max(1.0, float(np.percentile(heights, 20))))
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
    return float(high - low + 1) / rows * across


def _checksum(facts: tuple[int, ...] | list[int], body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(repr(tuple(facts)).encode()))
