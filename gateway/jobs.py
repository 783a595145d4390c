"""Recognitions that nobody waits for: ``202`` now, the result under its id later.

A job and its upload are in the store before the client hears of it, so any gateway over that store can run it. The
upload is removed when the job has ended: whatever is under ``uploads/`` is still to be done, and each gateway looks
there from time to time. Whoever begins a job *claims* it: adds ``leases/<job>``, which expires unless it is renewed.

Two may still run one job, when a lease ran out under a process that was only slow. That costs a reading and harms
nothing: a result that is stored is right whoever read it, and a failure is recorded by the holder of the lease
alone, never over an end.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from gateway.errors import Overloaded, ReadingFailed, Refusal, StoreUnavailable, Unauthorized
from gateway.identity import Options
from gateway.service import MatchMode, Service
from gateway.store.base import Store, StoreError

log = logging.getLogger(__name__)

LIFETIME_SECONDS = 24 * 3600
RETRY_AFTER_SECONDS = 5
SWEEP_SECONDS = 10.0
ATTEMPTS = 3
# A job that must wait does so for a part of its age: soon at first, then ever more rarely.
REST_PER_AGE = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is stored.

    ``id``: what clients call it, in key mode after the name of the tenant and a slash.
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

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ("done", "failed")

    def to_bytes(self) -> bytes:
        """UTF-8 JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        """Raises ``ValueError`` or ``TypeError`` for bytes that are no job."""
        return cls(**json.loads(data))


