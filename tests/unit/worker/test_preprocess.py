from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.preprocess import Preprocess, to_batch, to_grey

STEPS = [{}, {"clahe": True}, {"denoise": True}, {"binarise": "otsu"}, {"binarise": "adaptive"}]


def crop(height, width, channels=3, seed=0):
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_grey_weighs_the_colours():
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert to_grey(pixels).tolist() == [[76, 150, 29, 255]]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 130), st.integers(1, 400), st.sampled_from((2, 3)), st.sampled_from(STEPS))
def test_any_crop_becomes_a_strip_of_the_height(height, width, channels, steps):
    strip = Preprocess(**steps)(crop(height, width, channels))
    assert strip.dtype == np.uint8
    assert strip.shape == (48, max(1, round(width * 48 / height)) if height != 48 else width)


def test_a_strip_of_the_height_is_not_touched():
    image = crop(48, 77, 1)
    assert (Preprocess()(image) == image).all()


def test_constant_crops_stay_constant():
    for level in (0, 128, 255):
        assert (Preprocess()(np.full((20, 90), level, np.uint8)) == level).all()


def test_otsu_leaves_two_levels_before_the_resize():
    assert set(np.unique(Preprocess(binarise="otsu")(crop(48, 100, 1)))) == {0, 255}


def test_clahe_raises_a_pale_lines_contrast():
    pale = np.random.default_rng(2).integers(190, 200, (48, 96), np.uint8)
    assert Preprocess(clahe=True)(pale).std() > 1.5 * pale.std()


def test_denoising_calms_a_plain_surface():
    noisy = np.clip(np.random.default_rng(1).normal(128, 8, (48, 96)), 0, 255).astype(np.uint8)
    assert Preprocess(denoise=True)(noisy).std() < noisy.std() / 2


@pytest.mark.parametrize(
    "bad",
    [np.zeros((0, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5), np.float32), np.zeros(5, np.uint8)],
)
def test_what_is_no_crop_is_refused(bad):
    with pytest.raises(ValueError):
        Preprocess()(bad)


def test_a_batch_is_normalised_and_padded_with_mid_grey():
    batch = to_batch([np.full((48, 10), 255, np.uint8), np.zeros((48, 16), np.uint8)], 32)
    assert batch.shape == (2, 1, 48, 32)
    assert batch.dtype == np.float32
    assert (batch[0, 0, :, :10] == 1).all()
    assert (batch[0, 0, :, 10:] == 0).all()
    assert (batch[1, 0, :, :16] == -1).all()
