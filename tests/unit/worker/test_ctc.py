from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from worker.charset import Charset
from worker.ctc import align, beam_search, can_say, greedy, greedy_within, likely, restrict, separated, substitutes

CHARSET = Charset(("a", "b", " "))


def path(*classes, probability=0.9):
    return greedy(np.array(classes), np.full(len(classes), probability, np.float32))


def log_probs(rows):
    values = np.array(rows, np.float64)
    return np.log(values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def exhaustive(rows):
    """The probability of every text, by adding up all paths."""
    texts = {}
    for classes in itertools.product(range(rows.shape[1]), repeat=len(rows)):
        merged = tuple(key for key, _ in itertools.groupby(classes) if key)
        texts[merged] = texts.get(merged, 0.0) + math.exp(sum(rows[step, index] for step, index in enumerate(classes)))
    return texts


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ((), ""),
        ((0, 0), ""),
        ((1, 1, 1), "a"),
        ((1, 0, 1), "aa"),
        ((0, 1, 1, 2, 0, 2), "abb"),
        ((3, 1, 3, 2, 3), "a b"),
    ],
)
def test_runs_merge_and_blanks_separate(classes, text):
    assert path(*classes).reading(CHARSET).text == text


def test_the_score_is_the_most_doubtful_characters():
    decoded = greedy(np.array([1, 1, 0, 2]), np.array([0.5, 0.8, 0.1, 0.6], np.float32))
    assert decoded.steps == [1, 3]
    reading = decoded.reading(CHARSET)
    assert reading.text == "ab"
    assert reading.score == pytest.approx(0.6)


def test_an_empty_text_has_no_score():
    assert path(0, 3, 0).reading(CHARSET).text == ""
    assert path(0, 3, 0).reading(CHARSET).score == 0.0


@given(st.lists(st.integers(0, 3), max_size=12))
def test_greedy_is_merge_then_drop(classes):
    expected = [key for key, _ in itertools.groupby(classes) if key]
    assert path(*classes).indices == expected


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_wide_beam_is_exact(rows):
    rows = log_probs(rows)
    exact = exhaustive(rows)
    found = beam_search(*likely(rows, 3), width=200)
    assert {text for text, _ in found} == set(exact)
    for text, score in found:
        assert math.exp(score) == pytest.approx(exact[text], rel=1e-4)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_the_beam_finds_what_the_best_path_misses():
    # Blank is the likeliest class of each step, yet "a" is the likeliest text: three paths of six lead to it.
    rows = log_probs([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]])
    assert greedy(rows.argmax(1), np.exp(rows.max(1))).indices == []
    assert beam_search(*likely(rows, 3))[0][0] == (1,)


def test_a_beam_needs_a_width():
    with pytest.raises(ValueError):
        beam_search(*likely(np.zeros((1, 3), np.float32), 3), width=0)


ROWS = st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=1, max_size=5)


@given(ROWS, st.integers(1, 6), st.floats(1, 50))
def test_the_likely_classes_are_the_best_of_each_step_within_the_odds(rows, most, odds):
    rows = log_probs(rows)
    classes, values = likely(rows, most, odds)
    assert classes.shape == values.shape == (len(rows), min(most, 4))
    for row, kept, chances in zip(rows, classes, values, strict=True):
        alive = {index: chance for index, chance in zip(kept, chances, strict=True) if np.isfinite(chance)}
        assert row.max() in alive.values()
        assert alive == {index: row[index] for index in alive}
        assert all(chance >= row.max() - math.log(odds) - 1e-5 for chance in alive.values())
        left_out = [row[index] for index in range(4) if index not in kept]
        assert max(left_out, default=-math.inf) <= min(row[index] for index in kept)


class Reward:
    """Rewards each occurrence of one class."""

    start = 0

    def __init__(self, index, reward):
        self.index, self.reward = index, reward

    def follow(self, state, index):
        return state + (index == self.index)

    def hope(self, state):
        return self.reward * state

    worth = hope


@settings(deadline=None)
@given(ROWS, st.integers(1, 3), st.floats(-3, 3))
def test_a_bias_is_added_to_what_a_text_reads_as(rows, index, reward):
    lattice = likely(log_probs(rows), 4)
    plain = dict(beam_search(*lattice, width=2000))
    biased = beam_search(*lattice, width=2000, bias=Reward(index, reward))
    assert dict(biased) == pytest.approx({text: value + reward * text.count(index) for text, value in plain.items()})
    assert [value for _, value in biased] == sorted((value for _, value in biased), reverse=True)


