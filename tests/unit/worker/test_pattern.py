"""Patterns of lines: they match what regular expressions match, and no pattern takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.pattern import MOST_CHARACTERS, MOST_POSITIONS, Pattern

characters = st.sampled_from(["a", "b", "1", "-", r"\d", r"\.", ".", "[ab]", "[^a]", "[0-9-]", r"[\d.]"])
patterns = st.recursive(
    characters,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,}", "{0,2}", "{1,3}"])).map(
            lambda part: f"(?:{part[0]}){part[1]}"
        ),
    ),
    max_leaves=6,
)


@given(patterns, st.lists(st.text("ab1-.", max_size=7), max_size=12))
def test_a_pattern_matches_what_the_regular_expression_matches(pattern, texts):
    try:
        automaton = Pattern(pattern)
    except ValueError as error:
        assert "at most" in str(error)
        return
    for text in texts:
        assert automaton.matches(text) == bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (r"\d{4}-\d{2}-\d{2}", ["2026-06-02", " 2026-06-02\u3000"], ["2026-6-2", "2026-06-02.", "２０２６-06-02", ""]),
        (r"[A-Z]{2}\d+", ["AB1", "ZZ0042"], ["Ab1", "AB"]),
        ("发票号码[:：][0-9]{8}", ["发票号码:12345678", "发票号码：00000000"], ["发票号码12345678"]),
        ("[一-龥]+市", ["上海市"], ["上海 市", "A市"]),
        (r"\[\^\]\\", ["[^]\\"], ["^"]),
        ("[-a]|[b-]", ["-", "a", "b"], ["c"]),
    ],
)
def test_a_whole_line_is_matched(pattern, matching, others):
    automaton = Pattern(pattern)
    assert all(map(automaton.matches, matching))
    assert not any(map(automaton.matches, others))


@given(patterns, st.text("ab1-.", max_size=8))
def test_a_text_that_no_match_begins_with_is_known_as_such(pattern, text):
    try:
        automaton = Pattern(pattern)
    except ValueError:
        return
    state = automaton.start
    for character in text:
        state = automaton.follow(state, character)
    if automaton.matches(text):
        assert state


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "hold something"),
        ("a||b", "hold something"),
        ("()", "hold something"),
        ("(a", "not closed"),
        ("a)", "closes nothing"),
        ("[]", "hold"),
        ("[a", "ends too early"),
        ("[[]", "is written"),
        ("a\\", "ends too early"),
        ("+a", "is written"),
        ("a{x}", "a count is"),
        ("a{2,1}", "a count begins"),
        ("a{0}", "a count begins"),
        ("a+?", "only one of"),
        ("^a$", "leave out"),
        ("(?=a)", "not supported"),
        (r"(a)\1", r"`\\1` is not supported"),
        (r"\bword", r"`\\b` is not supported"),
        ("[b-a]", "a range goes"),
        (r"[\d-f]", "a range goes"),
        ("a\n", "printable"),
        ("a" * (MOST_CHARACTERS + 1), "at most"),
        (f"(ab){{{MOST_POSITIONS // 2 + 1}}}", "at most"),
    ],
)
def test_what_is_no_pattern_is_refused_by_name(wrong, said):
    with pytest.raises(ValueError, match=said):
        Pattern(wrong)


@pytest.mark.parametrize("pattern", ["(a|a?)*" * 16 + "b", "(.*)*" * 20 + "x", "(a?){64}a{64}"])
def test_a_text_has_no_more_places_in_a_pattern_than_it_has_positions(pattern):
    automaton = Pattern(pattern)
    state = automaton.start
    for _ in range(300):
        state = automaton.follow(state, "a")
        assert state.bit_count() <= MOST_POSITIONS + 2


@pytest.mark.parametrize("pattern", ["(" * 25 + "a" + "{99})" * 25, "(" * MOST_CHARACTERS])
def test_counts_within_counts_are_refused_before_they_multiply(pattern):
    with pytest.raises(ValueError):
        Pattern(pattern[:MOST_CHARACTERS])


def test_a_pattern_as_large_as_may_be_is_one():
    assert Pattern(f"a{{{MOST_POSITIONS}}}").matches("a" * MOST_POSITIONS)
