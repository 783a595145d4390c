"""Measuring: one check is one picture, decided from end to end and judged against what was drawn."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.matching.captures import CAPTURES, Layout, generator
from benchmarks.matching.decision import Decider, Decision
from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import Document, render
from benchmarks.matching.library import Library, Original, original_id, store
from benchmarks.matching.pairs import changed
from benchmarks.matching.plan import COPY, Job
from benchmarks.matching.rivals import Rivals
from benchmarks.matching.truth import Faults, faults
from gateway.matching import DEFAULT_THRESHOLDS, Verdict, use_one_thread
from worker.process import ReaderSpec

_LEAST_INK = 8  # grey levels


@dataclass(slots=True)
class Check:
    """One decision.

    ``change``: empty for a true copy. ``word``: the answer; ``false``: it holds something wrong, namely ``wrong_lines``
    reused lines and ``unseen`` lines or marks that it does not account for. ``stale``: changed lines that were read
    again and came out as recorded: the reader's fault. ``lines``, ``reread``: of the source, where there is an answer.
    ``nominated``: the original was among those verified. ``margin``: see :func:`margin_of`.
    ``decision_ms``: nomination and all verifications; ``wrong_ms``: of each nominee that was refused.
    ``phash``, ``pdq``, ``ssim``: what the rivals measured between original and picture.
    """

    kind: str
    seed: int
    capture: str
    change: str
    number: int
    what: str
    word: str
    false: bool
    wrong_lines: int
    unseen: int
    stale: int
    lines: int
    reread: int
    nominated: bool
    margin: float
    reasons: list[str]
    fingerprint_ms: float
    decision_ms: float
    reread_ms: float
    wrong_ms: list[float]
    phash: int
    pdq: int
    ssim: float

    @property
    def name(self) -> str:
        """What ``--only`` takes."""
        return f"{self.kind} {self.seed} / {self.capture}" + (f" / {self.change} {self.number}" if self.change else "")


_decider: Decider | None = None


def prepare_process() -> None:
    """For a process that only draws."""
    use_one_thread()


def open_library(path: Path, with_reader: bool) -> None:
    """Prepare this process for :func:`measure`: originals from ``path``, a recogniser of its own."""
    global _decider
    use_one_thread()
    originals: list[Original] = pickle.loads(path.read_bytes())
    reader = ReaderSpec(threads=1).build() if with_reader else None
    _decider = Decider(Library(originals, reader), reader)


def measure(job: Job) -> list[dict]:
    """All checks of one document, as plain values."""
    document = KINDS[job.kind](job.seed)
    page = render(document)
    rivals = Rivals(_decider.library.picture(original_id(job.kind, job.seed)))
    layout = Layout.of(document)
    pages: dict[tuple[str, int], tuple[Document, str, np.ndarray] | None] = {(COPY, 0): (document, "", page)}
    checks = []
    capture_name, apply, unchanged = "", None, None
    for capture, change, number in job.checks:
        if (change, number) not in pages:
            pages[change, number] = _other(document, page, change, number, job.seed)
        other = pages[change, number]
        if other is None:
            continue
        if capture != capture_name:
            capture_name, unchanged = capture, None
            apply = CAPTURES[capture](layout, generator(job.kind, job.seed, capture))
        if change == "filling":  # of another height, perhaps
            query = CAPTURES[capture](Layout.of(other[0]), generator(job.kind, job.seed, capture))(other[2])
        else:
            query = apply(other[2])
            if change:
                unchanged = apply(page) if unchanged is None else unchanged
                if np.array_equal(query, unchanged):
                    continue
        checks.append(asdict(_check(job, capture, change, number, other[0], other[1], query, rivals)))
    return checks


def _other(
    document: Document, page: np.ndarray, change: str, number: int, seed: int
) -> tuple[Document, str, np.ndarray] | None:
    """The other document of a hard pair with its page; ``None`` when there is none or nobody could see the change."""
    made = changed(document, change, number, seed)
    if made is None:
        return None
    other = render(made.document)
    return (made.document, made.what, other) if can_be_seen(page, other) else None


def can_be_seen(page: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pages differ, somewhere, by at least half of what ink and paper differ by around there.

    Some typefaces draw 1 and l as one shape but for the grey of its edge.
    """
    if page.shape != other.shape:
        return True
    one, two = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (page, other))
    around = np.ones((25, 25), np.uint8)
    ink = cv2.dilate(cv2.max(one, two), around) - cv2.erode(cv2.min(one, two), around)
    return bool((cv2.absdiff(one, two) > 0.5 * np.maximum(ink, _LEAST_INK)).any())


def _check(
    job: Job, capture: str, change: str, number: int, document: Document, what: str, query: np.ndarray, rivals: Rivals
) -> Check:
    decision = _decider.decide(query)
    found = judged(decision, document, _decider)
    likeness = rivals.likeness(query)
    original = original_id(job.kind, job.seed)
    verdict = decision.verdicts.get(original)
    return Check(
        job.kind, job.seed, capture, change, number, what, decision.word, bool(found), len(found.reused), found.unseen,
        stale_lines(decision, document, _decider),
        len(decision.reused) + len(decision.reread) if decision.word != "MISS" else 0,
        len(decision.reread) if decision.word != "MISS" else 0,
        original in decision.nominees, margin_of(verdict), list(verdict.reasons) if verdict else ["not-verified"],
        decision.fingerprint_ms, decision.decision_ms, decision.reread_ms,
        [spent for id, spent in zip(decision.verdicts, decision.verify_ms, strict=True)
         if id not in (decision.source, original)],
        likeness.phash, likeness.pdq, likeness.ssim,
    )


def judged(decision: Decision, document: Document, decider: Decider) -> Faults:
    """What is wrong with ``decision`` about a page of ``document``; a miss is never wrong."""
    if decision.word == "MISS":
        return Faults((), 0)
    return faults(decider.library.document(decision.source), document, decision.reused, decision.reread)


def margin_of(verdict: Verdict | None) -> float:
    """How far a page is from being taken for the original: its strongest sign of a difference, relative to the limit
    of that sign; -1 when it was not compared."""
    if verdict is None or not len(verdict.residuals) or verdict.limit <= 0:
        return -1.0
    signs = [float(verdict.residuals.max()) / verdict.limit]
    signs.append(verdict.figures["outside"] / DEFAULT_THRESHOLDS.most_outside)
    return max(signs)


def stale_lines(decision: Decision, document: Document, decider: Decider) -> int:
    """Lines that changed in their text, were read again, and came out as recorded."""
    if decision.word != "PARTIAL":
        return 0
    record = decider.library.document(decision.source)
    again = [line for line in decision.reread if line not in decision.changed]
    return len(faults(record, document, again, ()).reused)


__all__ = ["Check", "measure", "open_library", "prepare_process", "store"]