@settings(deadline=None)
@given(ROWS)
def test_every_text_of_a_beam_can_be_aligned(rows):
    rows = log_probs(rows)
    lattice = likely(rows, 4)
    for text, _ in beam_search(*lattice):
        aligned = align(text, *lattice)
        assert tuple(aligned.indices) == text
        assert aligned.steps == sorted(set(aligned.steps))
        for index, step, probability in zip(text, aligned.steps, aligned.probabilities, strict=True):
            assert probability == pytest.approx(math.exp(rows[step, index]), rel=1e-5)


@settings(deadline=None)
@given(ROWS)
def test_the_best_path_is_aligned_as_it_was_decoded(rows):
    rows = log_probs(rows)
    first, second = np.sort(rows, 1)[:, :-3:-1].T
    decoded = greedy(rows.argmax(1), np.exp(rows.max(1)))
    assume((first - second > 1e-3).all() and np.diff(np.sort(rows.max(1))).min(initial=1) > 1e-5)
    aligned = align(decoded.indices, *likely(rows, 4))
    assert aligned.steps == decoded.steps
    assert aligned.probabilities == pytest.approx(decoded.probabilities, rel=1e-5)


def test_what_no_path_says_cannot_be_aligned():
    lattice = likely(log_probs([[0.1, 0.9, 0.1]]), 3)
    with pytest.raises(ValueError):
        align((1, 1), *lattice)
    assert not can_say((1, 1), *lattice)
    assert can_say((1,), *lattice)


@given(ROWS, st.sets(st.integers(1, 3)))
def test_restricting_leaves_only_what_is_allowed(rows, allowed):
    restricted = restrict(log_probs(rows), allowed)
    kept = sorted({0, *allowed})
    assert np.isneginf(np.delete(restricted, kept, axis=1)).all()
    np.testing.assert_allclose(np.exp(restricted).sum(axis=1), 1, rtol=1e-5)
    best = greedy(restricted.argmax(1), np.exp(restricted.max(1)))
    assert set(best.indices) <= allowed
    assert {index for text, _ in beam_search(*likely(restricted, 4)) for index in text} <= allowed


@given(ROWS)
def test_where_everything_is_allowed_nothing_changes(rows):
    rows = log_probs(rows)
    best, probability = rows.argmax(1), np.exp(rows.max(1))
    assert greedy_within(best, best, probability) == greedy(best, probability)
    lattice = likely(rows, 4)
    *same, steps = separated(best, best, *lattice)
    assert all((one == other).all() for one, other in zip(same, lattice, strict=True))
    assert steps.tolist() == list(range(len(best)))


@given(ROWS, st.sets(st.integers(1, 3)))
def test_each_character_is_replaced_by_one_at_most(rows, allowed):
    rows = log_probs(rows)
    restricted = restrict(rows, allowed)
    best, probability = rows.argmax(1), np.exp(rows.max(1))
    decoded = greedy_within(best, *substitutes(restricted, best, sorted(allowed), {}))
    freely = greedy(best, probability)
    assert set(decoded.indices) <= allowed
    assert len(decoded.indices) <= len(freely.indices)
    if set(freely.indices) <= allowed:
        assert decoded.indices == freely.indices


def test_characters_that_become_equal_stay_apart():
    # "ab" where only "b" is allowed, which is what "a" looks like.
    rows = log_probs([[0.1, 0.6, 0.3], [0.1, 0.3, 0.6]])
    restricted = restrict(rows, [2])
    best = rows.argmax(1)
    allowed, probability = substitutes(restricted, best, [2], {1: [2]})
    assert greedy(allowed, probability).indices == [2]
    assert greedy_within(best, allowed, probability).indices == [2, 2]
    *lattice, steps = separated(best, allowed, *likely(restricted, 3))
    assert steps.tolist() == sorted([*range(len(best)), *(int(place) for place in steps[1:][np.diff(steps) == 0])])
    assert beam_search(*lattice)[0][0] == (2, 2)
    assert align((2, 2), *lattice).indices == [2, 2]


@pytest.mark.parametrize(("alike", "said"), [({}, []), ({1: [2]}, [2]), ({1: [3]}, [])])
def test_where_a_blank_is_likelier_only_a_look_alike_stands_for_what_is_ruled_out(alike, said):
    # "a" is ruled out; "b" is four times less likely than a blank, " " is out of the question.
    rows = log_probs([[0.08, 0.9, 0.02, 1e-6]])
    best = rows.argmax(1)
    assert greedy_within(best, *substitutes(restrict(rows, [2, 3]), best, [2, 3], alike)).indices == said
