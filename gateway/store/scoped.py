"""A part of a store that is a store of its own: every key below one prefix, and none beside it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.store.base import Entry, Store
from gateway.store.journal import Change, Journal, Kind


class ScopedStore:
    """``store`` below ``prefix``. Closing it leaves ``store`` open: others have their own part of it."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self.name = store.name

    def get(self, key: str) -> Entry | None:
        return self._store.get(self._prefix + key)

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        self._store.put(self._prefix + key, value, expires_at)

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        return self._store.add(self._prefix + key, value, expires_at)

    def delete(self, key: str) -> None:
        self._store.delete(self._prefix + key)

    def scan(self, prefix: str) -> Iterator[str]:
        for key in self._store.scan(self._prefix + prefix):
            yield key.removeprefix(self._prefix)

    def ping(self) -> None:
        self._store.ping()

    def statuses(self) -> dict[str, str]:
        return self._store.statuses()

    def check(self) -> list[str]:
        return self._store.check()

    def close(self) -> None:
        """Nothing of its own to release."""


class ScopedJournal:
    """The changes in ``journal`` that are about keys below ``prefix``, told and heard without it."""

    def __init__(self, journal: Journal, prefix: str) -> None:
        self._journal = journal
        self._prefix = prefix

    def append(self, kind: Kind, entry: str) -> None:
        self._journal.append(kind, self._prefix + entry)

    def tail(self, cursor: str | None) -> tuple[list[Change], str, bool]:
        while True:
            changes, following, gap = self._journal.tail(cursor)
            own = [
                Change(change.kind, change.entry.removeprefix(self._prefix))
                for change in changes
                if change.entry.startswith(self._prefix)
            ]
            # A page of other tenants' changes is not the end of the log.
            if own or gap or not changes:
                return own, following, gap
            cursor = following

    def close(self) -> None:
        """Nothing of its own to release."""
