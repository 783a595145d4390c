"""Still images, decoded by Pillow in this process: JPEG, PNG, WebP, TIFF, BMP, GIF."""

from __future__ import annotations

import logging
import warnings
from io import BytesIO

import numpy as np
from PIL import Image, TiffImagePlugin

from gateway.errors import BrokenImage
from gateway.image.budget import room_for
from gateway.image.faults import BROKEN, decoding
from gateway.image.pages import Document, ImageLimits, PageRange, check_pixels, select_pages
from gateway.image.pixels import orientation_of, rgb_strips, upright
from gateway.image.structure import check_structure
from gateway.image.tiff import TiffPage, tiff_pages

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0

# Pillow warns of damaged metadata, with figures out of the file: a line in the log and an entry in the module's
# registry for each new one, both for a stranger to fill.
warnings.filterwarnings("ignore", module=r"PIL\.")
# At DEBUG it logs every tag it reads, descriptions and makers' notes included.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


def decode_raster(upload: bytes, image_format: str, limits: ImageLimits, pages: PageRange | None) -> Document:
    """The first frame of an image, or the asked pages of a TIFF."""
    check_structure(image_format, upload, limits)
    # Pillow's own limit, a second line behind ours, must not be the narrower one.
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, limits.max_pixels)
    if image_format == "TIFF":
        return _decode_tiff(upload, limits, pages)
    numbers = select_pages(1, limits, pages)
    with decoding(limits):
        image = Image.open(BytesIO(upload), formats=[image_format])
    check_pixels([image.size], limits)
    with room_for(image.width * image.height, image_format, limits), decoding(limits):
        image.load()
        if image_format == "WEBP":
            vars(image).pop("_decoder", None)  # two canvases, no longer of use: 8 bytes a pixel
        page = _page(image)
    return Document((page,), numbers, 1, image_format)


def _decode_tiff(upload: bytes, limits: ImageLimits, pages: PageRange | None) -> Document:
    found = tiff_pages(upload)
    numbers = select_pages(len(found), limits, pages)
    chosen = [found[number - 1] for number in numbers]
    pixels = check_pixels([(page.width, page.height) for page in chosen], limits)
    with room_for(pixels, "TIFF", limits), decoding(limits):
        image = TiffImagePlugin.TiffImageFile(BytesIO(upload))
        decoded = tuple(_tiff_page(image, page) for page in chosen)
    return Document(decoded, numbers, len(found), "TIFF")


def _tiff_page(image: TiffImagePlugin.TiffImageFile, page: TiffPage) -> np.ndarray:
    image.seek(page.index)
    if image.width * image.height > page.width * page.height:
        raise BrokenImage(BROKEN)
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))
    bits = bits[0] if isinstance(bits, tuple) else bits
    white_is_zero = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    image.load()  # turns it upright, too
    return _page(image, bits=bits if 8 < bits <= 16 else 16, white_is_zero=white_is_zero)


def _page(image: Image.Image, *, bits: int = 16, white_is_zero: bool = False) -> np.ndarray:
    strips = rgb_strips(image, bits=bits, white_is_zero=white_is_zero)
    return upright(strips, *image.size, orientation_of(image))
