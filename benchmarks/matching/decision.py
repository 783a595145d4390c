"""One decision from end to end, by the gateway's own matcher: fingerprint, nominees, verification, lines read again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from benchmarks.matching.library import Library, Reader
from gateway.archive import Found
from gateway.errors import ReadingFailed, Refusal
from gateway.identity import Options, perceptual_hash
from gateway.image import Document as Upload
from gateway.matching import Fingerprint, Verdict
from gateway.matching.index import Nominee
from gateway.matching.proof import Proof
from gateway.near import NearMatcher
from gateway.reading import ReadingTask
from gateway.record import ImageFacts, Record
from worker.types import Box, LineReading

Word = Literal["HIT", "PARTIAL", "MISS"]



@dataclass
class Decision:
    """
    ``word``: the answer. ``source``: whose record it takes lines from. ``reused``, ``reread``: indices of its lines.
    ``changed``: those of ``reread`` that came out otherwise than recorded.
    ``nominees``: ids, likeliest first, those of a second look after those of the first.
    ``verdicts``: by id, of those that were verified.
    ``fingerprint_ms`` and so on: CPU of this thread. ``verify_ms``: of each verdict, in their order. ``decision_ms``:
    nomination, proofs and all verifications, without ``fingerprint_ms`` and ``reread_ms``.
    """

    word: Word = "MISS"
    source: str = ""
    reused: tuple[int, ...] = ()
    reread: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    nominees: list[str] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    verify_ms: list[float] = field(default_factory=list)
    fingerprint_ms: float = 0.0
    decision_ms: float = 0.0
    reread_ms: float = 0.0


class _Matcher(NearMatcher):
    """The gateway's matcher, watched."""

    watched: Decision

    def _verdicts(self, task: ReadingTask) -> Iterator[tuple[Record, Verdict]]:
        for source, verdict in super()._verdicts(task):
            self.watched.verdicts[source.id] = verdict
            yield source, verdict


class Decider:
    """Decides about pages with what ``library`` holds. ``reader``: without one, lines in doubt are a miss."""

    def __init__(self, library: Library, reader: Reader | None) -> None:
        self.library = library
        self._reader = reader

    def decide(self, page: np.ndarray) -> Decision:
        """The decision about ``page`` (uint8 RGB (h, w, 3))."""
        decision = Decision()
        surroundings = _Surroundings(self.library, self._reader, decision)
        matcher = _Matcher(surroundings, surroundings, surroundings, _Metrics(decision))
        matcher.watched = decision
        height, width = page.shape[:2]
        facts = ImageFacts(width, height, "", perceptual_hash(page))
        task = ReadingTask("", b"", Upload((page,), (1,), 1, "PNG"), facts, Options(), 0.0)
        try:
            found = next(matcher.matches(task), None)
        except Refusal:
            found = None
        spent = _since(surroundings.started)
        decision.fingerprint_ms = surroundings.fingerprint_ms or spent
        decision.decision_ms = spent - decision.fingerprint_ms - decision.reread_ms - surroundings.aside_ms
        if found is not None:
            known = self.library.find(found.source.id).record.lines
            again = [number for number, line in enumerate(found.lines) if line.box in surroundings.boxes]
            decision.word, decision.source = "PARTIAL" if again else "HIT", found.source.id
            decision.reread = tuple(again)
            decision.reused = tuple(number for number in range(len(known)) if number not in again)
            decision.changed = tuple(number for number in again if found.lines[number].text != known[number].text)
        return decision


class _Surroundings:
    """Archive, nominator and readers of one decision. ``aside_ms``: CPU that no gateway would spend."""

    def __init__(self, library: Library, reader: Reader | None, decision: Decision) -> None:
        self._library = library
        self._reader = reader
        self._decision = decision
        self.boxes: set[Box] = set()
        self.fingerprint_ms = self.aside_ms = 0.0
        self.started = time.thread_time()

    def nominate(self, look: Fingerprint, limit: int) -> list[Nominee]:
        self.fingerprint_ms = self.fingerprint_ms or _since(self.started)
        nominees = self._library.nominate(look, limit)
        self._decision.nominees += [nominee.id for nominee in nominees if nominee.id not in self._decision.nominees]
        return nominees

    def find(self, id: str) -> Found:
        started = time.thread_time()
        found = self._library.find(id)
        self.aside_ms += _since(started)
        return found

    def proof(self, id: str) -> Proof:
        return self._library.proof(id)

    def reread(self, task: ReadingTask, boxes: Sequence[Box]) -> list[LineReading]:
        started = time.thread_time()
        self.boxes |= {*boxes}
        page = task.document.pages[0]
        if self._reader is None:
            raise ReadingFailed("no reader")
        readings = self._reader.read_lines(page, boxes)
        self._decision.reread_ms += _since(started)
        return readings


class _Metrics:
    """Takes down what each verification took."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision

    def verified(self, kind: str, reasons: Sequence[str], seconds: float) -> None:
        self._decision.verify_ms.append(seconds * 1000)

    def reread(self, outcome: str, lines: int = 0, changed: int = 0) -> None:
        """Told by :class:`Decision` itself."""


def _since(started: float) -> float:
    return (time.thread_time() - started) * 1000
