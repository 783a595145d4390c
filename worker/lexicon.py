"""Words that a text may hold, as a bias of the beam search.

Contextual biasing by shallow fusion with a failure transition (Zhao et al. 2019, https://doi.org/10.21437/Interspeech.2019-1209):
every character that goes on with a word is rewarded at once, and the reward is taken back when the word is not
completed. Words are found anywhere, in one pass, by the automaton of Aho and Corasick
(https://doi.org/10.1145/360825.360855).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

REWARD = math.log(10) / 2
"""Added to a text's log-probability for each character within a word: one of two characters counts tenfold."""


class Found(NamedTuple):
    """What is known of a text: the automaton's node, its length, where the last word ended, characters in words."""

    node: int = 0
    length: int = 0
    ended: int = 0
    within: int = 0


class Lexicon:
    """``words`` are sequences of class indices. Characters in several words count once. A :class:`worker.ctc.Bias`."""

    start = Found()

    def __init__(self, words: Iterable[Sequence[int]], reward: float = REWARD) -> None:
        self._reward = reward
        self._next: list[dict[int, int]] = [{}]
        self._depth = [0]
        self._longest = [0]  # of the words that end at a node
        self._failure = [0]
        for word in words:
            node = 0
            for index in word:
                if index not in self._next[node]:
                    self._next[node][index] = len(self._next)
                    self._next.append({})
                    self._depth.append(self._depth[node] + 1)
                    self._longest.append(0)
                    self._failure.append(0)
                node = self._next[node][index]
            self._longest[node] = self._depth[node]
        waiting = deque(self._next[0].values())
        while waiting:
            node = waiting.popleft()
            for index, child in self._next[node].items():
                self._failure[child] = self._step(self._failure[node], index)
                self._longest[child] = self._longest[child] or self._longest[self._failure[child]]
                waiting.append(child)

    def _step(self, node: int, index: int) -> int:
        while index not in self._next[node]:
            if node == 0:
                return 0
            node = self._failure[node]
        return self._next[node][index]

    def follow(self, state: Found, index: int) -> Found:
        """The state of a text that goes on with the class ``index``."""
        node, length = self._step(state.node, index), state.length + 1
        word = self._longest[node]
        if not word:
            return Found(node, length, state.ended, state.within)
        return Found(node, length, length, state.within + length - max(state.ended, length - word))

    def hope(self, state: Found) -> float:
        """The reward of a text if the word that it may end with goes on."""
        begun = state.length - max(state.ended, state.length - self._depth[state.node])
        return self._reward * (state.within + begun)

    def worth(self, state: Found) -> float:
        """The reward of a text's whole words."""
        return self._reward * state.within

    def within(self, text: Iterable[int]) -> int:
        """How many characters of a text are in words."""
        state = self.start
        for index in text:
            state = self.follow(state, index)
        return state.within
