"""Readings by worker processes fed through Dramatiq on Redis: the gateway's side and what both sides agree on.

A message names a job and nothing else (:mod:`gateway.readers.job_table`). A worker acknowledges after it has stored
the record and answered, so a killed worker's message is delivered again. Answers are polled: several gateways may
wait for one reading. Whoever waits and finds the job gone without an answer begins anew.
"""

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.archive import Archive, tenant_prefix
from gateway.config import Settings
from gateway.errors import Overloaded, ReadingFailed, ReadingTimedOut, Refusal, StoreUnavailable
from gateway.readers.base import no_progress
from gateway.readers.job_table import NAMESPACE, QUEUE, JobTable, flight_key
from gateway.reading import Progress, Reading, ReadingTask
from gateway.record import Record
from gateway.store.base import StoreError
from gateway.store.redis import RedisGuard
from worker.types import Box, Line, LineReading, characters_from

READ, REREAD, READ_ANEW = "read", "reread", "read-anew"
HEARTBEAT_TIMEOUT_MS = 8000
# Of a million polls: an idle worker polls some ten times a second, so it looks for dead colleagues every few seconds.
MAINTENANCE_CHANCE = 50_000
WORKER_BEAT_SECONDS = 5.0
POLL_SECONDS = 0.02
RETRY_AFTER_SECONDS = 2
# How often one asker begins a job anew that vanished.
ATTEMPTS = 3
CONNECT_TIMEOUT_SECONDS = 1.0
# A web thread waits that long at most; an upload of 20 MB has to pass.
GATEWAY_TIMEOUT_SECONDS = 2.0
# Nobody waits for a worker's own call, and one that is given up too early may have taken messages along.
WORKER_TIMEOUT_SECONDS = 10.0


def connect(settings: Settings, timeout: float = WORKER_TIMEOUT_SECONDS) -> redis.Redis:
    """A connection for the queue, without retries; connects on first use. ``timeout``: of one command, in seconds."""
    assert settings.redis_url is not None
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, CONNECT_TIMEOUT_SECONDS),
        retry=Retry(NoBackoff(), 0),
        max_connections=2 * settings.web_threads + 2 * settings.reader_processes + 16,
        client_name="ocr-queue",
    )


