"""What the service asks of whoever reads: beside the gateway, or in worker processes behind a queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.reading import Progress, Reading, ReadingTask
from worker.types import Box, Line, LineReading


def no_progress(done: int, total: int) -> None:
    """Where nobody watches."""


class Readings(Protocol):
    """Readings on demand, bounded in time and number. Methods raise a :class:`gateway.errors.Refusal`."""

    def obtain(self, task: ReadingTask, progress: Progress = no_progress) -> Reading:
        """Read ``task``'s pages and store the record before returning."""

    def reread(self, task: ReadingTask, boxes: Sequence[Box]) -> list[LineReading]:
        """The text in each of ``boxes`` (pixels of the only page), in their order. Stores nothing."""

    def read_anew(self, task: ReadingTask) -> list[Line]:
        """The lines of ``task``'s only page, as a new reading finds them. Stores nothing."""

    def idle(self) -> bool:
        """Whether a reader has nothing to do, so that a reading nobody waits for delays nobody."""

    def within(self, tenant: str) -> Readings:
        """These readings, stored in the archive of ``tenant`` (:meth:`gateway.archive.Archive.within`)."""

    def ready(self) -> bool:
        """Whether a reading asked for now would start at once or queue behind others, the model warm."""

    def close(self) -> None:
        """Stop what was started."""
