"""Uploaded bytes → upright RGB pages, within limits, whatever the bytes are."""

from __future__ import annotations

from gateway.errors import BadRequest, UnsupportedImage
from gateway.image.isolated import decode_isolated
from gateway.image.pages import Document, ImageLimits, PageRange
from gateway.image.raster import decode_raster
from gateway.image.sniff import sniff

__all__ = ["Document", "ImageLimits", "PageRange", "decode"]

_ISOLATED = {"AVIF", "HEIC", "PDF"}


def decode(upload: bytes, limits: ImageLimits, pages: PageRange | None = None) -> Document:
    """Decode ``upload``; its bytes, not its name or declared type, say what it is.

    EXIF orientation is applied, transparency lies on white, animations give their first frame.
    Sizes are checked before pixels are decoded. Thread-safe.

    Raises ``BadRequest`` (empty, or ``pages`` beyond the document), ``UnsupportedImage`` (no known format),
    ``TooLarge`` (over the pixel or page limit), ``BrokenImage`` (truncated, corrupt, encrypted), ``Overloaded``
    (no memory or room now), ``ReadingTimedOut`` (takes too long to draw).
    """
    if not upload:
        raise BadRequest("The image is empty.")
    image_format = sniff(upload)
    if image_format is None:
        raise UnsupportedImage("Send a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC image, or a PDF document.")
    if image_format in _ISOLATED:
        return decode_isolated(upload, image_format, limits, pages)
    return decode_raster(upload, image_format, limits, pages)
