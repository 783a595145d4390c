"""Recognitions that nobody waits for: ``202`` now, the result under its id later.

A job and its upload are in the store before the client hears of it, so another process can take over: whoever
finds a job whose lease ran out (at start, or when a client asks for it) runs it again.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from gateway.errors import Overloaded, Refusal, StoreUnavailable
from gateway.identity import Options, result_id
from gateway.service import MatchMode, Service
from gateway.store.base import Store, StoreError

log = logging.getLogger(__name__)

LIFETIME_SECONDS = 24 * 3600
RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is stored. ``lease``: POSIX seconds until which somebody is taken to be at work on it.

    ``error``: status, slug, title and detail of the refusal that ended it.
    """

    id: str
    result_id: str
    options: dict[str, str]
    match: MatchMode
    expires_at: int
    status: Literal["queued", "running", "done", "failed"] = "queued"
    done: int = 0
    total: int = 0
    lease: float = 0.0
    error: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """UTF-8 JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Raises ``ValueError`` or ``TypeError`` for bytes that are no job."""
        return cls(**json.loads(data))


class Jobs:
    """Runs jobs in ``workers`` threads; at most ``limit`` wait or run."""

    def __init__(self, service: Service, store: Store, *, workers: int, limit: int, lease: float) -> None:
        self._service = service
        self._store = store
        self._limit = limit
        self._lease = lease
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._mine: set[str] = set()
        self._lock = threading.Lock()

    def submit(self, upload: bytes, options: Options, match: MatchMode) -> str:
        """The id of a new job. Raises :class:`Overloaded` or :class:`StoreUnavailable`."""
        with self._lock:
            if len(self._mine) >= self._limit:
                raise Overloaded("Too many jobs are waiting; try again shortly.", retry_after=RETRY_AFTER_SECONDS)
        job = Job(
            id=secrets.token_urlsafe(16),
            result_id=result_id(upload, options),
            options=asdict(options),
            match=match,
            expires_at=int(time.time()) + LIFETIME_SECONDS,
            lease=time.time() + self._lease,
        )
        try:
            self._store.put(_upload_key(job.id), upload, job.expires_at)
            self._save(job)
        except StoreError as error:
            raise StoreUnavailable(
                "A job cannot be kept at the moment; send the image without `Prefer: respond-async`.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error
        self._run_later(job)
        return job.id

    def find(self, job_id: str) -> Job | None:
        """The job, taken over if whoever ran it is gone. Raises :class:`StoreUnavailable`."""
        try:
            job = self._load(job_id)
        except StoreError as error:
            raise StoreUnavailable(
                "Jobs cannot be looked up at the moment.", retry_after=RETRY_AFTER_SECONDS
            ) from error
        if job and job.status in ("queued", "running") and job.lease < time.time():
            self._run_later(job)
        return job

    def resume(self) -> None:
        """Take over every job that nobody is at work on."""
        try:
            for key in self._store.scan(_job_key("")):
                self.find(key.removeprefix(_job_key("")))
        except (StoreError, StoreUnavailable) as error:
            log.warning("jobs could not be resumed: %s", error)

    def close(self) -> None:
        """Finish what runs; what waits stays in the store for the next process."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _run_later(self, job: Job) -> None:
        with self._lock:
            if job.id in self._mine:
                return
            self._mine.add(job.id)
        try:
            self._executor.submit(self._run, job)
        except RuntimeError:  # shutting down: the next process takes it over
            with self._lock:
                self._mine.discard(job.id)

    def _run(self, job: Job) -> None:
        try:
            ended = self._attempt(job)
            self._save(ended)
            self._store.delete(_upload_key(job.id))
        except StoreError as error:
            log.warning("job %s… will be run again: %s", job.id[:6], error)
        except Exception as error:
            log.error("job %s… broke: %s", job.id[:6], type(error).__name__)
        finally:
            with self._lock:
                self._mine.discard(job.id)

    def _attempt(self, job: Job) -> Job:
        entry = self._store.get(_upload_key(job.id))
        if entry is None:
            error = {
                "status": 502,
                "slug": "reading-failed",
                "title": "Recognition failed",
                "detail": "Upload it again.",
            }
            return replace(job, status="failed", error=error)

        def progress(done: int, total: int) -> None:
            self._save(replace(job, status="running", done=done, total=total, lease=time.time() + self._lease))

        try:
            progress(0, 0)
            self._service.recognise(entry.value, Options(**job.options), job.match, progress)
        except Overloaded:
            raise StoreError("the reader is busy") from None
        except Refusal as error:
            log.info("job %s… was refused: %s", job.id[:6], error.slug)
            about = {"status": error.status, "slug": error.slug, "title": error.title, "detail": error.detail}
            return replace(job, status="failed", error=about)
        return replace(job, status="done")

    def _load(self, job_id: str) -> Job | None:
        entry = self._store.get(_job_key(job_id))
        try:
            return Job.from_bytes(entry.value) if entry else None
        except (ValueError, TypeError):
            log.warning("unreadable job")
            return None

    def _save(self, job: Job) -> None:
        self._store.put(_job_key(job.id), job.to_bytes(), job.expires_at)


def _job_key(job_id: str) -> str:
    return f"jobs/{job_id}"


def _upload_key(job_id: str) -> str:
    return f"uploads/{job_id}"
