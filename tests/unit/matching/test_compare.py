"""The capture is modelled; what is left over is measured against the ink right there."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from gateway.matching.align import align
from gateway.matching.capture import dot_response, high_pass, local_gain, local_range, model_capture, odd, robust_mix
from gateway.matching.compare import compare, ink_ranges, line_windows
from gateway.matching.paper import paper_of
from gateway.matching.proof import make_proof
from gateway.matching.query import Query
from gateway.matching.residual import stroke_residual
from gateway.matching.rules import rules_of
from gateway.matching.surroundings import (
    INK_BEYOND,
    has_colour_only_ink,
    ink_beyond_frame,
    stroke_strength,
)


def _compared(proof, page):
    alignment = align(proof, Query(page))
    return compare(proof, alignment, paper_of(proof, alignment)), alignment


def test_a_copy_leaves_little(page, proof):
    comparison, _ = _compared(proof, page)
    assert comparison.residual.max() < 0.13
    assert comparison.outside < 0.1
    assert not comparison.cut.any() and not comparison.negative


def test_a_changed_digit_leaves_much_and_only_in_its_line(slip, proof):
    comparison, _ = _compared(proof, slip.with_text(6, "36.80").draw())
    assert comparison.residual[6] > 0.4
    assert np.delete(comparison.residual, 6).max() < 0.13


def _with_ones(slip, count: int):
    """The slip with a row of so many ones between two sevens, 7 pixels apart."""
    image = Image.fromarray(slip.draw())
    digits = "7" + "1" * count + "7"
    for number, digit in enumerate(digits):
        ImageDraw.Draw(image).text((440 + 7 * number, 480), digit, (20, 20, 20), slip.font().font_variant(size=16))
    return np.array(image)


def test_a_digit_less_among_many_alike_is_not_explained_by_a_shift_of_what_follows(slip):
    row = np.float32([[436, 482], [625, 482], [625, 502], [436, 502]])
    proof = make_proof(_with_ones(slip, 24), np.concatenate([slip.boxes(), row[None]]))
    assert _compared(proof, _with_ones(slip, 24))[0].residual[-1] < 0.1
    assert _compared(proof, _with_ones(slip, 23))[0].residual[-1] > 0.4


def test_a_change_in_pale_print_counts_as_much(slip):
    page, changed = slip.draw(), slip.with_text(6, "36.80").draw()
    x0, y0, x1, y1 = 350, 268, 450, 310
    for image in (page, changed):
        image[y0:y1, x0:x1] = 255 - (255 - image[y0:y1, x0:x1]) // 5
    comparison, _ = _compared(make_proof(page, slip.boxes()), changed)
    assert comparison.residual[6] > 0.3


def test_pale_print_beside_bold_print_of_one_line_is_judged_by_itself(slip):
    page, changed = slip.draw(), slip.with_text(1, "发票号码：24312000000083515677").draw()
    for image in (page, changed):
        image[105:155, 300:620] = 255 - (255 - image[105:155, 300:620]) // 5
    comparison, _ = _compared(make_proof(page, slip.boxes()), changed)
    assert comparison.residual[1] > 0.2


def test_a_stroke_outside_the_lines_is_seen(page, proof):
    marked = page.copy()
    cv2.line(marked, (560, 420), (600, 470), (30, 30, 30), 2)
    comparison, _ = _compared(proof, marked)
    assert comparison.outside > 0.3
    assert comparison.residual.max() < 0.13


def test_a_cut_line_is_known(page, proof):
    comparison, _ = _compared(proof, np.ascontiguousarray(page[:, 60:]))
    assert comparison.cut.any() and not comparison.cut.all()


def test_a_negative_is_known(page, proof):
    comparison, _ = _compared_or_none(proof, 255 - page)
    assert comparison is None or comparison.negative


def _compared_or_none(proof, page):
    try:
        return _compared(proof, page)
    except Exception as error:
        assert type(error).__name__ == "NotAligned"
        return None, None


def test_a_blurred_capture_shows_a_point_less(page, proof):
    sharp, _ = _compared(proof, page)
    blurred, _ = _compared(proof, cv2.GaussianBlur(page, (0, 0), 2))
    assert blurred.visibility.min() < 0.8 * sharp.visibility.min()


def test_tone_and_blur_are_explained_by_the_model(proof):
    image = proof.image
    shown = cv2.GaussianBlur(255 * (image / 255.0) ** 1.5 * 0.6 + 40, (0, 0), 1.0).astype(np.uint8)
    text = np.zeros(image.shape, bool)
    for x0, y0, x1, y1 in line_windows(proof).tolist():
        text[y0:y1, x0:x1] = True
    capture = model_capture(image, shown, text, np.ones_like(text), 16.0)
    assert np.abs((capture.seen - capture.expected)[text]).mean() < 0.03 * np.ptp(capture.expected)


def test_nothing_to_fit_is_no_capture(proof):
    nothing = np.zeros(proof.image.shape, bool)
    assert model_capture(proof.image, proof.image.astype(np.float32), nothing, nothing, 16.0) is None


def test_a_mix_is_found_despite_outliers():
    rng = np.random.default_rng(2)
    basis = rng.normal(0, 30, (2000, 3))
    target = basis @ [0.9, -0.2, 0.1] + rng.normal(0, 1, 2000)
    target[:150] += 200
    assert robust_mix(basis, target) == pytest.approx([0.9, -0.2, 0.1], abs=0.05)


def test_gain_follows_the_light():
    expected = np.random.default_rng(1).normal(0, 40, (80, 200)).astype(np.float32)
    light = np.linspace(0.6, 1.4, 200, dtype=np.float32)
    gain = local_gain(expected, expected * light, (31, 31), np.arange(1000))
    assert gain.shape == (20, 50)
    assert np.abs(gain - light.reshape(-1, 4).mean(axis=1))[:, 8:-8].mean() < 0.06


def test_a_larger_dot_shows_more():
    plain = np.array([1.0, 0, 0, 0, 0])
    assert dot_response(plain, 3, 255, 0) > dot_response(plain, 1.5, 255, 0) > 0
    assert dot_response(plain, 3, 255, 0) > dot_response(np.array([0, 0, 1.0, 0, 0]), 3, 255, 0)


def test_small_helpers():
    assert (odd(6.2), odd(7.9), odd(0)) == (7, 7, 3)
    flat = np.full((20, 20), 7, np.float32)
    assert np.abs(high_pass(flat, (5, 5))).max() < 1e-5 and local_range(flat).max() == 0
    assert ink_ranges(flat, np.array([[0, 0, 20, 20], [3, 3, 3, 9]])).tolist() == [0, 0]
    assert stroke_residual(flat) == 7 and stroke_residual(-flat) == 7
    flat[3, 3] = np.nan
    assert stroke_residual(flat) == np.inf


def test_text_beyond_the_frame_is_seen_and_a_plain_margin_is_not(slip, page, proof):
    margin = cv2.copyMakeBorder(page, 0, 120, 0, 0, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    written = margin.copy()
    cv2.putText(written, "Total 99.90", (100, 590), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (240, 240, 240), 2)
    strengths = []
    for picture in (margin, written):
        comparison, alignment = _compared(proof, picture)
        paper = paper_of(proof, alignment)
        strengths.append(ink_beyond_frame(proof, Query(picture), alignment, paper, comparison.typical))
    assert strengths[0] < 0.1 < 0.5 < strengths[1]


@pytest.mark.parametrize(("grain", "ink", "seen"), [(0, 80, True), (14, 80, True), (14, 50, False), (0, 45, False)])
def test_strokes_beyond_the_frame_count_above_the_grain_of_what_is_there(page, proof, grain, ink, seen):
    margin = cv2.copyMakeBorder(page, 0, 120, 0, 0, cv2.BORDER_CONSTANT, value=(90, 90, 90)).astype(np.float32)
    rough = np.random.default_rng(0).normal(0, 1, (120, page.shape[1])).astype(np.float32)
    margin[-120:] += grain * cv2.GaussianBlur(rough, (0, 0), 1.0)[..., None] / 0.28
    picture = margin.clip(0, 255).astype(np.uint8)
    cv2.putText(picture, "Total 99.90", (100, 590), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (90 + ink,) * 3, 2)
    comparison, alignment = _compared(proof, picture)
    strength = ink_beyond_frame(proof, Query(picture), alignment, paper_of(proof, alignment), comparison.typical)
    assert (strength > INK_BEYOND) is seen


def test_rules_are_longer_than_any_print(page):
    rules = rules_of(page[..., 0], 28, cv2.MORPH_BLACKHAT).around()
    assert rules[80, 100:600].all() and not rules[90:].any()
    assert np.array_equal(rules_of(255 - page[..., 0], 28, cv2.MORPH_TOPHAT).around(), rules)


def test_strokes_are_told_from_steps():
    image = np.full((60, 60), 200, np.uint8)
    image[:, 30:] = 60
    assert stroke_strength(image, 15).max() == 0
    image[20:22, 5:15] = 50
    assert stroke_strength(image, 15).max() > 100


def test_ink_of_the_papers_brightness_is_seen(page, proof):
    coloured = page.copy()
    coloured[460:510, 300:600] = (0, 140, 0)  # luma 82
    plain = Query(coloured.copy())
    cv2.putText(coloured, "35.80", (320, 500), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 10, 0), 3)  # luma 82
    alignment = align(proof, Query(page))
    assert not has_colour_only_ink(proof, plain, alignment)
    assert has_colour_only_ink(proof, Query(coloured), alignment)




def test_a_proof_without_ink_compares_with_nothing(page, slip, proof):
    alignment = align(proof, Query(page))
    blank = replace(proof, image=np.full_like(proof.image, 255))
    assert compare(blank, replace(alignment, rendition=blank.image), paper_of(proof, alignment)) is None
