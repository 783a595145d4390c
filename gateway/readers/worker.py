"""Readings by worker processes fed through Dramatiq on Redis: the worker's side, run by ``ocr-gateway worker``."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import dramatiq
import redis
from dramatiq.middleware import AgeLimit, Retries, TimeLimit

from gateway.archive import Archive
from gateway.config import Settings
from gateway.errors import ReadingFailed, ReadingTimedOut, Refusal
from gateway.identity import Options
from gateway.image import ImageLimits, PageRange, decode
from gateway.readers import queue
from gateway.readers.job_table import QUEUE, JobTable
from gateway.readers.local import PooledPageReader
from gateway.reading import ReadingTask, image_facts, read_and_store
from gateway.store.base import Store

log = logging.getLogger(__name__)

# A message that has taken its worker down this often is given up.
MAX_DELIVERIES = 3
# Between two attempts at a Redis that fails while a reading is in hand.
RETRY_SECONDS = 0.5
# Beyond the longest deadline, so that whatever runs when the worker is stopped ends by itself.
STOP_MARGIN_SECONDS = 5

Result = TypeVar("Result")
Work = Callable[[str, dict[str, Any], bytes], dict[str, Any]]


class QueueWorker:
    """Takes messages, reads with ``reader``, stores, answers, then acknowledges."""

    def __init__(
        self,
        settings: Settings,
        client: redis.Redis,
        store: Store,
        reader: PooledPageReader,
        limits: ImageLimits,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._ttl = settings.ttl
        self._timeout = settings.read_timeout
        self._client = client
        self._jobs = JobTable(client)
        self._archive = Archive(store)
        self._reader = reader
        self._limits = limits
        self._stopping = threading.Event()
        broker = queue.Broker(client)
        for unwanted in (Retries, TimeLimit, AgeLimit):  # deadlines are in the jobs; a refusal is an answer
            broker.middleware[:] = [each for each in broker.middleware if not isinstance(each, unwanted)]
        works = {queue.READ: self._read, queue.REREAD: self._reread, queue.READ_ANEW: self._read_anew}
        for name, work in works.items():
            dramatiq.actor(self._actor(work), actor_name=name, queue_name=QUEUE, broker=broker)
        self._worker = dramatiq.Worker(broker, worker_threads=settings.reader_processes, worker_timeout=100)
        # No worker hoards messages that an idle one could take.
        self._worker.queue_prefetch = settings.reader_processes
        self._broker = broker
        self._beat = threading.Thread(target=self._beat_while_running, name="beat", daemon=True)

    def start(self) -> None:
        """Begin with a warm model only, so that the first message waits for nothing."""
        self._reader.start()
        self._reader.wait_ready(120)
        self._worker.start()
        self._beat.start()

    def stop(self) -> None:
        """Finish what runs, however long its deadline lets it; what waits stays in the queue."""
        self._stopping.set()
        # The consumer of delayed messages goes on beating for what is in hand.
        self._worker.consumers[QUEUE].stop()
        try:
            self._worker.stop(timeout=int(1000 * (self._timeout + STOP_MARGIN_SECONDS)))
        except redis.RedisError as error:  # when its beat stays away, another worker gets what waits
            log.warning("what waits could not be handed back: %s", type(error).__name__)
        self._broker.close()
        self._reader.close()

    def _read(self, job: str, arguments: dict[str, Any], upload: bytes) -> dict[str, Any]:
        options = Options(**arguments["options"])
        document = decode(upload, self._limits, PageRange.parse(options.pages) if options.pages else None)
        task = ReadingTask(
            arguments["result_id"], upload, document, image_facts(document), options, arguments["asked_at"]
        )
        reading = read_and_store(
            task,
            self._reader,
            self._archive.within(arguments.get("tenant", "")),
            ttl=self._ttl,
            timeout=_left(arguments["deadline"]),
            progress=lambda done, total: self._report(job, done, total),
        )
        # What is stored can be deleted there; no second copy of it lies about here.
        if reading.stored:
            return {"created_at": reading.record.created_at}
        return {"record": reading.record.to_bytes().decode()}

    def _reread(self, job: str, arguments: dict[str, Any], upload: bytes) -> dict[str, Any]:
        options = Options(**arguments["options"])
        page = decode(upload, self._limits).pages[0]
        quads = [tuple((x, y) for x, y in box) for box in arguments["boxes"]]
        lines = self._reader.read_lines(page, quads, _left(arguments["deadline"]), options.constraints)
        return {"lines": [(line.text, line.score, line.reader, line.characters) for line in lines]}

    def _read_anew(self, job: str, arguments: dict[str, Any], upload: bytes) -> dict[str, Any]:
        options = Options(**arguments["options"])
        page = decode(upload, self._limits, PageRange.parse(options.pages) if options.pages else None).pages[0]
        lines = self._reader.read(page, options.layout, _left(arguments["deadline"]), options.constraints)
        return {"lines": [(line.text, line.score, line.box) for line in lines]}

    def _actor(self, work: Work) -> Callable[[str], None]:
        def take_and_answer(job: str) -> None:
            taken = _insist(lambda: self._jobs.take(job), time.time() + self._timeout)
            if taken is None:  # nobody waits any more
                return
            deliveries, arguments = taken
            answer = self._answer(job, work, deliveries, arguments)
            # Unless it is said, somebody waits in vain; the message is not acknowledged before.
            _insist(lambda: self._jobs.end(job, arguments["flight"], answer), arguments["deadline"])

        return take_and_answer

    def _answer(self, job: str, work: Work, deliveries: int, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            if deliveries > MAX_DELIVERIES:
                raise ReadingFailed("The image could not be read.")
            _left(arguments["deadline"])
            upload = _insist(lambda: self._jobs.upload(job), arguments["deadline"])
            if upload is None:
                raise ReadingFailed("The upload was lost in the queue; send it again.")
            return work(job, arguments, upload)
        except Refusal as error:
            return queue.sealed(error)
        except Exception as error:  # an answer must come, whatever broke; the message could quote a document
            log.error("a reading broke: %s", type(error).__name__)
            return queue.sealed(ReadingFailed("The image could not be read; the same upload may be tried once more."))

    def _report(self, job: str, done: int, total: int) -> None:
        with suppress(redis.RedisError):  # who waits sees the end anyway
            self._jobs.report(job, done, total)

    def _beat_while_running(self) -> None:
        while not self._stopping.wait(queue.WORKER_BEAT_SECONDS if self._beaten() else 1.0):
            pass
        with suppress(redis.RedisError):  # it falls silent, which says the same a little later
            self._client.zrem(queue.workers_key(), self.name)

    def _beaten(self) -> bool:
        """Tell the gateways that this worker is warm; forget those that fell silent, and jobs nobody came for."""
        try:
            if self._reader.ready():
                now = time.time()
                self._client.zadd(queue.workers_key(), {self.name: now})
                self._client.zremrangebyscore(queue.workers_key(), "-inf", now - 60)
            self._jobs.sweep()
            return True
        except redis.RedisError as error:
            log.warning("the queue is out of reach: %s", type(error).__name__)
            return False


def _insist(call: Callable[[], Result], until: float) -> Result:
    """``call()``, again and again while Redis fails: a reading is worth more than a moment of patience."""
    while True:
        try:
            return call()
        except redis.RedisError as error:
            if time.time() >= until:
                raise
            log.warning("the queue is out of reach with a reading in hand: %s", type(error).__name__)
            time.sleep(RETRY_SECONDS)


def _left(deadline: float) -> float:
    left = deadline - time.time()
    if left <= 0:
        raise ReadingTimedOut("The reading waited too long in the queue; try again.")
    return left
