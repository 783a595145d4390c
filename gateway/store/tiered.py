"""Two stores as one: a hot tier that may forget or fail, and a durable tier that holds the truth.

What each failure costs, and how it is mended, is in ``docs/stores.md``. The order of operations is chosen so that
nothing deleted or replaced comes back: a deletion leaves a short-lived *tombstone* in the hot tier, because a reader
that fetched the old value from the durable tier a moment before would otherwise put it back there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from gateway.store.base import Entry, Store, StoreError, status_of

# No caller stores these bytes: records are JSON, pictures WebP, links hexadecimal.
_TOMBSTONE = b"\x00deleted\x00" + bytes.fromhex("5d0e6ab1f3c94b7e8a27c4d190f3e2b6")
# Longer than any one call to the durable tier may take.
_TOMBSTONE_SECONDS = 120
_CLOSING_SECONDS = 5.0
_KEY_LOCKS = 64

OnDegraded = Callable[[str, str], None]


class TieredStore:
    """``hot`` in front of ``durable``.

    ``on_degraded(tier, operation)`` is called each time a tier failed and the store went on without it, and with the
    operation ``"forgotten"`` when a repair had to be dropped because more than ``limit`` were waiting. Repairs are
    made every ``interval`` seconds by a thread that exists only while there are any.
    """

    name = "tiered"

    def __init__(
        self,
        hot: Store,
        durable: Store,
        on_degraded: OnDegraded | None = None,
        *,
        now: Callable[[], float] = time.time,
        interval: float = 1.0,
        limit: int = 100_000,
    ) -> None:
        self.hot = hot
        self.durable = durable
        self._on_degraded = on_degraded or _ignore
        self._now = now
        self._interval = interval
        self._limit = limit
        self._lock = threading.Lock()
        # Writes and repairs of one key go one at a time, so that the tiers see them in the same order.
        self._key_locks = tuple(threading.Lock() for _ in range(_KEY_LOCKS))
        # Keys, oldest first. Stale: the hot tier may hold a value that was replaced. Unsaved: only the hot tier has
        # the value. Undeleted: a deletion did not reach every tier.
        self._stale: dict[str, None] = {}
        self._unsaved: dict[str, None] = {}
        self._undeleted: dict[str, None] = {}
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def get(self, key: str) -> Entry | None:
        if key in self._undeleted:
            return None
        refill = key not in self._stale
        if refill:
            try:
                found = self.hot.get(key)
            except StoreError as error:
                self._on_degraded(self.hot.name, "get")
                if key in self._unsaved:  # the durable tier has nothing, or what was replaced
                    raise StoreError(f"tiered: get: {self.hot.name} alone has it") from error
                found, refill = None, False
            if found is not None and found.value != _TOMBSTONE:
                return found
        try:
            kept = self.durable.get(key)
        except StoreError:
            self._on_degraded(self.durable.name, "get")
            raise
        if kept is not None and refill:
            try:
                # Add, not put: what was written, or deleted, since the look above is newer.
                self.hot.add(key, kept.value, kept.expires_at)
            except StoreError:
                self._on_degraded(self.hot.name, "refill")
        return kept

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        if expires_at <= self._now():
            self.delete(key)
            return
        with self._alone(key):
            try:
                self.durable.put(key, value, expires_at)
            except StoreError:
                self._on_degraded(self.durable.name, "put")
                self._put_unsaved(key, value, expires_at)
            else:
                self._forget(key, self._unsaved, self._undeleted)
                self._put_hot("put", key, value, expires_at)

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        """See :meth:`Store.add`. The durable tier decides, and no other can while it is down: :class:`StoreError`."""
        if key in self._undeleted:
            self.delete(key)
        with self._alone(key):
            try:
                added = self.durable.add(key, value, expires_at)
            except StoreError:
                self._on_degraded(self.durable.name, "add")
                raise
            if added:
                self._put_hot("add", key, value, expires_at)
        return added

    def delete(self, key: str) -> None:
        """See :meth:`Store.delete`. :class:`StoreError`: it may still be in one of the tiers; try again.

        (It is tried again here too, and this process does not answer from it any more.)
        """
        failure = None
        with self._alone(key):
            self._forget(key, self._unsaved)
            for tier, remove in ((self.hot, self._bury), (self.durable, self.durable.delete)):
                try:
                    remove(key)
                except StoreError as error:
                    self._on_degraded(tier.name, "delete")
                    failure = (tier.name, error)
            if failure is not None:
                self._remember(self._undeleted, key, failure[0])
                raise StoreError("tiered: delete: not deleted from every tier") from failure[1]
            self._forget(key, self._stale, self._undeleted)

    def scan(self, prefix: str) -> Iterator[str]:
        """See :meth:`Store.scan`. The durable tier's keys and those known to be only in the hot tier.

        When the durable tier fails, the hot tier's keys and then :class:`StoreError`: some may be missing, come twice,
        or have been deleted.
        """
        try:
            yield from (key for key in self.durable.scan(prefix) if key not in self._undeleted)
        except StoreError as error:
            self._on_degraded(self.durable.name, "scan")
            yield from (key for key in self.hot.scan(prefix) if key not in self._undeleted)
            raise StoreError(f"tiered: scan: some keys may be in {self.durable.name} alone") from error
        with self._lock:
            unsaved = [key for key in self._unsaved if key.startswith(prefix)]
        yield from unsaved

    def ping(self) -> None:
        """Return when either tier answers; :meth:`statuses` tells them apart."""
        reports = self.statuses()
        if all(report != "ok" for report in reports.values()):
            raise StoreError("; ".join(f"{name} {report}" for name, report in reports.items()))

    def statuses(self) -> dict[str, str]:
        return {tier.name: status_of(tier) for tier in (self.hot, self.durable)}

    def check(self) -> list[str]:
        return [f"{tier.name}: {advice}" for tier in (self.hot, self.durable) for advice in tier.check()]

    def close(self) -> None:
        """Make what repairs can still be made within a few seconds, and close both tiers."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(_CLOSING_SECONDS)
        self._mend(time.monotonic() + _CLOSING_SECONDS)
        self.hot.close()
        self.durable.close()

    def _put_hot(self, operation: str, key: str, value: bytes, expires_at: int) -> None:
        """Write to the hot tier what the durable tier has; when that fails, see that no older value survives."""
        try:
            self.hot.put(key, value, expires_at)
        except StoreError:
            self._on_degraded(self.hot.name, operation)
            self._remember(self._stale, key, self.hot.name)
        else:
            self._forget(key, self._stale)

    def _put_unsaved(self, key: str, value: bytes, expires_at: int) -> None:
        """Write to the hot tier alone, to be copied later."""
        try:
            self.hot.put(key, value, expires_at)
        except StoreError as error:
            self._on_degraded(self.hot.name, "put")
            raise StoreError("tiered: put: no tier took it") from error
        self._forget(key, self._stale, self._undeleted)
        self._remember(self._unsaved, key, self.durable.name)

    def _alone(self, key: str) -> threading.Lock:
        return self._key_locks[hash(key) % _KEY_LOCKS]

    def _bury(self, key: str) -> None:
        self.hot.put(key, _TOMBSTONE, int(self._now()) + _TOMBSTONE_SECONDS)

    def _forget(self, key: str, *lists: dict[str, None]) -> None:
        with self._lock:
            for keys in lists:
                keys.pop(key, None)

    def _remember(self, keys: dict[str, None], key: str, tier: str) -> None:
        forgotten = False
        with self._lock:
            keys.pop(key, None)
            if len(keys) >= self._limit:
                del keys[next(iter(keys))]
                forgotten = True
            keys[key] = None
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._mend_until_done, name="store-repairs", daemon=True)
                self._thread.start()
        if forgotten:
            self._on_degraded(tier, "forgotten")

    def _mend_until_done(self) -> None:
        while not self._closing.wait(self._interval):
            self._mend()
            with self._lock:
                if not (self._stale or self._unsaved or self._undeleted):
                    self._thread = None
                    return

    def _mend(self, deadline: float = float("inf")) -> None:
        """One round of repairs, each list up to its first failure."""
        for keys, repair in (
            (self._undeleted, self._finish_deletion),
            (self._stale, self._drop_stale),
            (self._unsaved, self._save),
        ):
            with self._lock:
                waiting = list(keys)
            for key in waiting:
                if time.monotonic() > deadline:
                    return
                try:
                    with self._alone(key):
                        if key in keys:
                            repair(key)
                            self._forget(key, keys)
                except StoreError:
                    break

    def _finish_deletion(self, key: str) -> None:
        self._bury(key)
        self.durable.delete(key)
        self._forget(key, self._stale)

    def _drop_stale(self, key: str) -> None:
        self.hot.delete(key)

    def _save(self, key: str) -> None:
        """Copy the hot tier's value to the durable tier, unless that has one that lives longer: a later one."""
        entry = self.hot.get(key)
        if entry is None or entry.value == _TOMBSTONE:
            return
        kept = self.durable.get(key)
        if kept is not None and kept.expires_at > entry.expires_at:
            return
        self.durable.put(key, entry.value, entry.expires_at)
        # Another gateway's deletion marks the hot tier before it clears the durable one: it shows if it came between.
        after = self.hot.get(key)
        if after is not None and after.value == _TOMBSTONE:
            self.durable.delete(key)


def _ignore(tier: str, operation: str) -> None:
    """Nobody counts."""
