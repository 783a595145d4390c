"""A page seen in the frame of another filling of its form has the fingerprint of an undistorted copy."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity import perceptual_hash
from gateway.matching import Query, fingerprint, in_frame_of
from gateway.matching.canonical import as_filling_of
from gateway.matching.proof import make_proof


def look(page: np.ndarray):
    return fingerprint(page, perceptual_hash(page))


def bits(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def tilted(page: np.ndarray) -> np.ndarray:
    height, width = page.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    to = np.float32([[40, 25], [width - 12, 8], [width - 30, height - 20], [10, height - 45]])
    transform = cv2.getPerspectiveTransform(corners, to)
    return cv2.warpPerspective(page, transform, (width, height), borderValue=(255, 255, 255))


@pytest.fixture(scope="module")
def sibling(slip):
    """The same form with other figures."""
    texts = {1: "发票号码：31094467125520083918", 2: "开票日期：2025年11月07日", 7: "708.15", 11: "962.00"}
    for line, text in texts.items():
        slip = slip.with_text(line, text)
    return slip


@pytest.mark.parametrize("picture", [
    tilted,
    lambda page: np.ascontiguousarray(page[6:-9, 8:-5]),
    lambda page: cv2.copyMakeBorder(page, 60, 30, 25, 90, cv2.BORDER_CONSTANT, value=(40, 40, 40)),
    lambda page: np.ascontiguousarray(np.rot90(page)),
], ids=["perspective", "crop", "border", "turned"])
def test_through_a_sibling_it_is_nearer_to_its_own_original(page, slip, sibling, picture):
    seen = in_frame_of(make_proof(sibling.draw(), sibling.boxes()), Query(picture(page)))
    through, own, other = look(seen).framed[0], look(page).framed[0], look(sibling.draw()).framed[0]
    assert bits(through, own) < 0.7 * bits(through, other)


def test_it_is_no_larger_than_a_fingerprint_needs(page, sibling):
    large = cv2.resize(tilted(page), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    seen = in_frame_of(make_proof(sibling.draw(), sibling.boxes()), Query(large))
    assert seen.dtype == np.uint8 and seen.shape[2] == 3 and max(seen.shape) <= 720
    assert seen.shape[1] / seen.shape[0] == pytest.approx(sibling.width / sibling.height, rel=0.01)


@pytest.mark.parametrize("factor", [0.8, 1.0, 2.5])
def test_a_page_that_has_that_frame_already_is_not_looked_at_again(page, sibling, factor):
    copy = cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    assert in_frame_of(make_proof(sibling.draw(), sibling.boxes()), Query(copy)) is None


def test_another_kind_of_page_is_not_seen_in_its_frame(proof):
    noise = np.random.default_rng(1).integers(0, 255, (400, 900, 3)).astype(np.uint8)
    assert in_frame_of(proof, Query(noise)) is None


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32))
def test_it_never_raises(proof, height, width, seed):
    page = np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)
    seen = in_frame_of(proof, Query(page))
    assert seen is None or seen.ndim == 3


def test_it_is_searched_among_what_is_near_either(page, sibling):
    seen, other = look(tilted(page)), look(sibling.draw())
    both = as_filling_of(seen, other)
    assert both.phash == other.phash
    assert both.canonical == (seen.canonical[0], other.canonical[0])
    assert both.fine == seen.fine[:1] * 2
    assert both.framed == seen.framed[:1] * 2
