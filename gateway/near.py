"""Known documents that an upload was verified to show: nominated by hashes, compared, read again where that is not
enough."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gateway.archive import Archive
from gateway.identity import hamming, options_suffix
from gateway.matching import DEFAULT_THRESHOLDS, Query, Thresholds, Verdict, fingerprint, in_frame_of, verify
from gateway.matching.canonical import as_filling_of
from gateway.matching.index import Nominee, parse_entry_key
from gateway.matching.proof import Proof
from gateway.metrics import Metrics
from gateway.nomination import Nominator
from gateway.readers.base import Readings
from gateway.reading import ReadingTask
from gateway.record import Match, PageLine, Record
from gateway.rereading import settle
from worker.types import Box

NOMINEES = 3
FEW_DOUBTS = 3
"""Lines and places that are read in about the time that one comparison takes."""
MOST_MISSING = 1 / 3
"""Of the lines that a page was seen to show, the largest share that its own record may lack: as many may have changed
for a ``PARTIAL``."""


@dataclass(frozen=True, slots=True)
class NearMatch:
    """The ``lines`` of an upload, in its own pixels, as far as possible from ``source``, the record of a reading.

    ``match.kind`` is ``near`` when every line is the record's, ``partial`` when some were read again.
    """

    source: Record
    match: Match
    lines: tuple[PageLine, ...]


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A nominee with lines that must be read again before anything is known."""

    source: Record
    verdict: Verdict

    @property
    def boxes_to_read(self) -> int:
        return len(self.verdict.doubtful) + len(self.verdict.suspects)


class NearMatcher:
    """Finds what an upload has in common with the documents in ``archive``."""

    def __init__(
        self,
        archive: Archive,
        readings: Readings,
        nominator: Nominator,
        metrics: Metrics,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> None:
        self._archive = archive
        self._readings = readings
        self._nominator = nominator
        self._metrics = metrics
        self._thresholds = thresholds

    def matches(self, task: ReadingTask) -> Iterator[NearMatch]:
        """Each match is sound; who cannot use one (its source is gone) asks for the next.

        Lines are read again for one nominee at most: the first with so few doubts that reading them costs less than
        comparing the next, or else, when no other agrees without, the one with the fewest. Raises a
        :class:`gateway.errors.Refusal` when they cannot be read.
        """
        doubts = []
        for source, verdict in self._verdicts(task):
            if verdict.kind == "same":
                yield NearMatch(source, _match(task, source), _in_new_places(source, verdict))
            elif verdict.kind == "doubtful":
                doubts.append(_Doubt(source, verdict))
                if doubts[-1].boxes_to_read <= FEW_DOUBTS:
                    break
        if doubts:
            found = self._read_again(task, min(doubts, key=lambda doubt: doubt.boxes_to_read))
            if found is not None:
                yield found

    def _verdicts(self, task: ReadingTask) -> Iterator[tuple[Record, Verdict]]:
        if task.look is None:
            return
        query = Query(task.document.pages[0])
        # One more than can be verified tells whether there is a choice to be made better.
        waiting = self._nominator.nominate(task.look, NOMINEES + 1)
        crowded, verified = len(waiting) > NOMINEES, set[str]()
        shown = Counter[str]()
        while waiting and len(verified) < NOMINEES:
            nominee = waiting.pop(0)
            if nominee.id in verified or options_suffix(nominee.id) != task.options.suffix():
                continue
            found = self._archive.find(nominee.id)
            if found is None or not found.record.was_read_with(task.options.digest()) or _lacks(found.record, shown):
                continue
            proof = self._archive.proof(nominee.id)
            if proof is None or not proof.is_of([line.box for line in found.record.lines]):
                continue
            verified.add(nominee.id)
            started = time.thread_time()
            verdict = verify(proof, query, [line.text for line in found.record.lines], self._thresholds)
            self._metrics.verified(verdict.kind, verdict.reasons, time.thread_time() - started)
            yield found.record, verdict
            agreeing = self._agreeing(verdict)
            if len(agreeing) >= (1 - MOST_MISSING) * len(found.record.lines):
                shown |= Counter(found.record.lines[number].text for number in agreeing)
            if len(agreeing) == len(found.record.lines):
                crowded = False  # it is this one, with something added, and no other filling of the form
            if not crowded or len(verified) == NOMINEES:
                continue
            if verdict.kind == "different" and "not-aligned" not in verdict.reasons:
                crowded = False
                waiting = self._second_look(found.record, proof, query) + waiting

    def _agreeing(self, verdict: Verdict) -> list[int]:
        """The lines of a record that the page shows, whatever else it shows."""
        return np.flatnonzero(verdict.residuals <= self._thresholds.alike_limit).tolist()

    def _second_look(self, sibling: Record, proof: Proof, query: Query) -> list[Nominee]:
        """Who else it may be, when ``sibling``, whose ``proof`` this is, seems to be another filling of its form."""
        page = in_frame_of(proof, query)
        look = fingerprint(page, sibling.image.phash) if page is not None else None
        entry = parse_entry_key(sibling.index_key)
        if look is None or entry is None:
            return []
        return self._nominator.nominate(as_filling_of(look, entry.fingerprint), NOMINEES)

    def _read_again(self, task: ReadingTask, doubt: _Doubt) -> NearMatch | None:
        settled = settle(
            _in_new_places(doubt.source, doubt.verdict),
            doubt.verdict.doubtful,
            doubt.verdict.wary,
            doubt.verdict.altered,
            [_box(corners) for corners in doubt.verdict.suspects.tolist()],
            self._agreeing(doubt.verdict),
            lambda boxes: self._readings.reread(task, boxes),
        )
        if settled is None:
            self._metrics.reread("refuted")
            return None
        self._metrics.reread("changed" if settled.changed else "confirmed", settled.reread, settled.changed)
        return NearMatch(doubt.source, _match(task, doubt.source, settled.reread, settled.changed), settled.lines)


def _lacks(record: Record, shown: Counter[str]) -> bool:
    """Whether too many lines that a page shows are not in ``record`` for it to be of that page."""
    missing = shown - Counter(line.text for line in record.lines)
    return missing.total() > MOST_MISSING * shown.total()


def _match(task: ReadingTask, source: Record, reread_lines: int = 0, changed_lines: int = 0) -> Match:
    distance = hamming(task.facts.phash, source.image.phash)
    return Match("partial" if reread_lines else "near", source.id, distance, reread_lines, changed_lines)


def _in_new_places(source: Record, verdict: Verdict) -> tuple[PageLine, ...]:
    """The record's lines at their boxes in the new page."""
    return tuple(
        replace(line, box=_box(corners)) for line, corners in zip(source.lines, verdict.boxes.tolist(), strict=True)
    )


def _box(corners: list[list[float]]) -> Box:
    return tuple((x, y) for x, y in corners)
