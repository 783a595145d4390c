"""The one flow from an upload to its record; the only place that says HIT, PARTIAL or MISS.

exact (the bytes are known) → pixels (the decoded image is known) → near (a verified copy of a known document, or a
corrected version of it whose changed lines are read) → a reading. Everything cheaper is tried before anything dearer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from gateway.archive import Archive, Found
from gateway.deletion import Deletions
from gateway.errors import Overloaded, Refusal, StoreUnavailable
from gateway.identity import Options, result_id
from gateway.image import ImageLimits, PageRange, decode
from gateway.metrics import Metrics
from gateway.near import NearMatcher
from gateway.nomination import Nominator
from gateway.purge import EdgePurger, PurgeFailed, TenantPurger
from gateway.readers.base import Readings, no_progress
from gateway.reading import Progress, ReadingTask, image_facts
from gateway.record import Match, PageLine, Record
from gateway.shadow import Shadow
from gateway.singleflight import SingleFlight
from gateway.store.base import StoreError
from gateway.tenants import Tenant
from gateway.thumbnail import preview, thumbnail
from worker import memory

log = logging.getLogger(__name__)

MatchMode = Literal["exact", "near", "none"]
Word = Literal["HIT", "PARTIAL", "MISS"]

Answer = TypeVar("Answer")

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """A record and how it was come by.

    ``detail``: the tier or the kind of match that answered a hit. ``stored``: it can be fetched by its id.
    ``collapsed``: it was shared with a request that was already being served. ``match``: how this upload matched.
    """

    record: Record
    word: Word
    match: Match
    detail: str = ""
    stored: bool = True
    collapsed: bool = False


class Service:
    """Recognise, look up, delete; draw a page that a browser cannot."""

    def __init__(
        self,
        archive: Archive,
        readings: Readings,
        nominator: Nominator,
        purger: EdgePurger | TenantPurger,
        metrics: Metrics,
        limits: ImageLimits,
        *,
        near: NearMatcher | None = None,
        shadow: Shadow | None = None,
        at_once: int = 12,
        admissions: threading.Semaphore | None = None,
        tenant: Tenant | None = None,
    ) -> None:
        """``near``: matches copies by their look; without it none are. ``shadow``: checks such answers afterwards.
        ``at_once``: uploads that may be decoded, matched or read at the same time; more are refused, so that known
        documents are answered however many unknown ones come. ``admissions``: what counts them, where several services
        share one limit. ``tenant``: whose service it is, in key mode; archive, readings, nominator and purger are
        then its own."""
        self._archive = archive
        self._readings = readings
        self._nominator = nominator
        self._purger = purger
        self._deletions = Deletions(archive, nominator, purger)
        self._metrics = metrics
        self._limits = limits
        self._near = near
        self._shadow = shadow
        self._flights: SingleFlight[Outcome] = SingleFlight()
        self._admissions = admissions or threading.BoundedSemaphore(at_once)
        self.tenant = tenant

    def recognise(
        self,
        upload: bytes,
        options: Options,
        mode: MatchMode = "near",
        progress: Progress = no_progress,
        asked_at: float | None = None,
    ) -> Outcome:
        """The record of ``upload``, from the cheapest place that has it.

        ``asked_at``: POSIX seconds, now by default; a deletion after that wins. Raises a
        :class:`gateway.errors.Refusal`.
        """
        wanted = self.identify(upload, options)
        found = self._archive.find(wanted) if mode != "none" else None
        if found and not found.record.was_read_with(options.digest()):
            found = None
        if found and not (mode == "exact" and found.record.match.kind in ("near", "partial")):
            outcome = _exact(found)
        else:
            outcome = self._admitted(wanted, upload, options, mode, progress, asked_at or time.time())
            if outcome.stored and mode != "none":
                self._purger.forget_miss(wanted)
        self._metrics.answered(outcome.word, outcome.detail)
        return outcome

    def identify(self, upload: bytes, options: Options) -> str:
        """The result id of ``upload``."""
        return result_id(upload, options, self.tenant.lookup_key if self.tenant else None)

    def look_up(self, wanted: str) -> Found | None:
        """The live record of a result id. Decodes nothing. Raises :class:`StoreUnavailable`."""
        return _certainly(lambda: self._archive.look_up(wanted))

    def thumbnail(self, wanted: str) -> bytes | None:
        """WebP bytes of a result's thumbnail. Raises :class:`StoreUnavailable`."""
        return _certainly(lambda: self._archive.thumbnail(wanted))

    def preview(self, upload: bytes, page: int) -> bytes:
        """WebP of one page of ``upload``, counted from 1, upright and in the proportions in which it is read.

        Nothing is looked up or stored. Raises a :class:`gateway.errors.Refusal`.
        """
        with self._admission():
            return preview(decode(upload, self._limits, PageRange(page, page)).pages[0])

    def delete(self, wanted: str) -> None:
        """Remove a result, what was copied from it, and every trace at the edges, before returning.

        Raises :class:`StoreUnavailable` when a store or an edge did not confirm: asking again finishes the work.
        """
        try:
            self._deletions.delete(wanted)
        except (StoreError, PurgeFailed) as error:
            log.error("deletion of %s… is incomplete: %s", wanted[:8], error)
            raise StoreUnavailable(
                "The result may not be gone from everywhere yet; repeat the request.", retry_after=RETRY_AFTER_SECONDS
            ) from error

    def _admitted(
        self, wanted: str, upload: bytes, options: Options, mode: MatchMode, progress: Progress, asked_at: float
    ) -> Outcome:
        with self._admission():
            outcome, shared = self._flights.run(
                (wanted, options, mode),
                lambda: self._decode_and_answer(wanted, upload, options, mode, progress, asked_at),
            )
        return replace(outcome, collapsed=True) if shared else outcome

    @contextmanager
    def _admission(self) -> Iterator[None]:
        """One of the places for uploads that are decoded. Raises :class:`Overloaded` when all are taken."""
        if not self._admissions.acquire(blocking=False):
            raise Overloaded("Too many images are being read; try again shortly.", retry_after=RETRY_AFTER_SECONDS)
        try:
            yield
        finally:
            self._admissions.release()
            memory.release()

    def _decode_and_answer(
        self, wanted: str, upload: bytes, options: Options, mode: MatchMode, progress: Progress, asked_at: float
    ) -> Outcome:
        document = decode(upload, self._limits, PageRange.parse(options.pages) if options.pages else None)
        task = ReadingTask(wanted, upload, document, image_facts(document), options, asked_at)
        if mode != "none" and (found := self._archive.find_by_pixels(task.facts.sha256, options)):
            outcome = self._same_pixels(task, found)
            if outcome:
                return outcome
        if mode == "near" and self._near is not None:
            outcome = self._near_match(task, self._near)
            if outcome:
                return outcome
        return self._read(task, progress, replaces=mode == "none")

    def _read(self, task: ReadingTask, progress: Progress, *, replaces: bool) -> Outcome:
        # What matched by its look is replaced, too, when only these very bytes will do.
        replaces = replaces or self._archive.find(task.result_id) is not None
        reading = self._readings.obtain(task, progress)
        self._metrics.read(reading.record.processing_time_ms / 1000)
        if reading.stored and reading.record.index_key:
            self._nominator.add(reading.record.index_key)
            self._metrics.indexed(len(self._nominator), self.tenant.name if self.tenant else "")
        if not reading.stored:  # deleted while it was read, perhaps: an edge may have seen it for a moment
            with suppress(PurgeFailed):
                self._purger.purge(task.result_id)
        if reading.stored and replaces:
            self._retire(task.result_id)
        return Outcome(reading.record, "MISS", reading.record.match, stored=reading.stored)

    def _retire(self, wanted: str) -> None:
        """After a fresh reading: nothing of an older one may answer, in copies of it or at an edge."""
        try:
            self._purger.purge(wanted)
            self._deletions.delete_copies(wanted)
        except (StoreError, PurgeFailed) as error:
            raise StoreUnavailable(
                "The new reading is stored, but an older one may still be answered somewhere; repeat the request.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error

    def _same_pixels(self, task: ReadingTask, found: Found) -> Outcome | None:
        source = found.record
        if not source.was_read_with(task.options.digest()):
            return None
        if source.id == task.result_id:
            return _exact(found)
        return self._copy(task, source, source.match.answered_as("pixels"), source.lines)

    def _near_match(self, task: ReadingTask, near: NearMatcher) -> Outcome | None:
        for found in near.matches(task):
            outcome = self._copy(task, found.source, found.match, found.lines)
            if outcome:
                if self._shadow is not None and outcome.match == found.match:
                    self._shadow.consider(task, outcome.record, self._distrust)
                return outcome
        return None

    def _distrust(self, task: ReadingTask, copy: Record) -> None:
        """Put a reading of its own in the place of ``copy``, which has other figures; without one, nothing."""
        found = self._archive.find(copy.id)
        if found is None or found.record != copy:
            return
        try:
            if self._read(task, no_progress, replaces=True).stored:
                return
        except Refusal as error:
            log.warning("%s… could not be read in the place of a copy: %s", copy.id[:8], error.slug)
        try:
            self._deletions.withdraw(copy.id)
            self._archive.forget_copy(copy.match.source, copy.id)
        except (StoreError, PurgeFailed) as error:
            log.error("%s… may still be answered as a copy: %s", copy.id[:8], error)

    def _copy(self, task: ReadingTask, source: Record, match: Match, lines: Sequence[PageLine]) -> Outcome | None:
        """Keep what comes from ``source``'s reading under this upload's own id, for as long as that reading has to
        live; ``None`` when the source changed or went meanwhile."""
        word: Word = "PARTIAL" if match.kind == "partial" else "HIT"
        copy = source.copied_to(task.result_id, task.facts, match, lines)
        try:
            kept = self._archive.save_copy(copy, thumbnail(task.document.pages[0]))
        except StoreError as error:
            log.error("a copy could not be stored: %s", error)
            return Outcome(copy, word, match, detail=match.kind, stored=False)
        if kept is not copy:
            return _exact(Found(kept, self._archive.store.name))
        # The marker is written. Whoever deletes or replaces the source does so first and looks for markers then, so
        # either this copy is found there, or the change is seen here.
        current = self._archive.find(source.id)
        try:
            deleted = self._archive.was_deleted_since(copy.id, task.asked_at)
            if current is not None and current.record == source and not deleted:
                return Outcome(copy, word, match, detail=match.kind)
            self._deletions.withdraw(copy.id)
            self._archive.forget_copy(source.id, copy.id)
        except (StoreError, PurgeFailed) as error:
            raise StoreUnavailable(
                "The document was deleted while this copy of it was answered; try again.",
                retry_after=RETRY_AFTER_SECONDS,
            ) from error
        return None


def _certainly(look_up: Callable[[], Answer]) -> Answer:
    """A store that cannot be asked is not a store that has nothing."""
    try:
        return look_up()
    except StoreError as error:
        raise StoreUnavailable(
            "Results cannot be looked up at the moment; try again.", retry_after=RETRY_AFTER_SECONDS
        ) from error


def _exact(found: Found) -> Outcome:
    return Outcome(found.record, "HIT", found.record.match.answered_as("exact"), detail=found.tier)
