"""Records, proofs and thumbnails in a store: the only module that knows the keys.

A *copy* is a record whose lines came from another document's reading; a marker under ``aliases/<source>/<copy>``,
written before it, lets a deletion of the source find it. A record is written after what it needs to be answered, and
removed after what leads to it: whatever process dies, a record that answers is complete, a deletion can be repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.identity import Options, options_suffix
from gateway.matching.proof import Proof, ProofError
from gateway.record import Record, RecordError
from gateway.store.base import Entry, Store, StoreError
from gateway.store.scoped import ScopedStore

log = logging.getLogger(__name__)

# Longer than any reading or job that was asked for before a deletion may still run.
_DELETIONS_REMEMBERED_SECONDS = 25 * 3600


@dataclass(frozen=True, slots=True)
class Found:
    """A record and the name of the tier that had it."""

    record: Record
    tier: str


class Archive:
    """Typed reads and writes over ``store``.

    The ``find`` methods and :meth:`proof` take a failing store for a miss and
    report it to ``on_failure``.
    """

    def __init__(self, store: Store, on_failure: Callable[[str], None] = lambda operation: None) -> None:
        self.store = store
        self._on_failure = on_failure

    def within(self, tenant: str) -> Archive:
        """The archive of ``tenant``, in the same store and apart from every other; ``""``: of those without a key.

        What one tenant has is nothing that another could ask for, whatever is asked: their keys differ.
        """
        prefix = tenant_prefix(tenant)
        return Archive(ScopedStore(self.store, prefix), self._on_failure) if prefix else self

    def find(self, result_id: str) -> Found | None:
        """The live record of ``result_id``; an unreadable one is a miss."""
        return _found(result_id, self._get(_record_key(result_id)))

    def look_up(self, result_id: str) -> Found | None:
        """Like :meth:`find`, for who wants to know for certain: raises :class:`StoreError` instead of missing."""
        return _found(result_id, self.store.get(_record_key(result_id)))

    def find_by_pixels(self, pixel_digest: str, options: Options) -> Found | None:
        """The record of a document with exactly these pixels, read with these options."""
        entry = self._get(_pixels_key(pixel_digest, options.suffix()))
        found = self.find(entry.value.decode("ascii", "replace")) if entry else None
        return found if found and found.record.image.sha256 == pixel_digest else None

    def proof(self, result_id: str) -> Proof | None:
        """What verification needs of the document; ``None`` when there is none or it cannot be read."""
        entry = self._get(_proof_key(result_id))
        try:
            return Proof.from_bytes(entry.value) if entry else None
        except ProofError as error:
            log.warning("unreadable proof %s…: %s", result_id[:8], error)
            return None

    def thumbnail(self, result_id: str) -> bytes | None:
        """WebP bytes. Raises :class:`StoreError`."""
        entry = self.store.get(_thumbnail_key(result_id))
        return entry.value if entry else None

    def tenants(self) -> set[str]:
        """The names of all that have something in the store, known today or not. Raises :class:`StoreError`."""
        return {key.split("/")[1] for key in self.store.scan(tenant_prefix("*").partition("*")[0])}

    def ids(self) -> Iterator[str]:
        """The ids of all stored records, in no particular order. Raises :class:`StoreError`."""
        prefix = _record_key("")
        return (key.removeprefix(prefix) for key in self.store.scan(prefix))

    def index_keys(self) -> Iterator[str]:
        """The keys of all nomination entries. Raises :class:`StoreError`."""
        return self.store.scan("index/")

    def save_reading(
        self, record: Record, thumbnail: bytes, proof: bytes | None, options: Options, asked_at: float
    ) -> bool:
        """Store a reading with all that belongs to it, in place of what was under its id.

        ``False``: it is not kept, for it was deleted after it was asked for (``asked_at``, POSIX seconds). Raises
        :class:`StoreError` when it could not be kept.
        """
        before, until = self.find(record.id), record.expires_at
        # What is there may have been asked for after the deletion: it would go with this reading.
        if before is not None and self.was_deleted_since(record.id, asked_at):
            return False
        self.store.put(_thumbnail_key(record.id), thumbnail, until)
        if proof is not None:
            self.store.put(_proof_key(record.id), proof, until)
        self.store.put(_record_key(record.id), record.to_bytes(), until)
        self.store.put(_pixels_key(record.image.sha256, options.suffix()), record.id.encode(), until)
        if record.index_key:
            self.store.put(record.index_key, b"", until)
        if before is not None:
            self._forget_ways_to(before.record, record)
        if self.was_deleted_since(record.id, asked_at):
            self.delete(record.id)
            return False
        return True

    def save_copy(self, copy: Record, thumbnail: bytes) -> Record:
        """Store another document's reading under the id of a copy, unless that id has a reading of its own.

        Returns the record that the id has now. Raises :class:`StoreError`, as well when a deletion by another gateway
        could not be sure to find the copy.
        """
        there = self.find(copy.id)
        if there is not None and there.record.match.source == copy.id and there.record.was_read_with(copy.options):
            return there.record
        # Not just put: while the durable tier is down that reaches the hot one alone, where no deletion looks for it.
        marker = _alias_key(copy.match.source, copy.id)
        if not self.store.add(marker, b"", copy.expires_at):
            self.store.put(marker, b"", copy.expires_at)
        self.store.put(_thumbnail_key(copy.id), thumbnail, copy.expires_at)
        self.store.put(_record_key(copy.id), copy.to_bytes(), copy.expires_at)
        return copy

    def copies(self, source: str) -> list[str]:
        """The ids whose records were, when last seen, copied from ``source``. Raises :class:`StoreError`."""
        prefix = _alias_key(source, "")
        return [key.removeprefix(prefix) for key in self.store.scan(prefix)]

    def is_copy_of(self, result_id: str, source: str) -> bool:
        """Whether the record of ``result_id`` has its lines from ``source``'s reading. Raises :class:`StoreError`."""
        found = self.look_up(result_id)
        return found is None or found.record.match.source == source

    def delete(self, result_id: str) -> Record | None:
        """Remove one record and what belongs to it, the record itself last; returns it. Raises :class:`StoreError`.

        Markers are the caller's to remove (:meth:`forget_copy`), when no edge has the copy any more.
        """
        found = self.look_up(result_id)
        if found is not None:
            if found.record.index_key:
                self.store.delete(found.record.index_key)
            pixels = _pixels_key(found.record.image.sha256, options_suffix(result_id))
            leads_to = self.store.get(pixels)
            # Another file with these pixels, read later, is still found by them.
            if leads_to is None or leads_to.value == result_id.encode():
                self.store.delete(pixels)
        self.store.delete(_proof_key(result_id))
        self.store.delete(_thumbnail_key(result_id))
        self.store.delete(_record_key(result_id))
        return found.record if found else None

    def note_deletion(self, result_id: str) -> None:
        """Remember that whatever was asked for before this moment must not be stored. Raises :class:`StoreError`."""
        now = time.time()
        self.store.put(_deletion_key(result_id), repr(now).encode(), int(now) + _DELETIONS_REMEMBERED_SECONDS)

    def was_deleted_since(self, result_id: str, moment: float) -> bool:
        """Whether :meth:`note_deletion` came after ``moment`` (POSIX seconds), as far as the store can tell."""
        entry = self._get(_deletion_key(result_id))
        return entry is not None and float(entry.value) >= moment

    def forget_copy(self, source: str, copy: str) -> None:
        """Remove the marker that leads from ``source`` to ``copy``. Raises :class:`StoreError`."""
        self.store.delete(_alias_key(source, copy))

    def _forget_ways_to(self, record: Record, successor: Record) -> None:
        """Remove the nomination entry and the marker that lead to ``record`` but not to its ``successor``."""
        if record.index_key and successor.index_key != record.index_key:
            self.store.delete(record.index_key)
        if record.match.source != record.id:
            self.forget_copy(record.match.source, record.id)

    def _get(self, key: str) -> Entry | None:
        try:
            return self.store.get(key)
        except StoreError as error:
            log.warning("store %s: %s", self.store.name, error)
            self._on_failure("get")
            return None


def tenant_prefix(tenant: str) -> str:
    """What the store's keys, and the journal's, of ``tenant`` begin with; ``""`` for those of open mode."""
    return f"tenants/{tenant}/" if tenant else ""


def _found(result_id: str, entry: Entry | None) -> Found | None:
    if entry is None:
        return None
    try:
        return Found(Record.from_bytes(entry.value), entry.tier)
    except RecordError as error:
        log.warning("unreadable record %s…: %s", result_id[:8], error)
        return None


def _record_key(result_id: str) -> str:
    return f"results/{result_id}"


def _thumbnail_key(result_id: str) -> str:
    return f"thumbnails/{result_id}"


def _proof_key(result_id: str) -> str:
    return f"proofs/{result_id}"


def _pixels_key(pixel_digest: str, suffix: str) -> str:
    return f"pixels/{pixel_digest}{suffix}"


def _deletion_key(result_id: str) -> str:
    return f"deletions/{result_id}"


def _alias_key(source: str, copy: str) -> str:
    return f"aliases/{source}/{copy}"
