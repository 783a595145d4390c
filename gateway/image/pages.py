"""What is asked of a decoder and what it gives: limits, page ranges, documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gateway.errors import BadRequest, BrokenImage, TooLarge

_RANGE = re.compile(r"([1-9][0-9]{0,6})(?:-([1-9][0-9]{0,6}))?")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """``max_pixels``: over all pages decoded at once. ``pdf_dpi``: dots per inch at which PDF pages are drawn."""

    max_pixels: int
    max_pages: int
    pdf_dpi: int


@dataclass(frozen=True, slots=True)
class PageRange:
    """Pages ``first`` to ``last`` of a document, counted from 1, both included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> PageRange:
        """``"2"`` or ``"1-3"``. Raises :class:`~gateway.errors.BadRequest` naming ``pages``."""
        match = _RANGE.fullmatch(text)
        if match is None:
            raise BadRequest("`pages` must be one page or one range, such as 2 or 1-3.")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            raise BadRequest("`pages`: the range ends before it begins.")
        return cls(first, last)

    def __str__(self) -> str:
        """The canonical form: equal ranges give equal text."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """Decoded pages.

    ``pages``: contiguous uint8 RGB arrays of shape (height, width, 3), upright.
    ``numbers``: the 1-based page number of each. ``page_count``: pages in the whole upload.
    ``format``: JPEG, PNG, WEBP, TIFF, BMP, GIF, AVIF, HEIC or PDF.
    """

    pages: tuple[np.ndarray, ...]
    numbers: tuple[int, ...]
    page_count: int
    format: str


def select_pages(page_count: int, limits: ImageLimits, pages: PageRange | None) -> tuple[int, ...]:
    """The 1-based numbers of the pages to decode.

    Raises ``TooLarge`` for more pages than one request may read, ``BadRequest`` for a page the document lacks.
    """
    if page_count < 1:
        raise BrokenImage("The document has no pages.")
    if pages is None:
        pages = PageRange(1, page_count)
    elif pages.last > page_count:
        raise BadRequest(
            f"There is no page {pages.last}: the document has {page_count} page{'s' * (page_count > 1)}."
        )
    if len(pages) > limits.max_pages:
        raise TooLarge(
            f"The document has {page_count} pages and at most {limits.max_pages} are read in one request. "
            f"Ask for a part of it, such as pages=1-{limits.max_pages}."
        )
    return tuple(range(pages.first, pages.last + 1))


def check_pixels(sizes: Iterable[tuple[int, int]], limits: ImageLimits) -> int:
    """The pixels of pages of these (width, height). Raises ``TooLarge`` when they are over the limit."""
    pixels = sum(width * height for width, height in sizes)
    if pixels > limits.max_pixels:
        raise too_many_pixels(limits)
    return pixels


def too_many_pixels(limits: ImageLimits) -> TooLarge:
    """The refusal of more pixels than are accepted."""
    return TooLarge(
        f"At most {limits.max_pixels / 1e6:g} megapixels are accepted over all pages. "
        "Send the image smaller, or fewer pages at once (pages=)."
    )
