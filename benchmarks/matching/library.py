"""What a gateway would hold of the drawn originals: records, proofs, the nomination index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.matching.captures import PHOTOGRAPHS, Layout, developed, generator
from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import Document, line_boxes, render
from gateway.archive import Found
from gateway.identity import perceptual_hash
from gateway.matching import Fingerprint, fingerprint
from gateway.matching.index import Index, Nominee, entry_key
from gateway.matching.proof import Proof, encode_proof
from gateway.record import EngineFacts, ImageFacts, Match, PageLine, Record
from worker.types import Box, LineReading

_NEVER = 2**36


class Reader(Protocol):
    """Reads single lines of a page (uint8 RGB (h, w, 3))."""

    def read_lines(self, page: np.ndarray, boxes: Sequence[Box]) -> list[LineReading]: ...


@dataclass(frozen=True, slots=True)
class Original:
    """One stored document: the ``seed``-th filling of its ``kind``. ``look``: ``None`` when it nominates nothing.
    ``known_as``: the photograph that it was stored from, empty for the page itself."""

    kind: str
    seed: int
    proof: bytes
    look: Fingerprint | None
    known_as: str = ""

    @property
    def id(self) -> str:
        return original_id(self.kind, self.seed)


def original_id(kind: str, seed: int) -> str:
    """The result id of a drawn original."""
    return hashlib.sha256(f"{kind} {seed}".encode()).hexdigest()


def store(name: tuple[str, int], known_as: str = "") -> Original:
    """Draw the filling ``name`` = (kind, seed) and keep what a reading of it would keep."""
    page, boxes = picture_of(*name, known_as)
    return Original(*name, encode_proof(page, boxes), fingerprint(page, perceptual_hash(page)), known_as)


def picture_of(kind: str, seed: int, known_as: str = "") -> tuple[np.ndarray, np.ndarray]:
    """What was stored of a document: uint8 RGB (h, w, 3), and float32 (n, 4, 2), where its lines are."""
    document = KINDS[kind](seed)
    if not known_as:
        return render(document), line_boxes(document)
    exposure = PHOTOGRAPHS[known_as].exposure(Layout.of(document), generator(kind, seed, f"known as {known_as}"))
    return developed(exposure, render(document)), exposure.places(line_boxes(document))


class Library:
    """The originals by id, in the shape of the gateway's archive and nominator.

    A record's lines lie where they are to be seen and hold what ``reader`` makes of them there; without a reader, what
    was drawn. They are read when they are first asked for.
    """

    def __init__(self, originals: Iterable[Original], reader: Reader | None = None) -> None:
        self._originals = {original.id: original for original in originals}
        self._reader = reader
        self._records: dict[str, Record] = {}
        self._index = Index()
        for original in self._originals.values():
            if original.look is not None:
                self._index.add(original.id, original.look, _NEVER)

    def __len__(self) -> int:
        return len(self._originals)

    def document(self, id: str) -> Document:
        """The layout of an original."""
        return KINDS[self._originals[id].kind](self._originals[id].seed)

    def picture(self, id: str) -> np.ndarray:
        """What an original was stored from: uint8 RGB (h, w, 3)."""
        original = self._originals[id]
        return picture_of(original.kind, original.seed, original.known_as)[0]

    def nominate(self, look: Fingerprint, limit: int) -> list[Nominee]:
        """As :meth:`gateway.nomination.Nominator.nominate`."""
        return self._index.nominate(look, 0, limit)

    def proof(self, id: str) -> Proof:
        """A proof, fresh from its bytes as a look-up finds it."""
        return Proof.from_bytes(self._originals[id].proof)

    def find(self, id: str) -> Found:
        """The record of an original."""
        if id not in self._records:
            self._records[id] = self._read(id)
        return Found(self._records[id], "memory")

    def proof_bytes(self) -> dict[str, list[int]]:
        """By kind, the sizes of the proofs."""
        sizes: dict[str, list[int]] = {}
        for original in self._originals.values():
            sizes.setdefault(original.kind, []).append(len(original.proof))
        return sizes

    def _read(self, id: str) -> Record:
        original = self._originals[id]
        page, quads = picture_of(original.kind, original.seed, original.known_as)
        boxes: list[Box] = [tuple((float(x), float(y)) for x, y in quad) for quad in quads]
        readings = self._reader.read_lines(page, boxes) if self._reader else []
        texts = [reading.text for reading in readings] or self.document(id).texts
        return Record(
            id=id,
            lines=tuple(PageLine(text, 1.0, box) for text, box in zip(texts, boxes, strict=True)),
            image=ImageFacts(page.shape[1], page.shape[0], id, perceptual_hash(page)),
            match=Match("none", id),
            engine=EngineFacts("crnn", ""),
            processing_time_ms=0.0,
            created_at=0.0,
            expires_at=_NEVER,
            index_key=entry_key(id, original.look, _NEVER) if original.look is not None else "",
        )
