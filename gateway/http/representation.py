"""One resource, several representations: plain or compressed, each with a strong entity tag of its own.

What is compressed here is stored compressed by the caches in front, so nothing is compressed again for each request.
"""

from __future__ import annotations

import gzip
import hashlib

from flask import Response, request

# Below this a packet is a packet.
SMALLEST_COMPRESSED_BYTES = 512
# Levels above this one take four times as long for under 1 % less.
_GZIP_LEVEL = 6


def strong_etag(body: bytes) -> str:
    """A strong entity tag (RFC 9110, 8.8.3) of exactly these bytes, without the quotes."""
    return hashlib.sha256(body).hexdigest()[:32]


def strong_etags(body: bytes) -> tuple[str, str]:
    """The tags of all representations that :func:`set_representation` makes of ``body``: plain and in gzip."""
    etag = strong_etag(body)
    return etag, f"{etag}-gzip"


def accepted_coding(*offered: str) -> str:
    """The first of the ``offered`` content codings that the request names with a quality above 0, else ``identity``.

    ``*`` alone asks for nothing in particular: such a client gets the plain bytes.
    """
    named = {name.lower() for name, quality in request.accept_encodings if quality > 0}
    return next((coding for coding in offered if coding in named), "identity")


def set_representation(response: Response, body: bytes, *, compressible: bool = True) -> None:
    """Make ``body`` the content of ``response``, in gzip (RFC 1952) where it is asked for and pays.

    Sets ``ETag`` (strong, of the representation sent), ``Content-Encoding`` and ``Vary``.
    """
    etag = strong_etag(body)
    coding = "identity"
    if compressible and len(body) >= SMALLEST_COMPRESSED_BYTES:
        coding = accepted_coding("gzip")
    if coding == "gzip":
        # Without a time: the same record gives the same bytes at every gateway.
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    set_encoded(response, body, coding, etag)


def set_encoded(response: Response, body: bytes, coding: str, etag: str) -> None:
    """Make ``body``, which is in ``coding`` already, the content; ``etag``: of the plain bytes, without the quotes."""
    response.vary.add("Accept-Encoding")
    if coding != "identity":
        response.headers["Content-Encoding"] = coding
        etag += f"-{coding}"
    response.set_data(body)
    response.set_etag(etag)
