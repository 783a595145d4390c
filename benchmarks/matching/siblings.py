"""Is the true document among those verified when 100,000 fillings of its form are stored?

python -m benchmarks.matching.siblings [--kinds invoice receipt] [--fillings 300] [--documents 12] [--of 100000]

Draws ``--fillings`` of a form and pictures of the first ``--documents`` of them, and takes the distances from each
picture to all fillings. The share of stored fillings that are nearer than the true one is extrapolated: distances to
fillings of one layout (as many lines, in the same faces) are taken to be normally distributed. The columns:

``one look``: the true one is among the three nearest by the hash of the rectified page.
``now, drawn``: what :class:`gateway.matching.index.Index` with the drawn fillings and a second look really nominate.
``now, of N``: the true one comes first by either hash at once, or does so after a second look.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.stats import norm, poisson

from benchmarks.matching.captures import CAPTURES, Layout, generator
from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import Document, line_boxes, render
from gateway.identity import perceptual_hash
from gateway.matching import Fingerprint, Query, fingerprint, in_frame_of, use_one_thread
from gateway.matching.canonical import as_filling_of
from gateway.matching.index import CANONICAL_RADIUS, PHASH_RADIUS, Index
from gateway.matching.proof import Proof, make_proof

VERIFIED = 3
FEWEST = 8
"""Fillings of one layout from which a distribution is taken; with fewer, all fillings are one layout."""


@dataclass
class Form:
    """Fillings of one ``kind``. ``groups``: int (n,), fillings with an equal number have one layout."""

    kind: str
    looks: list[Fingerprint]
    groups: np.ndarray
    index: Index = field(default_factory=Index)

    @classmethod
    def drawn(cls, kind: str, fillings: int) -> Form:
        layouts: dict[tuple[int, frozenset[str]], int] = {}
        looks, groups = [], []
        for seed in range(fillings):
            document = KINDS[kind](seed)
            look = look_of(render(document))
            assert look is not None
            looks.append(look)
            layout = len(document.runs), frozenset(run.face for run in document.runs)
            groups.append(layouts.setdefault(layout, len(layouts)))
        form = cls(kind, looks, np.array(groups))
        for seed, look in enumerate(looks):
            form.index.add(str(seed), look, 1)
        return form

    def peers(self, seed: int) -> np.ndarray:
        """int (m,): the other fillings with the layout of ``seed``."""
        alike = self.groups == self.groups[seed]
        if alike.sum() <= FEWEST:
            alike[:] = True
        alike[seed] = False
        return np.flatnonzero(alike)


@dataclass
class Distances:
    """From one picture of the filling ``seed`` to all: int (n,) each, by the rectified page and by the frame."""

    seed: int
    in_radius: bool
    fine: np.ndarray
    framed: np.ndarray


def look_of(page: np.ndarray) -> Fingerprint | None:
    """The fingerprint of ``page`` (uint8 RGB (h, w, 3))."""
    return fingerprint(page, perceptual_hash(page))


def distances(form: Form, seed: int, look: Fingerprint) -> Distances:
    """In bits, in the turn in which the canonical hashes of picture and original are nearest."""
    own = form.looks[seed]
    coarse = [(canonical ^ own.canonical[0]).bit_count() for canonical in look.canonical]
    turn = int(np.argmin(coarse))
    in_radius = coarse[turn] <= CANONICAL_RADIUS or (look.phash ^ own.phash).bit_count() <= PHASH_RADIUS
    return Distances(seed, in_radius, *(
        np.array([_bits(getattr(other, name)[0], getattr(look, name)[turn]) for other in form.looks])
        for name in ("fine", "framed")
    ))


def _bits(first: bytes, second: bytes) -> int:
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).bit_count()


def shares(form: Form, found: Sequence[Distances | None], name: str, of: int, most: int) -> np.ndarray:
    """float (q,): how likely the true one is among the ``most`` nearest by ``name`` of ``of`` stored fillings."""
    likely = []
    for one in found:
        if one is None or not one.in_radius:
            likely.append(0.0)
            continue
        bits, peers = getattr(one, name), form.peers(one.seed)
        others = np.setdiff1d(np.arange(len(bits)), [*peers, one.seed])
        deviations = (bits[one.seed] - bits[peers].mean()) / max(1.0, bits[peers].std(ddof=1))
        nearer = len(peers) / len(bits) * norm.cdf(deviations)
        nearer += float((bits[others] < bits[one.seed]).sum()) / len(bits)
        likely.append(float(poisson.cdf(most - 1, of * nearer)))
    return np.array(likely)


@lru_cache(maxsize=512)
def proof_of(kind: str, seed: int) -> Proof:
    """What is stored of a filling."""
    document = KINDS[kind](seed)
    return make_proof(render(document), line_boxes(document))


def second_look(form: Form, seed: int, query: Query) -> Fingerprint | None:
    """The fingerprint of a picture seen in the frame of the filling ``seed``."""
    page = in_frame_of(proof_of(form.kind, seed), query)
    look = look_of(page) if page is not None else None
    return as_filling_of(look, form.looks[seed]) if look is not None else None


def verified(form: Form, seed: int, query: Query, look: Fingerprint) -> list[int]:
    """The fillings that :class:`gateway.near.NearMatcher` would verify until it comes to ``seed``."""
    waiting = [int(nominee.id) for nominee in form.index.nominate(look, 0, VERIFIED + 1)]
    seen: list[int] = []
    again = None
    while waiting and len(seen) < VERIFIED and seed not in seen:
        filling = waiting.pop(0)
        if filling in seen:
            continue
        seen.append(filling)
        if again is None and filling != seed and len(seen) < VERIFIED:
            again = second_look(form, filling, query)
            if again is not None:
                waiting = [int(nominee.id) for nominee in form.index.nominate(again, 0, VERIFIED)] + waiting
    return seen


def measure(form: Form, capture: str, documents: int, of: int) -> tuple[float, float, float]:
    """The three columns for one capture."""
    first: list[Distances | None] = []
    second: list[Distances | None] = []
    drawn = 0
    for seed in range(documents):
        document: Document = KINDS[form.kind](seed)
        page = CAPTURES[capture](Layout.of(document), generator(form.kind, seed, capture))(render(document))
        look, query = look_of(page), Query(page)
        if look is None:
            first.append(None)
            second.append(None)
            continue
        drawn += seed in verified(form, seed, query, look)
        # Among so few the true one may come first at once; of many it would have been another.
        others = [int(nominee.id) for nominee in form.index.nominate(look, 0, VERIFIED) if nominee.id != str(seed)]
        looks = (second_look(form, other, query) for other in others[:VERIFIED - 1])
        again = next((found for found in looks if found is not None), None)
        first.append(distances(form, seed, look))
        second.append(distances(form, seed, again) if again is not None else None)
    now = np.max([shares(form, found, name, of, 1) for found in (first, second) for name in ("fine", "framed")], axis=0)
    return float(shares(form, first, "fine", of, VERIFIED).mean()), drawn / documents, float(now.mean())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=["invoice", "receipt"], choices=list(KINDS))
    parser.add_argument("--captures", nargs="+", default=list(CAPTURES), choices=list(CAPTURES))
    parser.add_argument("--fillings", type=int, default=300)
    parser.add_argument("--documents", type=int, default=12)
    parser.add_argument("--of", type=int, default=100_000)
    options = parser.parse_args(arguments)
    use_one_thread()
    for kind in options.kinds:
        form = Form.drawn(kind, options.fillings)
        print(f"{kind:20}{'one look':>10}{'now, drawn':>12}{f'now, of {options.of}':>16}")
        rows = []
        for capture in options.captures:
            rows.append(measure(form, capture, options.documents, options.of))
            print(f"{capture:20}{rows[-1][0]:10.2f}{rows[-1][1]:12.2f}{rows[-1][2]:16.2f}", flush=True)
        mean = np.mean(rows, axis=0)
        print(f"{'all':20}{mean[0]:10.2f}{mean[1]:12.2f}{mean[2]:16.2f}\n", flush=True)


if __name__ == "__main__":
    main()
