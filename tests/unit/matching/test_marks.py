"""Marks outside the lines that may be print: in a row, however many others there are; any, where there are few."""

import cv2
import numpy as np
import pytest

from gateway.matching.marks import MOST_GROUPS, rows_of_marks, with_groups, without_covered

LINE_HEIGHT = 20


def _sheet(*texts: tuple[str, int, int, int]) -> np.ndarray:
    """uint8 (h, w): each text at x, y in marks of a strength."""
    sheet = np.zeros((400, 600), np.uint8)
    for text, x, y, strength in texts:
        cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.7, strength, 2)
    return sheet


def _specks(count: int, strength: int) -> np.ndarray:
    """Marks of a character's size, far from each other."""
    sheet = np.zeros((400, 600), np.uint8)
    for number in range(count):
        x, y = 20 + number % 8 * 70, 40 + number // 8 * 80
        sheet[y:y + 16, x:x + 12] = strength
    return sheet


def test_four_marks_side_by_side_are_a_row():
    (row,) = rows_of_marks(_sheet(("8642", 100, 100, 9)) > 5, LINE_HEIGHT, 4)
    assert 95 <= row.left < row.right <= 170 and 80 <= row.top < row.bottom <= 105
    assert not rows_of_marks(_sheet(("86", 100, 100, 9)) > 5, LINE_HEIGHT, 4)


@pytest.mark.parametrize("text", ["86", "x2", "8"])
def test_a_word_too_short_for_a_row_is_one_group(text):
    (group,) = with_groups([], _sheet((text, 100, 100, 9)), [5], LINE_HEIGHT)
    assert 95 <= group.left < group.right <= 140 and 80 <= group.top < group.bottom <= 105


def test_characters_that_touch_are_one_group():
    joined = cv2.morphologyEx(_sheet(("86428642", 100, 100, 9)), cv2.MORPH_CLOSE, np.ones((1, 9)))
    assert not rows_of_marks(joined > 5, LINE_HEIGHT, 4)
    (group,) = with_groups([], joined, [5], LINE_HEIGHT)
    assert group.right - group.left > 100


def test_specks_and_thin_strokes_are_smaller_than_characters():
    sheet = cv2.line(np.zeros((400, 600), np.uint8), (50, 50), (300, 50), 9, 3)
    sheet[200:204, 200:204] = 9
    assert with_groups([], sheet, [5], LINE_HEIGHT) == []


def test_the_palest_marks_that_are_few_are_taken():
    sheet = np.maximum(_specks(MOST_GROUPS + 1, 3), _sheet(("86", 300, 300, 9)))
    assert len(with_groups([], sheet, [5], LINE_HEIGHT)) == 1
    assert len(with_groups([], sheet, [2, 5], LINE_HEIGHT)) == 1, "there are too many of the palest"
    assert len(with_groups([], np.maximum(_specks(2, 3), sheet > 5), [2, 5], LINE_HEIGHT)) == 2


def test_many_marks_are_told_by_their_rows_alone():
    rows = rows_of_marks(_sheet(("8642", 300, 300, 9)) > 5, LINE_HEIGHT, 4)
    assert with_groups(rows, _specks(MOST_GROUPS, 9), [5], LINE_HEIGHT) == rows


def test_what_lies_within_a_larger_row_counts_once():
    sheet = _sheet(("8642", 100, 100, 9))
    rows = rows_of_marks(sheet > 5, LINE_HEIGHT, 4)
    assert len(with_groups(rows, sheet, [5], LINE_HEIGHT)) == 1
    assert len(without_covered([*rows, *rows])) == 1
