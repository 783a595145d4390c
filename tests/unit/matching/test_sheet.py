"""The sheet in a picture, strokes that were added to it, and text beside it."""

import cv2
import numpy as np
import pytest

from gateway.matching.sheet import looks_like_text, sheet_of, stroke_contrast, strongest


@pytest.fixture
def on_a_table(page, slip) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture of the page on a dark table with a shadow across, and its lines."""
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    table = np.full((height + 200, width + 240), 60, np.uint8)
    shaded = grey * np.linspace(1, 0.7, width)
    table[100:100 + height, 120:120 + width] = shaded.astype(np.uint8)
    return table, slip.boxes() + np.float32([120, 100])


def test_the_sheet_is_where_the_lines_are(on_a_table, page):
    table, quads = on_a_table
    sheet = sheet_of(table, quads)
    assert sheet.whole.mean() == pytest.approx(page[..., 0].size / table.size, abs=0.06)
    assert not sheet.whole[0].any() and not sheet.whole[:, 0].any()


def test_without_lines_there_is_no_sheet(page):
    assert sheet_of(page[..., 0], np.empty((0, 4, 2), np.float32)) is None


def test_shadows_and_folds_are_no_strokes_but_a_pen_in_the_shade_is():
    paper = np.full((200, 300), 230, np.float32)
    paper[:, 150:] *= 0.5
    paper[:, 80:] *= 0.9
    shadow = stroke_contrast(paper.astype(np.uint8), 20)
    assert shadow.max() < 0.1
    cv2.line(paper, (180, 40), (260, 120), 20, 3)
    assert stroke_contrast(paper.astype(np.uint8), 20).max() > 0.6


def test_a_stroke_counts_and_a_speck_or_the_rim_of_a_hand_does_not():
    strokes = np.zeros((200, 200), np.float32)
    strokes[:, :30] = np.nan
    strokes[50:150, 30:36] = 0.9
    strokes[100:104, 150:154] = 0.9
    assert strongest(strokes, 24.0) == 0
    strokes[60:63, 90:140] = 0.7
    assert strongest(strokes, 24.0) == pytest.approx(0.7)


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_a_row_of_marks_looks_like_text(angle):
    strokes = np.zeros((300, 300), np.uint8)
    for i in range(8):
        cv2.rectangle(strokes, (60 + 20 * i, 140), (68 + 20 * i, 155), 1, -1)
    turn = cv2.getRotationMatrix2D((150, 150), angle, 1.0)
    assert looks_like_text(cv2.warpAffine(strokes, turn, (300, 300)) > 0, 16.0, 5)


def test_scattered_grain_does_not_look_like_text():
    strokes = np.zeros((400, 400), bool)
    rng = np.random.default_rng(0)
    for x, y in rng.integers(10, 390, (30, 2)).tolist():
        strokes[y - 4:y + 4, x - 3:x + 3] = True
    assert not looks_like_text(strokes, 16.0, 5)
    assert not looks_like_text(np.zeros((50, 50), bool), 16.0, 3)
