"""What is kept of a page for later verification."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.matching import proof as module
from gateway.matching.proof import (
    MAX_PIXELS,
    TARGET_TEXT_HEIGHT,
    Proof,
    ProofError,
    encode_image,
    encode_proof,
    is_faithful,
    make_proof,
    proof_scale,
    text_heights,
)


def test_a_proof_survives_the_store(page, slip):
    proof = make_proof(page, slip.boxes())
    again = Proof.from_bytes(proof.to_bytes())
    assert again.page_size == (slip.width, slip.height)
    assert again.image.shape == proof.image.shape
    assert np.abs(again.quads - proof.quads).max() <= 1 / 16
    assert np.abs(again.text_heights - proof.text_heights).max() <= 1 / 16
    assert np.abs(again.image.astype(int) - proof.image).mean() < 2


def test_an_image_without_avif_is_kept_as_webp(page, slip, monkeypatch):
    monkeypatch.setattr(module, "CODECS", ({"format": "AVIF", "codec": "none of these"}, module.CODECS[-1]))
    proof = make_proof(page, slip.boxes())
    assert proof.to_bytes().count(b"WEBP") == 1
    assert np.abs(proof.image.astype(int) - page[..., 1]).mean() < 2


def test_a_codec_that_loses_a_stroke_is_not_used(page, slip):
    grey = np.ascontiguousarray(page[..., 0])
    boxes = np.concatenate([slip.boxes().min(axis=1), slip.boxes().max(axis=1)], axis=1)
    lossy = grey.copy()
    assert is_faithful(grey, lossy, boxes)
    lossy[330:350, 525:530] = 255  # in the first digit of an amount
    assert not is_faithful(grey, lossy, boxes)


def encodings(monkeypatch) -> list[int]:
    """Grows by one with each image that is encoded."""
    seen = []
    encoded = module._encoded
    monkeypatch.setattr(module, "_encoded", lambda *arguments: (seen.append(1), encoded(*arguments))[1])
    return seen


def test_an_image_encoded_ahead_is_taken_whichever_of_its_lines_are_left_and_where_they_begin(page, slip, monkeypatch):
    boxes = slip.boxes()
    lines = np.roll(boxes[:-1], 2, axis=1)
    expected = encode_proof(page, lines)
    ahead = encode_image(page, boxes)
    seen = encodings(monkeypatch)
    assert encode_proof(page, lines, ahead) == expected
    assert not seen


def test_an_image_encoded_ahead_is_not_taken_for_lines_it_was_not_checked_in(page, slip, monkeypatch):
    boxes = slip.boxes()
    ahead = encode_image(page, boxes[1:])
    seen = encodings(monkeypatch)
    assert encode_proof(page, boxes, ahead) == encode_proof(page, boxes)
    assert len(seen) == 2


def test_an_image_encoded_ahead_at_another_size_is_not_taken(page, slip, monkeypatch):
    boxes = slip.boxes()
    ahead = replace(encode_image(page, boxes), size=(1, 1))
    seen = encodings(monkeypatch)
    encode_proof(page, boxes, ahead)
    assert seen


@pytest.mark.parametrize("size", [18, 24])
def test_every_line_of_a_proof_is_faithful(slip, size):
    digits = replace(slip, lines=tuple(("000001" if i == 8 else "0.00", 40 + 340 * (i % 2), 100 + i // 2 * 56)
                                       for i in range(9)), size=size, face="Serif")
    proof = make_proof(digits.draw(), digits.boxes())
    assert is_faithful(np.ascontiguousarray(digits.draw()[..., 0]), proof.image, proof.boxes)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_lines_are_kept_to_a_sixteenth_of_a_pixel(count, seed):
    rng = np.random.default_rng(seed)
    quads, heights = rng.uniform(-1e4, 1e6, (count, 4, 2)), rng.uniform(0, 3e4, count)
    again = module._unpacked(module._packed(quads, heights), count)
    assert np.abs(again[0] - quads).max(initial=0) <= 0.07 and np.abs(again[1] - heights).max(initial=0) <= 0.07


def test_a_page_that_would_hardly_shrink_is_kept_as_it_is():
    heights = np.full(5, TARGET_TEXT_HEIGHT, np.float32)
    assert proof_scale(1000, 1000, heights * 1.2) == 1.0
    assert proof_scale(1000, 1000, heights * 2) == pytest.approx(0.5)


def test_text_is_brought_to_the_target_height(slip):
    large = type(slip)(slip.lines[:2], size=80, width=3000, height=400)
    proof = make_proof(large.draw(), large.boxes())
    assert proof.scale < 0.5
    assert np.percentile(proof.text_heights, 20) == pytest.approx(TARGET_TEXT_HEIGHT, rel=0.15)


def test_a_page_is_never_enlarged():
    assert proof_scale(400, 300, np.float32([6, 7, 8])) == 1.0
    assert proof_scale(400, 300, np.float32([])) == 1.0


def test_a_proof_is_bounded():
    scale = proof_scale(20_000, 9_000, np.float32([16]))
    assert 20_000 * scale * 9_000 * scale <= MAX_PIXELS


def test_text_height_is_that_of_the_ink_not_of_the_box(page, slip):
    grey = page[..., 0]
    tight = slip.boxes()
    loose = tight + np.float32([[-8, -8], [8, -8], [8, 8], [-8, 8]])
    assert text_heights(grey, loose) == pytest.approx(text_heights(grey, tight), abs=2.5)


def test_boxes_are_scaled_with_the_page(page, slip):
    proof = make_proof(page, slip.boxes())
    expected = slip.boxes() * (np.float32(proof.image.shape[::-1]) / np.float32([slip.width, slip.height]))
    assert np.abs(proof.quads - expected).max() < 0.1
    assert proof.boxes.shape == (len(slip.lines), 4)


def test_a_page_without_lines_has_a_proof_of_none(page):
    proof = make_proof(page, np.empty((0, 4, 2)))
    assert Proof.from_bytes(proof.to_bytes()).quads.shape == (0, 4, 2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (40_000, 2), (3, 3)])
def test_any_page_has_a_proof(shape):
    proof = make_proof(np.zeros((*shape, 3), np.uint8), np.float32([[[0, 0], [1, 0], [1, 1], [0, 1]]]))
    assert min(proof.image.shape) >= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e12])
def test_impossible_boxes_are_refused(page, bad):
    with pytest.raises(ValueError, match="boxes"):
        make_proof(page, np.full((1, 4, 2), bad))


def test_another_version_is_no_proof(page, slip):
    blob = bytearray(make_proof(page, slip.boxes()).to_bytes())
    blob[8] += 1
    with pytest.raises(ProofError, match="version"):
        Proof.from_bytes(bytes(blob))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_anything_else_is_no_proof(blob):
    with pytest.raises(ProofError):
        Proof.from_bytes(blob)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_proof_is_no_proof(proof, data):
    blob = bytearray(_blob(proof))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProofError):
        Proof.from_bytes(bytes(blob))
    with pytest.raises(ProofError):
        Proof.from_bytes(_blob(proof)[:at])


@lru_cache(maxsize=1)
def _blob(proof: Proof) -> bytes:
    return proof.to_bytes()
