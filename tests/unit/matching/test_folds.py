"""A fold's shade is no ink; what is drawn or printed on the page, on the fold as well, is."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from gateway.matching import verify
from gateway.matching.folds import shade_of_folds

EVERYWHERE = np.ones((400, 600), bool)


def folds(marks: np.ndarray, compared: np.ndarray, line_height: float) -> np.ndarray:
    """Where marks of one strength are a fold's shade."""
    return shade_of_folds(np.where(marks & compared, np.uint8(8), np.uint8(0)), compared, 4, line_height) > 0


def _line(start: tuple[int, int], end: tuple[int, int], thickness: int = 3) -> np.ndarray:
    return cv2.line(np.zeros(EVERYWHERE.shape, np.uint8), start, end, 1, thickness) > 0


@pytest.mark.parametrize("marks", [_line((0, 200), (599, 212)), _line((300, 0), (294, 399))])
def test_a_fold_runs_from_edge_to_edge(marks):
    found = folds(marks, EVERYWHERE, 20)
    assert found[marks].mean() > 0.95 and found.mean() < 0.12


@pytest.mark.parametrize("marks", [
    _line((40, 200), (599, 200)), _line((0, 200), (560, 200)), _line((0, 100), (599, 300)), _line((0, 0), (599, 399)),
    _line((0, 200), (240, 200)) | _line((360, 200), (599, 200)),
])
def test_a_stroke_that_ends_before_the_edge_or_runs_slantwise_is_none(marks):
    assert not folds(marks, EVERYWHERE, 20).any()


def test_a_fold_is_followed_past_what_is_not_compared():
    compared = EVERYWHERE.copy()
    compared[190:230, 100:400] = False
    assert folds(_line((0, 200), (599, 212)), compared, 20).any()
    compared[190:230, 20:580] = False
    assert not folds(_line((0, 200), (599, 212)), compared, 20).any(), "too little of it is to be seen"


def test_the_shade_is_what_a_fold_has_around_and_not_what_is_on_it():
    strength = np.where(_line((0, 200), (599, 212)), np.uint8(6), np.uint8(0))
    strength[200:212, 300:340] = 11
    shade = shade_of_folds(strength, EVERYWHERE, 3, 20)
    assert set(shade[_line((0, 200), (599, 212))].tolist()) == {6}


def _folded(page: np.ndarray, depth: float = 0.10) -> np.ndarray:
    """The page with a dark fold across it, at 480 pixels from the top; darker from there on."""
    y, x = np.mgrid[:page.shape[0], :page.shape[1]]
    distance = y - 492 + 0.005 * x
    light = 1 - depth * np.exp(-(distance / 2.5) ** 2) - 0.03 * (distance > 0)
    return (page * light[..., None]).clip(0, 255).astype(np.uint8)


def test_a_folded_page_is_the_same(page, slip, proof):
    assert verify(proof, _folded(page, 0.2), slip.texts).kind == "same"


def test_what_is_drawn_along_a_fold_is_ink(page, slip, proof):
    drawn = cv2.line(page.copy(), (0, 492), (699, 489), (90, 90, 90), 2)
    assert verify(proof, _folded(drawn, 0.2), slip.texts).kind == "different"


@pytest.mark.parametrize("ink", [60, 190])
def test_print_on_a_fold_is_noticed(page, slip, proof, ink):
    image = Image.fromarray(page)
    ImageDraw.Draw(image).text((420, 491), "VOID 8642.97", (ink,) * 3, slip.font().font_variant(size=12), anchor="lm")
    assert verify(proof, _folded(np.array(image), 0.2), slip.texts).kind != "same"
