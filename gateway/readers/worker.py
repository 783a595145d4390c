"""Readings by worker processes fed through Dramatiq on Redis: the worker's side, run by ``ocr-gateway worker``."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from typing import Any

import dramatiq
import redis
from dramatiq.middleware import AgeLimit, Retries, TimeLimit

from gateway.archive import Archive
from gateway.config import Settings
from gateway.errors import ReadingFailed, ReadingTimedOut, Refusal
from gateway.identity import Options
from gateway.image import ImageLimits, PageRange, decode
from gateway.readers import queue
from gateway.readers.local import PooledPageReader
from gateway.reading import image_facts, read_and_store
from gateway.store.base import Store

log = logging.getLogger(__name__)

# A message that has taken its worker down this often is given up.
MAX_DELIVERIES = 3


class QueueWorker:
    """Takes messages, reads with ``reader``, stores, then acknowledges."""

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
        self._client = client
        self._archive = Archive(store)
        self._reader = reader
        self._limits = limits
        self._stopping = threading.Event()
        broker = queue.broker(client)
        for unwanted in (Retries, TimeLimit, AgeLimit):  # deadlines are in the messages; a refusal is an answer
            broker.middleware[:] = [each for each in broker.middleware if not isinstance(each, unwanted)]
        dramatiq.actor(self._read, actor_name=queue.READ, queue_name=queue.QUEUE, broker=broker)
        dramatiq.actor(self._reread, actor_name=queue.REREAD, queue_name=queue.QUEUE, broker=broker)
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
        """Finish what runs; what waits stays in the queue."""
        self._stopping.set()
        self._worker.stop(timeout=30_000)
        self._broker.close()
        self._reader.close()

    def _read(self, job: str, *, result_id: str, options: dict[str, str], deadline: float, flight: str) -> None:
        def work(upload: bytes) -> dict[str, Any]:
            chosen = Options(**options)
            document = decode(upload, self._limits, PageRange.parse(chosen.pages) if chosen.pages else None)
            reading = read_and_store(
                result_id,
                document,
                image_facts(document),
                chosen,
                self._reader,
                self._archive,
                ttl=self._ttl,
                timeout=_left(deadline),
                progress=lambda done, total: self._report(job, done, total),
            )
            return {"record": reading.record.to_bytes().decode(), "stored": reading.stored}

        self._answer(job, work, flight)

    def _reread(self, job: str, *, boxes: list, deadline: float, flight: str) -> None:
        def work(upload: bytes) -> dict[str, Any]:
            page = decode(upload, self._limits).pages[0]
            quads = [tuple((x, y) for x, y in box) for box in boxes]
            lines = self._reader.read_lines(page, quads, _left(deadline))
            return {"lines": [(line.text, line.score) for line in lines]}

        self._answer(job, work, flight)

    def _answer(self, job: str, work, flight: str) -> None:
        upload = self._client.get(queue.upload_key(job))
        if upload is None:  # nobody waits any more
            return
        deliveries = self._client.incr(queue.attempts_key(job))
        self._client.expire(queue.attempts_key(job), 3600)
        try:
            if deliveries > MAX_DELIVERIES:
                raise ReadingFailed("The image could not be read.")
            answer = work(upload)
        except Refusal as error:
            answer = queue.sealed(error)
        except Exception as error:  # an answer must come, whatever broke; the message could quote a document
            log.error("a reading broke: %s", type(error).__name__)
            answer = queue.sealed(ReadingFailed("The image could not be read; the same upload may be tried once more."))
        with self._client.pipeline() as pipe:
            pipe.set(queue.answer_key(job), json.dumps(answer), ex=queue.MARGIN_SECONDS)
            pipe.delete(queue.upload_key(job), queue.progress_key(job), queue.attempts_key(job))
            if flight:
                pipe.delete(flight)
            pipe.execute()

    def _report(self, job: str, done: int, total: int) -> None:
        self._client.set(queue.progress_key(job), f"{done}/{total}", ex=3600)

    def _beat_while_running(self) -> None:
        while not self._stopping.wait(queue.WORKER_BEAT_SECONDS if self._beaten() else 1.0):
            pass
        self._client.zrem(queue.workers_key(), self.name)

    def _beaten(self) -> bool:
        """Tell the gateways that this worker is warm; forget those that fell silent."""
        try:
            if self._reader.ready():
                now = time.time()
                self._client.zadd(queue.workers_key(), {self.name: now})
                self._client.zremrangebyscore(queue.workers_key(), "-inf", now - 60)
            return True
        except redis.RedisError as error:
            log.warning("the queue is out of reach: %s", type(error).__name__)
            return False


def _left(deadline: float) -> float:
    left = deadline - time.time()
    if left <= 0:
        raise ReadingTimedOut("The reading waited too long in the queue; try again.")
    return left
