"""Cutting lines out of a page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.crops import LONGEST, crop_line, is_tall, text_band


@pytest.fixture(scope="module")
def page() -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 255, (30, 40, 3), np.uint8)
    return cv2.resize(noise, (400, 300), interpolation=cv2.INTER_CUBIC)


def corners(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)


def test_an_upright_box_is_cut_pixel_by_pixel(page: np.ndarray) -> None:
    assert np.array_equal(crop_line(page, corners(30, 40, 130, 64)), page[40:64, 30:130])


def test_the_whole_page_is_itself(page: np.ndarray) -> None:
    assert np.array_equal(crop_line(page, corners(0, 0, 400, 300)), page)


def test_a_slanted_box_is_straightened(page: np.ndarray) -> None:
    turn = cv2.getRotationMatrix2D((200, 150), 10, 1)
    slanted = cv2.warpAffine(page, turn, (400, 300), flags=cv2.INTER_CUBIC)
    quad = cv2.transform(corners(120, 130, 280, 160)[None] - 0.5, turn)[0] + 0.5
    crop = crop_line(slanted, quad)
    assert crop.shape == (30, 160, 3)
    assert np.abs(crop.astype(int) - page[130:160, 120:280]).mean() < 3


def test_what_lies_outside_repeats_the_border(page: np.ndarray) -> None:
    crop = crop_line(page, corners(-10, 0, 20, 20))
    assert crop.shape == (20, 30, 3)
    assert np.array_equal(crop[:, 10:], page[:20, :20])
    assert (crop[:, :10] == page[:20, :1]).all()


coordinate = st.floats(-500, 900, width=32)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_four_corners_give_a_bounded_crop(quad: list[tuple[float, float]]) -> None:
    crop = crop_line(np.full((50, 60, 3), 200, np.uint8), np.array(quad, np.float32))
    assert crop.dtype == np.uint8
    assert crop.shape[2] == 3
    assert 1 <= min(crop.shape[:2]) <= max(crop.shape[:2]) <= LONGEST


def test_a_box_far_too_large_is_cut_down() -> None:
    crop = crop_line(np.zeros((9, 9, 3), np.uint8), corners(0, 0, 1e6, 4))
    assert crop.shape == (4, LONGEST, 3)


def line_picture(height: int, first: int, behind: int, paper: int = 250, ink: int = 20) -> np.ndarray:
    picture = np.full((height, 300, 3), paper, np.uint8)
    picture[first:behind, 40:260:7] = ink
    return picture


@pytest.mark.parametrize(("paper", "ink"), [(250, 20), (10, 240), (200, 120)])
def test_broad_blank_edges_are_no_part_of_a_line(paper: int, ink: int) -> None:
    assert text_band(line_picture(100, 40, 60, paper, ink)) == (37, 63)


def test_a_tight_picture_of_a_line_is_kept_whole() -> None:
    assert text_band(line_picture(40, 6, 34)) == (0, 40)


def test_a_picture_without_even_edges_is_kept_whole(page: np.ndarray) -> None:
    assert text_band(page) == (0, 300)


def test_a_blank_or_tiny_picture_is_kept_whole() -> None:
    assert text_band(np.full((50, 60, 3), 128, np.uint8)) == (0, 50)
    assert text_band(np.zeros((1, 1, 3), np.uint8)) == (0, 1)


@pytest.mark.parametrize(
    ("height", "width", "tall"), [(30, 20, True), (29, 20, False), (20, 200, False), (1, 1, False)]
)
def test_a_crop_half_as_high_again_as_wide_is_tall(height: int, width: int, tall: bool) -> None:
    assert is_tall(np.zeros((height, width, 3), np.uint8)) is tall
