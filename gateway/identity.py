"""Who a document is: result id, pixel digest, perceptual hash. Pure functions; docs/images.md tells clients."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal
from urllib.parse import urlencode

import imagehash
import numpy as np
from PIL import Image

from worker.constraints import Constraints, parse_charset, parse_lexicon, parse_pattern

RESULT_ID = re.compile(r"[0-9a-f]{64}(?:-[0-9a-f]{8})?")
"""The form of a result id; match it with ``fullmatch`` (or :func:`is_result_id`)."""

_PAGES = re.compile(r"(?:[1-9][0-9]*(?:-[1-9][0-9]*)?)?")
_STRIP_PIXELS = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What changes a reading, in canonical form: equal readings have equal options.

    ``layout``: ``line`` takes the whole image for one text line. ``pages``: as ``str(PageRange)``; empty for all.
    ``charset``: characters that the text is made of, as :func:`worker.constraints.parse_charset` has them; empty for
    any. ``lexicon``: words to prefer, as :func:`worker.constraints.parse_lexicon` has them; empty for none.
    ``pattern``: what lines may look like, a :class:`worker.pattern.Pattern`; empty for none.
    ``detail``: ``characters`` has each line's characters told one by one.
    An option added later must default to what was done before it existed: ids do not name defaults, so they stay.
    """

    layout: Literal["auto", "line"] = "auto"
    pages: str = ""
    charset: str = ""
    lexicon: str = ""
    pattern: str = ""
    detail: Literal["lines", "characters"] = "lines"

    def __post_init__(self) -> None:
        if self.layout not in ("auto", "line"):
            raise ValueError("layout is auto or line")
        if self.detail not in ("lines", "characters"):
            raise ValueError("detail is lines or characters")
        if not _PAGES.fullmatch(self.pages):
            raise ValueError("pages is empty, a page or a range")
        if self.charset and parse_charset(self.charset) != self.charset:
            raise ValueError("charset is in its canonical form")
        if self.lexicon and parse_lexicon(self.lexicon) != self.lexicon:
            raise ValueError("lexicon is in its canonical form")
        if self.pattern and parse_pattern(self.pattern) != self.pattern:
            raise ValueError("pattern is in its canonical form")

    @property
    def constraints(self) -> Constraints:
        """What the reader needs to know of these."""
        words = tuple(self.lexicon.split(",")) if self.lexicon else ()
        return Constraints(self.charset, words, self.pattern, self.detail == "characters")

    def changed(self) -> dict[str, str]:
        """The options that differ from their defaults, sorted by name; ``Options(**changed)`` is equal to these."""
        named = sorted((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return {name: value for name, value, default in named if value != default}

    def digest(self) -> str:
        """``""`` for the defaults, else the lower-case hex SHA-256 of :meth:`changed`, form-encoded
        (``layout=line&pages=1-3``)."""
        changed = self.changed()
        return hashlib.sha256(urlencode(changed).encode()).hexdigest() if changed else ""

    def suffix(self) -> str:
        """``""`` for the defaults, else ``-`` and the first 8 hex digits of :meth:`digest`."""
        digest = self.digest()
        return f"-{digest[:8]}" if digest else ""


def result_id(upload: bytes, options: Options = Options(), lookup_key: bytes | None = None) -> str:
    """Lower-case hex SHA-256 of the uploaded bytes, and the options' suffix. A device can compute it by itself.

    With a tenant's ``lookup_key`` (32 bytes), HMAC-SHA256 (RFC 2104) of that digest's 32 bytes under it instead: nobody
    without the key can tell from an id whether it is a given file's, nor two tenants' ids of one file be compared.
    """
    digest = hashlib.sha256(upload)
    name = digest.hexdigest() if lookup_key is None else hmac.digest(lookup_key, digest.digest(), "sha256").hex()
    return name + options.suffix()


def is_result_id(text: str) -> bool:
    """Whether ``text`` has the form of a result id."""
    return RESULT_ID.fullmatch(text) is not None


def options_suffix(result_id: str) -> str:
    """The part of a result id that stands for its options: :meth:`Options.suffix`."""
    return result_id[64:]


def pixel_digest(pages: Iterable[np.ndarray]) -> str:
    """Lower-case hex SHA-256 over upright uint8 RGB pages (h, w, 3).

    The preimage is, for each page in order, its width and height in decimal ASCII as ``"<w> <h>\\n"``, then its
    samples, row by row, three bytes a pixel. Equal for any two files that decode to the same pixels.
    """
    digest = hashlib.sha256()
    for page in pages:
        height, width, _ = page.shape
        digest.update(f"{width} {height}\n".encode())
        digest.update(np.ascontiguousarray(page).data)
    return digest.hexdigest()


def perceptual_hash(page: np.ndarray) -> str:
    """16 hex digits: the 64-bit DCT hash ``imagehash.phash`` of an upright uint8 RGB page (h, w, 3).

    It nominates look-alikes and never decides: documents that differ in one character mostly have the same hash.
    """
    return str(imagehash.phash(_grey(page)))


def hamming(first: str, second: str) -> int:
    """The number of differing bits of two perceptual hashes, 0 to 64."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def _grey(page: np.ndarray) -> Image.Image:
    # Pillow holds RGB at 4 bytes a pixel; converted strip by strip, a large page costs 1.
    height, width, _ = page.shape
    grey = Image.new("L", (width, height))
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        grey.paste(Image.fromarray(page[top : top + rows]).convert("L"), (0, top))
    return grey
