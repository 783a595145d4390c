"""Fingerprints find a page again however it was pictured, and say nothing of an empty one."""

import cv2
import numpy as np
import pytest

from gateway.matching.canonical import (
    FINE_BYTES,
    FRAMED_BYTES,
    crop_to_ink,
    deskewed,
    fingerprint,
    ink_map,
    page_quad,
    rectified,
)
from gateway.matching.index import CANONICAL_RADIUS

PHASH = "0123456789abcdef"


def _distance(a, b) -> int:
    return min((a.canonical[0] ^ turned).bit_count() for turned in b.canonical)


def _bits(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def test_it_holds_the_phash_and_four_turns(page):
    look = fingerprint(page, PHASH)
    assert look.phash == int(PHASH, 16)
    assert len(look.canonical) == len(look.fine) == 4
    assert len(look.framed) == 4
    assert {len(fine) for fine in look.fine} == {FINE_BYTES}
    assert {len(framed) for framed in look.framed} == {FRAMED_BYTES}


def test_what_is_filled_in_changes_the_framed_hash_more_than_an_encoding_does(page, slip):
    look = fingerprint(page, PHASH)
    _, encoded = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 40])
    copy = fingerprint(cv2.imdecode(encoded, cv2.IMREAD_COLOR), PHASH)
    other = fingerprint(slip.with_text(1, "发票号码：31094467125520083918").draw(), PHASH)
    assert _bits(look.framed[0], copy.framed[0]) < 0.6 * _bits(look.framed[0], other.framed[0])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_framed_hash_of_a_turned_page_is_one_of_the_turns(page, turns):
    turned = fingerprint(np.ascontiguousarray(np.rot90(page, -turns)), PHASH)
    assert _bits(turned.framed[turns], fingerprint(page, PHASH).framed[0]) < 0.02 * 8 * FRAMED_BYTES


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_page_is_found_in_one_of_the_turns(page, turns):
    assert _distance(fingerprint(page, PHASH), fingerprint(np.ascontiguousarray(np.rot90(page, turns)), PHASH)) <= 2


def test_size_light_and_margins_do_not_matter(page):
    look = fingerprint(page, PHASH)
    dim = (cv2.resize(page, None, fx=1.7, fy=1.7) * np.linspace(0.6, 1, int(page.shape[1] * 1.7))[None, :, None])
    framed = cv2.copyMakeBorder(page, 90, 60, 40, 150, cv2.BORDER_CONSTANT, value=(40, 40, 40))
    assert _distance(look, fingerprint(dim.astype(np.uint8), PHASH)) <= CANONICAL_RADIUS
    assert _distance(look, fingerprint(framed, PHASH)) <= CANONICAL_RADIUS


@pytest.mark.parametrize("blank", [
    np.full((400, 300, 3), 255, np.uint8),
    np.zeros((400, 300, 3), np.uint8),
    np.full((400, 300, 3), (200, 30, 30), np.uint8),
    np.repeat(np.tile(np.linspace(80, 255, 300), (400, 1))[..., None], 3, axis=2).astype(np.uint8),
    np.zeros((1, 1, 3), np.uint8),
    np.zeros((4000, 3, 3), np.uint8),
], ids=["white", "black", "red", "gradient", "pixel", "sliver"])
def test_a_page_with_nothing_on_it_nominates_nothing(blank):
    assert fingerprint(blank, PHASH) is None


def test_the_page_is_found_on_the_table():
    table = np.full((300, 400), 60, np.uint8)
    corners = np.float32([[80, 40], [330, 60], [310, 270], [60, 250]])
    cv2.fillConvexPoly(table, corners.astype(np.int32), 230)
    assert np.abs(page_quad(table) - corners).max() < 6
    assert np.median(rectified(table)) == 230


@pytest.mark.parametrize("shadow", [1.0, 0.5])
def test_the_whole_page_is_found_whatever_shadow_lies_on_it(page, photographed, seen_corners, shadow):
    picture = photographed(page, 1.0, shadow)
    assert np.abs(page_quad(picture[..., 0]) - seen_corners(picture)).max() < 6
    assert _distance(fingerprint(page, PHASH), fingerprint(picture, PHASH)) <= CANONICAL_RADIUS


def test_a_picture_full_of_page_has_no_quad(page):
    assert page_quad(page[..., 0]) is None


def test_ink_is_relative_to_its_surroundings(page):
    grey = page[..., 0]
    shaded = (grey * np.linspace(0.4, 1.0, grey.shape[1])).astype(np.uint8)
    assert np.abs(ink_map(shaded) - ink_map(grey)).mean() < 0.02
    assert np.abs(ink_map(255 - grey) - ink_map(grey)).mean() < 0.02


@pytest.mark.parametrize("degrees", [-3.0, 2.0])
def test_a_slanted_page_is_set_upright(page, degrees):
    ink = ink_map(page[..., 0])
    height, width = ink.shape
    slanted = cv2.warpAffine(ink, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), (width, height))
    upright = deskewed(slanted)
    assert np.var(np.diff(upright.sum(axis=1))) > 2 * np.var(np.diff(slanted.sum(axis=1)))


def test_margins_are_cut_to_the_ink():
    ink = np.zeros((200, 300), np.float32)
    ink[50:120, 80:250] = 1
    cut = crop_to_ink(ink)
    assert abs(cut.shape[0] - 70) <= 3 and abs(cut.shape[1] - 170) <= 3


def test_a_hash_has_one_bit_per_coefficient_half_of_them_set(page):
    look = fingerprint(page, "0" * 16)
    for hashed in look.fine:
        assert len(hashed) == FINE_BYTES
        assert np.unpackbits(np.frombuffer(hashed, np.uint8)).mean() == pytest.approx(0.5, abs=0.01)
