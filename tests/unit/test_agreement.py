"""Two readings of one page: what is the same, what a reader may misread, and what is another document's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agreement import agreement, figures
from worker.types import Line


def at(text: str, left: float, top: float = 0.0, width: float = 100.0, height: float = 20.0) -> Line:
    right, bottom = left + width, top + height
    return Line(text, 0.9, ((left, top), (right, top), (right, bottom), (left, bottom)))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("Total 80.00", "Total 80.00", "agree"),
        ("Total 80.00", "Total80.00", "agree"),
        ("合计（小写）", "合计(小写)", "agree"),
        ("Total 80.00", "Tota1y 80.00", "digits"),
        ("Total 80.00", "Totel 80.00", "noise"),
        ("Total 80.00", "Total 80.06", "digits"),
        ("Total 80.00", "Total 8.000", "digits"),
        ("Total 80.00", "Total 80,00", "noise"),
        ("Total 80.00", "Total -80.00", "digits"),
        ("Total —80.00", "Total -80.00", "noise"),
        ("Total 80.00", "Total", "digits"),
        ("１２件", "12件", "agree"),
    ],
)
def test_one_line_read_twice(one, other, found):
    assert agreement([at(one, 0)], [at(other, 0)]) == found
    assert agreement([at(other, 0)], [at(one, 0)]) == found


def test_a_line_that_one_reading_splits_is_put_together():
    whole = [at("Total", 0, 40), at("Invoice 2026-12 of May", 0, width=300)]
    parts = [at("Invoice 2026", 0, width=150), at("-12 of May", 150, width=150), at("Total", 0, 40)]
    assert agreement(whole, parts) == "agree"
    assert agreement(parts, whole) == "agree"


def test_the_order_of_lines_elsewhere_does_not_matter():
    lines = [at(text, 0, 40 * row) for row, text in enumerate(["1", "2", "3"])]
    assert agreement(lines, lines[::-1]) == "agree"


def test_lines_that_changed_places_differ():
    assert agreement([at("1", 0), at("2", 0, 40)], [at("2", 0), at("1", 0, 40)]) == "digits"


def test_a_line_that_only_one_reading_has_differs_by_its_figures():
    lines = [at("Paper", 0)]
    assert agreement(lines, [*lines, at("Ink", 0, 40)]) == "noise"
    assert agreement([*lines, at("12 reels", 0, 40)], lines) == "digits"


def test_nothing_agrees_with_nothing():
    assert agreement([], []) == "agree"
    assert agreement([], [at("x", 0)]) == "noise"


def test_a_box_without_area_is_a_place_of_its_own():
    flat = Line("7", 0.9, ((5, 5), (5, 5), (5, 5), (5, 5)))
    assert agreement([flat], [at("7", 0)]) == "digits"


def test_figures_are_numbers_with_their_signs_and_separators():
    assert figures("12 reels, 1,280.50 of −3 and A7") == ["12", "1.280.50", "-3", "7"]


texts = st.text(st.sampled_from("ab 019.,-金额"), max_size=8)


@given(st.lists(texts, max_size=6))
def test_a_reading_agrees_with_itself(lines):
    page = [at(text, 0, 40 * row) for row, text in enumerate(lines)]
    assert agreement(page, page) == "agree"


@given(st.lists(texts, min_size=1, max_size=6), st.data())
def test_another_digit_anywhere_is_never_noise(lines, data):
    row = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[row])))
    one, other = data.draw(st.permutations("0123456789"))[:2]
    pages = [
        [at(text if n != row else text[:place] + digit + text[place:], 0, 40 * n) for n, text in enumerate(lines)]
        for digit in (one, other)
    ]
    assert agreement(*pages) == "digits"
