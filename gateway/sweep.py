"""Deletion of many results in one go, a few at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from gateway.archive import Archive
from gateway.deletion import Deletions
from gateway.purge import PurgeFailed
from gateway.record import Record
from gateway.store.base import StoreError

_AT_ONCE = 8


@dataclass
class Tally:
    """How many results were deleted, kept as they were, or not there; ``failures``: reasons and how often."""

    deleted: int = 0
    kept: int = 0
    absent: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.deleted + other.deleted,
            self.kept + other.kept,
            self.absent + other.absent,
            self.failures + other.failures,
        )


def sweep(
    ids: Iterable[str],
    archive: Archive,
    deletions: Deletions | None,
    select: Callable[[Record], bool] = lambda record: True,
) -> Tally:
    """Delete the results of ``ids`` that ``select`` chooses; without ``deletions`` they are only counted.

    An id without a readable record counts as absent; it is deleted all the same, so that what is left of it goes, in
    the edges too. ``ids`` may be as long as it likes: it is taken as the work goes on. What ``ids`` raises is raised.
    """
    tally = Tally()

    def one(wanted: str) -> str:
        found = archive.look_up(wanted)
        if found is not None and not select(found.record):
            return "kept"
        if deletions is not None:
            deletions.delete(wanted)
        return "deleted" if found is not None else "absent"

    def count(done: Future[str]) -> None:
        try:
            word = done.result()
        except (StoreError, PurgeFailed) as error:
            tally.failures[str(error)] += 1
        else:
            setattr(tally, word, getattr(tally, word) + 1)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sweep") as pool:
        running: set[Future[str]] = set()
        for wanted in ids:
            running.add(pool.submit(one, wanted))
            if len(running) >= 2 * _AT_ONCE:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    count(each)
        for each in running:
            count(each)
    return tally
