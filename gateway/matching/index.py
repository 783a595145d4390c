"""Nomination: which stored documents look enough like a page to be verified against it.

A flat array in memory, searched whole in stages: 64-bit hashes of all entries, a few bytes more of those within a
radius, all bits of the nearest of these. A million entries cost some milliseconds, and nothing has to be tuned. Each
entry is also a key of the store (:func:`entry_key`), so that the keys alone rebuild the index.
"""

from __future__ import annotations

import re
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import numpy as np

from gateway.matching.canonical import FINE_BYTES, FRAMED_BYTES, Fingerprint

PHASH_RADIUS = 10
CANONICAL_RADIUS = 12
MOST_RANKED = 4096
"""Entries within a radius that are ranked by all bits of a hash; of more, the nearest by its first bytes."""
LOW_BYTES = 32
"""Bytes of a hash that are compared first: of the framed one, its coefficients below the 16th."""
SWEEP_SECONDS = 60.0

_FIELDS = r"index/(?P<expires>[0-9]{1,11})/(?P<phash>[0-9a-f]{16})/(?P<canonical>[0-9a-f]{16})"
_HASHES = (rf"(?P<fine>[0-9a-zA-Z_-]{{{FINE_BYTES * 4 // 3}}})/"
           rf"(?P<framed>[0-9a-zA-Z_-]{{{FRAMED_BYTES * 4 // 3}}})")
_ID = r"(?P<id>[0-9a-zA-Z_-]{1,128})"
_KEY = re.compile(f"{_FIELDS}/{_HASHES}/{_ID}")
_OLDER_KEY = re.compile(rf"{_FIELDS}/(?P<fine>[0-9a-f]{{{2 * FINE_BYTES}}})/{_ID}")
"""Without a framed hash. Such entries are gone when the results are that were stored before there was one."""
_FIRST_ROWS = 1024
_BLOCK = 1 << 15  # rows whose intermediate results stay in the processor's cache


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
    """The store key, at most 366 characters and the id, that stands for an entry."""
    fine, framed = (urlsafe_b64encode(hash_).decode() for hash_ in (look.fine[0], look.framed[0]))
    return f"index/{expires_at:d}/{look.phash:016x}/{look.canonical[0]:016x}/{fine}/{framed}/{id}"


def parse_entry_key(key: str) -> IndexEntry | None:
    """The entry that ``key`` stands for; ``None`` when it is no key of :func:`entry_key`."""
    match = _KEY.fullmatch(key)
    if match is not None:
        fine, framed = urlsafe_b64decode(match["fine"]), (urlsafe_b64decode(match["framed"]),)
    else:
        match = _OLDER_KEY.fullmatch(key)
        if match is None:
            return None
        fine, framed = bytes.fromhex(match["fine"]), ()
    look = Fingerprint(int(match["phash"], 16), (int(match["canonical"], 16),), (fine,), framed)
    return IndexEntry(match["id"], look, int(match["expires"]))


