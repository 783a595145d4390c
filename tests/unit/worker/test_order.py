"""Reading order: rows from top to bottom, a row from left to right, columns of running text one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.order import reading_order


def quad(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def quads(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([quad(*box) for box in boxes], np.float32).reshape(-1, 4, 2)


def rotated(boxes: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return boxes @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)


# Whole numbers: then moving and doubling are exact, and a tie stays a tie.
boxes = st.lists(
    st.tuples(st.integers(0, 1500), st.integers(0, 1500), st.integers(1, 900), st.integers(1, 80), st.integers(-9, 9)),
    max_size=40,
).map(
    lambda rows: np.array(
        [[(x, y), (x + w, y + s), (x + w, y + h + s), (x, y + h)] for x, y, w, h, s in rows], np.float32
    ).reshape(-1, 4, 2)
)


@settings(deadline=None)
@given(boxes)
def test_the_order_is_a_permutation(quads: np.ndarray) -> None:
    assert sorted(reading_order(quads).tolist()) == list(range(len(quads)))


@settings(deadline=None)
@given(boxes, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_detection(quads: np.ndarray, random) -> None:
    shuffled = quads[random.sample(range(len(quads)), len(quads))]
    assert np.array_equal(quads[reading_order(quads)], shuffled[reading_order(shuffled)])


@settings(deadline=None)
@given(boxes, st.integers(-5000, 5000), st.integers(-5000, 5000), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_the_order_does_not_depend_on_place_and_scale(quads: np.ndarray, x: int, y: int, scale: float) -> None:
    moved = quads.astype(np.float64) * scale + (x, y)
    assert np.array_equal(reading_order(quads), reading_order(moved))


def test_nothing_has_an_empty_order() -> None:
    assert reading_order(np.zeros((0, 4, 2), np.float32)).shape == (0,)


def test_a_form_is_read_in_rows_so_that_a_label_stays_beside_its_value() -> None:
    form = quads(
        (50, 100, 110, 120), (240, 98, 480, 120), (900, 102, 1290, 124),
        (50, 134, 230, 154), (240, 131, 530, 155), (905, 135, 1290, 157),
        (50, 166, 238, 186), (240, 165, 600, 185), (902, 168, 1290, 190),
        (50, 200, 238, 220), (240, 199, 670, 219), (904, 201, 1290, 223),
        (98, 327, 340, 348), (400, 328, 480, 348), (600, 328, 660, 348), (734, 329, 814, 349), (940, 329, 1000, 349),
    )  # fmt: skip
    assert reading_order(form).tolist() == list(range(len(form)))


@pytest.mark.parametrize("degrees", [-8, -3, 3, 8])
def test_rows_of_a_skewed_page_stay_rows(degrees: float) -> None:
    table = quads(*((300 * c, 40 * r, 300 * c + 200, 40 * r + 24) for r in range(8) for c in range(4)))
    assert reading_order(rotated(table, degrees)).tolist() == list(range(32))


def test_a_short_row_is_not_torn_by_a_taller_line_in_it() -> None:
    row = quads((0, 0, 100, 20), (120, -14, 400, 34), (420, 2, 500, 22))
    assert reading_order(row).tolist() == [0, 1, 2]


def test_close_lines_of_a_paragraph_stay_apart() -> None:
    paragraph = quads(*((0, 21 * row, 600 - 10 * row, 21 * row + 24) for row in range(10)))
    assert reading_order(paragraph).tolist() == list(range(10))


def two_columns(rows: int, top: float = 0.0) -> list[tuple[float, float, float, float]]:
    left = [(50, top + 30 * row, 480, top + 30 * row + 22) for row in range(rows)]
    right = [(520, top + 30 * row + 4, 950, top + 30 * row + 26) for row in range(rows)]
    return left + right


def test_columns_of_running_text_are_read_one_after_the_other() -> None:
    assert reading_order(quads(*two_columns(12))).tolist() == list(range(24))


def test_a_heading_across_columns_comes_before_and_between_them() -> None:
    page = [(100, 0, 900, 40), *two_columns(8, 60), (60, 320, 940, 350), *two_columns(8, 380)]
    assert reading_order(quads(*page)).tolist() == list(range(len(page)))


def test_three_columns_are_three_columns() -> None:
    page = quads(*((320 * c, 30 * r, 320 * c + 290, 30 * r + 22) for c in range(3) for r in range(12)))
    assert reading_order(page).tolist() == list(range(36))


def test_short_cells_in_columns_are_a_table() -> None:
    table = quads(*((400 * c, 30 * r, 400 * c + 60, 30 * r + 22) for r in range(12) for c in range(3)))
    assert reading_order(table).tolist() == list(range(36))


def test_vertical_text_beside_rows_does_not_join_them() -> None:
    page = quads((60, 0, 300, 20), (0, 0, 24, 130), (60, 40, 300, 60), (60, 80, 300, 100))
    order = reading_order(page).tolist()
    assert [index for index in order if index != 1] == [0, 2, 3]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_short_boxes_alone_are_ordered_by_where_their_text_begins(quarters: int) -> None:
    words = quads((10, 10, 40, 30), (60, 10, 90, 30), (10, 60, 40, 80), (60, 60, 90, 80))
    assert reading_order(rotated(words, 90 * quarters)).tolist() == [0, 1, 2, 3]
