"""Links that open one result for a while, without an API key: what an edge may answer from its cache in key mode.

``/results/<id>?tenant=<name>&expires=<POSIX seconds>&signature=<64 hex digits>``, where the signature is HMAC-SHA256
(RFC 2104, FIPS 180-4) over ``ocr-lookup-1``, tenant, id and expiry, each followed by a newline. It holds for every
rendering of the record. ``infra/nginx/js/keys.js`` checks the same.
"""

from __future__ import annotations

import hmac
import re
from pathlib import Path
from urllib.parse import urlencode

from gateway.tenants import KeysError

QUERY_NAMES = ("tenant", "expires", "signature")

_VERSION = "ocr-lookup-1"
_KEY = re.compile(r"[0-9a-f]{64}")
_EXPIRES = re.compile(r"[1-9][0-9]{0,10}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class Signer:
    """Signs with the first of ``keys`` (32 bytes each), accepts all: so that a key can be replaced without a gap.

    ``lifetime``: seconds that a link holds; its result may end before.
    """

    def __init__(self, keys: tuple[bytes, ...], lifetime: int) -> None:
        if not keys:
            raise KeysError("there is no signing key")
        self._keys = keys
        self._lifetime = lifetime

    @classmethod
    def from_file(cls, path: Path, lifetime: int) -> Signer:
        """A key a line, 64 lower-case hex digits; the first signs. Raises :class:`KeysError`."""
        try:
            lines = path.read_text("ascii", "replace").split()
        except OSError as error:
            raise KeysError(f"{path} cannot be read: {error.strerror}") from None
        if not lines or not all(_KEY.fullmatch(line) for line in lines):
            raise KeysError(f"{path} must have a key of 64 lower-case hex digits on each line")
        return cls(tuple(map(bytes.fromhex, lines)), lifetime)

    def query(self, tenant: str, result_id: str, now: float) -> str:
        """The query of a link to ``result_id`` that holds for a lifetime from ``now`` (POSIX seconds)."""
        expires = str(int(now) + self._lifetime)
        signature = _signature(self._keys[0], tenant, result_id, expires)
        return urlencode({"tenant": tenant, "expires": expires, "signature": signature})

    def accepts(self, tenant: str, result_id: str, expires: str, signature: str, now: float) -> bool:
        """Whether a link with this query opens ``result_id`` at ``now`` (POSIX seconds)."""
        if not _EXPIRES.fullmatch(expires) or not _SIGNATURE.fullmatch(signature):
            return False
        known = [hmac.compare_digest(_signature(key, tenant, result_id, expires), signature) for key in self._keys]
        return any(known) and now < int(expires)


def _signature(key: bytes, tenant: str, result_id: str, expires: str) -> str:
    message = "".join(f"{part}\n" for part in (_VERSION, tenant, result_id, expires))
    return hmac.digest(key, message.encode(), "sha256").hex()
