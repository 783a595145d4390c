"""Bounds on what a file is made of, checked before a decoder sees it.

The pixel limit does not bound everything: a small picture can carry millions of chunks, comments or scans, each of
which costs a decoder time or memory. These walks read structure only and stop at the first bound passed.
They do not validate; what is malformed here is left to the decoder to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.errors import BrokenImage
from gateway.image.pages import ImageLimits, check_pixels

# Scans of one progressive JPEG, as in libtiff (LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER). Encoders write about ten;
# a scan of a hundred bytes can cost a pass over all pixels.
MAX_JPEG_SCANS = 100
MAX_JPEG_SEGMENTS = 4096
MAX_JPEG_JUNK = 1 << 16
# 20 MB in chunks of 1 KB, smaller than any encoder's.
MAX_PNG_CHUNKS = 1 << 15
MAX_GIF_BLOCKS = 1 << 16
# Pillow unpacks run-length BMP in Python, a quarter of a microsecond a byte; packing gives 2 bytes a pixel at worst.
MAX_BMP_RLE_PIXELS = 4_000_000
MAX_BMP_RLE_BYTES_PER_PIXEL = 2.5

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_JPEG_SCAN_END = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")


def check_structure(image_format: str, upload: bytes, limits: ImageLimits) -> None:
    """Raise ``TooLarge`` or ``BrokenImage`` when ``upload`` passes a bound of its format."""
    check = _CHECKS.get(image_format)
    if check is not None:
        check(upload, limits)


def _excess(parts: str) -> BrokenImage:
    return BrokenImage(f"The file has more {parts} than any camera, scanner or program writes. Save it anew.")


def _check_jpeg(upload: bytes, limits: ImageLimits) -> None:
    position = 2
    junk = segments = scans = 0
    while (marker := _JPEG_MARKER.search(upload, position)) is not None:
        junk += marker.end() - position - 2
        segments += 1
        if segments > MAX_JPEG_SEGMENTS or junk > MAX_JPEG_JUNK:
            raise _excess("segments")
        code = marker[1][0]
        position = marker.end()
        if code == 0xD9:
            return
        if 0xD0 <= code <= 0xD8 or code == 0x01:
            continue
        position += int.from_bytes(upload[position : position + 2], "big")
        if code == 0xDA:
            scans += 1
            if scans > MAX_JPEG_SCANS:
                raise _excess("scans")
            end = _JPEG_SCAN_END.search(upload, position)
            if end is None:
                return
            position = end.start()


def _check_png(upload: bytes, limits: ImageLimits) -> None:
    position = 8
    for _ in range(MAX_PNG_CHUNKS):
        kind = upload[position + 4 : position + 8]
        if len(kind) < 4 or kind == b"IEND":
            return
        position += 12 + int.from_bytes(upload[position : position + 4], "big")
    raise _excess("chunks")


def _check_gif(upload: bytes, limits: ImageLimits) -> None:
    # Opening a GIF may already allocate its first frame, so its size is checked here.
    canvas_width, canvas_height = _le16(upload, 6), _le16(upload, 8)
    check_pixels([(canvas_width, canvas_height)], limits)
    flags = upload[10] if len(upload) > 10 else 0
    position = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    blocks = 0
    while (introducer := upload[position : position + 1]) not in (b"", b";"):
        blocks += 1
        if blocks > MAX_GIF_BLOCKS:
            raise _excess("blocks")
        if introducer == b",":
            right = _le16(upload, position + 1) + _le16(upload, position + 5)
            bottom = _le16(upload, position + 3) + _le16(upload, position + 7)
            check_pixels([(max(right, canvas_width), max(bottom, canvas_height))], limits)
            return
        position += 1
        if introducer == b"!":
            position += 1
            while size := int.from_bytes(upload[position : position + 1], "little"):
                position += 1 + size
                blocks += 1
                if blocks > MAX_GIF_BLOCKS:
                    raise _excess("blocks")
            position += 1


def _check_webp(upload: bytes, limits: ImageLimits) -> None:
    # libwebp allocates two canvases when a file is opened. Layouts: RFC 9649, sections 2.5 to 2.7.
    kind = upload[12:16]
    if kind == b"VP8X" and len(upload) >= 30:
        size = int.from_bytes(upload[24:27], "little") + 1, int.from_bytes(upload[27:30], "little") + 1
    elif kind == b"VP8L" and len(upload) >= 25:
        packed = int.from_bytes(upload[21:25], "little")
        size = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and len(upload) >= 30:
        size = _le16(upload, 26) & 0x3FFF, _le16(upload, 28) & 0x3FFF
    else:
        raise BrokenImage("The WebP file has no image header.")
    check_pixels([size], limits)


def _check_bmp(upload: bytes, limits: ImageLimits) -> None:
    if int.from_bytes(upload[14:18], "little") < 40 or int.from_bytes(upload[30:34], "little") not in (1, 2):
        return
    width = int.from_bytes(upload[18:22], "little", signed=True)
    height = int.from_bytes(upload[22:26], "little", signed=True)
    pixels = abs(width * height)
    if pixels > MAX_BMP_RLE_PIXELS or len(upload) > 4096 + MAX_BMP_RLE_BYTES_PER_PIXEL * pixels:
        raise BrokenImage("A run-length encoded BMP of this size is not read. Save it as PNG.")


def _le16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


_CHECKS: dict[str, Callable[[bytes, ImageLimits], None]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "GIF": _check_gif,
    "WEBP": _check_webp,
    "BMP": _check_bmp,
}
