"""Shadow readings: a share of what was answered by its look is read after all, in the background, and compared.

They tell operators how often their own traffic is answered with other figures than a reading gives.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from gateway.agreement import agreement
from gateway.errors import Overloaded, Refusal
from gateway.metrics import Metrics
from gateway.readers.base import Readings
from gateway.reading import ReadingTask
from gateway.record import Record
from worker import memory

log = logging.getLogger(__name__)

Distrust = Callable[[ReadingTask, Record], None]

CLOSE_SECONDS = 5.0
# The reader that has just read some lines for this very answer may not have put its pen down yet.
PATIENCE_SECONDS, POLL_SECONDS = 2.0, 0.05


class Shadow:
    """One shadow reading at a time; those that would have to wait, or take a reader from people, are dropped."""

    def __init__(
        self, readings: Readings, metrics: Metrics, share: float, chance: Callable[[], float] = random.random
    ) -> None:
        """``share`` of the answers are read, in 0..1. ``chance`` draws from 0..1, 1 excluded."""
        self._readings = readings
        self._metrics = metrics
        self._share = share
        self._chance = chance
        self._slot = threading.Lock()
        self._closing = threading.Event()

    def consider(self, task: ReadingTask, answered: Record, distrust: Distrust) -> None:
        """Read ``task``, answered with ``answered``, if it is drawn; returns at once.

        ``distrust`` is called, in the background, when a reading finds other figures.
        """
        if self._chance() >= self._share or self._closing.is_set():
            return
        if not self._slot.acquire(blocking=False):
            self._metrics.shadowed("dropped")
            return
        # A daemon: a process that ends does not wait for what nobody asked for.
        reading = threading.Thread(target=self._compare, args=(task, answered, distrust), name="shadow", daemon=True)
        try:
            reading.start()
        except RuntimeError:  # no thread is to be had; the answer is not to suffer from it
            self._slot.release()
            self._metrics.shadowed("dropped")

    def close(self) -> None:
        """Begin no more; wait a moment for the one that runs. The readings are closed before."""
        self._closing.set()
        if self._slot.acquire(timeout=CLOSE_SECONDS):
            self._slot.release()

    def _idle_soon(self) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._readings.idle():
            if time.monotonic() >= deadline or self._closing.wait(POLL_SECONDS):
                return False
        return True

    def _compare(self, task: ReadingTask, answered: Record, distrust: Distrust) -> None:
        try:
            if not self._idle_soon():
                self._metrics.shadowed("dropped")
                return
            found = agreement(answered.lines, self._readings.read_anew(task))
            self._metrics.shadowed(found)
            if found == "digits":
                log.warning(
                    "a shadow reading of %s… has other figures than were answered from %s… (%s)",
                    answered.id[:8], answered.match.source[:8], answered.match.kind,
                )  # fmt: skip
                distrust(task, answered)
        except Overloaded:
            self._metrics.shadowed("dropped")
        except Refusal as error:
            self._metrics.shadowed("failed")
            log.warning("a shadow reading failed: %s", error.slug)
        finally:
            self._slot.release()
            memory.release()
