"""One decision from end to end, as the service takes it: fingerprint, nominees, verification, lines read again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from benchmarks.matching.documents.page import line_boxes, render
from benchmarks.matching.library import Library, phash
from gateway.matching import Query, Verdict, fingerprint, verify
from worker.types import Box, LineReading

NOMINEES = 3
LEAST_SCORE = 0.5
"""A changed line that is read with less confidence is no ground for an answer."""
MOST_CHANGED = 1 / 3
"""Share of the lines that may have changed before the page is read as a whole."""

Word = Literal["HIT", "PARTIAL", "MISS"]


class Reader(Protocol):
    """Reads single lines."""

    def read_lines(self, page: np.ndarray, boxes: Sequence[Box]) -> list[LineReading]: ...


@dataclass
class Decision:
    """
    ``word``: the answer. ``source``: whose record it takes lines from. ``reused``, ``reread``: indices of its lines.
    ``changed``: those of ``reread`` that came out otherwise than recorded.
    ``nominees``: ids, likeliest first. ``verdicts``: by id, of those that were verified.
    ``fingerprint_ms`` and so on: CPU; ``verify_ms`` by id, the page's preparation in the first.
    """

    word: Word = "MISS"
    source: str = ""
    reused: tuple[int, ...] = ()
    reread: tuple[int, ...] = ()
    changed: tuple[int, ...] = ()
    nominees: list[str] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    fingerprint_ms: float = 0.0
    nominate_ms: float = 0.0
    verify_ms: dict[str, float] = field(default_factory=dict)
    reread_ms: float = 0.0


class Decider:
    """Decides about pages with what ``library`` holds. ``reader``: without one, lines in doubt are a miss."""

    def __init__(self, library: Library, reader: Reader | None) -> None:
        self.library = library
        self._reader = reader
        self._recorded: dict[tuple[str, int], str] = {}

    def decide(self, page: np.ndarray) -> Decision:
        """The decision about ``page`` (uint8 RGB (h, w, 3))."""
        decision = Decision()
        started = time.thread_time()
        look = fingerprint(page, phash(page))
        decision.fingerprint_ms = _since(started)
        if look is None:
            return decision
        started = time.thread_time()
        decision.nominees = [nominee.id for nominee in self.library.index.nominate(look, 0, NOMINEES)]
        decision.nominate_ms = _since(started)
        started = time.thread_time()
        query = Query(page)
        for id in decision.nominees:
            verdict = verify(self.library.proof(id), query, self.library.document(id).texts)
            decision.verdicts[id] = verdict
            decision.verify_ms[id] = _since(started)
            if verdict.kind != "different":
                self._answer(decision, id, verdict, page)
                break
            started = time.thread_time()
        return decision

    def _answer(self, decision: Decision, id: str, verdict: Verdict, page: np.ndarray) -> None:
        lines = range(len(verdict.boxes))
        if verdict.kind == "same":
            decision.word, decision.source, decision.reused = "HIT", id, tuple(lines)
            return
        if self._reader is None:
            return
        started = time.thread_time()
        readings = self._read(page, verdict, verdict.doubtful)
        decision.reread_ms = _since(started)
        changed = self._changed(id, readings)
        if changed:
            more = [line for line in verdict.wary if line not in readings]
            started = time.thread_time()
            readings |= self._read(page, verdict, more)
            decision.reread_ms += _since(started)
            changed = self._changed(id, readings)
        decision.reread, decision.changed = tuple(sorted(readings)), tuple(sorted(changed))
        unsure = any(not readings[line].text.strip() or readings[line].score < LEAST_SCORE for line in changed)
        if unsure or len(changed) > MOST_CHANGED * len(lines):
            return
        decision.word, decision.source = "PARTIAL", id
        decision.reused = tuple(line for line in lines if line not in readings)

    def _read(self, page: np.ndarray, verdict: Verdict, lines: Sequence[int]) -> dict[int, LineReading]:
        boxes = [_box(verdict.boxes[line]) for line in lines]
        return dict(zip(lines, self._reader.read_lines(page, boxes), strict=True)) if lines else {}

    def _changed(self, id: str, readings: dict[int, LineReading]) -> set[int]:
        return {line for line, reading in readings.items() if reading.text != self.recorded(id, line)}

    def recorded(self, id: str, line: int) -> str:
        """What the reader made of a line of the original: the text that its record holds."""
        if (id, line) not in self._recorded:
            document = self.library.document(id)
            boxes = [_box(quad) for quad in line_boxes(document)]
            for number, reading in enumerate(self._reader.read_lines(render(document), boxes)):
                self._recorded[id, number] = reading.text
        return self._recorded[id, line]


def _box(corners: np.ndarray) -> Box:
    return tuple((float(x), float(y)) for x, y in corners)


def _since(started: float) -> float:
    return (time.thread_time() - started) * 1000
