"""The envelope of a value in the stores that do not hand out a value's expiry together with it.

12 bytes before the value: ``OCR`` and the format's version, then the expiry as a big-endian unsigned 64-bit
number of POSIX seconds. Because the expiry is part of the bytes, an expired object and its successor never
have the same S3 ETag, which is what makes a conditional replacement safe.
"""

from __future__ import annotations

import struct

MAGIC = b"OCR\x01"
_HEADER = struct.Struct(">4sQ")
HEADER_BYTES = _HEADER.size


def wrap(value: bytes, expires_at: int) -> bytes:
    """``value`` with its expiry in front."""
    return _HEADER.pack(MAGIC, expires_at) + value


def unwrap(blob: bytes) -> tuple[bytes, int] | None:
    """The value and its expiry; ``None`` when ``blob`` is not in this format (to a reader: not there)."""
    if len(blob) < HEADER_BYTES:
        return None
    magic, expires_at = _HEADER.unpack_from(blob)
    return (blob[HEADER_BYTES:], expires_at) if magic == MAGIC else None
