"""The nomination index of this process, in step with the store and with the other gateways.

The store's keys are the truth, the journal says what other gateways changed, the array in memory answers.
Missing a journal entry costs a miss, never a wrong answer: a nominee is only a suggestion.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from gateway.matching.canonical import Fingerprint
from gateway.matching.index import Index, Nominee, parse_entry_key
from gateway.store.base import StoreError
from gateway.store.journal import Journal, Kind

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
SWEEP_SECONDS = 60.0


class Nominator:
    """Candidates for a match, from a memory index that follows the shared journal."""

    def __init__(self, scan: Callable[[], Iterable[str]], journal: Journal) -> None:
        """``scan`` lists every entry key in the store; it may raise :class:`StoreError`."""
        self._scan = scan
        self._journal = journal
        self._index = Index()
        self._rebuilt: Index | None = None
        self._lock = threading.RLock()
        self._cursor: str | None = None
        self._loaded = False
        self._loader: threading.Thread | None = None
        self._closed = threading.Event()
        self._sweep_after = 0.0

    def start(self) -> None:
        """Load in the background, trying again while the store is out of reach."""
        with self._lock:
            self._loaded = False
            if self._loader is not None and self._loader.is_alive():
                return
            self._loader = threading.Thread(target=self._load_until_done, name="index-loader", daemon=True)
            self._loader.start()

    def close(self) -> None:
        """Stop loading and let go of the journal."""
        self._closed.set()
        self._journal.close()

    def load(self) -> bool:
        """Build the index from the store; ``False`` when it is out of reach.

        Entries that arrive meanwhile are not lost, and nominations go on from what is there.
        """
        with self._lock:
            self._rebuilt = Index()
        try:
            _, cursor, _ = self._journal.tail(None)
            for key in self._scan():
                self._apply("add", key)
        except StoreError as error:
            log.warning("the nomination index could not be loaded: %s", error)
            with self._lock:
                self._rebuilt = None
            return False
        with self._lock:
            self._index, self._rebuilt = self._rebuilt, None
            self._cursor, self._loaded = cursor, True
        return True

    def nominate(self, look: Fingerprint, limit: int) -> list[Nominee]:
        """At most ``limit`` live candidates for ``look``, the likeliest first."""
        if self._loaded and not self._follow():
            self.start()
        return self._index.nominate(look, time.time(), limit)

    def add(self, key: str) -> None:
        """Index a new entry, here and everywhere."""
        self._apply("add", key)
        self._tell("add", key)
        # Nominations sweep as well, but where only exact matches are wanted there are none.
        if time.monotonic() >= self._sweep_after:
            self._sweep_after = time.monotonic() + SWEEP_SECONDS
            self._index.sweep(time.time())

    def remove(self, result_id: str) -> None:
        """Forget what ``result_id`` has, here and everywhere."""
        self._apply("remove", result_id)
        self._tell("remove", result_id)

    @property
    def loaded(self) -> bool:
        """Whether the store's entries have been read."""
        return self._loaded

    def __len__(self) -> int:
        return len(self._index)

    def _load_until_done(self) -> None:
        while not self._closed.is_set() and not self.load():
            self._closed.wait(RETRY_SECONDS)

    def _follow(self) -> bool:
        """Apply what other gateways changed; ``False`` when part of the journal was missed."""
        while True:
            try:
                with self._lock:
                    changes, self._cursor, gap = self._journal.tail(self._cursor)
                    for change in changes:
                        self._apply(change.kind, change.entry)
            except StoreError as error:
                log.warning("the nomination index is behind: %s", error)
                return True
            if gap or not changes:
                return not gap

    def _apply(self, kind: Kind, subject: str) -> None:
        """``subject``: the entry key to add, or the result id to remove."""
        entry = parse_entry_key(subject) if kind == "add" else None
        if kind == "add" and entry is None:
            log.warning("an unreadable nomination entry was passed over")
            return
        with self._lock:
            indexes = [index for index in (self._index, self._rebuilt) if index is not None]
        for index in indexes:
            if entry is not None:
                index.add(entry.id, entry.fingerprint, entry.expires_at)
            else:
                index.remove(subject)

    def _tell(self, kind: Kind, subject: str) -> None:
        try:
            self._journal.append(kind, subject)
        except StoreError as error:
            log.warning("other gateways were not told of a change to the index: %s", error)
