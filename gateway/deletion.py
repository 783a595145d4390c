"""The deletion of results: from the store, the match index, what was copied from them, and the edges."""

from __future__ import annotations

from typing import Protocol

from gateway.archive import Archive
from gateway.nomination import Nominator
from gateway.record import Record


class Purger(Protocol):
    """Whoever clears the caches in front of the gateway."""

    def purge(self, result_id: str) -> None:
        """Return when no cache has it. Raises :class:`~gateway.purge.PurgeFailed`."""


class Deletions:
    """Deletes; ``nominator`` tells the other gateways. A deletion that failed half-way is finished by repeating it."""

    def __init__(self, archive: Archive, nominator: Nominator, purger: Purger) -> None:
        self._archive = archive
        self._nominator = nominator
        self._purger = purger

    def delete(self, wanted: str) -> bool:
        """Remove a result and what was copied from it everywhere; whether there was one.

        A reading of it that is under way will not be stored. Raises :class:`~gateway.store.base.StoreError` and
        :class:`~gateway.purge.PurgeFailed`.
        """
        self._archive.note_deletion(wanted)
        record = self.withdraw(wanted)
        self.delete_copies(wanted)
        if record and record.match.source != wanted:
            self._archive.forget_copy(record.match.source, wanted)
        return record is not None

    def delete_copies(self, source: str) -> None:
        """Remove what was copied from ``source``. Its record is gone or replaced, so no new copy passes its check.

        Raises like :meth:`delete`.
        """
        for copy in self._archive.copies(source):
            if self._archive.is_copy_of(copy, source):
                self.withdraw(copy)
            self._archive.forget_copy(source, copy)

    def withdraw(self, wanted: str) -> Record | None:
        """Remove one record everywhere and return it. The edges come last: what they fetch after that is not there.

        What was copied from it stays. Raises like :meth:`delete`.
        """
        record = self._archive.delete(wanted)
        self._nominator.remove(wanted)
        self._purger.purge(wanted)
        return record
