"""Reader processes, kept warm: who waits for one, who has it, and when it is replaced.

Every reader process is a fresh interpreter (nothing is forked: OpenMP and PyTorch do not survive that), so a page
that crashes, hangs or bloats the recogniser costs one process, not the server. One thread per process, its *keeper*,
starts it, waits for its end and starts the next one. Callers take a process, talk to it themselves and give it back.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from typing import Self

from worker.channel import ChannelClosed
from worker.errors import ReaderBusy, ReaderFailed, ReaderTimeout
from worker.spawn import ReaderProcess, Spec

SLOWEST_RESTART = 10.0

log = logging.getLogger(__name__)


class _Turn:
    """A caller's place in the queue: it is over when there is a process or a failure."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.process: ReaderProcess | None = None
        self.failure: str | None = None


class ProcessPool:
    """``processes`` reader processes. Any number of threads may call it at the same time.

    At most ``queue_limit`` calls wait for a process; beyond that a call is refused at once. A process is replaced
    after ``recycle_after`` readings, or when its resident memory between two readings has grown by ``growth_limit``
    bytes since its start: the new one is warm before the old one goes. A pool belongs to the process that started
    it: start it after a fork, not before.
    """

    def __init__(
        self,
        spec: Spec,
        processes: int = 1,
        queue_limit: int = 64,
        *,
        recycle_after: int = 5000,
        growth_limit: int = 256 << 20,
    ) -> None:
        if processes < 1 or queue_limit < 0:
            raise ValueError("a pool has at least one process and no negative queue")
        self._spec = spec
        self._processes = processes
        self._queue_limit = queue_limit
        self._recycle_after = recycle_after
        self._growth_limit = growth_limit
        self._state = threading.Condition()
        self._idle: list[ReaderProcess] = []
        self._queue: deque[_Turn] = deque()
        self._started: set[ReaderProcess] = set()
        self._ready: set[ReaderProcess] = set()
        self._keepers: set[threading.Thread] = set()
        self._failure: str | None = None
        self._closed = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the processes and returns at once. Calling it again does nothing."""
        with self._state:
            while len(self._keepers) < self._processes and not self._closed:
                self._start_keeper(None)

    def ready(self) -> bool:
        """Whether a process is there and warm."""
        with self._state:
            return bool(self._ready) and not self._closed

    def wait_ready(self, timeout: float) -> bool:
        """Waits, ``timeout`` seconds at most, until all processes are warm; whether they are."""
        with self._state:
            self._state.wait_for(lambda: len(self._ready) >= self._processes or self._closed, timeout)
            return len(self._ready) >= self._processes and not self._closed

    def waiting(self) -> int:
        """How many calls wait for a process."""
        with self._state:
            return len(self._queue)

    def idle(self) -> int:
        """How many warm processes have nothing to do."""
        with self._state:
            return len(self._idle)

    def pids(self) -> list[int]:
        """The warm processes' ids."""
        with self._state:
            return sorted(process.pid for process in self._ready)

    def close(self) -> None:
        """Ends all processes; calls that wait or run fail. Calling it again does nothing."""
        with self._state:
            self._closed = True
            self._fail_queue("the reader is closed")
            for process in self._started:
                process.kill()
            keepers = list(self._keepers)
            self._state.notify_all()
        for keeper in keepers:
            keeper.join(timeout=10)

    def take(self, deadline: float, again: bool) -> ReaderProcess:
        """The next free process, by ``deadline`` (of :func:`time.monotonic`).

        ``again`` goes to the front of the queue, and is never refused for its length. Raises :class:`ReaderBusy`,
        :class:`ReaderTimeout` or :class:`ReaderFailed`.
        """
        with self._state:
            if self._closed:
                raise ReaderFailed("the reader is closed")
            if time.monotonic() >= deadline:
                raise ReaderTimeout("no time is left")
            if self._idle:
                return self._idle.pop()
            if self._failure is not None and not self._ready:
                raise ReaderFailed(self._failure)
            if len(self._queue) >= self._queue_limit and not again:
                raise ReaderBusy("too many readings wait already")
            turn = _Turn()
            (self._queue.appendleft if again else self._queue.append)(turn)
        try:
            turn.over.wait(None if math.isinf(deadline) else max(0.0, deadline - time.monotonic()))
        except BaseException:
            self._give_up(turn)
            raise
        if time.monotonic() >= deadline:
            self._give_up(turn)
            raise ReaderTimeout("no reader process was free in time")
        if turn.process is None:
            raise ReaderFailed(turn.failure)
        return turn.process

    def _give_up(self, turn: _Turn) -> None:
        with self._state:
            if not turn.over.is_set():
                self._queue.remove(turn)
            elif turn.process is not None:
                self._offer(turn.process)

    def give_back(self, process: ReaderProcess, resident: int) -> None:
        """Lets the next caller have a process that has answered; ``resident``: the bytes it said it has now."""
        with self._state:
            process.readings += 1
            process.resident = resident
            grown = process.resident - process.resident_at_start
            if (
                (process.readings >= self._recycle_after or grown > self._growth_limit)
                and not process.replaced
                and not self._closed
            ):
                process.replaced = True
                self._start_keeper(process)
            self._offer(process)

    def _offer(self, process: ReaderProcess) -> None:
        """Hands a warm process to who waits longest. The lock is held."""
        if process.retired:
            process.dismiss()
        elif process not in self._ready:
            return  # It died meanwhile; its keeper knows.
        elif self._queue:
            turn = self._queue.popleft()
            turn.process = process
            turn.over.set()
        else:
            self._idle.append(process)

    def leave(self, process: ReaderProcess, until: float) -> None:
        """Leaves a process that did not answer in time.

        It is killed when the reading itself has had the whole time. A caller that spent its time in the queue
        leaves the process running for as long: under load every late caller would otherwise kill a sound process.
        """
        if until <= time.monotonic() + 0.01 or process.channel.torn:
            process.kill()
        else:
            threading.Thread(target=self._outlast, args=(process, until), name="reader-late", daemon=True).start()

    def _outlast(self, process: ReaderProcess, until: float) -> None:
        try:
            while "resident" not in (answer := process.channel.receive(until)[0]):
                pass
        except (TimeoutError, ChannelClosed):
            process.kill()
        else:
            self.give_back(process, answer["resident"])

    def _start_keeper(self, replaces: ReaderProcess | None) -> None:
        keeper = threading.Thread(target=self._keep, args=(replaces,), name="reader-keeper", daemon=True)
        self._keepers.add(keeper)
        keeper.start()

    def _keep(self, replaces: ReaderProcess | None) -> None:
        pause = 0.1
        try:
            while not self._closed:
                try:
                    process = self._started_process()
                except ReaderFailed as failure:
                    self._start_failed(str(failure))
                    with self._state:
                        self._state.wait_for(lambda: self._closed, pause)
                    pause = min(2 * pause, SLOWEST_RESTART)
                    continue
                pause = 0.1
                self._welcome(process, replaces)
                replaces = None
                status = process.wait()
                with self._state:
                    self._started.discard(process)
                    self._ready.discard(process)
                    if process in self._idle:
                        self._idle.remove(process)
                    if process.replaced or self._closed:
                        return
                log.warning("reader process %d ended with status %d; starting another", process.pid, status)
        finally:
            with self._state:
                self._keepers.discard(threading.current_thread())

    def _started_process(self) -> ReaderProcess:
        """A new, warm process. Raises :class:`ReaderFailed`."""
        # Under the lock, so that close() knows of every process.
        with self._state:
            if self._closed:
                raise ReaderFailed("the reader is closed")
            try:
                process = ReaderProcess(self._spec)
            except OSError as error:
                raise ReaderFailed(f"the reader does not start: {type(error).__name__}") from None
            self._started.add(process)
        try:
            process.start(self._spec)
        except ReaderFailed:
            process.kill()
            process.wait()
            with self._state:
                self._started.discard(process)
            raise
        return process

    def _welcome(self, process: ReaderProcess, replaces: ReaderProcess | None) -> None:
        with self._state:
            self._failure = None
            self._ready.add(process)
            if replaces is not None:
                replaces.retired = True
                self._ready.discard(replaces)
                if replaces in self._idle:
                    self._idle.remove(replaces)
                    replaces.dismiss()
            self._offer(process)
            self._state.notify_all()

    def _start_failed(self, failure: str) -> None:
        with self._state:
            if self._closed:
                return
            self._failure = failure
            if not self._ready:
                self._fail_queue(failure)
        log.error("%s", failure)

    def _fail_queue(self, failure: str) -> None:
        while self._queue:
            turn = self._queue.popleft()
            turn.failure = failure
            turn.over.set()
