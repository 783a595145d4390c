"""A circuit breaker: a dead server costs one time-out now and then, not one for each request.

After a failure every call is refused at once for ``pause`` seconds; then one call, alone, is let through to find
out, and its outcome closes or reopens the circuit (M. Nygard, Release It!, 2nd ed., ch. 5). The breakers on PyPI
either hold a lock during the guarded call, which would put all threads in one line, or let every waiting thread
through at once after the pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.store.base import StoreError


class CircuitBreaker:
    """Guards the calls to one server. ``trips`` says which exceptions mean that the server itself is unwell."""

    def __init__(
        self,
        tier: str,
        trips: Callable[[Exception], bool],
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tier = tier
        self._trips = trips
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._open_until: float | None = None
        self._probing = False

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run the block, or raise :class:`StoreError` at once while the circuit is open."""
        probe = self._admit()
        unwell = False
        answered = True
        try:
            yield
        except Exception as error:
            unwell = self._trips(error)
            raise
        except BaseException:
            # Interrupted: nothing was learned about the server.
            answered = False
            raise
        finally:
            self._leave(probe, unwell, answered)

    def _admit(self) -> bool:
        if self._open_until is None:
            return False
        with self._lock:
            if self._open_until is None:
                return False
            if self._probing or self._clock() < self._open_until:
                raise StoreError(f"{self._tier}: not asked, it failed a moment ago")
            self._probing = True
            return True

    def _leave(self, probe: bool, unwell: bool, answered: bool) -> None:
        if not (probe or unwell or self._open_until is not None):
            return
        with self._lock:
            if unwell:
                self._open_until = self._clock() + self._pause
            elif answered:
                self._open_until = None
            if probe:
                self._probing = False
