"""Nomination: which stored documents look enough like a page to be verified against it.

A flat array in memory, searched whole: at a million entries one pass costs about a millisecond, and nothing has to be
tuned. Each entry is also a key of the store (:func:`entry_key`), so that the keys alone rebuild the index.
"""

from __future__ import annotations

import re
import threading
from typing import NamedTuple

import numpy as np

from gateway.matching.canonical import FINE_BYTES, Fingerprint

PHASH_RADIUS = 10
CANONICAL_RADIUS = 12
MOST_RANKED = 4096
"""Entries within a radius that are ranked by the fine hash; of more, the nearest."""

_KEY = re.compile(
    r"index/(?P<expires>[0-9]{1,11})/(?P<phash>[0-9a-f]{16})/(?P<canonical>[0-9a-f]{16})"
    rf"/(?P<fine>[0-9a-f]{{{2 * FINE_BYTES}}})/(?P<id>[0-9a-zA-Z_-]{{1,128}})"
)
_FIRST_ROWS = 1024


class IndexEntry(NamedTuple):
    """One entry of the index. ``expires_at``: POSIX seconds, exclusive."""

    id: str
    fingerprint: Fingerprint
    expires_at: int


class Nominee(NamedTuple):
    """A stored document to verify. ``distance``: bits between the pHashes, 0..64."""

    id: str
    distance: int


def entry_key(id: str, look: Fingerprint, expires_at: int) -> str:
    """The store key, 192 characters and the id, that stands for an entry."""
    return f"index/{expires_at:d}/{look.phash:016x}/{look.canonical[0]:016x}/{look.fine[0].hex()}/{id}"


def parse_entry_key(key: str) -> IndexEntry | None:
    """The entry that ``key`` stands for; ``None`` when it is no key of :func:`entry_key`."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    look = Fingerprint(int(match["phash"], 16), (int(match["canonical"], 16),), (bytes.fromhex(match["fine"]),))
    return IndexEntry(match["id"], look, int(match["expires"]))


class Index:
    """Fingerprints by id. Thread-safe; about 350 bytes an entry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._phash = np.zeros(_FIRST_ROWS, np.uint64)
        self._canonical = np.zeros(_FIRST_ROWS, np.uint64)
        self._fine = np.zeros((_FIRST_ROWS, FINE_BYTES), np.uint8)
        self._expires = np.zeros(_FIRST_ROWS, np.int64)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def add(self, id: str, look: Fingerprint, expires_at: int) -> None:
        """Index ``id`` until ``expires_at`` (POSIX seconds), replacing what it had."""
        with self._lock:
            row = self._rows.get(id)
            if row is None:
                row = len(self._ids)
                if row == len(self._expires):
                    self._grow()
                self._ids.append(id)
                self._rows[id] = row
            self._phash[row] = look.phash
            self._canonical[row] = look.canonical[0]
            self._fine[row] = np.frombuffer(look.fine[0], np.uint8)
            self._expires[row] = expires_at

    def remove(self, id: str) -> None:
        """Forget ``id``; forgetting an unknown one succeeds."""
        with self._lock:
            self._remove(id)

    def sweep(self, now: float) -> int:
        """Forget what has expired by ``now`` (POSIX seconds); how many that were."""
        with self._lock:
            expired = np.flatnonzero(self._expires[:len(self._ids)] <= now)
            for id in [self._ids[row] for row in expired.tolist()]:
                self._remove(id)
            return len(expired)

    def nominate(self, look: Fingerprint, now: float, limit: int) -> list[Nominee]:
        """At most ``limit`` live entries to verify, the likeliest first.

        Taken in turn from those within :data:`CANONICAL_RADIUS` of the canonical hash in any of the four turns, ranked
        by the fine hash, and those within :data:`PHASH_RADIUS` of the pHash, ranked by it and then by the fine hash.
        """
        with self._lock:
            count = len(self._ids)
            if count == 0 or limit <= 0:
                return []
            live = self._expires[:count] > now
            plain = np.bitwise_count(self._phash[:count] ^ np.uint64(look.phash))
            turned = np.full(count, 64, np.uint8)
            for canonical in look.canonical:
                np.minimum(turned, np.bitwise_count(self._canonical[:count] ^ np.uint64(canonical)), out=turned)
            by_look = self._ranked(turned, live & (turned <= CANONICAL_RADIUS), look, coarse_first=False)
            by_phash = self._ranked(plain, live & (plain <= PHASH_RADIUS), look, coarse_first=True)
            rows = _in_turn(by_look[:limit].tolist(), by_phash[:limit].tolist())[:limit]
            expired = count - int(live.sum())
            nominees = [Nominee(self._ids[row], int(plain[row])) for row in rows]
        if expired > count // 4:
            self.sweep(now)
        return nominees

    def _ranked(self, coarse: np.ndarray, near: np.ndarray, look: Fingerprint, coarse_first: bool) -> np.ndarray:
        """Rows where ``near``, the likeliest first."""
        rows = np.flatnonzero(near)
        if len(rows) > MOST_RANKED:
            rows = rows[np.argpartition(coarse[rows], MOST_RANKED)[:MOST_RANKED]]
        fine = self._fine[rows]
        distance = np.full(len(rows), 8 * FINE_BYTES, np.int64)
        for turn in look.fine:
            bits = np.bitwise_count(fine ^ np.frombuffer(turn, np.uint8)).sum(axis=1, dtype=np.int64)
            np.minimum(distance, bits, out=distance)
        return rows[np.lexsort((distance, coarse[rows]) if coarse_first else (coarse[rows], distance))]

    def _remove(self, id: str) -> None:
        row = self._rows.pop(id, None)
        if row is None:
            return
        last = len(self._ids) - 1
        if row != last:
            for column in (self._phash, self._canonical, self._fine, self._expires):
                column[row] = column[last]
            self._ids[row] = self._ids[last]
            self._rows[self._ids[row]] = row
        self._ids.pop()

    def _grow(self) -> None:
        for name in ("_phash", "_canonical", "_fine", "_expires"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))


def _in_turn(first: list[int], second: list[int]) -> list[int]:
    """The items of both lists, alternating, each once."""
    mixed: dict[int, None] = {}
    for i in range(max(len(first), len(second))):
        for items in (first, second):
            if i < len(items):
                mixed.setdefault(items[i])
    return list(mixed)
