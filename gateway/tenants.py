"""Who may ask: the tenants of key mode, from a file of key digests that is read again when it changes.

The file is JSON: ``{"tenants": {"acme": {"lookup_key": "<64 hex digits>", "keys": [{"sha256": "<64 hex digits>",
"created": "2026-01-31"}]}}}``, and ``"operators": [{"sha256": …}]`` for those who may see metrics. An API key is 256
random bits, so its plain SHA-256 cannot be turned back and needs no salt. The lookup key is stored as it is: it makes
the ids, and opens nothing by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

TENANT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
"""The form of a tenant's name; match it with ``fullmatch``."""

API_KEY_PREFIX = "ocr_"
SECONDS_BETWEEN_LOOKS = 1.0

_DIGEST = re.compile(r"[0-9a-f]{64}")


class KeysError(ValueError):
    """The file of keys cannot be used; the message never quotes its contents."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody whose documents are apart from everybody else's. ``lookup_key``: 32 bytes, the key of the ids."""

    name: str
    lookup_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may see the gateway's metrics, and nobody's documents."""

    name: str = "operator"


Caller = Tenant | Operator


def key_digest(api_key: str) -> str:
    """Lower-case hex SHA-256 of an API key, as the file has it."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogateescape")).hexdigest()


def new_api_key() -> str:
    """A fresh API key: a prefix that scanners for leaked secrets can be taught, and 256 random bits in base64url."""
    return API_KEY_PREFIX + secrets.token_urlsafe(32)


@dataclass(frozen=True)
class KeyTable:
    """The contents of one version of the file."""

    tenants: dict[str, Tenant]
    # By keyed digest: what is looked up is nothing that an asker could choose or time.
    _callers: dict[bytes, Caller] = field(repr=False)
    _blind: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @classmethod
    def from_document(cls, document: Any) -> KeyTable:
        """Raises :class:`KeysError` naming the first thing that is wrong."""
        blind = secrets.token_bytes(32)
        if not isinstance(document, dict) or document.keys() - {"tenants", "operators"}:
            raise KeysError("it must be an object with `tenants`, and perhaps `operators`")
        entries = document.get("tenants")
        if not isinstance(entries, dict):
            raise KeysError("`tenants` must be an object")
        tenants: dict[str, Tenant] = {}
        callers: dict[bytes, Caller] = {}
        for name, entry in entries.items():
            if not TENANT_NAME.fullmatch(name):
                raise KeysError("a tenant's name is 1 to 48 lower-case letters, digits and inner hyphens")
            if not isinstance(entry, dict) or not _is_digest(entry.get("lookup_key")):
                raise KeysError(f"tenant {name}: `lookup_key` must be 64 lower-case hex digits")
            tenants[name] = Tenant(name, bytes.fromhex(entry["lookup_key"]))
            _enter(callers, blind, entry.get("keys"), tenants[name], f"tenant {name}")
        if len({tenant.lookup_key for tenant in tenants.values()}) < len(tenants):
            raise KeysError("two tenants have the same `lookup_key`")
        _enter(callers, blind, document.get("operators", []), Operator(), "operators")
        return cls(tenants, callers, blind)

    def caller(self, api_key: str) -> Caller | None:
        """Whose key this is."""
        digest = key_digest(api_key)
        return self._callers.get(hmac.digest(self._blind, digest.encode(), "sha256"))


class Tenants:
    """The tenants of the file ``path``. It is looked at once a second at most, and read again when it has changed.

    A changed file that cannot be used leaves what was there before in force, and says so in the log. Thread-safe.
    Raises :class:`KeysError` when the file cannot be used at the start.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._seen = _signature(path)
        self._look_after = now() + SECONDS_BETWEEN_LOOKS
        self._table = KeyTable.from_document(read_document(path))
        if self._seen is not None and os.stat(path).st_mode & 0o007:
            log.warning("OCR_API_KEYS_FILE can be read by every user of this machine")

    def caller(self, api_key: str) -> Caller | None:
        """Whose key this is; ``None`` for a key that is nobody's."""
        return self._current().caller(api_key)

    def named(self, name: str) -> Tenant | None:
        """The tenant of that name."""
        return self._current().tenants.get(name)

    def __iter__(self) -> Iterator[Tenant]:
        return iter(tuple(self._current().tenants.values()))

    def _current(self) -> KeyTable:
        if self._now() < self._look_after or not self._lock.acquire(blocking=False):
            return self._table
        try:
            self._look_after = self._now() + SECONDS_BETWEEN_LOOKS
            signature = _signature(self._path)
            if signature != self._seen:
                self._seen = signature
                self._table = KeyTable.from_document(read_document(self._path))
                log.info("the API keys were read again")
        except KeysError as error:
            log.error("the API keys were not read again, those from before hold: %s", error)
        finally:
            self._lock.release()
        return self._table


def read_document(path: Path) -> Any:
    """The JSON of a file of keys. Raises :class:`KeysError`."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        # Without the parser's message and chain: both hold the text.
        raise KeysError(f"{path} is not JSON") from None


def _enter(callers: dict[bytes, Caller], blind: bytes, keys: Any, caller: Caller, whose: str) -> None:
    if not isinstance(keys, list):
        raise KeysError(f"{whose}: the keys must be a list")
    for key in keys:
        if not isinstance(key, dict) or not _is_digest(key.get("sha256")):
            raise KeysError(f"{whose}: a key is an object with `sha256`, 64 lower-case hex digits")
        blinded = hmac.digest(blind, key["sha256"].encode(), "sha256")
        if blinded in callers:
            raise KeysError(f"{whose}: a key is there twice")
        callers[blinded] = caller


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _signature(path: Path) -> tuple[int, int, int, int] | None:
    """What changes when the file does: a rename brings another inode, an edit another time or size, and leave to read
    it another time of change (``ctime``) alone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
