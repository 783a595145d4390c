"""One job as it is stored, with its upload beside it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from gateway.errors import Refusal
from gateway.service import MatchMode
from gateway.store.base import Store

log = logging.getLogger(__name__)

LIFETIME_SECONDS = 24 * 3600
# A job that must wait does so for a part of its age: soon at first, then ever more rarely.
_REST_PER_AGE = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """A recognition that was asked for.

    ``id``: what clients call it, in key mode after the name of the tenant and a slash.
    ``asked_at``: POSIX seconds; what was deleted before, in the same second even, does not concern it.
    ``attempts``: those begun, less those that only found the reader busy or a store away. ``not_before``: POSIX
    seconds of the next one. ``error``: status, slug, title and detail of the refusal that ended it.
    """

    id: str
    result_id: str
    options: dict[str, str]
    match: MatchMode
    expires_at: int
    status: Literal["queued", "running", "done", "failed"] = "queued"
    done: int = 0
    total: int = 0
    attempts: int = 0
    not_before: float = 0.0
    error: dict[str, Any] = field(default_factory=dict)
    asked_at: float = 0.0

    @property
    def tenant(self) -> str:
        """Whose it is; empty in open mode."""
        return self.id.rpartition("/")[0]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ("done", "failed")

    def begun(self) -> Job:
        """The same in one more attempt."""
        return replace(self, status="running", attempts=self.attempts + 1, done=0, total=0)

    def resting(self) -> Job:
        """The same, to be tried again later."""
        now = time.time()
        return replace(
            self, status="queued", done=0, total=0, not_before=now + _REST_PER_AGE * (now - self.asked_at)
        )

    def failed(self, error: Refusal) -> Job:
        """The same, ended by ``error``."""
        about = {"status": error.status, "slug": error.slug, "title": error.title, "detail": error.detail}
        return replace(self, status="failed", error=about)

    def to_bytes(self) -> bytes:
        """UTF-8 JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Raises ``ValueError`` or ``TypeError`` for bytes that are no job."""
        job = cls(**json.loads(data))
        # Older versions stored whole seconds only.
        return job if job.asked_at else replace(job, asked_at=job.expires_at - LIFETIME_SECONDS)


class JobStore:
    """Jobs and their uploads in ``store``. Every method raises :class:`gateway.store.base.StoreError`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, job: Job, upload: bytes) -> None:
        """Keep a new job. It comes first: an upload without one would be nobody's to remove."""
        self.save(job)
        self._store.put(_upload_key(job.id), upload, job.expires_at)

    def save(self, job: Job) -> None:
        """Keep what has become of a job."""
        self._store.put(f"jobs/{job.id}", job.to_bytes(), job.expires_at)

    def load(self, job_id: str) -> Job | None:
        """The job as it stands; ``None`` when there is none, or none that can be read."""
        entry = self._store.get(f"jobs/{job_id}")
        try:
            return Job.from_bytes(entry.value) if entry else None
        except (ValueError, TypeError):
            log.warning("unreadable job")
            return None

    def upload(self, job_id: str) -> bytes | None:
        """What is to be recognised, until the job has ended."""
        entry = self._store.get(_upload_key(job_id))
        return entry.value if entry else None

    def forget_upload(self, job_id: str) -> None:
        """After the job's end."""
        self._store.delete(_upload_key(job_id))

    def forget_expired(self, job_id: str) -> None:
        """Remove the upload of a job that came to no end in its time: S3 goes on listing it for days."""
        if self._store.get(_upload_key(job_id)) is None:
            self._store.delete(_upload_key(job_id))

    def waiting(self) -> Iterator[str]:
        """The ids of all jobs that have not ended, and perhaps of some that have expired."""
        return (key.removeprefix(_upload_key("")) for key in self._store.scan(_upload_key("")))


def id_of_tenant(tenant: str, job_id: str) -> str:
    """``job_id`` is what a client of ``tenant`` calls the job."""
    return f"{tenant}/{job_id}" if tenant else job_id


def short_id(job_id: str) -> str:
    """Enough of a job's id for the log, and too little to ask after it."""
    return job_id.rpartition("/")[2][:6]


def _upload_key(job_id: str) -> str:
    return f"uploads/{job_id}"
