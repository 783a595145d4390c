"""Records: what is written can be read back, and only that."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.record import RECORD_VERSION, EngineFacts, ImageFacts, Match, PageLine, Record, RecordError
from worker.types import Character

texts = st.text(st.characters(codec="utf-8"), max_size=40)
numbers = st.floats(0, 10_000, allow_nan=False)
points = st.tuples(numbers, numbers)
corners = st.tuples(points, points, points, points)
shares = st.floats(0, 1)
alternatives = st.lists(st.tuples(texts, shares), max_size=3).map(tuple)
characters = st.lists(st.builds(Character, texts, shares, shares, shares, alternatives), max_size=3).map(tuple)
readers = st.sampled_from(["crnn", "ppocr"])
lines = st.builds(PageLine, texts, shares, corners, st.integers(1, 20), readers, characters)


def record(*page_lines: PageLine, **changes) -> Record:
    fields = {
        "id": "a" * 64,
        "lines": page_lines,
        "image": ImageFacts(100, 50, "b" * 64, "0123456789abcdef", 1, ((1, 100, 50),)),
        "match": Match("none", "a" * 64),
        "engine": EngineFacts("crnn", "r1"),
        "processing_time_ms": 12.5,
        "created_at": 1_700_000_000.25,
        "expires_at": 1_700_604_800,
    }
    return Record(**(fields | changes))


@given(st.lists(lines, max_size=5))
def test_a_record_survives_its_bytes(page_lines):
    original = record(*page_lines)
    assert Record.from_bytes(original.to_bytes()) == original


def test_a_line_whose_characters_nobody_asked_for_is_as_small_as_before():
    original = record(PageLine("total", 0.5, ((0.0, 0.0), (9.0, 0.0), (9.0, 5.0), (0.0, 5.0))))
    assert json.loads(original.to_bytes())["lines"][0].keys() == {"text", "score", "box", "page", "reader"}


def test_a_line_that_names_no_reader_was_read_by_the_crnn():
    original = record(PageLine("total", 0.5, ((0.0, 0.0), (9.0, 0.0), (9.0, 5.0), (0.0, 5.0)), 1, "crnn"))
    fields = json.loads(original.to_bytes())
    del fields["lines"][0]["reader"]
    assert Record.from_bytes(json.dumps(fields).encode()) == original


def test_a_record_says_what_it_was_read_with_unless_it_is_of_an_older_version():
    plain, digits = record(), record(options="d" * 64)
    assert "options" not in json.loads(plain.to_bytes())
    assert Record.from_bytes(digits.to_bytes()) == digits
    assert [each.was_read_with("d" * 64) for each in (plain, digits)] == [True, True]
    assert [each.was_read_with("e" * 64) for each in (plain, digits)] == [True, False]
    assert not digits.was_read_with("")


@given(st.binary(max_size=200))
def test_other_bytes_are_no_record(data):
    with pytest.raises(RecordError):
        Record.from_bytes(data)


@pytest.mark.parametrize("change", [{"version": RECORD_VERSION + 1}, {"lines": None}, {"surprise": 1}, {"image": {}}])
def test_another_version_or_shape_is_no_record(change):
    data = json.dumps(json.loads(record().to_bytes()) | change).encode()
    with pytest.raises(RecordError):
        Record.from_bytes(data)


def test_a_copy_keeps_the_times_of_the_reading_and_takes_its_own_identity():
    source = record(index_key="index/1")
    copy = source.copied_to("c" * 64, ImageFacts(1, 2, "d" * 64, "f" * 16), Match("near", source.id, 2), source.lines)
    assert (copy.created_at, copy.expires_at) == (source.created_at, source.expires_at)
    assert copy.index_key == ""
    assert copy.match.source == source.id


