"""Accepts jobs, and runs those that wait, whoever accepted them."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gateway.errors import Overloaded, ReadingFailed, Refusal, StoreUnavailable, Unauthorized
from gateway.identity import Options
from gateway.jobs.job import LIFETIME_SECONDS, Job, JobStore, id_of_tenant, short_id
from gateway.jobs.leases import Leases
from gateway.service import MatchMode, Service
from gateway.store.base import Store, StoreError

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
SWEEP_SECONDS = 10.0
ATTEMPTS = 3


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
        self._jobs = JobStore(store)
        self._leases = Leases(store, lease)
        self._limit = limit
        self._sweep = sweep
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="job")
        self._lock = threading.Lock()
        # Ids of jobs: in the executor's hands; to be tried again.
        self._taken: set[str] = set()
        self._resting: set[str] = set()
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
        now = time.time()
        job = Job(
            id=id_of_tenant(tenant, secrets.token_urlsafe(16)),
            result_id=service.identify(upload, options),
            options=options.changed(),
            match=match,
            expires_at=int(now) + LIFETIME_SECONDS,
            asked_at=now,
        )
        try:
            self._jobs.add(job, upload)
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
            return self._jobs.load(id_of_tenant(tenant, job_id))
        except StoreError as error:
            raise StoreUnavailable(
                "Jobs cannot be looked up at the moment.", retry_after=RETRY_AFTER_SECONDS
            ) from error

    def resume(self) -> None:
        """Take up, within the limit, every job that has not ended; those at work elsewhere are left alone."""
        try:
            for job_id in self._jobs.waiting():
                if self._is_full() or self._closing.is_set():
                    return
                self._take(job_id)
        except StoreError as error:
            log.warning("waiting jobs could not be looked for: %s", error)

    def close(self) -> None:
        """Finish what runs; what waits has no lease and is in the store for the next process."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._closing.set()
        self._keeper.join()

    def _keep(self) -> None:
        while not self._closing.wait(self._sweep):
            self._leases.renew()
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
            log.warning("job %s… is put off: %s", short_id(job_id), error)
        except Exception as error:
            log.error("job %s… cannot be run: %s", short_id(job_id), type(error).__name__)
            waits = False
        finally:
            with self._lock:
                self._taken.discard(job_id)
                if waits:
                    self._resting.add(job_id)

    def _attempt(self, job_id: str) -> bool:
        """Whether the job is to be tried again. What was known of it when it was taken is long out of date."""
        job = self._jobs.load(job_id)
        if job is None:
            self._jobs.forget_expired(job_id)
            return False
        if job.ended:
            self._jobs.forget_upload(job_id)
            return False
        if job.not_before > time.time():
            return True
        if not self._leases.claim(job_id):
            return False
        try:
            # Again: it may have ended between the look and the claim.
            job = self._jobs.load(job_id)
            return job is not None and not job.ended and self._settle(self._recognise(job))
        finally:
            self._leases.release(job_id)

    def _recognise(self, job: Job) -> Job:
        """``job`` after one more attempt: ended, or queued for another."""
        upload = self._jobs.upload(job.id)
        service = self._service_named(job.tenant)
        if service is None:
            return job.failed(ReadingFailed("Whoever sent this has no access any more."))
        if job.attempts >= ATTEMPTS:
            return job.failed(ReadingFailed("Recognition broke off each time it was tried."))
        begun = job.begun()
        failure: Refusal
        try:
            if upload is None:
                if _has_result(job, service):
                    return replace(begun, status="done")
                failure = ReadingFailed("The upload was lost; send it again.")
            else:
                self._jobs.save(begun)
                options = Options(**job.options)
                outcome = service.recognise(upload, options, job.match, self._progress_of(begun), job.asked_at)
                if outcome.stored:
                    return replace(begun, status="done")
                failure = StoreUnavailable("The result could not be stored; send the image again.")
        except (Overloaded, StoreUnavailable, StoreError) as error:
            log.info("job %s… waits: %s", short_id(job.id), type(error).__name__)
            return job.resting()
        except Refusal as error:
            return begun.failed(error)
        except Exception as error:
            # The type only: a message could quote the document.
            log.error("job %s… broke: %s", short_id(job.id), type(error).__name__)
            failure = ReadingFailed("Recognition broke off each time it was tried.")
        return begun.resting() if begun.attempts < ATTEMPTS else begun.failed(failure)

    def _progress_of(self, begun: Job) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            try:
                if self._leases.holds(begun.id):
                    self._jobs.save(replace(begun, done=done, total=total))
            except StoreError as error:
                log.warning("the progress of job %s… was not recorded: %s", short_id(begun.id), error)

        return progress

    def _settle(self, job: Job) -> bool:
        """Record what an attempt came to; whether the job is to be tried again."""
        if job.status != "done":
            there = self._jobs.load(job.id)
            if there is None or there.ended or not self._leases.holds(job.id):
                return False
        self._jobs.save(job)
        if job.status == "failed":
            log.info("job %s… failed: %s", short_id(job.id), job.error["slug"])
        if job.ended:
            self._jobs.forget_upload(job.id)
        return not job.ended


def _has_result(job: Job, service: Service) -> bool:
    """Whether a job without an upload came to its end, which a failing tier did not hear of: the upload goes then.

    Raises :class:`StoreUnavailable`.
    """
    found = service.look_up(job.result_id)
    return found is not None and (job.match != "none" or found.record.created_at >= job.asked_at)
