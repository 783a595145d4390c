"""The web page's own files, under an address that changes when any of them does.

``/static/<digest>/<name>``: one folder for the whole set, so that modules that import each other by relative names are
always of one set, and caches may keep each for a year (``immutable``, RFC 8246). Compressed once per process, as well
as it can be.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from functools import cached_property
from pathlib import Path

import brotli

# The longest that caches are asked to keep anything (RFC 9111 has no limit; a year is the custom).
YEAR_SECONDS = 365 * 24 * 3600
IMMUTABLE = f"public, max-age={YEAR_SECONDS}, immutable"


class Asset:
    """One file: ``media_type``, ``body``, and its compressed representations, made when first asked for."""

    def __init__(self, name: str, body: bytes) -> None:
        self.name = name
        self.body = body
        # The platform's table may say text/plain, and then no browser runs a module.
        known = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
        guessed = known.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.media_type = f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
        self.compressible = guessed.startswith("text/") or guessed == "image/svg+xml"

    @cached_property
    def gzip(self) -> bytes:
        """RFC 1952."""
        return gzip.compress(self.body, 9, mtime=0)

    @cached_property
    def br(self) -> bytes:
        """RFC 7932."""
        mode = brotli.MODE_TEXT if self.compressible else brotli.MODE_GENERIC
        return brotli.compress(self.body, quality=11, mode=mode)

    def representation(self, coding: str) -> bytes:
        """The bytes for a content coding: ``br``, ``gzip`` or ``identity``."""
        return {"br": lambda: self.br, "gzip": lambda: self.gzip, "identity": lambda: self.body}[coding]()


class Assets:
    """The files of a folder, read once. ``digest``: 16 hex digits of the SHA-256 of all names and contents."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        named = [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]
        self._assets = {name: Asset(name, body) for name, body in named}
        whole = hashlib.sha256()
        for name, body in named:
            whole.update(f"{name}\0{len(body)}\0".encode() + body)
        self.digest = whole.hexdigest()[:16]

    def get(self, name: str) -> Asset | None:
        """The file called ``name``, or ``None``."""
        return self._assets.get(name)

    def addressed(self, html: str) -> str:
        """``html`` with its ``/static/<name>`` addresses turned into the lasting ones, for the files that there are."""

        def lasting(match: re.Match[str]) -> str:
            return f'"/static/{self.digest}/{match[1]}"' if match[1] in self._assets else match[0]

        return re.sub(r'"/static/([^"]+)"', lasting, html)