class Broker(RedisBroker):
    """The broker both sides use; messages of a worker that stops beating are delivered again.

    A consumer that starts anew after a failure gets a new name: a fetch whose reply was lost has left its messages
    with the old one, which beats no more. What is in hand comes again too; its job is mostly over by then.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(
            client=client,
            namespace=NAMESPACE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
            maintenance_chance=MAINTENANCE_CHANCE,
        )

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        if queue_name == QUEUE:
            self.broker_id = str(uuid4())
        return super().consume(queue_name, prefetch, timeout)


def workers_key() -> str:
    return f"{NAMESPACE}:workers"


class QueuedReadings:
    """Readings by whichever worker process takes the message; what one stored is loaded from ``archive``."""

    def __init__(self, client: redis.Redis, archive: Archive, *, timeout: float, queue_limit: int) -> None:
        self._client = client
        self._archive = archive
        self._jobs = JobTable(client)
        self._broker = Broker(client)
        self._broker.declare_queue(QUEUE)
        self._guard = RedisGuard("queue")
        self._timeout = timeout
        self._limit = queue_limit
        self._tenant = ""

    @classmethod
    def connect(cls, settings: Settings, archive: Archive) -> QueuedReadings:
        """From the settings; Redis need not be up yet."""
        client = connect(settings, GATEWAY_TIMEOUT_SECONDS)
        return cls(client, archive, timeout=settings.read_timeout, queue_limit=settings.queue_limit)

    def obtain(self, task: ReadingTask, progress: Progress = no_progress) -> Reading:
        arguments = {
            "result_id": task.result_id,
            "options": task.options.changed(),
            "asked_at": task.asked_at,
            "tenant": self._tenant,
        }
        flight = flight_key(tenant_prefix(self._tenant) + task.result_id + task.options.digest())
        answer = self._ask(READ, task.upload, arguments, flight, progress)
        if "record" in answer:
            return Reading(Record.from_bytes(answer["record"].encode()), stored=False)
        return Reading(self._load(task.result_id, answer["created_at"]), stored=True)

    def reread(self, task: ReadingTask, boxes: Sequence[Box]) -> list[LineReading]:
        arguments = {"options": task.options.changed(), "boxes": [list(map(list, box)) for box in boxes]}
        answer = self._ask(REREAD, task.upload, arguments)
        return [LineReading(*said, characters_from(characters)) for *said, characters in answer["lines"]]

    def read_anew(self, task: ReadingTask) -> list[Line]:
        answer = self._ask(READ_ANEW, task.upload, {"options": task.options.changed()})
        return [Line(text, score, tuple((x, y) for x, y in box)) for text, score, box in answer["lines"]]

    def idle(self) -> bool:
        """Whether there are more warm workers than readings under way."""
        try:
            with self._guard.operation("workers"):
                return self._jobs.unfinished() < self._warm_workers()
        except StoreError:
            return False

    def within(self, tenant: str) -> QueuedReadings:
        scoped = copy.copy(self)
        scoped._tenant = tenant
        scoped._archive = self._archive.within(tenant)
        return scoped

    def ready(self) -> bool:
        """Whether a worker with a warm model has been heard of lately."""
        try:
            with self._guard.operation("workers"):
                return self._warm_workers() > 0
        except StoreError:
            return False

    def close(self) -> None:
        self._broker.close()
        self._client.close()

    def _warm_workers(self) -> int:
        return self._client.zcount(workers_key(), time.time() - 3 * WORKER_BEAT_SECONDS, "+inf")

    def _load(self, result_id: str, created_at: float) -> Record:
        try:
            found = self._archive.look_up(result_id)
        except StoreError as error:
            raise StoreUnavailable(
                "The reading is stored, but cannot be fetched at the moment; ask again.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error
        # A tier that missed the write may still have an older reading.
        if found is None or found.record.created_at < created_at:
            raise StoreUnavailable("The reading is not to be had any more; ask again.", retry_after=RETRY_AFTER_SECONDS)
        return found.record

    def _ask(
        self,
        actor: str,
        upload: bytes,
        arguments: dict[str, Any],
        shared: str | None = None,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """The answer of ``actor``; ``shared``: the flight of all who ask for the same, if others may."""
        deadline = time.time() + self._timeout
        flight = shared or flight_key(secrets.token_urlsafe(16))
        for _ in range(ATTEMPTS):
            job, mine = self._send(actor, upload, {**arguments, "deadline": deadline, "flight": flight})
            answer = self._wait(job, deadline, progress)
            if answer is not None:
                if shared is None:  # it has a document's text, and nobody else comes for it
                    with suppress(StoreUnavailable), self._reached("end"):
                        self._jobs.end(job, flight)
                return _opened(answer)
            if time.time() >= deadline:
                if mine:
                    with self._reached("end"):
                        self._jobs.end(job, flight)
                raise ReadingTimedOut("The reading ran over its deadline; send a smaller image or fewer pages.")
        raise Overloaded("The queue loses what it is given; try again shortly.", retry_after=RETRY_AFTER_SECONDS)

    def _send(self, actor: str, upload: bytes, arguments: dict[str, Any]) -> tuple[str, bool]:
        """The job to wait for, and whether it is this asker's own: the same reading may be under way already."""
        flight, deadline = arguments["flight"], arguments["deadline"]
        with self._reached("send"):
            claimed = self._jobs.claim(flight, deadline, self._limit)
            if claimed is None:
                raise Overloaded("Too many readings are waiting; try again shortly.", retry_after=RETRY_AFTER_SECONDS)
            job, mine = claimed
            if mine:
                try:
                    self._jobs.fill(job, arguments, upload)
                    message = dramatiq.Message(queue_name=QUEUE, actor_name=actor, args=(job,), kwargs={}, options={})
                    self._broker.enqueue(message)
                    self._jobs.keep(job)
                except redis.ResponseError:
                    # Out of memory, say. A Redis that does not answer forgets the claim by itself.
                    self._jobs.end(job, flight)
                    raise
        return job, mine

    def _wait(self, job: str, deadline: float, progress: Progress) -> dict[str, Any] | None:
        """The answer; ``None`` when the time is up or the job has vanished."""
        seen = None
        while time.time() < deadline:
            with self._reached("wait"):
                there, answer, state = self._jobs.poll(job)
                if answer is not None:
                    self._jobs.taken(job)
            if answer is not None:
                return json.loads(answer)
            if not there:
                return None
            if state is not None and state != seen:
                seen = state
                done, _, total = state.decode().partition("/")
                progress(int(done), int(total))
            time.sleep(POLL_SECONDS)
        return None

    @contextmanager
    def _reached(self, operation: str) -> Iterator[None]:
        try:
            with self._guard.operation(operation):
                yield
        except StoreError as error:
            raise StoreUnavailable(
                "The queue of readings is out of reach; known documents are still answered.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error


def sealed(error: Refusal) -> dict[str, Any]:
    """A worker's refusal, as it travels back."""
    return {"refusal": type(error).__name__, "detail": error.detail, "retry_after": error.retry_after}


def _opened(answer: dict[str, Any]) -> dict[str, Any]:
    if "refusal" not in answer:
        return answer
    kinds = {kind.__name__: kind for kind in Refusal.__subclasses__()}
    raise kinds.get(answer["refusal"], ReadingFailed)(answer["detail"], retry_after=answer["retry_after"])
