"""Recognitions that nobody waits for: ``202`` now, the result under its id later.

A job and its upload are in the store before the client hears of it, so any gateway over that store can run it. The
upload is removed when the job has ended: whatever is under ``uploads/`` is still to be done, and each gateway looks
there from time to time. Whoever begins a job holds its lease.

Two may still run one job, when a lease ran out under a process that was only slow. That costs a reading and harms
nothing: a result that is stored is right whoever read it, and a failure is recorded by the holder of the lease
alone, never over an end.
"""

from gateway.jobs.job import LIFETIME_SECONDS, Job
from gateway.jobs.runner import ATTEMPTS, Jobs

__all__ = ["ATTEMPTS", "LIFETIME_SECONDS", "Job", "Jobs"]
