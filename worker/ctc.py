"""Decoding of connectionist temporal classification (Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf).

A path gives one class a time step; its text is what remains when runs of one class are merged and blanks dropped.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from worker.charset import BLANK, Charset
from worker.types import LineReading


@dataclass(frozen=True, slots=True)
class Decoded:
    """Characters of a line: class indices, the probability of each (0..1), the time step of each one's peak."""

    indices: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def reading(self, charset: Charset) -> LineReading:
        """The text, white space at its ends dropped, and the minimum of the characters' probabilities."""
        kept = list(zip(charset.decode(self.indices), self.probabilities, strict=True))
        while kept and kept[0][0].isspace():
            kept.pop(0)
        while kept and kept[-1][0].isspace():
            kept.pop()
        if not kept:
            return LineReading("", 0.0)
        return LineReading("".join(character for character, _ in kept), min(score for _, score in kept))


def greedy(best: np.ndarray, probability: np.ndarray) -> Decoded:
    """The best path. ``best`` (T,) class indices, ``probability`` (T,) theirs in 0..1.

    A character's probability is its run's largest.
    """
    decoded = Decoded()
    previous = BLANK
    for step, (index, value) in enumerate(zip(best.tolist(), probability.tolist(), strict=True)):
        if index != BLANK:
            if index != previous:
                decoded.indices.append(index)
                decoded.probabilities.append(value)
                decoded.steps.append(step)
            elif value > decoded.probabilities[-1]:
                decoded.probabilities[-1] = value
                decoded.steps[-1] = step
        previous = index
    return decoded


def restrict(log_probs: np.ndarray, allowed: Collection[int]) -> np.ndarray:
    """``log_probs`` (T, classes) with every class but the blank and ``allowed`` ruled out, renormalised per step."""
    kept = sorted({BLANK, *allowed})
    chosen = log_probs[:, kept].astype(np.float64)
    top = chosen.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(chosen - top).sum(axis=1, keepdims=True))
    restricted = np.full(log_probs.shape, -np.inf, np.float32)
    restricted[:, kept] = chosen - total
    return restricted


def beam_search(log_probs: np.ndarray, width: int = 8, candidates: int = 6) -> list[tuple[tuple[int, ...], float]]:
    """Prefix beam search (Hannun et al. 2014, https://arxiv.org/abs/1408.2873).

    ``log_probs`` is (T, classes). At most ``width`` texts are kept, each extended by a step's ``candidates`` likeliest
    classes. Returns texts as class indices with their log-probability, summed over all paths kept, best first.
    """
    if width < 1 or candidates < 1:
        raise ValueError("a beam needs a width and candidates of at least 1")
    minus = float("-inf")
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, minus)}  # text: (ends in blank, ends in character)
    for row in log_probs:
        row = row.astype(np.float64)
        likely = np.argpartition(-row, min(candidates, row.size - 1))[:candidates].tolist()
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(text: tuple[int, ...], blank: float, character: float, into: dict = grown) -> None:
            old = into.get(text, (minus, minus))
            into[text] = (float(np.logaddexp(old[0], blank)), float(np.logaddexp(old[1], character)))

        for text, (in_blank, in_character) in beams.items():
            either = float(np.logaddexp(in_blank, in_character))
            add(text, either + float(row[BLANK]), minus)
            if text:
                add(text, minus, in_character + float(row[text[-1]]))
            for index in likely:
                if index == BLANK or row[index] == minus:
                    continue
                before = in_blank if text and index == text[-1] else either
                if before > minus:
                    add((*text, index), minus, before + float(row[index]))
        ranked = sorted(grown.items(), key=lambda item: -float(np.logaddexp(*item[1])))
        beams = dict(ranked[:width])
    return [(text, float(np.logaddexp(*ends))) for text, ends in beams.items()]
