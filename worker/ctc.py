"""Decoding of connectionist temporal classification (Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf).

A path gives one class a time step; its text is what remains when runs of one class are merged and blanks dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from worker.charset import BLANK, Charset
from worker.types import LineReading

ALIKE_ODDS = 1000.0
"""How much likelier than a character that looks alike a blank may be. For 1 in the place of I it has been 10."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Characters of a line: class indices, the probability of each (0..1), the time step of each one's peak."""

    indices: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def trimmed(self, charset: Charset) -> Decoded:
        """Without white space at the ends."""
        seen = [number for number, character in enumerate(charset.decode(self.indices)) if not character.isspace()]
        kept = slice(seen[0], seen[-1] + 1) if seen else slice(0)
        return Decoded(self.indices[kept], self.probabilities[kept], self.steps[kept])

    def reading(self, charset: Charset) -> LineReading:
        """The text, white space at its ends dropped, and the minimum of the characters' probabilities."""
        kept = self.trimmed(charset)
        return LineReading(charset.decode(kept.indices), min(kept.probabilities, default=0.0))


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


def substitutes(
    restricted: np.ndarray, best: np.ndarray, classes: Sequence[int], alike: Mapping[int, Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """For each step, what stands for the best class where that is ruled out, and its probability; both (T,).

    ``restricted`` (T, classes) is as :func:`restrict` gives it, ``best`` (T,) the likeliest classes of all. A class
    stays that is allowed. For another stands the likeliest of those that ``alike`` has for it, even where a blank is
    somewhat likelier, else the likeliest of ``classes`` or the blank: no character is made of one that looks different.
    """
    allowed, probability = best.copy(), np.zeros(len(best), np.float32)
    for step, index in enumerate(best.tolist()):
        row = restricted[step]
        if row[index] == -np.inf:
            twins = alike.get(index, ())
            index = max(twins or classes, key=row.__getitem__, default=BLANK)
            if row[index] + (math.log(ALIKE_ODDS) if twins else 0.0) < row[BLANK]:
                index = BLANK
        allowed[step], probability[step] = index, math.exp(row[index])
    return allowed, probability


def greedy_within(best: np.ndarray, allowed: np.ndarray, probability: np.ndarray) -> Decoded:
    """What the best path says in the characters allowed: ``best`` (T,) classes of all, and for each step what
    :func:`substitutes` has.

    Each character of the best path becomes the likeliest of those that may stand for it, or is left out where there is
    none. To merge the runs of ``allowed`` instead would lose characters: ``l1`` in digits is ``11``.
    """
    decoded = Decoded()
    begin = 0
    for end in (*(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)):
        chances = np.where(allowed[begin:end] != BLANK, probability[begin:end], 0.0)
        if begin < end and best[begin] != BLANK and chances.any():
            step = begin + int(chances.argmax())
            decoded.indices.append(int(allowed[step]))
            decoded.probabilities.append(float(probability[step]))
            decoded.steps.append(step)
        begin = end
    return decoded


def separated(
    best: np.ndarray, allowed: np.ndarray, classes: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``classes`` and ``values`` (as :func:`likely` gives them) with a step for a blank alone between any two
    characters of the best path that only their substitutes make equal; see :func:`greedy_within`. Also which step each
    has been (T',)."""
    said = (best[1:] != BLANK) & (best[:-1] != BLANK) & (allowed[1:] != BLANK)
    places = np.flatnonzero(said & (allowed[1:] == allowed[:-1]) & (best[1:] != best[:-1])) + 1
    certain = np.full(values.shape[1], -np.inf, np.float32)
    certain[0] = 0.0
    steps = np.insert(np.arange(len(best)), places, places)
    return np.insert(classes, places, BLANK, 0), np.insert(values, places, certain, 0), steps


def restrict(log_probs: np.ndarray, allowed: Collection[int]) -> np.ndarray:
    """``log_probs`` (T, classes) with every class but the blank and ``allowed`` ruled out, renormalised per step."""
    kept = sorted({BLANK, *allowed})
    chosen = log_probs[:, kept].astype(np.float64)
    top = chosen.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(chosen - top).sum(axis=1, keepdims=True))
    restricted = np.full(log_probs.shape, -np.inf, np.float32)
    restricted[:, kept] = chosen - total
    return restricted


def likely(log_probs: np.ndarray, most: int, odds: float = math.inf) -> tuple[np.ndarray, np.ndarray]:
    """The ``most`` likeliest classes of each step of ``log_probs`` (T, classes), and their log-probabilities.

    Both (T, most or fewer), in no particular order. Where a class is more than ``odds`` times less likely than the
    step's likeliest, its value is minus infinity.
    """
    most = min(most, log_probs.shape[1])
    classes = np.argpartition(-log_probs, most - 1, axis=1)[:, :most]
    values = np.take_along_axis(log_probs, classes, 1).astype(np.float32)
    values[values < values.max(1, keepdims=True) - math.log(odds)] = -np.inf
    return classes, values


class Bias(Protocol):
    """Makes some texts of a beam likelier than they read. A state says what is known of a text; it is hashable."""

    start: Any

    def follow(self, state: Any, index: int) -> Any:
        """The state of a text that goes on with a class."""

    def hope(self, state: Any) -> float:
        """What is added to the log-probability of a text while it may go on."""

    def worth(self, state: Any) -> float:
        """The same of a text that ends here."""


def beam_search(
    classes: np.ndarray, values: np.ndarray, width: int = 8, bias: Bias | None = None
) -> list[tuple[tuple[int, ...], float]]:
    """Prefix beam search (Hannun et al. 2014, https://arxiv.org/abs/1408.2873).

    ``classes`` and ``values`` are as :func:`likely` gives them. At most ``width`` texts are kept. Returns texts as
    class indices with their log-probability, summed over all paths kept, and what ``bias`` adds to it, best first.
    """
    if width < 1:
        raise ValueError("a beam needs a width of at least 1")
    minus = -math.inf
    states: dict[tuple[int, ...], Any] = {(): bias.start if bias else None}
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, minus)}  # text: (ends in blank, ends in character)

    def total(text: tuple[int, ...], ends: tuple[float, float], rate: Callable[[Any], float] | None) -> float:
        return _either(*ends) + (rate(states[text]) if rate else 0.0)

    for row, chances in zip(classes.tolist(), values.tolist(), strict=True):
        step = {index: chance for index, chance in zip(row, chances, strict=True) if chance > minus}
        grown: dict[tuple[int, ...], list[float]] = {}
        for text, (in_blank, in_character) in beams.items():
            both = _either(in_blank, in_character)
            for index, chance in step.items():
                if index == BLANK:
                    ends = grown.setdefault(text, [minus, minus])
                    ends[0] = _either(ends[0], both + chance)
                    continue
                before = both
                if text and index == text[-1]:
                    ends = grown.setdefault(text, [minus, minus])
                    ends[1] = _either(ends[1], in_character + chance)
                    before = in_blank
                if before > minus:
                    longer = (*text, index)
                    ends = grown.setdefault(longer, [minus, minus])
                    ends[1] = _either(ends[1], before + chance)
                    if bias and longer not in states:
                        states[longer] = bias.follow(states[text], index)
        rate = bias.hope if bias else None
        ranked = sorted(grown.items(), key=lambda item: -total(item[0], item[1], rate))[:width]
        beams = {text: (ends[0], ends[1]) for text, ends in ranked if max(ends) > minus}
        if bias:
            states = {text: states[text] for text in beams}
    worth = bias.worth if bias else None
    found = [(text, total(text, ends, worth)) for text, ends in beams.items()]
    return sorted(found, key=lambda item: -item[1])


def _either(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities, given theirs."""
    if one < other:
        one, other = other, one
    return one if other == -math.inf else one + math.log1p(math.exp(other - one))


def align(text: Sequence[int], classes: np.ndarray, values: np.ndarray) -> Decoded:
    """Where the characters of ``text`` (class indices) stand on its likeliest path (Viterbi) through ``classes`` and
    ``values``, which are as :func:`likely` gives them. Raises ``ValueError`` when no path says that."""
    labels = np.full(2 * len(text) + 1, BLANK)
    labels[1::2] = text
    chances = np.where(classes[:, :, None] == labels, values[:, :, None], -np.inf).max(1)  # (T, labels)
    # A character may follow the one before without a blank, if it is another.
    skips = np.full(len(labels), False)
    skips[3::2] = labels[3::2] != labels[1:-2:2]
    score = np.full(len(labels), -np.inf)
    score[:2] = chances[0, :2] if len(chances) else 0.0
    came = np.zeros(chances.shape, np.int64)
    for step in range(1, len(chances)):
        ways = np.full((3, len(labels)), -np.inf)
        ways[0] = score
        ways[1, 1:] = score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        came[step] = ways.argmax(0)
        score = ways.max(0) + chances[step]
    place = len(labels) - 1 if len(labels) == 1 or score[-1] >= score[-2] else len(labels) - 2
    if score[place] == -np.inf:
        raise ValueError("no path says this text")
    decoded = Decoded(list(text), [0.0] * len(text), [0] * len(text))
    for step in range(len(chances) - 1, -1, -1):
        if place % 2 and (value := math.exp(chances[step, place])) > decoded.probabilities[place // 2]:
            decoded.probabilities[place // 2] = value
            decoded.steps[place // 2] = step
        place -= came[step, place]
    return decoded


def can_say(text: Sequence[int], classes: np.ndarray, values: np.ndarray) -> bool:
    """Whether any path says ``text``; the arguments are those of :func:`align`."""
    try:
        align(text, classes, values)
    except ValueError:
        return False
    return True
