"""What a gateway would hold of the drawn originals: proofs, texts, the nomination index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import imagehash
import numpy as np
from PIL import Image

from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import Document, line_boxes, render
from gateway.matching import Fingerprint, fingerprint
from gateway.matching.index import Index
from gateway.matching.proof import Proof, encode_proof

_NEVER = 2**40


@dataclass(frozen=True, slots=True)
class Original:
    """One stored document: the ``seed``-th filling of its ``kind``. ``look``: ``None`` when it nominates nothing."""

    kind: str
    seed: int
    proof: bytes
    look: Fingerprint | None

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.seed}"


def store(name: tuple[str, int]) -> Original:
    """Draw the filling ``name`` = (kind, seed) and keep what a reading of it would keep."""
    kind, seed = name
    document = KINDS[kind](seed)
    page = render(document)
    return Original(kind, seed, encode_proof(page, line_boxes(document)), fingerprint(page, phash(page)))


def phash(page: np.ndarray) -> str:
    """The 64-bit pHash of ``page``, hexadecimal, as the gateway computes it."""
    return str(imagehash.phash(Image.fromarray(page)))


class Library:
    """The originals by id, and the index over all of them."""

    def __init__(self, originals: Iterable[Original]) -> None:
        self._originals = {original.id: original for original in originals}
        self.index = Index()
        for original in self._originals.values():
            if original.look is not None:
                self.index.add(original.id, original.look, _NEVER)

    def __len__(self) -> int:
        return len(self._originals)

    def document(self, id: str) -> Document:
        """The layout of an original."""
        return _document(self._originals[id].kind, self._originals[id].seed)

    def proof(self, id: str) -> Proof:
        """A proof, fresh from its bytes as a look-up finds it."""
        return Proof.from_bytes(self._originals[id].proof)

    def proof_bytes(self) -> dict[str, list[int]]:
        """By kind, the sizes of the proofs."""
        sizes: dict[str, list[int]] = {}
        for original in self._originals.values():
            sizes.setdefault(original.kind, []).append(len(original.proof))
        return sizes


@lru_cache(maxsize=512)
def _document(kind: str, seed: int) -> Document:
    return KINDS[kind](seed)
