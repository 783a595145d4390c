"""Thumbnails are small, in proportion, and show the page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.thumbnail import MAX_SIDE, thumbnail


def opened(page: np.ndarray) -> Image.Image:
    return Image.open(io.BytesIO(thumbnail(page)), formats=["WEBP"])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1500), st.integers(1, 1500))
def test_the_longest_side_is_bounded_and_nothing_is_enlarged(height: int, width: int) -> None:
    small = opened(np.zeros((height, width, 3), np.uint8))
    assert max(small.size) == min(MAX_SIDE, max(height, width))
    assert small.width <= width and small.height <= height


@pytest.mark.parametrize(("height", "width", "size"), [(2339, 1654, (226, 320)), (1, 40_000, (320, 1)), (9, 9, (9, 9))])
def test_proportions_are_kept(height: int, width: int, size: tuple[int, int]) -> None:
    assert opened(np.zeros((height, width, 3), np.uint8)).size == size


def test_it_shows_the_page_upright_and_in_colour() -> None:
    page = np.full((1200, 900, 3), 255, np.uint8)
    page[:300, :300] = (200, 20, 20)
    page[900:, 600:] = (20, 20, 200)
    small = np.asarray(opened(page).convert("RGB")).astype(int)
    for corner, colour in (((40, 40), (200, 20, 20)), ((280, 200), (20, 20, 200)), ((160, 120), (255, 255, 255))):
        assert np.abs(small[corner] - colour).max() < 25


def test_lines_of_print_stay_apart() -> None:
    page = np.full((1600, 1600, 3), 255, np.uint8)
    for row in range(0, 1600, 40):  # 20 pixels of ink, 20 of paper: 4 and 4 in the thumbnail
        page[row : row + 20] = 0
    small = np.asarray(opened(page).convert("L"))
    assert small[:, 160].min() < 40 and small[:, 160].max() > 215


def test_it_is_small_even_for_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3000, 3000, 3), dtype=np.uint8)
    assert len(thumbnail(noise)) < 60_000
