"""A copy is the same, a changed page never is, and whatever cannot be seen counts against it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from gateway.matching import DEFAULT_THRESHOLDS, Query, use_one_thread, verify
from gateway.matching import verdict as module
from gateway.matching.compare import Comparison
from gateway.matching.marks import Row
from gateway.matching.proof import make_proof
from gateway.matching.suspects import MOST_SUSPECTS, can_be_read, legible
from gateway.matching.verdict import agrees_as_a_whole, altered_lines, has_ideographs, line_limits

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
some = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _encoded(page: np.ndarray, quality: int, codec: str = "JPEG") -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(page).save(buffer, codec, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


# --- copies -----------------------------------------------------------------------------------------------------
def test_a_page_is_the_same_as_itself(page, slip, proof):
    verdict = verify(proof, page, slip.texts)
    assert (verdict.kind, verdict.doubtful, verdict.reasons) == ("same", (), ())
    assert np.abs(verdict.boxes - slip.boxes()).max() < 1.5
    assert verdict.residuals.max() <= verdict.limit


@few
@given(quality=st.integers(30, 95), codec=st.sampled_from(["JPEG", "WEBP"]))
def test_a_reencoded_page_is_the_same(page, slip, proof, quality, codec):
    assert verify(proof, _encoded(page, quality, codec), slip.texts).kind == "same"


@few
@given(scale=st.floats(0.75, 2.0))
def test_a_resized_page_is_the_same(page, slip, proof, scale):
    picture = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    verdict = verify(proof, picture, slip.texts)
    assert verdict.kind == "same"
    assert np.abs(verdict.boxes / scale - slip.boxes()).max() < 2


@few
@given(gain=st.floats(0.5, 1.0), offset=st.integers(0, 40), gamma=st.floats(0.7, 1.5))
def test_a_darker_or_paler_page_is_the_same(page, slip, proof, gain, offset, gamma):
    levels = np.clip((np.arange(256) / 255) ** gamma * 255 * gain + offset, 0, 255).astype(np.uint8)
    assert verify(proof, levels[page], slip.texts).kind == "same"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_page_is_the_same(page, slip, proof, turns):
    verdict = verify(proof, np.ascontiguousarray(np.rot90(page, turns)), slip.texts)
    assert verdict.kind == "same"
    # The corners still run clockwise from the text's own top left.
    top = verdict.boxes[1, 1] - verdict.boxes[1, 0]
    assert np.rad2deg(np.arctan2(-top[1], top[0])) % 360 == pytest.approx(90 * turns, abs=2)


def test_a_rotated_page_is_the_same(page, slip, proof):
    height, width = page.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 2.0, 0.95)
    picture = cv2.warpAffine(page, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    assert verify(proof, picture, slip.texts).kind == "same"


@pytest.mark.parametrize("shadow", [1.0, 0.6])
def test_a_photograph_is_not_another_page_and_one_digit_less_is_never_the_same(
    page, slip, proof, photographed, shadow
):
    copy = verify(proof, photographed(page, 1.5, shadow), slip.texts)
    assert copy.kind == "same" or (copy.kind == "doubtful" and len(copy.doubtful) <= len(slip.texts) // 3)
    for row, text in ((7, "429.80"), (10, "130.00"), (12, "价税合计：¥1095.85")):
        verdict = verify(proof, photographed(slip.with_text(row, text).draw(), 1.5, shadow), slip.texts)
        assert verdict.kind == "different" or row in verdict.doubtful


def _curled(page: np.ndarray) -> np.ndarray:
    height, width = page.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(page, xs + 3 * np.sin(ys / height * 3), ys + 5 * np.sin(xs / width * 5), cv2.INTER_CUBIC,
                     borderMode=cv2.BORDER_REPLICATE)


def test_a_curled_page_is_not_another_page(page, slip, proof):
    verdict = verify(proof, _curled(page), slip.texts)
    assert verdict.kind == "same" or (verdict.kind == "doubtful" and len(verdict.doubtful) <= 3)


@pytest.mark.parametrize(("row", "text"), [
    (1, "发票号码：24312000000083515571"), (7, "428.60"), (7, "429.600"), (10, "180.0"), (12, "价税合计：¥1095.66"),
    (12, "价税合计：¥11095.65"), (11, "540,00"),
])
def test_a_bend_explains_no_changed_or_added_figure(slip, proof, row, text):
    verdict = verify(proof, _curled(slip.with_text(row, text).draw()), slip.texts)
    assert verdict.kind == "different" or row in verdict.doubtful


def test_a_prepared_query_serves_several_proofs(page, slip, proof):
    other = make_proof(slip.with_text(6, "99.99").draw(), slip.boxes())
    query = Query(page)
    assert verify(proof, query, slip.texts).kind == "same"
    assert verify(other, query, slip.texts).kind != "same"


def test_the_same_question_gets_the_same_answer(page, slip, proof):
    picture = cv2.resize(_encoded(page, 60), None, fx=0.9, fy=0.93)
    first, second = verify(proof, picture, slip.texts), verify(proof, picture, slip.texts)
    assert first.kind == second.kind and np.array_equal(first.residuals, second.residuals)


def test_threads_do_not_disturb_each_other(page, slip, proof):
    pictures = [page, slip.with_text(6, "36.80").draw()] * 4
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(lambda picture: verify(proof, picture, slip.texts).kind, pictures))
    assert verdicts == ["same", "doubtful"] * 4


def test_opencv_can_be_kept_to_one_thread():
    before = cv2.getNumThreads()
    try:
        use_one_thread()
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


# --- other documents --------------------------------------------------------------------------------------------
DIGITS = "0123456789"


@pytest.mark.parametrize("text", ["358.0", "35,80", "3580", "35.8", "35.80-", "-35.80", "135.80", "35:80"])
def test_a_changed_amount_is_never_the_same(slip, proof, text):
    assert verify(proof, slip.with_text(6, text).draw(), slip.texts).kind != "same"


def test_an_added_line_is_another_page(slip, proof):
    added = replace(slip, lines=(*slip.lines, ("作废", 500, 450))).draw()
    verdict = verify(proof, added, slip.texts)
    assert verdict.kind == "different" and "ink-outside" in verdict.reasons


def test_a_missing_line_is_never_the_same(slip, proof):
    assert verify(proof, slip.with_text(12, "").draw(), slip.texts).kind != "same"


def test_a_struck_out_line_is_never_the_same(page, slip, proof):
    struck = page.copy()
    cv2.line(struck, (350, 290), (450, 290), (20, 20, 20), 2)
    assert verify(proof, struck, slip.texts).kind != "same"


def test_a_covered_figure_is_never_the_same(page, slip, proof):
    covered = page.copy()
    covered[272:306, 520:545] = 255
    assert verify(proof, covered, slip.texts).kind != "same"


def test_a_page_with_text_cut_off_is_another_page(page, slip, proof):
    verdict = verify(proof, np.ascontiguousarray(page[:, 60:]), slip.texts)
    assert verdict.kind == "different"


def test_a_page_with_text_beyond_the_stored_frame_is_another_page(page, slip):
    upper = make_proof(np.ascontiguousarray(page[:380]), slip.boxes()[:12])
    verdict = verify(upper, page, slip.texts[:12])
    assert verdict.kind == "different" and "ink-beyond-frame" in verdict.reasons


def test_text_that_only_colour_shows_is_another_page(page, slip, proof):
    coloured = page.copy()
    cv2.rectangle(coloured, (300, 460), (600, 510), (0, 140, 0), -1)
    proof_of_coloured = make_proof(coloured, slip.boxes())
    assert verify(proof_of_coloured, coloured, slip.texts).kind == "same"
    cv2.putText(coloured, "35.80", (320, 500), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 10, 0), 3)
    verdict = verify(proof_of_coloured, coloured, slip.texts)
    assert verdict.kind == "different" and "colour-only-ink" in verdict.reasons


def test_most_lines_changed_is_another_page(slip, proof):
    other = slip
    for line in (1, 2, 6, 7, 10, 11, 12):
        other = other.with_text(line, slip.texts[line].translate(str.maketrans(DIGITS, DIGITS[3:] + DIGITS[:3])))
    verdict = verify(proof, other.draw(), slip.texts)
    assert verdict.kind == "different"


def test_a_corrected_figure_leaves_one_line_to_read(slip, proof):
    verdict = verify(proof, slip.with_text(7, "429.80").draw(), slip.texts)
    assert (verdict.kind, verdict.doubtful, verdict.reasons) == ("doubtful", (7,), ("line-differs",))
    assert np.abs(verdict.boxes[7] - slip.boxes()[7]).max() < 1.5


def test_a_corrected_page_names_the_lines_it_would_rather_read_too(slip, proof):
    corrected = _encoded(slip.with_text(7, "429.80").draw(), 50)
    severe = replace(DEFAULT_THRESHOLDS, wary_limit=0.03, wary_ideograph_limit=0.03)
    verdict = verify(proof, corrected, slip.texts, severe)
    assert verdict.doubtful == (7,)
    assert set(verdict.wary) == {7, *np.flatnonzero(verdict.residuals > 0.03).tolist()} > {7}


def test_small_ideographs_are_read_before_digits_of_their_size_are(page, slip, proof):
    half = cv2.resize(page, None, fx=0.36, fy=0.36, interpolation=cv2.INTER_AREA)  # 28 px type becomes 10, digits 7.5
    verdict = verify(proof, half, slip.texts, replace(DEFAULT_THRESHOLDS, least_query_ideograph_height=10.0))
    assert {i for i, text in enumerate(slip.texts) if has_ideographs(text)} <= set(verdict.doubtful)
    assert verdict.kind == "doubtful" and not {7, 11} & set(verdict.doubtful)


def test_print_too_small_is_read_where_the_page_agrees(page, slip, proof):
    small = cv2.resize(page, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    verdict = verify(proof, small, slip.texts)
    assert verdict.kind == "doubtful" and "too-small" in verdict.reasons
    assert set(range(len(slip.lines))) >= set(verdict.wary) >= set(verdict.doubtful)
    assert np.abs(verdict.boxes / 0.3 - slip.boxes()).max() < 4


# --- what cannot be seen ----------------------------------------------------------------------------------------
def test_print_too_small_to_tell_apart_is_never_the_same(page, slip, proof):
    tiny = cv2.resize(page, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    assert verify(proof, tiny, slip.texts).kind != "same"


def test_a_page_too_blurred_to_tell_apart_is_never_the_same(page, slip, proof):
    assert verify(proof, cv2.GaussianBlur(page, (0, 0), 5), slip.texts).kind != "same"


def test_small_print_beside_large_is_read_again(page, slip):
    small = replace(slip, lines=(("12.50", 60, 480),), size=8)
    both = np.minimum(page, small.draw())
    proof = make_proof(both, np.concatenate([slip.boxes(), small.boxes()]))
    verdict = verify(proof, both, [*slip.texts, "12.50"])
    assert verdict.kind == "doubtful" and verdict.doubtful == (14,)


def test_a_proof_without_lines_is_never_the_same(page):
    assert verify(make_proof(page, np.empty((0, 4, 2))), page).reasons == ("no-lines",)


def test_a_record_that_does_not_fit_its_proof_is_never_the_same(page, slip, proof):
    assert verify(proof, page, slip.texts[1:]).reasons == ("inconsistent-record",)


def test_a_line_box_off_the_page_is_never_the_same(page, slip):
    off = slip.boxes()
    off[3] += 5000
    assert verify(make_proof(page, off), page, slip.texts).kind != "same"


@pytest.mark.parametrize("error", [cv2.error("x"), ValueError("x"), ZeroDivisionError(), np.linalg.LinAlgError("x")])
def test_a_comparison_that_breaks_down_is_never_the_same(page, proof, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(module, "compare", broken)
    verdict = verify(proof, page)
    assert (verdict.kind, verdict.reasons) == ("different", ("failed",))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["residual", "contrast", "visibility"])
def test_a_number_that_is_none_is_never_the_same(page, slip, proof, monkeypatch, name, value):
    compare = module.compare

    def spoiled(*arguments):
        comparison = compare(*arguments)
        getattr(comparison, name)[2] = value
        return comparison

    monkeypatch.setattr(module, "compare", spoiled)
    assert verify(proof, page, slip.texts).kind == "different"


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (2, 2), (12, 9), (40, 4000), (300, 300)])
@pytest.mark.parametrize("fill", ["black", "white", "noise"])
def test_a_strange_picture_is_never_the_same(proof, shape, fill):
    picture = np.full((*shape, 3), 255 if fill == "white" else 0, np.uint8)
    if fill == "noise":
        picture = np.random.default_rng(1).integers(0, 256, picture.shape, np.uint8)
    assert verify(proof, picture).kind == "different"
    strange = make_proof(picture, np.float32([[[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]]]))
    assert verify(strange, picture).kind != "same" or fill == "noise"


@some
@given(st.integers(1, 120), st.integers(1, 120), st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_verification_never_raises(proof, height, width, seed, smooth):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3), np.uint8)
    if smooth:
        picture = cv2.resize(picture, None, fx=1 + smooth, fy=1 + smooth, interpolation=cv2.INTER_CUBIC)
    assert verify(proof, picture).kind == "different"
    boxes = rng.uniform(-20, 140, (int(rng.integers(0, 6)), 4, 2))
    assert verify(make_proof(picture, boxes), picture).kind in ("same", "doubtful", "different")


def test_what_is_no_page_is_never_the_same(proof):
    assert verify(proof, np.zeros((0, 10, 3), np.uint8)).reasons == ("failed",)


# --- the rules --------------------------------------------------------------------------------------------------
def _limits(noise: float, text: str | None = "12.50", visibility: float = 1.0) -> list[float]:
    """What lines with ``text`` are held against on a page of that noise: to be the same, to be reused."""
    some = np.full(8, noise, np.float32)
    comparison = Comparison(some, np.zeros(8, bool), some, np.full(8, visibility, np.float32), 0.0, (), 200.0, False)
    limits = line_limits(comparison, text and [text] * 8, DEFAULT_THRESHOLDS)
    return [float(limits.same[0]), float(limits.strict[0])]


def test_the_limit_follows_the_pages_noise_within_bounds():
    assert [_limits(noise)[0] for noise in (0.01, 0.07, 0.5)] == pytest.approx([0.12, 0.126, 0.14])
    assert [_limits(noise, "日期")[0] for noise in (0.01, 0.064, 0.5)] == pytest.approx([0.10, 0.10, 0.10])


def test_the_limit_stays_below_what_the_smallest_change_would_leave():
    assert _limits(0.01, visibility=0.2)[0] == pytest.approx(0.48 * 0.2)
    assert _limits(0.5, "日期", visibility=0.25)[0] == pytest.approx(0.38 * 0.25)


def test_without_texts_every_line_is_held_to_the_tighter_limit():
    assert _limits(0.01, None)[0] == pytest.approx(0.10)


def test_lines_of_another_document_are_held_to_a_fixed_limit():
    assert [_limits(0.5)[1], _limits(0.5, "日期")[1], _limits(0.5, None)[1]] == pytest.approx([0.10, 0.08, 0.08])
    assert _limits(0.5, visibility=0.2)[1] == pytest.approx(0.48 * 0.2)


@pytest.mark.parametrize(("text", "expected"), [
    ("日", True), ("¥12.50", False), ("（ABC）：１２", False), ("カ", True), ("한", True), ("𠀀", True), ("", False),
])
def test_ideographs_are_known(text, expected):
    assert has_ideographs(text) is expected


@pytest.mark.parametrize(("lines", "doubtful", "differing", "agrees"), [
    (14, 14, 0, True), (14, 14, 4, True), (14, 5, 5, False), (3, 1, 1, True), (3, 2, 2, False), (2, 1, 1, False),
    (1, 1, 0, True), (1, 1, 1, False), (40, 13, 13, True), (40, 40, 14, False),
])
def test_a_page_agrees_until_more_than_a_third_of_it_differs_clearly(lines, doubtful, differing, agrees):
    assert agrees_as_a_whole(lines, doubtful, differing, DEFAULT_THRESHOLDS) is agrees


def test_the_share_of_doubtful_lines_can_be_bounded():
    bounded = replace(DEFAULT_THRESHOLDS, doubtful_share=0.25)
    assert agrees_as_a_whole(40, 10, 0, bounded) and not agrees_as_a_whole(40, 11, 0, bounded)


def test_thresholds_are_a_choice(slip, proof):
    strict = replace(DEFAULT_THRESHOLDS, least_limit=0.0, most_limit=0.0, most_ideograph_limit=0.0)
    verdict = verify(proof, slip.draw(), slip.texts, strict)
    assert verdict.kind == "doubtful" and verdict.doubtful == tuple(range(len(slip.lines)))
    assert verify(proof, slip.draw(), slip.texts, replace(strict, doubtful_share=0.25)).kind == "different"


def _with_print(page, slip, text, at, ink=(20, 20, 20)):
    image = Image.fromarray(page)
    ImageDraw.Draw(image).text(at, text, ink, slip.font(), anchor="lt")
    return np.array(image)


def _is_noticed(verdict, slip, text, at) -> bool:
    """Whether the page is another one, or the place of ``text``, printed ``at`` it, is to be read."""
    x0, y0, x1, y1 = slip.font().getbbox(text, anchor="lt")
    middle = at[0] + (x0 + x1) / 2, at[1] + (y0 + y1) / 2
    return verdict.kind == "different" or (verdict.kind == "doubtful" and any(
        cv2.pointPolygonTest(box, middle, False) >= 0 for box in verdict.suspects))


@pytest.mark.parametrize("ink", [(212, 212, 212), (180, 255, 180), (150, 255, 255), (255, 220, 100)])
def test_pale_and_light_coloured_text_outside_the_lines_is_noticed(page, proof, slip, ink):
    verdict = verify(proof, _with_print(page, slip, "VOID 8642.97", (400, 440), ink), slip.texts)
    assert _is_noticed(verdict, slip, "VOID 8642.97", (400, 440))
    assert {"ink-outside", "marks-outside"} & {*verdict.reasons}


@pytest.mark.parametrize("text", ["作废", "未付", "万", "x2", "8"])
@pytest.mark.parametrize("size", [18, 28])
@pytest.mark.parametrize("ink", [(222, 222, 222), (190, 255, 200)])
def test_a_pale_word_too_short_for_a_row_is_noticed(page, proof, slip, text, size, ink):
    small = replace(slip, size=size)
    verdict = verify(proof, _encoded(_with_print(page, small, text, (650, 275), ink), 80), slip.texts)
    assert _is_noticed(verdict, small, text, (650, 275))


@pytest.mark.parametrize("frame", [(395, 435, 600, 470), (395, 435, 640, 500)])
@pytest.mark.parametrize(("fill", "ink"), [((255,) * 3, (225,) * 3), ((222,) * 3, (255,) * 3)])
def test_pale_print_in_a_pale_box_is_noticed(page, proof, slip, frame, fill, ink):
    boxed = page.copy()
    for thickness, colour in ((-1, fill), (1, ink)):
        cv2.rectangle(boxed, frame[:2], frame[2:], colour, thickness)
    verdict = verify(proof, _with_print(boxed, slip, "VOID 8642", (400, 440), ink), slip.texts)
    assert _is_noticed(verdict, slip, "VOID 8642", (400, 440))


@pytest.mark.parametrize("ink", [212, 224])
def test_pale_characters_that_touch_are_noticed(page, proof, slip, ink):
    printed = _with_print(np.full_like(page, 255), slip, "VOID 8642.97", (400, 440))
    joined = np.where(cv2.erode(printed, np.ones((1, 7), np.uint8)) < 128, np.uint8(ink), np.uint8(255))
    assert _is_noticed(verify(proof, np.minimum(page, joined), slip.texts), slip, "VOID 8642.97", (400, 440))


def test_a_pale_word_beyond_the_frame_is_noticed(page, proof, slip):
    longer = cv2.copyMakeBorder(page, 0, 100, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    verdict = verify(proof, _with_print(longer, slip, "作废", (300, 560), (205, 205, 205)), slip.texts)
    assert _is_noticed(verdict, slip, "作废", (300, 560))


def test_text_that_runs_slantwise_makes_another_page(page, proof, slip):
    printed = _with_print(np.full((400, 400, 3), 255, np.uint8), slip, "VOID 8642.97", (110, 190), (212, 212, 212))
    turned = cv2.warpAffine(printed, cv2.getRotationMatrix2D((200, 200), 40, 1), (400, 400), borderValue=(255,) * 3)
    slanting = page.copy()
    slanting[100:500, 290:690] = cv2.min(slanting[100:500, 290:690], turned)
    assert verify(proof, slanting, slip.texts).kind == "different"


def test_marks_are_read_where_reading_tells_what_they_are():
    level, upright, slanting = Row(10, 10, 90, 18, 8), Row(10, 10, 18, 90, 8), Row(10, 10, 90, 50, 8)
    assert can_be_read([]) and can_be_read([level, upright] * (MOST_SUSPECTS // 2))
    assert not can_be_read([level] * (MOST_SUSPECTS + 1)) and not can_be_read([slanting])
    assert legible([level, upright], 0.5) == [level, upright] and legible([level, upright], 0.4) == []


@pytest.mark.parametrize("top", [515, 520])
def test_small_print_on_the_edge_of_what_the_proof_shows_is_noticed(page, proof, slip, top):
    more = cv2.copyMakeBorder(page, 0, 20, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    assert verify(proof, more, slip.texts).kind == "same"
    small = replace(slip, size=12)
    verdict = verify(proof, _with_print(more, small, "8642.97", (100, top)), slip.texts)
    assert _is_noticed(verdict, small, "8642.97", (100, top))


@pytest.mark.parametrize("ink", [(190, 190, 190), (212, 212, 212), (255, 200, 150)])
@pytest.mark.parametrize("size", [10, 14])
def test_small_print_is_seen_however_pale_or_light_coloured(page, proof, slip, size, ink):
    small = replace(slip, size=size)
    verdict = verify(proof, _with_print(page, small, "VOID 8642.97", (400, 460), ink), slip.texts)
    assert _is_noticed(verdict, small, "VOID 8642.97", (400, 460))


@pytest.mark.parametrize("ink", [(90, 90, 90), (120, 120, 120)])
@pytest.mark.parametrize("size", [8, 12])
def test_small_grey_print_is_seen_in_a_photograph(page, proof, slip, photographed, size, ink):
    small = replace(slip, size=size)
    assert verify(proof, photographed(_with_print(page, small, "VOID 8642.97", (400, 460), ink)),
                  slip.texts).kind != "same"
    longer = cv2.copyMakeBorder(page, 0, 100, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    assert verify(proof, photographed(longer), slip.texts).kind == "same"
    verdict = verify(proof, photographed(_with_print(longer, small, "VOID 8642.97", (300, 560), ink)), slip.texts)
    assert verdict.kind != "same" and {"ink-beyond-frame", "marks-outside"} & {*verdict.reasons}


@pytest.mark.parametrize("ink", [(190, 190, 190), (212, 212, 212), (255, 200, 150)])
@pytest.mark.parametrize("size", [10, 28])
def test_pale_print_beyond_the_frame_is_noticed(page, proof, slip, size, ink):
    longer = cv2.copyMakeBorder(page, 0, 100, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    other = replace(slip, size=size)
    verdict = verify(proof, _with_print(longer, other, "8642.97", (300, 560), ink), slip.texts)
    assert _is_noticed(verdict, other, "8642.97", (300, 560))


@pytest.mark.parametrize("ink", [(200, 40, 40), (120, 120, 120)])
def test_a_stroke_of_a_pen_in_a_shadow_makes_another_page(page, proof, slip, ink):
    light = 1 - 0.5 / (1 + np.exp((0.5 - np.arange(page.shape[1]) / page.shape[1]) / 0.08))[None, :, None]
    assert verify(proof, (page * light).astype(np.uint8), slip.texts).kind == "same"
    marked = cv2.line(page.copy(), (430, 440), (560, 490), ink, 2, cv2.LINE_AA)
    assert verify(proof, (marked * light).astype(np.uint8), slip.texts).kind == "different"


@pytest.mark.parametrize("ink", [(20, 20, 20), (120, 120, 120)])
@pytest.mark.parametrize("top", [503, 515])
def test_a_frame_drawn_along_the_edge_is_no_print_and_hides_none_beside_it(page, slip, photographed, top, ink):
    framed = cv2.rectangle(page.copy(), (8, 8), (691, 511), (60, 60, 60), 1)
    proof = make_proof(framed, slip.boxes())
    assert verify(proof, photographed(framed), slip.texts).kind == "same"
    printed = _with_print(framed, replace(slip, size=12), "No. 8642.97", (100, top), ink)
    assert verify(proof, photographed(printed), slip.texts).kind != "same"


def test_text_added_beside_a_corrected_slanted_line_makes_another_page(slip):
    wide = replace(slip, lines=tuple((f"Item {row} order 88{row}1-385 amount {row}23.40", 40, 30 + 110 * row)
                                     for row in range(5)), width=900, height=620, size=26)
    turn = cv2.getRotationMatrix2D((450, 310), 8, 0.8)

    def turned(page: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(page, turn, (900, 620), flags=cv2.INTER_AREA, borderValue=(255, 255, 255))

    proof = make_proof(turned(wide.draw()), cv2.transform(wide.boxes().reshape(1, -1, 2), turn).reshape(-1, 4, 2))
    corrected = wide.with_text(2, wide.texts[2].replace("385", "386"))
    assert verify(proof, turned(corrected.draw()), wide.texts).doubtful == (2,)
    more = replace(corrected, lines=(*corrected.lines, ("+8.64", 380, 284)))
    verdict = verify(proof, turned(more.draw()), wide.texts)
    assert verdict.kind == "different" and "ink-outside" in verdict.reasons


@pytest.mark.parametrize(("size", "before", "after"), [(9, "54,380", "54,360"), (12, "54,380", "54,360"),
                                                       (12, "1.095", "1,095"), (14, "1.095", "1,095")])
@pytest.mark.parametrize("blur", [0.0, 1.2])
def test_small_print_in_one_line_with_large_is_never_taken_for_another(slip, size, before, after, blur):
    beside = "rate 1.095 on 54,380 of VAT"

    def drawn(small: str) -> np.ndarray:
        page = replace(slip, lines=(*slip.lines[:12], slip.lines[13])).draw()
        page = _with_print(page, replace(slip, size=40), "1095.65", (40, 390))
        page = _with_print(page, replace(slip, size=size), small, (215, 408))
        return cv2.GaussianBlur(page, (0, 0), blur) if blur else page

    boxes = slip.boxes()
    boxes[12] = [[36, 384], [440, 384], [440, 432], [36, 432]]
    texts = [*slip.texts[:12], "1095.65 " + beside, slip.texts[13]]
    proof = make_proof(drawn(beside), boxes)
    verdict = verify(proof, drawn(beside.replace(before, after)), texts)
    assert verdict.kind == "different" or 12 in verdict.doubtful


@pytest.mark.parametrize("others", [0, 1, 2, 8])
def test_an_altered_line_stands_out_however_few_lines_there_are(others):
    residual = np.float32([0.6, *[0.05] * others])
    assert altered_lines(residual, 0.15, DEFAULT_THRESHOLDS).tolist() == [0]


def test_no_line_of_an_evenly_poor_picture_is_altered():
    assert not len(altered_lines(np.float32([0.3, 0.25, 0.4, 0.28]), 0.15, DEFAULT_THRESHOLDS))
