"""The pages of a TIFF, read from its chain of image file directories (TIFF 6.0, section 2; BigTIFF).

Pillow learns of a page only by walking to it, at a cost that grows with what the file claims; this walk reads no more
than it needs, within a bound, and says how large each page is before anything is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gateway.errors import BrokenImage, TooLarge

# Entries of all directories together. A page has some 15 to 60.
MAX_ENTRIES = 200_000
# Pillow's walk to a page compares each directory with all before it.
MAX_DIRECTORIES = 10_000
# Strips or tiles of one page; 50 megapixels in tiles of 16 x 16 have 195,000.
MAX_STRIPS = 1 << 18

_SUBFILE_TYPE, _WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH = 254, 256, 257, 322, 323
_READ = {_SUBFILE_TYPE, _WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH}
_STRIP_TABLES = {273, 279, 324, 325}
_REDUCED_OR_MASK = 0b101
_SIZES = {1: "B", 3: "H", 4: "L", 16: "Q"}


@dataclass(frozen=True, slots=True)
class TiffPage:
    """``index``: the position in the chain, from 0. ``width``, ``height``: as stored, in pixels."""

    index: int
    width: int
    height: int


def tiff_pages(upload: bytes) -> list[TiffPage]:
    """The pages in order; previews and masks kept beside them are left out.

    Raises :class:`~gateway.errors.BrokenImage` for a chain that is cut or loops or has absurd tables,
    :class:`~gateway.errors.TooLarge` for one that never seems to end.
    """
    try:
        return _walk(upload)
    except (struct.error, IndexError, OverflowError):
        raise BrokenImage("The TIFF file is cut off or its page list is damaged.") from None


def _walk(upload: bytes) -> list[TiffPage]:
    order = "<" if upload[:2] == b"II" else ">"
    big = 43 in upload[2:4]
    count_format, entry_format, offset_format = (
        (order + "Q", order + "HHQ", order + "Q") if big else (order + "H", order + "HHL", order + "L")
    )
    count_size, entry_size, value_at = (8, 20, 12) if big else (2, 12, 8)
    (offset,) = struct.unpack_from(offset_format, upload, 8 if big else 4)
    seen: set[int] = set()
    pages: list[TiffPage] = []
    previews: list[TiffPage] = []
    entries = 0
    while offset:
        if offset in seen:
            raise BrokenImage("The pages of the TIFF file refer to each other in a loop.")
        seen.add(offset)
        if len(seen) > MAX_DIRECTORIES:
            raise TooLarge(f"The TIFF file has more than {MAX_DIRECTORIES} pages. Send it in parts.")
        (count,) = struct.unpack_from(count_format, upload, offset)
        entries += count + 1
        if entries > MAX_ENTRIES:
            raise BrokenImage("The TIFF file has more directory entries than any scanner or program writes.")
        tags: dict[int, int] = {}
        for at in range(offset + count_size, offset + count_size + count * entry_size, entry_size):
            tag, kind, values = struct.unpack_from(entry_format, upload, at)
            if tag in _STRIP_TABLES and values > MAX_STRIPS:
                raise BrokenImage("The TIFF file has more strips or tiles than any scanner or program writes.")
            if tag in _READ:
                # Decoders disagree on what to make of anything else here, so it must not hide a size from this walk.
                if values != 1 or kind not in _SIZES:
                    raise BrokenImage("A page of the TIFF file has no proper size.")
                (value,) = struct.unpack_from(order + _SIZES[kind], upload, at + value_at)
                tags[tag] = max(value, tags.get(tag, 0))
        # A decoder holds a whole tile, however small the page is.
        width = max(tags.get(_WIDTH, 0), tags.get(_TILE_WIDTH, 0))
        height = max(tags.get(_LENGTH, 0), tags.get(_TILE_LENGTH, 0))
        page = TiffPage(len(seen) - 1, width, height)
        (previews if tags.get(_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK else pages).append(page)
        (offset,) = struct.unpack_from(offset_format, upload, offset + count_size + count * entry_size)
    pages = pages or previews
    if not pages:
        raise BrokenImage("The TIFF file has no pages.")
    if any(not (page.width and page.height) for page in pages):
        raise BrokenImage("A page of the TIFF file has no size.")
    return pages
