"""AVIF, HEIC and PDF, decoded in a process of their own.

Their headers do not bound what decoding costs: the coded picture of an AVIF may be far larger than it states, a PDF
page is a program, and pdfium is not thread-safe. A process bounds memory and time, takes nothing down when it crashes,
and holds none of the gateway's secrets or connections.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

from gateway.errors import BrokenImage, Overloaded, ReadingTimedOut, TooLarge
from gateway.image.budget import room_for
from gateway.image.faults import BROKEN, decoding
from gateway.image.pages import Document, ImageLimits, PageRange, check_pixels, select_pages
from gateway.image.pixels import rgb_strip, upright

logger = logging.getLogger(__name__)

# PDF points are 1/72 inch; below this resolution ordinary print (10 points) is no longer legible.
MIN_PDF_DPI = 72
CPU_SECONDS = 20
WALL_SECONDS = 40.0

_PROGRAM = Path(__file__).with_name("child.py")
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG")
# A PDF ends in %%EOF within its last 1024 bytes (PDF Reference 1.7, appendix H, note 18); pdfium would repair a
# truncated file and draw what is left of it.
_PDF_END_WITHIN = 1024
_SPATIAL_EXTENTS = re.compile(rb"\0\0\0\x14ispe\0\0\0\0(.{8})", re.DOTALL)


def decode_isolated(upload: bytes, image_format: str, limits: ImageLimits, pages: PageRange | None) -> Document:
    """The asked pages of a PDF, or the primary picture of an AVIF or HEIC file.

    PDF pages are drawn at ``limits.pdf_dpi``, or when that is over the pixel limit at the highest resolution, down to
    :data:`MIN_PDF_DPI`, at which all of them are within it.
    """
    if image_format == "PDF" and b"%%EOF" not in upload.rstrip(b"\0\t\n\f\r ")[-_PDF_END_WITHIN:]:
        raise BrokenImage("The PDF document is cut off. Send it again.")
    if image_format != "PDF":
        _check_stated_sizes(upload, limits)
    with _Decoder.started(image_format, limits) as decoder, decoding(limits):
        decoder.give(upload)
        page_count = decoder.receive()["page_count"]
        numbers = select_pages(page_count, limits, pages)
        decoder.send(numbers=numbers)
        sizes = [(float(width), float(height)) for width, height in decoder.receive()["sizes"]]
        scale = _pdf_scale(sizes, limits) if image_format == "PDF" else 1.0
        pixels = check_pixels([_scaled(size, scale) for size in sizes], limits)
        with room_for(pixels, image_format, limits):
            decoder.send(scale=scale)
            decoded = tuple(decoder.page(_scaled(size, scale)) for size in sizes)
    return Document(decoded, numbers, page_count, image_format)


def _check_stated_sizes(upload: bytes, limits: ImageLimits) -> None:
    """Refuse a HEIF container in which even the smallest picture states too many pixels (ISO/IEC 23008-12, 6.5.3).

    libavif has a limit of its own and calls what is over it invalid.
    """
    stated = [struct.unpack(">II", extents[1]) for extents in _SPATIAL_EXTENTS.finditer(upload)]
    if stated:
        check_pixels([min(stated, key=math.prod)], limits)


def _scaled(size: tuple[float, float], scale: float) -> tuple[int, int]:
    return math.ceil(size[0] * scale), math.ceil(size[1] * scale)


def _pdf_scale(sizes: list[tuple[float, float]], limits: ImageLimits) -> float:
    """Pixels per point."""
    if not all(0 < side < math.inf for size in sizes for side in size):
        raise BrokenImage("A page of the PDF document has no size.")
    scale = limits.pdf_dpi / 72
    while (pixels := sum(math.prod(_scaled(size, scale)) for size in sizes)) > limits.max_pixels:
        scale *= min(0.999, math.sqrt(limits.max_pixels / pixels))
        if scale * 72 < MIN_PDF_DPI:
            raise TooLarge(
                f"The pages are too large to be drawn legibly within {limits.max_pixels / 1e6:g} megapixels. "
                "Ask for fewer at once (pages=), or send smaller ones."
            )
    return scale


class _Decoder:
    """The parent's end of ``child.py``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None  # pipes, both
        self._process, self._to, self._from = process, process.stdin, process.stdout
        self._timed_out = False

    @classmethod
    @contextmanager
    def started(cls, image_format: str, limits: ImageLimits) -> Iterator[_Decoder]:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", str(_PROGRAM), image_format, str(limits.max_pixels), str(CPU_SECONDS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # No secrets; one arena, since each reserves address space, which is limited.
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"MALLOC_ARENA_MAX": "1"},
                cwd="/",
            )
        except OSError as error:
            logger.error("no process to decode %s in: %s", image_format, error.strerror)
            raise Overloaded("No room to decode this document now.", retry_after=5) from None
        decoder = cls(process)
        timer = threading.Timer(WALL_SECONDS, decoder._time_out)
        timer.daemon = True
        timer.start()
        try:
            yield decoder
        finally:
            timer.cancel()
            process.kill()
            decoder._from.close()
            with suppress(BrokenPipeError):
                decoder._to.close()
            process.wait()

    def _time_out(self) -> None:
        self._timed_out = True
        self._process.kill()

    def give(self, upload: bytes) -> None:
        try:
            self._to.write(len(upload).to_bytes(8, "big"))
            self._to.write(upload)
            self._to.flush()
        except BrokenPipeError:
            self._raise_fault()

    def send(self, **message: object) -> None:
        try:
            self._to.write(json.dumps(message).encode() + b"\n")
            self._to.flush()
        except BrokenPipeError:
            self._raise_fault()

    def receive(self) -> dict:
        line = self._from.readline()
        if not line.endswith(b"\n"):
            self._raise_fault()
        message = json.loads(line)
        if message.get("fault") == "encrypted":
            raise BrokenImage("The PDF document is encrypted. Send it without a password.")
        if "fault" in message:
            raise BrokenImage(BROKEN)
        return message

    def page(self, announced: tuple[int, int]) -> np.ndarray:
        """One page as (h, w, 3) uint8, upright."""
        message = self.receive()
        width, height, mode = message["width"], message["height"], message["mode"]
        if (width, height) != announced:
            raise BrokenImage(BROKEN)
        return upright(self._strips(width, height, mode, message["rows"]), width, height, message["orientation"])

    def _strips(self, width: int, height: int, mode: str, rows: int) -> Iterator[np.ndarray]:
        for top in range(0, height, rows):
            size = width, min(rows, height - top)
            length = len(Image.new(mode, (1, 1)).tobytes()) * size[0] * size[1]
            data = self._from.read(length)
            if len(data) != length:
                self._raise_fault()
            yield rgb_strip(Image.frombytes(mode, size, data))

    def _raise_fault(self) -> NoReturn:
        """The decoder is gone."""
        returned = self._process.wait()
        logger.info("isolated decoder ended: %s", returned)
        if self._timed_out or returned == -signal.SIGXCPU:
            raise ReadingTimedOut("The document takes too long to decode. Send it as a plain image.")
        raise BrokenImage(BROKEN)
