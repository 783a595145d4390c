"""One reading: the pages of an upload through a recogniser, into a record that is stored.

The same function runs beside the gateway and in a worker process, so both store the same thing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from gateway.archive import Archive
from gateway.errors import ReadingTimedOut
from gateway.identity import Options, perceptual_hash, pixel_digest
from gateway.image import Document
from gateway.matching import Fingerprint, fingerprint
from gateway.matching.index import entry_key
from gateway.matching.proof import EncodedImage, ProofError, encode_image, encode_proof
from gateway.record import EngineFacts, ImageFacts, Match, PageLine, Record
from gateway.store.base import StoreError
from gateway.thumbnail import thumbnail
from worker.constraints import Constraints
from worker.types import Box, Found, Line, LineReading

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


class PageReader(Protocol):
    """A recogniser of pages (uint8 RGB, (h, w, 3)). Raises a :class:`gateway.errors.Refusal` when it can't."""

    engine: EngineFacts

    def read(
        self, page: np.ndarray, layout: str, timeout: float, constraints: Constraints, found: Found | None = None
    ) -> list[Line]:
        """The text lines of ``page`` in reading order, within ``timeout`` seconds. ``found`` may be called before they
        are read, by a reader that can tell, and must not raise."""

    def read_lines(
        self, page: np.ndarray, boxes: Sequence[Box], timeout: float, constraints: Constraints
    ) -> list[LineReading]:
        """The text in each of ``boxes`` (pixels of ``page``), in their order."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The record of a reading. ``stored`` is false when no store would take it, or it was deleted meanwhile."""

    record: Record
    stored: bool


def image_facts(document: Document) -> ImageFacts:
    """What identifies the decoded pages of ``document``."""
    height, width = document.pages[0].shape[:2]
    return ImageFacts(
        width=width,
        height=height,
        sha256=pixel_digest(document.pages),
        phash=perceptual_hash(document.pages[0]),
        pages=document.page_count,
        page_sizes=tuple(
            (number, page.shape[1], page.shape[0])
            for number, page in zip(document.numbers, document.pages, strict=True)
        ),
    )


@dataclass(frozen=True)
class ReadingTask:
    """One upload to be read: its bytes, and the same decoded; asked for at ``asked_at`` (POSIX seconds)."""

    result_id: str
    upload: bytes
    document: Document
    facts: ImageFacts
    options: Options
    asked_at: float

    @cached_property
    def look(self) -> Fingerprint | None:
        """What nominates known documents for this one, and this one for others; ``None`` when nothing is to."""
        if self.document.page_count != 1 or self.options.layout != "auto":  # whole single pages only
            return None
        return fingerprint(self.document.pages[0], self.facts.phash)


def read_and_store(
    task: ReadingTask,
    reader: PageReader,
    archive: Archive,
    *,
    ttl: int,
    timeout: float,
    progress: Progress = lambda done, total: None,
) -> Reading:
    """Read every page within ``timeout`` seconds, and keep the result for ``ttl`` seconds from now.

    A result that was deleted after it was asked for is not kept. Raises a :class:`gateway.errors.Refusal` when the
    reading fails; then nothing is stored.
    """
    started = time.monotonic()
    document, options = task.document, task.options
    lines: list[PageLine] = []
    keepsakes = _Keepsakes(task)
    for done, (number, page) in enumerate(zip(document.numbers, document.pages, strict=True)):
        progress(done, len(document.pages))
        left = timeout - (time.monotonic() - started)
        if left <= 0:
            raise ReadingTimedOut("The reading ran over its deadline; send fewer pages (`pages=`) or a smaller image.")
        lines += (
            PageLine(line.text, line.score, line.box, number, line.reader, line.characters)
            for line in reader.read(
                page, options.layout, left, options.constraints, keepsakes.prepare if done == 0 else None
            )
        )
    elapsed = time.monotonic() - started
    now = time.time()
    expires_at = int(now) + ttl

    proof = keepsakes.proof(lines)
    record = Record(
        id=task.result_id,
        lines=tuple(lines),
        image=task.facts,
        match=Match("none", task.result_id),
        engine=reader.engine,
        processing_time_ms=elapsed * 1000,
        created_at=now,
        expires_at=expires_at,
        index_key=entry_key(task.result_id, task.look, expires_at) if proof is not None else "",
        options=options.digest(),
    )
    try:
        stored = archive.save_reading(record, keepsakes.thumbnail(), proof, options, task.asked_at)
    except StoreError as error:
        log.error("result %s… could not be stored: %s", task.result_id[:8], error)
        return Reading(record, stored=False)
    return Reading(record, stored)


def warm_up() -> None:
    """Run what surrounds a reading once, so that the first upload does not pay for imports."""
    page = np.full((64, 64, 3), 255, np.uint8)
    page[24:40, 8:56] = 0
    facts = image_facts(Document((page,), (1,), 1, "PNG"))
    fingerprint(page, facts.phash)
    encode_proof(page, np.array([[(8, 24), (56, 24), (56, 40), (8, 40)]], np.float32))
    thumbnail(page)


class _Keepsakes:
    """What is kept beside a document's record, of its first page. Most of it can be made while the lines are read, in a
    thread of its own: who reads is not to wait for it."""

    def __init__(self, task: ReadingTask) -> None:
        self._task = task
        self._page = task.document.pages[0]
        self._thumbnail: bytes | None = None
        self._image: EncodedImage | None = None
        self._making: threading.Thread | None = None

    def prepare(self, boxes: Sequence[Box]) -> None:
        """Begin with what can be made when it is known where the lines are."""
        if self._making is None:
            self._making = threading.Thread(target=self._make, args=(boxes,), name="keepsakes", daemon=True)
            self._making.start()

    def _make(self, boxes: Sequence[Box]) -> None:
        self._thumbnail = thumbnail(self._page)
        if boxes and self._task.look is not None:
            with suppress(ProofError):  # then so does proof()
                self._image = encode_image(self._page, np.array(boxes, np.float32))

    def thumbnail(self) -> bytes:
        """WebP bytes."""
        self._wait()
        return self._thumbnail or thumbnail(self._page)

    def proof(self, lines: Sequence[PageLine]) -> bytes | None:
        """What verifies a copy; ``None`` for a document that nominates nothing."""
        if not lines or self._task.look is None:
            return None
        self._wait()
        return encode_proof(self._page, np.array([line.box for line in lines], np.float32), self._image)

    def _wait(self) -> None:
        if self._making is not None:
            self._making.join()
