"""Readings in spawned processes beside the gateway."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from gateway.archive import Archive
from gateway.config import Settings
from gateway.errors import Overloaded, ReadingFailed, ReadingTimedOut
from gateway.readers.base import no_progress
from gateway.reading import Progress, Reading, ReadingTask, read_and_store
from gateway.record import EngineFacts
from worker.constraints import Constraints
from worker.errors import ReaderBusy, ReaderFailed, ReaderTimeout
from worker.process import ReaderPool, ReaderSpec
from worker.types import Box, Found, Line, LineReading

Result = TypeVar("Result")

RETRY_AFTER_SECONDS = 2


def reader_spec(settings: Settings, threads: int = 1) -> ReaderSpec:
    """The reader that the settings choose."""
    return ReaderSpec(
        settings.engine,
        threads,
        settings.second_reader,
        settings.second_reader_below,
        Constraints(settings.charset, settings.lexicon_words()),
    )


class PooledPageReader:
    """A :class:`gateway.reading.PageReader` over a :class:`worker.process.ReaderPool`, in the gateway's errors."""

    def __init__(self, spec: ReaderSpec, processes: int, queue_limit: int) -> None:
        self.engine = EngineFacts("crnn", spec.revision())
        self._pool = ReaderPool(spec, processes, queue_limit)

    @classmethod
    def from_settings(cls, settings: Settings, cores: int) -> PooledPageReader:
        """As many processes as the settings say, sharing ``cores``; not started yet."""
        processes = settings.reader_processes
        threads = settings.reader_threads or max(1, cores // processes)
        return cls(reader_spec(settings, threads), processes, settings.queue_limit)

    def start(self) -> None:
        """Start the processes; returns at once."""
        self._pool.start()

    def ready(self) -> bool:
        """Whether a process is warm."""
        return self._pool.ready()

    def idle(self) -> bool:
        """Whether a warm process has nothing to do."""
        return self._pool.idle() > 0

    def wait_ready(self, timeout: float) -> bool:
        """Wait until all processes are warm; whether they are."""
        return self._pool.wait_ready(timeout)

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def read(
        self, page: np.ndarray, layout: str, timeout: float, constraints: Constraints, found: Found | None = None
    ) -> list[Line]:
        return _in_our_errors(lambda: self._pool.read(page, layout, timeout, constraints, found))

    def read_lines(
        self, page: np.ndarray, boxes: Sequence[Box], timeout: float, constraints: Constraints
    ) -> list[LineReading]:
        return _in_our_errors(lambda: self._pool.read_lines(page, boxes, timeout, constraints))


class LocalReadings:
    """Readings by ``reader`` on this machine; started at construction, ready when the model is warm."""

    def __init__(self, reader: PooledPageReader, archive: Archive, *, ttl: int, timeout: float) -> None:
        self._reader = reader
        self._archive = archive
        self._ttl = ttl
        self._timeout = timeout
        reader.start()

    def obtain(self, task: ReadingTask, progress: Progress = no_progress) -> Reading:
        return read_and_store(
            task, self._reader, self._archive, ttl=self._ttl, timeout=self._timeout, progress=progress
        )

    def reread(self, task: ReadingTask, boxes: Sequence[Box]) -> list[LineReading]:
        return self._reader.read_lines(task.document.pages[0], boxes, self._timeout, task.options.constraints)

    def read_anew(self, task: ReadingTask) -> list[Line]:
        options = task.options
        return self._reader.read(task.document.pages[0], options.layout, self._timeout, options.constraints)

    def idle(self) -> bool:
        return self._reader.idle()

    def within(self, tenant: str) -> LocalReadings:
        scoped = copy.copy(self)
        scoped._archive = self._archive.within(tenant)
        return scoped

    def ready(self) -> bool:
        return self._reader.ready()

    def close(self) -> None:
        self._reader.close()


def _in_our_errors(call: Callable[[], Result]) -> Result:
    try:
        return call()
    except ReaderBusy:
        raise Overloaded("Too many readings are waiting; try again shortly.", retry_after=RETRY_AFTER_SECONDS) from None
    except ReaderTimeout:
        raise ReadingTimedOut("The reading ran over its deadline; send a smaller image or fewer pages.") from None
    except ReaderFailed as error:
        raise ReadingFailed("The image could not be read; the same upload may be tried once more.") from error
