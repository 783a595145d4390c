"""Known from a photograph: another picture of the sheet shows other surroundings, which are none of the document."""

from unittest import mock

import cv2
import numpy as np
import pytest

from gateway.matching import Query, Verdict, verdict, verify
from gateway.matching.align import align
from gateway.matching.coarse import sheet_turns
from gateway.matching.photographed import photographed_sheet
from gateway.matching.proof import Proof, make_proof


def transform(page: np.ndarray, seed: int) -> np.ndarray:
    """(3, 3): page pixels to those of the picture taken of it."""
    height, width = page.shape[:2]
    rng = np.random.default_rng(seed)
    sheet = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    seen = 1.4 * sheet + [110, 90] + rng.uniform(-25, 25, (4, 2))
    return cv2.getPerspectiveTransform(sheet, seen.astype(np.float32))


def photograph(page: np.ndarray, seed: int) -> np.ndarray:
    """A picture of ``page`` on a desk, wooden or woven by chance, from a slightly different place each time."""
    height, width = page.shape[:2]
    frame = round(1.4 * width) + 220, round(1.4 * height) + 180
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.standard_normal((frame[1], frame[0]), np.float32), (0, 0), sigmaX=9, sigmaY=1.2)
    desk = rng.uniform(50, 90) + 12 * grain / grain.std()
    picture = np.repeat(desk[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)
    cv2.warpPerspective(page, transform(page, seed), frame, picture, flags=cv2.INTER_AREA,
                        borderMode=cv2.BORDER_TRANSPARENT)
    noisy = cv2.GaussianBlur(picture, (0, 0), 0.6) + rng.normal(0, 2, picture.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def verify_whole(*args) -> Verdict:
    """The verdict about the whole pictures."""
    with mock.patch.object(verdict, "photographed_sheet", return_value=None):
        return verify(*args)


@pytest.fixture
def known(page, slip) -> Proof:
    """Of the first photograph of the slip."""
    boxes = cv2.perspectiveTransform(slip.boxes().reshape(-1, 1, 2), transform(page, 1)).reshape(-1, 4, 2)
    return make_proof(photograph(page, 1), boxes)


@pytest.mark.parametrize("seed", range(2, 8))
def test_another_photograph_of_the_sheet_is_the_document(page, slip, known, seed):
    assert verify(known, photograph(page, seed), slip.texts).kind == "same"


def test_so_is_the_page_itself(page, slip, known):
    assert verify(known, page, slip.texts).kind == "same"


def test_the_photographed_sheet_is_laid_over_the_page_corner_by_corner(page, known):
    height, width = page.shape[:2]
    corners = np.float32([[[0, 0], [width, 0], [width, height], [0, height]]])
    sheet = cv2.perspectiveTransform(corners, transform(page, 1)) * known.scale
    assert any(np.abs(cv2.perspectiveTransform(sheet.astype(np.float64), homography) - corners).max() < 12
               for homography in sheet_turns(known, Query(page)))


def test_because_its_surroundings_are_left_out(page, slip, known):
    assert any(verify_whole(known, photograph(page, seed), slip.texts).kind != "same" for seed in range(2, 8))


@pytest.mark.parametrize("seed", range(2, 8))
def test_another_photograph_of_another_sheet_is_not(page, slip, known, seed):
    text = slip.texts[2]
    place = max(i for i, character in enumerate(text) if character.isdigit())
    other = slip.with_text(2, text[:place] + str((int(text[place]) + 5) % 10) + text[place + 1:])
    found = verify(known, photograph(other.draw(), seed), slip.texts)
    assert found.kind == "different" or 2 in found.doubtful


@pytest.mark.parametrize("place", [(330, 500), (640, 300), (8, 250), (320, 10)])
def test_what_was_added_to_the_sheet_is_noticed_up_to_its_edge(page, slip, known, place):
    marked = page.copy()
    cv2.putText(marked, "817", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 2)
    assert verify(known, photograph(marked, 3), slip.texts).kind != "same"


@pytest.mark.parametrize("place", [(40, 18), (400, 18), (330, 514), (650, 250)])
def test_pale_print_along_the_edge_of_the_sheet_is_noticed(page, slip, known, place):
    marked = page.copy()
    cv2.putText(marked, "-5.00", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (205, 205, 205), 2)
    assert verify(known, photograph(marked, 3), slip.texts).kind != "same"


@pytest.mark.parametrize("ink", [0, 255])
def test_print_on_what_the_sheet_lies_on_is_noticed(page, slip, known, ink):
    picture = photograph(page, 3)
    cv2.putText(picture, "No. 4711", (300, picture.shape[0] - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (ink,) * 3, 2)
    assert verify(known, picture, slip.texts).kind != "same"


def test_the_same_picture_may_show_anything_around_the_sheet(page, slip):
    boxes = cv2.perspectiveTransform(slip.boxes().reshape(-1, 1, 2), transform(page, 1)).reshape(-1, 4, 2)
    picture = photograph(page, 1)
    cv2.putText(picture, "QWERTZ", (300, picture.shape[0] - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255,) * 3, 2)
    copy = cv2.resize(picture, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    assert verify(make_proof(picture, boxes), copy, slip.texts).kind == "same"


def test_the_sheet_ends_at_its_edge(page, known):
    sheet = photographed_sheet(known, align(known, Query(photograph(page, 2))))
    corners = sheet.outline.reshape(4, -1, 2)[:, 0] / known.scale
    height, width = page.shape[:2]
    true = cv2.perspectiveTransform(np.float32([[[0, 0], [width, 0], [width, height], [0, height]]]),
                                    transform(page, 1))[0]
    assert np.abs(corners - true).max() < 6


def test_a_line_beyond_the_sheet_is_part_of_the_document(page, slip):
    picture = photograph(page, 1)
    cv2.putText(picture, "4711", (300, picture.shape[0] - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255,) * 3, 2)
    boxes = cv2.perspectiveTransform(slip.boxes().reshape(-1, 1, 2), transform(page, 1)).reshape(-1, 4, 2)
    beside = np.float32([[295, picture.shape[0] - 45], [385, picture.shape[0] - 45],
                         [385, picture.shape[0] - 15], [295, picture.shape[0] - 15]])
    proof = make_proof(picture, np.concatenate([boxes, beside[None]]))
    assert photographed_sheet(proof, align(proof, Query(picture))) is None


def test_a_page_that_fills_its_picture_is_no_sheet_on_something(page, proof):
    assert photographed_sheet(proof, align(proof, Query(page))) is None


def in_margins(page: np.ndarray, tone: int, top: int = 120, others: int = 150) -> np.ndarray:
    """``page`` as a panel in margins of another ``tone``."""
    return cv2.copyMakeBorder(page, top, others, others, others, cv2.BORDER_CONSTANT, value=(tone,) * 3)


def marked(page: np.ndarray, mark: str, tone: int) -> np.ndarray:
    """``page``, of which the upper margin is of this ``tone``, with something added there."""
    page, ink = page.copy(), (240,) * 3 if tone < 128 else (20,) * 3
    if mark == "pale print":
        cv2.putText(page, "No. 8174", (300, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (tone - 20,) * 3, 3)
    elif mark == "large print":
        cv2.putText(page, "817", (300, 105), cv2.FONT_HERSHEY_SIMPLEX, 4.0, ink, 22)
    else:
        cv2.rectangle(page, (150, 20), (550, 95), ink, -1)
    return page


@pytest.mark.parametrize("tone", [90, 170])
@pytest.mark.parametrize("mark", ["pale print", "large print", "a bar"])
def test_a_panel_is_no_sheet_and_its_margins_are_part_of_the_page(page, slip, tone, mark):
    stored = in_margins(page, tone)
    known = make_proof(stored, slip.boxes() + np.float32([150, 120]))
    assert verify(known, stored, slip.texts).kind == "same"
    picture = marked(stored, mark, tone)
    assert verify(known, picture, slip.texts).kind == verify_whole(known, picture, slip.texts).kind != "same"


@pytest.mark.parametrize("mark", ["pale print", "large print", "a bar"])
def test_nor_is_a_page_below_its_dark_header(page, slip, mark):
    stored = in_margins(page, 90, others=0)
    known = make_proof(stored, slip.boxes() + np.float32([0, 120]))
    picture = photograph(marked(stored, mark, 90), 3)
    assert verify(known, picture, slip.texts).kind == verify_whole(known, picture, slip.texts).kind != "same"


@pytest.mark.parametrize("mark", ["large print", "a bar"])
def test_nor_in_a_photograph_where_the_desk_is_as_dark_as_the_header(page, slip, mark):
    stored = in_margins(page, 100, others=0)
    boxes = cv2.perspectiveTransform((slip.boxes() + np.float32([0, 120])).reshape(-1, 1, 2), transform(stored, 1))
    known = make_proof(photograph(stored, 1), boxes.reshape(-1, 4, 2))
    assert verify(known, photograph(marked(stored, mark, 100), 4), slip.texts).kind == "different"


def test_a_sheet_that_curls_has_no_certain_outline(page, slip):
    rows, columns = np.mgrid[:page.shape[0] + 60, :page.shape[1]].astype(np.float32)
    rows += 20 * np.sin(columns / page.shape[1] * 2 * np.pi) - 30
    curled = cv2.remap(page, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(70, 70, 70))
    known = make_proof(photograph(curled, 1), cv2.perspectiveTransform(
        (slip.boxes() + np.float32([0, 30])).reshape(-1, 1, 2), transform(curled, 1)).reshape(-1, 4, 2))
    assert photographed_sheet(known, align(known, Query(photograph(curled, 2)))) is None
