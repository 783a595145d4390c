from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.charset import Charset
from worker.ctc import beam_search, greedy, restrict

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
    found = beam_search(rows, width=200, candidates=3)
    assert {text for text, _ in found} == set(exact)
    for text, score in found:
        assert math.exp(score) == pytest.approx(exact[text], rel=1e-4)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_the_beam_finds_what_the_best_path_misses():
    # Blank is the likeliest class of each step, yet "a" is the likeliest text: three paths of six lead to it.
    rows = log_probs([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]])
    assert greedy(rows.argmax(1), np.exp(rows.max(1))).indices == []
    assert beam_search(rows)[0][0] == (1,)


@pytest.mark.parametrize("arguments", [{"width": 0}, {"candidates": 0}])
def test_a_beam_needs_a_width(arguments):
    with pytest.raises(ValueError):
        beam_search(np.zeros((1, 3), np.float32), **arguments)


@given(
    st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sets(st.integers(1, 3)),
)
def test_restricting_leaves_only_what_is_allowed(rows, allowed):
    restricted = restrict(log_probs(rows), allowed)
    kept = sorted({0, *allowed})
    assert np.isneginf(np.delete(restricted, kept, axis=1)).all()
    np.testing.assert_allclose(np.exp(restricted).sum(axis=1), 1, rtol=1e-5)
    best = greedy(restricted.argmax(1), np.exp(restricted.max(1)))
    assert set(best.indices) <= allowed
    assert {index for text, _ in beam_search(restricted) for index in text} <= allowed
