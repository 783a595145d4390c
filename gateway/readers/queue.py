"""Readings by worker processes fed through Dramatiq on Redis: the gateway's side and what both sides agree on.

The upload waits in Redis beside its message. A worker acknowledges after it has stored the record, so a killed
worker's message is delivered again. Answers are polled: several gateways may wait for one reading.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from gateway.config import Settings
from gateway.errors import Overloaded, ReadingFailed, ReadingTimedOut, Refusal, StoreUnavailable
from gateway.readers.base import ReadingTask, no_progress
from gateway.reading import Progress, Reading
from gateway.record import Record
from worker.types import Box, LineReading

# A hash tag keeps every key on one node of a Redis Cluster, which Dramatiq's scripts need.
NAMESPACE = "{ocr-queue}"
QUEUE = "readings"
READ, REREAD = "read", "reread"
HEARTBEAT_TIMEOUT_MS = 8000
# Of a million polls: an idle worker polls some ten times a second, so it looks for dead colleagues every few seconds.
MAINTENANCE_CHANCE = 50_000
WORKER_BEAT_SECONDS = 5.0
POLL_SECONDS = 0.02
RETRY_AFTER_SECONDS = 2
# How long an answer, or an upload nobody came for, may lie in Redis beyond the deadline.
MARGIN_SECONDS = 60
SOCKET_TIMEOUT_SECONDS = 5.0


def connect(settings: Settings) -> redis.Redis:
    """A connection for the queue; slower to give up than the cache's, for losing a message costs a reading."""
    assert settings.redis_url is not None
    return redis.Redis.from_url(settings.redis_url.get_secret_value(), socket_timeout=SOCKET_TIMEOUT_SECONDS)


def broker(client: redis.Redis) -> RedisBroker:
    """The broker both sides use; messages of a worker that stops beating are delivered again."""
    return RedisBroker(
        client=client,
        namespace=NAMESPACE,
        heartbeat_timeout=HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=MAINTENANCE_CHANCE,
    )


def upload_key(job: str) -> str:
    return f"{NAMESPACE}:upload:{job}"


def answer_key(job: str) -> str:
    return f"{NAMESPACE}:answer:{job}"


def progress_key(job: str) -> str:
    return f"{NAMESPACE}:progress:{job}"


def attempts_key(job: str) -> str:
    return f"{NAMESPACE}:attempts:{job}"


def flight_key(result_id: str) -> str:
    return f"{NAMESPACE}:flight:{result_id}"


def workers_key() -> str:
    return f"{NAMESPACE}:workers"


class QueuedReadings:
    """Readings by whichever worker process takes the message."""

    def __init__(self, client: redis.Redis, *, timeout: float, queue_limit: int) -> None:
        self._client = client
        self._broker = broker(client)
        self._broker.declare_queue(QUEUE)
        self._timeout = timeout
        self._limit = queue_limit

    @classmethod
    def connect(cls, settings: Settings) -> QueuedReadings:
        """From the settings; Redis need not be up yet."""
        return cls(connect(settings), timeout=settings.read_timeout, queue_limit=settings.queue_limit)

    def obtain(self, task: ReadingTask, progress: Progress = no_progress) -> Reading:
        deadline = time.time() + self._timeout
        arguments = {"result_id": task.result_id, "options": asdict(task.options), "deadline": deadline}
        answer = self._ask(READ, task, arguments, deadline, progress, flight=flight_key(task.result_id))
        return Reading(Record.from_bytes(answer["record"].encode()), answer["stored"])

    def reread(self, task: ReadingTask, boxes: Sequence[Box]) -> list[LineReading]:
        deadline = time.time() + self._timeout
        arguments = {"boxes": [list(map(list, box)) for box in boxes], "deadline": deadline}
        answer = self._ask(REREAD, task, arguments, deadline, no_progress)
        return [LineReading(text, score) for text, score in answer["lines"]]

    def ready(self) -> bool:
        """Whether a worker with a warm model has been heard of lately."""
        try:
            return self._client.zcount(workers_key(), time.time() - 3 * WORKER_BEAT_SECONDS, "+inf") > 0
        except redis.RedisError:
            return False

    def close(self) -> None:
        self._broker.close()
        self._client.close()

    def _ask(
        self,
        actor: str,
        task: ReadingTask,
        arguments: dict[str, Any],
        deadline: float,
        progress: Progress,
        flight: str = "",
    ) -> dict[str, Any]:
        try:
            job = self._send(actor, task.upload, arguments, deadline, flight)
            return self._wait(job, deadline, progress)
        except redis.RedisError as error:
            raise StoreUnavailable(
                "The queue of readings is out of reach; known documents are still answered.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error

    def _send(self, actor: str, upload: bytes, arguments: dict[str, Any], deadline: float, flight: str) -> str:
        """Enqueue, unless another gateway has the same reading under way: then its job is the one to wait for."""
        if self._client.llen(f"{NAMESPACE}:{QUEUE}") >= self._limit:
            raise Overloaded("Too many readings are waiting; try again shortly.", retry_after=RETRY_AFTER_SECONDS)
        job = secrets.token_urlsafe(16)
        keep = int(deadline - time.time()) + MARGIN_SECONDS
        if flight and not self._client.set(flight, job, nx=True, ex=max(1, int(deadline - time.time()))):
            under_way = self._client.get(flight)
            if under_way is not None:
                return under_way.decode()
        self._client.set(upload_key(job), upload, ex=keep)
        self._broker.enqueue(
            dramatiq.Message(
                queue_name=QUEUE, actor_name=actor, args=(job,), kwargs={**arguments, "flight": flight}, options={}
            )
        )
        return job

    def _wait(self, job: str, deadline: float, progress: Progress) -> dict[str, Any]:
        seen = None
        while time.time() < deadline:
            answer, state = self._client.mget(answer_key(job), progress_key(job))
            if answer is not None:
                return _opened(json.loads(answer))
            if state is not None and state != seen:
                seen = state
                done, _, total = state.decode().partition("/")
                progress(int(done), int(total))
            time.sleep(POLL_SECONDS)
        raise ReadingTimedOut("The reading ran over its deadline; send a smaller image or fewer pages.")


def sealed(error: Refusal) -> dict[str, Any]:
    """A worker's refusal, as it travels back."""
    return {"refusal": type(error).__name__, "detail": error.detail, "retry_after": error.retry_after}


def _opened(answer: dict[str, Any]) -> dict[str, Any]:
    if "refusal" not in answer:
        return answer
    kinds = {kind.__name__: kind for kind in Refusal.__subclasses__()}
    raise kinds.get(answer["refusal"], ReadingFailed)(answer["detail"], retry_after=answer["retry_after"])