class Jobs:
    """Runs jobs in ``workers`` threads; at most ``limit`` wait or run here.

    Every ``sweep`` seconds a thread renews the leases of the jobs that run, which last ``lease`` seconds (several
    sweeps), and takes up those that wait, whoever accepted them.
    """

    def __init__(
        self,
        service: Service,
        store: Store,
        *,
        workers: int,
        limit: int,
        lease: float,
        sweep: float = SWEEP_SECONDS,
        service_named: Callable[[str], Service | None] | None = None,
    ) -> None:
        """``service_named`` gives a tenant's service by its name, or ``None`` when there is no such tenant any more;
        by default there are no tenants, and ``service`` is everybody's."""
        self._service_named = service_named or {"": service}.get
        self._store = store
        self._limit = limit
        self._lease = lease
        self._sweep = sweep
        self._owner = secrets.token_bytes(16)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._lock = threading.Lock()
        # Ids of jobs: in the executor's hands; to be tried again.
        self._taken: set[str] = set()
        self._resting: set[str] = set()
        # Held while a lease is renewed or given up, so that no renewal comes after the end.
        self._lease_lock = threading.Lock()
        self._claimed: set[str] = set()
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="job-keeper", daemon=True)
        self._keeper.start()

    def submit(self, upload: bytes, options: Options, match: MatchMode, tenant: str = "") -> str:
        """What clients call a new job of ``tenant``. Raises :class:`Overloaded` or :class:`StoreUnavailable`."""
        if self._is_full():
            raise Overloaded("Too many jobs are waiting; try again shortly.", retry_after=RETRY_AFTER_SECONDS)
        service = self._service_named(tenant)
        if service is None:
            raise Unauthorized("This API key is not valid any more.")
        job = Job(
            id=_of_tenant(tenant, secrets.token_urlsafe(16)),
            result_id=service.identify(upload, options),
            options=options.changed(),
            match=match,
            expires_at=int(time.time()) + LIFETIME_SECONDS,
        )
        try:
            # The job first: an upload without one would be nobody's to remove.
            self._save(job)
            self._store.put(_upload_key(job.id), upload, job.expires_at)
        except StoreError as error:
            raise StoreUnavailable(
                "A job cannot be kept at the moment; send the image without `Prefer: respond-async`.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error
        self._take(job.id)
        return job.id.rpartition("/")[2]

    def find(self, job_id: str, tenant: str = "") -> Job | None:
        """The job of ``tenant`` as it stands; another's is not to be found. Raises :class:`StoreUnavailable`."""
        try:
            return self._load(_of_tenant(tenant, job_id))
        except StoreError as error:
            raise StoreUnavailable(
                "Jobs cannot be looked up at the moment.", retry_after=RETRY_AFTER_SECONDS
            ) from error

    def resume(self) -> None:
        """Take up, within the limit, every job that has not ended; those at work elsewhere are left alone."""
        try:
            for key in self._store.scan(_upload_key("")):
                if self._is_full() or self._closing.is_set():
                    return
                self._take(key.removeprefix(_upload_key("")))
        except StoreError as error:
            log.warning("waiting jobs could not be looked for: %s", error)

    def close(self) -> None:
        """Finish what runs; what waits has no lease and is in the store for the next process."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._closing.set()
        self._keeper.join()

    def _keep(self) -> None:
        while not self._closing.wait(self._sweep):
            self._renew()
            with self._lock:
                resting = tuple(self._resting)
            for job_id in resting:
                self._take(job_id)
            self.resume()

    def _is_full(self) -> bool:
        with self._lock:
            return len(self._taken) + len(self._resting) >= self._limit

    def _take(self, job_id: str) -> None:
        with self._lock:
            if job_id in self._taken:
                return
            self._resting.discard(job_id)
            self._taken.add(job_id)
        try:
            self._executor.submit(self._run, job_id)
        except RuntimeError:  # shutting down: it stays in the store
            with self._lock:
                self._taken.discard(job_id)

    def _run(self, job_id: str) -> None:
        waits = True
        try:
            waits = self._attempt(job_id)
        except StoreError as error:
            log.warning("job %s… is put off: %s", _short(job_id), error)
        except Exception as error:
            log.error("job %s… cannot be run: %s", _short(job_id), type(error).__name__)
            waits = False
        finally:
            with self._lock:
                self._taken.discard(job_id)
                if waits:
                    self._resting.add(job_id)

    def _attempt(self, job_id: str) -> bool:
        """Whether the job is to be tried again. What was known of it when it was taken is long out of date."""
        job = self._load(job_id)
        if job is None:
            return False
        if job.ended:
            self._store.delete(_upload_key(job_id))
            return False
        if job.not_before > time.time():
            return True
        if not self._claim(job_id):
            return False
        try:
            # Again: it may have ended between the look and the claim.
            job = self._load(job_id)
            return job is not None and not job.ended and self._settle(self._recognise(job))
        finally:
            self._release(job_id)

    def _recognise(self, job: Job) -> Job:
        """``job`` after one more attempt: ended, or queued for another."""
        entry = self._store.get(_upload_key(job.id))
        if entry is None:
            return _failed(job, ReadingFailed("The upload was lost; send it again."))
        service = self._service_named(job.id.rpartition("/")[0])
        if service is None:
            return _failed(job, ReadingFailed("Whoever sent this has no access any more."))
        if job.attempts >= ATTEMPTS:
            return _failed(job, ReadingFailed("Recognition broke off each time it was tried."))
        begun = replace(job, status="running", attempts=job.attempts + 1, done=0, total=0)
        self._save(begun)
        failure: Refusal
        try:
            asked_at = job.expires_at - LIFETIME_SECONDS
            outcome = service.recognise(
                entry.value, Options(**job.options), job.match, self._progress_of(begun), asked_at
            )
            if outcome.stored:
                return replace(begun, status="done")
            failure = StoreUnavailable("The result could not be stored; send the image again.")
        except (Overloaded, StoreUnavailable, StoreError) as error:
            log.info("job %s… waits: %s", _short(job.id), type(error).__name__)
            return _resting(job)
        except Refusal as error:
            return _failed(begun, error)
        except Exception as error:
            # The type only: a message could quote the document.
            log.error("job %s… broke: %s", _short(job.id), type(error).__name__)
            failure = ReadingFailed("Recognition broke off each time it was tried.")
        return _resting(begun) if begun.attempts < ATTEMPTS else _failed(begun, failure)

    def _progress_of(self, begun: Job) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            try:
                if self._holds(begun.id):
                    self._save(replace(begun, done=done, total=total))
            except StoreError as error:
                log.warning("the progress of job %s… was not recorded: %s", _short(begun.id), error)

        return progress

    def _settle(self, job: Job) -> bool:
        """Record what an attempt came to; whether the job is to be tried again."""
        if job.status != "done":
            there = self._load(job.id)
            if there is None or there.ended or not self._holds(job.id):
                return False
        self._save(job)
        if job.status == "failed":
            log.info("job %s… failed: %s", _short(job.id), job.error["slug"])
        if job.ended:
            self._store.delete(_upload_key(job.id))
        return not job.ended

    def _claim(self, job_id: str) -> bool:
        # A lease of this process's own is one that it could not give up.
        if not self._store.add(_lease_key(job_id), self._owner, self._lease_end()) and not self._holds(job_id):
            return False
        with self._lease_lock:
            self._claimed.add(job_id)
        return True

    def _renew(self) -> None:
        with self._lease_lock:
            for job_id in self._claimed:
                try:
                    if self._holds(job_id):
                        self._store.put(_lease_key(job_id), self._owner, self._lease_end())
                except StoreError as error:
                    log.warning("the lease of job %s… was not renewed: %s", _short(job_id), error)

    def _release(self, job_id: str) -> None:
        with self._lease_lock:
            self._claimed.discard(job_id)
            try:
                if self._holds(job_id):
                    self._store.delete(_lease_key(job_id))
            except StoreError as error:
                log.warning("the lease of job %s… was not given up: %s", _short(job_id), error)

    def _holds(self, job_id: str) -> bool:
        lease = self._store.get(_lease_key(job_id))
        return lease is not None and lease.value == self._owner

    def _lease_end(self) -> int:
        return int(time.time() + self._lease)

    def _load(self, job_id: str) -> Job | None:
        entry = self._store.get(_job_key(job_id))
        try:
            return Job.from_bytes(entry.value) if entry else None
        except (ValueError, TypeError):
            log.warning("unreadable job")
            return None

    def _save(self, job: Job) -> None:
        self._store.put(_job_key(job.id), job.to_bytes(), job.expires_at)


def _failed(job: Job, error: Refusal) -> Job:
    about = {"status": error.status, "slug": error.slug, "title": error.title, "detail": error.detail}
    return replace(job, status="failed", error=about)


def _resting(job: Job) -> Job:
    now = time.time()
    age = now - (job.expires_at - LIFETIME_SECONDS)
    return replace(job, status="queued", done=0, total=0, not_before=now + REST_PER_AGE * age)


def _short(job_id: str) -> str:
    """Enough of a job's id for the log, and too little to ask after it."""
    return job_id.rpartition("/")[2][:6]


def _of_tenant(tenant: str, job_id: str) -> str:
    return f"{tenant}/{job_id}" if tenant else job_id


def _job_key(job_id: str) -> str:
    return f"jobs/{job_id}"


def _upload_key(job_id: str) -> str:
    return f"uploads/{job_id}"


def _lease_key(job_id: str) -> str:
    return f"leases/{job_id}"