class Index:
    """Fingerprints by id. Thread-safe; about 550 bytes an entry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._phash = np.zeros(_FIRST_ROWS, np.uint64)
        self._canonical = np.zeros(_FIRST_ROWS, np.uint64)
        self._fine_low = np.zeros((_FIRST_ROWS, LOW_BYTES // 8), np.uint64)
        self._fine_high = np.zeros((_FIRST_ROWS, FINE_BYTES - LOW_BYTES), np.uint8)
        self._framed_low = np.zeros((_FIRST_ROWS, LOW_BYTES // 8), np.uint64)
        self._framed_high = np.zeros((_FIRST_ROWS, FRAMED_BYTES - LOW_BYTES), np.uint8)
        self._expires = np.zeros(_FIRST_ROWS, np.int64)
        self._swept_at = 0.0

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def add(self, id: str, look: Fingerprint, expires_at: int) -> None:
        """Index ``id`` until ``expires_at`` (POSIX seconds), replacing what it had."""
        framed = look.framed[0] if look.framed else bytes(FRAMED_BYTES)  # half of all bits from every page
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
            for low, high, hash_ in ((self._fine_low, self._fine_high, look.fine[0]),
                                     (self._framed_low, self._framed_high, framed)):
                low[row] = np.frombuffer(hash_, np.uint64, LOW_BYTES // 8)
                high[row] = np.frombuffer(hash_, np.uint8, offset=LOW_BYTES)
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

        Of all within :data:`CANONICAL_RADIUS` of the canonical hash in any of the four turns or :data:`PHASH_RADIUS` of
        the pHash: in turn the nearest by the framed hash, which tells fillings of a form apart as long as nothing
        moved, and by the fine hash of the rectified page; first the one that is nearer by its own measure.
        """
        if limit <= 0:
            return []
        with self._lock:
            near = self._near(look, now)
            framed = _ranked(near, self._framed_low, self._framed_high, look.framed, near.plain)
            turned = near.only(near.turned <= CANONICAL_RADIUS)
            fine = _ranked(turned, self._fine_low, self._fine_high, look.fine, turned.turned)
            both = sorted((framed, fine), key=lambda ranking: ranking.share)
            rows = _in_turn(*(ranking.rows[:limit].tolist() for ranking in both))[:limit]
            nominees = [Nominee(self._ids[row], (int(self._phash[row]) ^ look.phash).bit_count()) for row in rows]
            rested = abs(now - self._swept_at) >= SWEEP_SECONDS
            self._swept_at = now if rested else self._swept_at
        if rested:
            self.sweep(now)
        return nominees

    def _near(self, look: Fingerprint, now: float) -> _Near:
        """The live entries within a radius."""
        found, count = [_Near.none()], len(self._ids)
        differing = np.empty(min(count, _BLOCK), np.uint64)  # a new one each time costs more than what it holds
        bits = np.empty(len(differing), np.uint8)

        def distance(hashes: np.ndarray, hash_: int, out: np.ndarray | None = None) -> np.ndarray:
            return np.bitwise_count(np.bitwise_xor(hashes, np.uint64(hash_), out=differing[:len(hashes)]), out=out)

        for first in range(0, count, _BLOCK):
            part = slice(first, min(count, first + _BLOCK))
            plain = distance(self._phash[part], look.phash)
            turned = distance(self._canonical[part], look.canonical[0])
            for canonical in look.canonical[1:]:
                np.minimum(turned, distance(self._canonical[part], canonical, bits[:len(turned)]), out=turned)
            rows = np.flatnonzero((turned <= CANONICAL_RADIUS) | (plain <= PHASH_RADIUS))
            found.append(_Near(rows + first, plain[rows], turned[rows], np.zeros(len(rows), np.uint8)))
        near = _Near(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
        near = near.only(self._expires[near.rows] > now)
        own = self._canonical[near.rows]
        for number, canonical in enumerate(look.canonical[1:], 1):
            near.turn[np.bitwise_count(own ^ np.uint64(canonical)) == near.turned] = number
        near.turn[near.turned > CANONICAL_RADIUS] = 0  # found by the pHash, which is not turned
        return near

    def _remove(self, id: str) -> None:
        row = self._rows.pop(id, None)
        if row is None:
            return
        last = len(self._ids) - 1
        if row != last:
            for name in _COLUMNS:
                column = getattr(self, name)
                column[row] = column[last]
            self._ids[row] = self._ids[last]
            self._rows[self._ids[row]] = row
        self._ids.pop()

    def _grow(self) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))


_COLUMNS = ("_phash", "_canonical", "_fine_low", "_fine_high", "_framed_low", "_framed_high", "_expires")


class _Near(NamedTuple):
    """Entries within a radius. ``rows``: int (n,). ``plain``, ``turned``: uint8 (n,), bits from the pHash and from the
    canonical hash in the nearest turn, ``turn``."""

    rows: np.ndarray
    plain: np.ndarray
    turned: np.ndarray
    turn: np.ndarray

    @classmethod
    def none(cls) -> _Near:
        return cls(*(np.empty(0, kind) for kind in (np.intp, np.uint8, np.uint8, np.uint8)))

    def only(self, chosen: np.ndarray) -> _Near:
        """Those that ``chosen`` says, bool (n,) or rows of this."""
        return self if chosen.dtype == bool and chosen.all() else _Near(*(column[chosen] for column in self))


class _Ranking(NamedTuple):
    """``rows``: int (n,), the likeliest first. ``share``: of bits, in which that one differs."""

    rows: np.ndarray
    share: float


def _ranked(near: _Near, low: np.ndarray, high: np.ndarray, turns: tuple[bytes, ...], coarse: np.ndarray) -> _Ranking:
    """``near`` by the hashes whose first bytes are in ``low`` and whose others in ``high``, then by ``coarse``."""
    if not len(near.rows) or not turns:
        return _Ranking(near.rows[:0], 1.0)
    distance = _turned_bits(low, near, [turn[:LOW_BYTES] for turn in turns])
    if len(distance) > MOST_RANKED:
        chosen = np.argpartition(distance, MOST_RANKED)[:MOST_RANKED]
        near, distance, coarse = near.only(chosen), distance[chosen], coarse[chosen]
    distance = distance + _turned_bits(high, near, [turn[LOW_BYTES:] for turn in turns])
    return _Ranking(near.rows[np.lexsort((coarse, distance))], float(distance.min()) / (8 * len(turns[0])))


def _turned_bits(hashes: np.ndarray, near: _Near, turns: list[bytes]) -> np.ndarray:
    """int32 (n,): bits between the ``hashes`` of ``near`` and the one of ``turns`` in which each is nearest."""
    differing = hashes.take(near.rows, axis=0)
    for number, turn in enumerate(turns):
        chosen = near.turn == number
        differing[slice(None) if chosen.all() else chosen] ^= np.frombuffer(turn, hashes.dtype)
    return np.einsum("ij->i", np.bitwise_count(differing), dtype=np.int32)


def _in_turn(first: list[int], second: list[int]) -> list[int]:
    """The items of both lists, alternating, each once."""
    mixed: dict[int, None] = {}
    for i in range(max(len(first), len(second))):
        for items in (first, second):
            if i < len(items):
                mixed.setdefault(items[i])
    return list(mixed)
