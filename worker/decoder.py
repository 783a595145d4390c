"""What the network says of a line to its text.

Without constraints the best path is taken. With a character set it is the best path of the characters allowed; with a
lexicon, doubtful lines are decoded by a beam search that prefers its words, with a pattern by one that says nothing
else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from worker.characters import characters_of
from worker.charset import Charset, look_alikes
from worker.constraints import DOUBTFUL, MOST_ODDS, Constraints, compiled
from worker.ctc import (
    Decoded,
    align,
    beam_search,
    can_say,
    greedy,
    greedy_within,
    likely,
    restrict,
    separated,
    substitutes,
)
from worker.lexicon import Lexicon
from worker.pattern import Matching
from worker.types import LineReading

RIVALS = 6
"""Classes of a time step that a beam search looks at."""
Path = tuple[np.ndarray, ...]
"""Of each time step, the likeliest class and its probability, (T,) each. Under constraints the likeliest class,
what is allowed in its place and the probability of that; then, where a search or the characters need them, the likely
classes that are allowed and their log-probabilities, (T, RIVALS) each."""


class Decoder:
    """Decodes for a network with these characters. Keeps what constraints mean from one call to the next, no text."""

    def __init__(self, charset: Charset) -> None:
        self._charset = charset
        self._allowed = lru_cache(8)(self._allowed_classes)
        self._lexicon = lru_cache(8)(self._lexicon_of_classes)
        self._matching = lru_cache(8)(lambda pattern: Matching(compiled(pattern), charset))

    def path(self, log_probs: np.ndarray, constraints: Constraints) -> Path:
        """What decoding under ``constraints`` needs of a line's log-probabilities (T, classes)."""
        best = log_probs.argmax(1)
        path: Path = (best, best, np.exp(log_probs.max(1)))
        if constraints.charset:
            allowed, visible, alike = self._allowed(constraints.charset)
            log_probs = restrict(log_probs, allowed)
            path = best, *substitutes(log_probs, best, visible, alike)
        rivals = constraints.lexicon or constraints.pattern or constraints.characters
        return (*path, *likely(log_probs, RIVALS, MOST_ODDS)) if rivals else path

    def reading(self, path: Path, constraints: Constraints, length: float) -> LineReading:
        """Of a line's path; the line is ``length`` time steps long, which may be fewer than the path has."""
        charset = self._charset
        if not constraints:
            return greedy(*path).reading(charset)
        best, allowed, probability, *rivals = path
        decoded = greedy_within(best, allowed, probability)
        if rivals:
            decoded = self._searched(decoded, best, allowed, *rivals, constraints)
        reading = decoded.reading(charset)
        if not constraints.characters:
            return reading
        return replace(reading, characters=characters_of(decoded.trimmed(charset), *rivals, charset, length))

    def _searched(
        self,
        decoded: Decoded,
        best: np.ndarray,
        allowed: np.ndarray,
        classes: np.ndarray,
        values: np.ndarray,
        constraints: Constraints,
    ) -> Decoded:
        """What a lexicon and a pattern make of what was ``decoded``; mostly that again."""
        charset = self._charset
        reading = decoded.reading(charset)
        if not (constraints.lexicon or constraints.pattern) or reading.score >= DOUBTFUL:
            return decoded
        *rivals, steps = separated(best, allowed, classes, values)
        if constraints.charset and not can_say(decoded.indices, *rivals):
            return decoded  # it has a look-alike that a blank is far likelier than, and would be dropped

        def aligned(text: Sequence[int]) -> Decoded:
            found = align(text, *rivals)
            return Decoded(found.indices, found.probabilities, steps[found.steps].tolist())

        if constraints.lexicon:
            lexicon = self._lexicon(constraints.lexicon)
            text, _ = beam_search(*rivals, bias=lexicon)[0]
            if lexicon.within(text) > lexicon.within(decoded.indices):
                decoded = aligned(text)
        text_now = decoded.reading(charset).text
        if text_now and not constraints.follows(text_now):
            text, chance = beam_search(*rivals, bias=self._matching(constraints.pattern))[0]
            if chance > -math.inf:
                decoded = aligned(text)
        return decoded

    def _allowed_classes(
        self, charset: str
    ) -> tuple[tuple[int, ...], tuple[int, ...], dict[int, tuple[int, ...]]]:
        """The classes that a character set allows, those among them that can be seen, and which of these look like
        one that is not allowed."""
        constraints, known = Constraints(charset), self._charset
        allowed = tuple(i for i, character in enumerate(known.characters, 1) if constraints.allows(character))
        visible = tuple(index for index in allowed if not known.characters[index - 1].isspace())
        alike = {}
        for character, twins in look_alikes().items():
            if character in known and not constraints.allows(character):
                [index] = known.encode(character)
                alike[index] = tuple(known.encode(filter(constraints.allows, known.known(twins))))
        return allowed, visible, alike

    def _lexicon_of_classes(self, words: tuple[str, ...]) -> Lexicon:
        charset = self._charset
        return Lexicon(charset.encode(word) for word in words if charset.known(word) == word)

