"""Readings that wait or run, as both sides of the queue see them in Redis.

A *job* is one hash with everything in it, upload and answer included. A *flight* is the key that leads a second asker
for the same reading to the job under way; losing one costs a second reading and nothing else.

A job has no expiry while it is needed, so a Redis that evicts what expires spares it. It goes when its answer is
taken, when its asker gives up, and at last when a worker sweeps up what gateways left that died.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import redis

# A hash tag keeps every key on one node of a Redis Cluster, which the scripts need.
NAMESPACE = "{ocr-queue}"
QUEUE = "readings"
# A job that its gateway has not enqueued by then never will be: the gateway died.
CLAIM_SECONDS = 5
# How long a taken answer is kept for others who wait for it.
TAKEN_SECONDS = 5
# When a worker sweeps up a job nobody has come for, after its deadline.
MARGIN_SECONDS = 60

# A script is refused for want of memory at its first write only, and never for PERSIST and DEL: a job that is there
# can be taken and answered however full Redis is.
_CLAIM = """
local flight, job_key, deadlines, queue = unpack(KEYS)
local prefix, job, deadline, keep, claim, limit = unpack(ARGV)
local under_way = redis.call('GET', flight)
if under_way and redis.call('EXISTS', prefix .. under_way) == 1 then
  return under_way
end
if redis.call('LLEN', queue) >= tonumber(limit) then
  return false
end
redis.call('SET', flight, job, 'EX', keep)
redis.call('HSET', job_key, 'deadline', deadline)
redis.call('EXPIRE', job_key, claim)
redis.call('ZADD', deadlines, deadline, job)
return job
"""
_TAKE = """
if redis.call('HEXISTS', KEYS[1], 'arguments') == 0 then
  return false
end
redis.call('PERSIST', KEYS[1])
return {redis.call('HINCRBY', KEYS[1], 'deliveries', 1), redis.call('HGET', KEYS[1], 'arguments')}
"""
_REPORT = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'progress', ARGV[1])
end
"""
_END = """
local job_key, flight = unpack(KEYS)
local job, answer = unpack(ARGV)
if redis.call('GET', flight) == job then
  redis.call('DEL', flight)
end
if redis.call('DEL', job_key) == 1 and answer ~= '' then
  redis.call('HSET', job_key, 'answer', answer)
end
"""


def job_key(job: str) -> str:
    return f"{NAMESPACE}:job:{job}"


def deadlines_key() -> str:
    return f"{NAMESPACE}:deadlines"


def flight_key(result_id: str) -> str:
    return f"{NAMESPACE}:flight:{result_id}"


class JobTable:
    """The jobs in Redis, as both sides see them. Methods raise :class:`redis.RedisError`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._claim = client.register_script(_CLAIM)
        self._take = client.register_script(_TAKE)
        self._report = client.register_script(_REPORT)
        self._end = client.register_script(_END)

    def claim(self, flight: str, deadline: float, limit: int) -> tuple[str, bool] | None:
        """The job that has ``flight``, and whether it is a new one to be filled; ``None`` when ``limit`` wait."""
        job = secrets.token_urlsafe(16)
        found = self._claim(
            keys=[flight, job_key(job), deadlines_key(), f"{NAMESPACE}:{QUEUE}"],
            args=[job_key(""), job, deadline, max(1, int(deadline - time.time())), CLAIM_SECONDS, limit],
        )
        return (found.decode(), found.decode() == job) if found else None

    def fill(self, job: str, arguments: dict[str, Any], upload: bytes) -> None:
        """Give a claimed job its contents; :meth:`keep` it once it is enqueued."""
        self._client.hset(job_key(job), mapping={"arguments": json.dumps(arguments), "upload": upload})

    def keep(self, job: str) -> None:
        """Lift the expiry of a claim."""
        self._client.persist(job_key(job))

    def poll(self, job: str) -> tuple[bool, bytes | None, bytes | None]:
        """Whether the job is there, its answer, its progress."""
        deadline, progress, answer = self._client.hmget(job_key(job), "deadline", "progress", "answer")
        return (deadline or answer) is not None, answer, progress

    def taken(self, job: str) -> None:
        """The answer has arrived; others who wait for it have a moment left."""
        self._client.expire(job_key(job), TAKEN_SECONDS)

    def take(self, job: str) -> tuple[int, dict[str, Any]] | None:
        """How often the job was delivered, and its arguments; ``None`` when nobody waits for it any more."""
        found = self._take(keys=[job_key(job)])
        return (found[0], json.loads(found[1])) if found else None

    def upload(self, job: str) -> bytes | None:
        return self._client.hget(job_key(job), "upload")

    def report(self, job: str, done: int, total: int) -> None:
        self._report(keys=[job_key(job)], args=[f"{done}/{total}"])

    def end(self, job: str, flight: str, answer: dict[str, Any] | None = None) -> None:
        """Remove the job, and the flight if it is still this job's. Leave ``answer`` if somebody may be waiting."""
        self._end(keys=[job_key(job), flight], args=[job, json.dumps(answer) if answer else ""])

    def unfinished(self) -> int:
        """How many messages wait or are being worked on, as the broker counts them."""
        return self._client.hlen(f"{NAMESPACE}:{QUEUE}.msgs")

    def sweep(self) -> None:
        """Remove what is left of jobs whose deadline has long passed."""
        for job in self._client.zrangebyscore(deadlines_key(), "-inf", time.time() - MARGIN_SECONDS):
            self._client.delete(job_key(job.decode()))
            self._client.zrem(deadlines_key(), job)
