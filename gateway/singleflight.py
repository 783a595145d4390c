"""One execution at a time for each key; whoever asks meanwhile shares its outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Collapses concurrent calls within one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[Result]] = {}

    def run(self, key: Hashable, function: Callable[[], Result]) -> tuple[Result, bool]:
        """``function()``, or the outcome of the call under way for ``key``; the flag says that it was shared.

        An exception reaches everyone who waited.
        """
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not leads:
            return flight.result(), True
        try:
            result = function()
        except BaseException as error:
            flight.set_exception(error)
            raise
        else:
            flight.set_result(result)
            return result, False
        finally:
            with self._lock:
                del self._flights[key]
