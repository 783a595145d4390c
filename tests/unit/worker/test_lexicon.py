"""Words found anywhere in a text, rewarded as it grows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.constraints import DOUBTFUL, MOST_ODDS
from worker.ctc import beam_search, greedy, likely
from worker.lexicon import Lexicon

WORDS = st.lists(st.lists(st.integers(1, 3), min_size=2, max_size=4), max_size=4)
TEXTS = st.lists(st.integers(1, 3), max_size=8)


def followed(lexicon, text):
    state = lexicon.start
    for index in text:
        state = lexicon.follow(state, index)
    return state


def places(words, text):
    """The characters of ``text`` that lie in a word."""
    return {
        place
        for word in words
        for begin in range(len(text) - len(word) + 1)
        if text[begin : begin + len(word)] == list(word)
        for place in range(begin, begin + len(word))
    }


@pytest.mark.parametrize(
    ("words", "text", "within"),
    [
        ([[1, 2]], [1, 2], 2),
        ([[1, 2]], [3, 1, 2, 1, 2], 4),
        ([[1, 2]], [1, 1, 2], 2),
        ([[1, 2, 3], [2, 3]], [1, 2, 3], 3),
        ([[1, 2], [1, 2, 3, 3]], [1, 2, 3, 3], 4),
        ([[1, 2, 1]], [1, 2, 1, 2, 1], 5),
        ([[1, 1, 2], [1, 2, 3]], [1, 1, 2, 3], 4),
        ([], [1, 2], 0),
    ],
)
def test_characters_in_words_count_once(words, text, within):
    assert Lexicon(words).within(text) == within


@given(WORDS, TEXTS)
def test_a_text_holds_words_when_it_says_one_and_never_more_than_it_says(words, text):
    within = Lexicon(words).within(text)
    assert (within > 0) == bool(places(words, text))
    assert within <= len(places(words, text))


@given(WORDS, TEXTS)
def test_hope_is_never_less_than_what_is_certain(words, text):
    lexicon = Lexicon(words, reward=1.0)
    state = followed(lexicon, text)
    assert len(text) >= lexicon.hope(state) >= lexicon.worth(state) >= 0


def test_a_word_is_rewarded_as_it_grows_and_not_before_its_end():
    lexicon = Lexicon([[1, 2, 3]], reward=1.0)
    assert [lexicon.hope(followed(lexicon, [1, 2, 3][:length])) for length in range(4)] == [0, 1, 2, 3]
    assert [lexicon.worth(followed(lexicon, [1, 2, 3][:length])) for length in range(4)] == [0, 0, 0, 3]
    assert lexicon.hope(followed(lexicon, [1, 2, 2])) == 0


def lattice(*steps, odds=10.0):
    """Steps of a network that knows a blank and three characters, from what it gives some of them."""
    rows = np.full((len(steps), 4), 1e-4)
    for row, chances in zip(rows, steps, strict=True):
        for index, chance in chances.items():
            row[index] = chance
    return likely(np.log(rows / rows.sum(1, keepdims=True)), 4, odds)


def read(words, *steps):
    return beam_search(*lattice(*steps), bias=Lexicon(words))[0][0]


def test_a_word_is_preferred_to_what_reads_a_little_likelier():
    steps = ({1: 0.9}, {2: 0.6, 3: 0.3}, {0: 0.9}, {1: 0.9})
    assert read([], *steps) == (1, 2, 1)
    assert read([[1, 3, 1]], *steps) == (1, 3, 1)
    assert read([[1, 3]], *steps) == (1, 3, 1)
    assert read([[3, 2]], *steps) == (1, 2, 1)


def test_of_two_words_the_likelier_is_read():
    assert read([[1, 2], [1, 3]], {1: 0.9}, {2: 0.6, 3: 0.3}) == (1, 2)


def test_a_sure_character_is_not_given_up_for_a_word():
    assert read([[1, 3]], {1: 0.9}, {2: 0.95, 3: 0.04}) == (1, 2)
    assert read([[1, 1]], {1: 0.9}, {2: 0.95}, {1: 0.9}) == (1, 2, 1)


@settings(deadline=None)
@given(st.floats(DOUBTFUL + 1e-6, 1), st.integers(1, 3), WORDS)
def test_the_score_that_is_no_doubt_leaves_no_choice(probability, index, words):
    rest = (1 - probability) / 3
    worst = dict.fromkeys(range(4), rest) | {index: probability}
    rival = {index: probability, index % 3 + 1: 1 - probability}
    for step in (worst, rival):
        rows = np.array([[step.get(other, 0.0) + 1e-12 for other in range(4)]])
        assert beam_search(*likely(np.log(rows), 4, MOST_ODDS), bias=Lexicon(words))[0][0] == (index,)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(0.001, 1), min_size=4, max_size=4), min_size=1, max_size=6),
    WORDS,
)
def test_no_step_of_a_reading_is_ten_times_less_likely_than_the_best(rows, words):
    rows = np.array(rows)
    log_probs = np.log(rows / rows.sum(1, keepdims=True))
    classes, values = likely(log_probs, 4, 10.0)
    text = beam_search(classes, values, bias=Lexicon(words))[0][0]
    possible = [{c for c, v in zip(*step, strict=True) if v > -math.inf} for step in zip(classes, values, strict=True)]
    reached = {()}
    states = {((), 0)}
    for step in possible:
        states = {
            (said if index in (0, last) else (*said, index), index) for said, last in states for index in step
        }
    reached = {said for said, _ in states}
    assert text in reached
    if all(len(step) == 1 for step in possible):
        assert list(text) == greedy(log_probs.argmax(1), np.exp(log_probs.max(1))).indices
