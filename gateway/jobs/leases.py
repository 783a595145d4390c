"""Who works on which job: an entry in the store that expires unless its holder renews it."""

from __future__ import annotations

import logging
import secrets
import threading
import time

from gateway.jobs.job import short_id
from gateway.store.base import Store, StoreError

log = logging.getLogger(__name__)


class Leases:
    """This process's leases in ``store``, which last ``seconds`` each. Thread-safe."""

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._owner = secrets.token_bytes(16)
        # Held while a lease is renewed or given up, so that no renewal comes after the end.
        self._lock = threading.Lock()
        self._claimed: set[str] = set()

    def claim(self, job_id: str) -> bool:
        """Whether the job is now this process's to run. Raises :class:`StoreError`."""
        # A lease of this process's own is one that it could not give up.
        if not self._store.add(_key(job_id), self._owner, self._end()) and not self.holds(job_id):
            return False
        with self._lock:
            self._claimed.add(job_id)
        return True

    def holds(self, job_id: str) -> bool:
        """Whether it still is: a lease may run out under who is slow. Raises :class:`StoreError`."""
        lease = self._store.get(_key(job_id))
        return lease is not None and lease.value == self._owner

    def renew(self) -> None:
        """Make all of them last from now on. One that cannot be renewed may run out."""
        with self._lock:
            for job_id in self._claimed:
                try:
                    if self.holds(job_id):
                        self._store.put(_key(job_id), self._owner, self._end())
                except StoreError as error:
                    log.warning("the lease of job %s… was not renewed: %s", short_id(job_id), error)

    def release(self, job_id: str) -> None:
        """Give one up. One that cannot be given up runs out."""
        with self._lock:
            self._claimed.discard(job_id)
            try:
                if self.holds(job_id):
                    self._store.delete(_key(job_id))
            except StoreError as error:
                log.warning("the lease of job %s… was not given up: %s", short_id(job_id), error)

    def _end(self) -> int:
        return int(time.time() + self._seconds)


def _key(job_id: str) -> str:
    return f"leases/{job_id}"
