"""Known from a photograph: another picture of the sheet shows other surroundings, which are none of the document."""

import cv2
import numpy as np
import pytest

from gateway.matching import Query, verdict, verify
from gateway.matching.align import align
from gateway.matching.coarse import outlined_turns
from gateway.matching.paper import photographed_sheet
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
               for homography in outlined_turns(known, Query(page)))


def test_because_its_surroundings_are_left_out(page, slip, known, monkeypatch):
    monkeypatch.setattr(verdict, "photographed_sheet", lambda *args: None)
    assert any(verify(known, photograph(page, seed), slip.texts).kind != "same" for seed in range(2, 8))


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


def test_the_sheet_ends_just_within_its_edge(page, slip, known):
    sheet = photographed_sheet(known, align(known, Query(photograph(page, 2))))
    corners = sheet.outline.reshape(4, -1, 2)[:, 0] / known.scale
    height, width = page.shape[:2]
    true = cv2.perspectiveTransform(np.float32([[[0, 0], [width, 0], [width, height], [0, height]]]),
                                    transform(page, 1))[0]
    assert np.abs(corners - true).max() < 16
    assert (np.abs(corners - true.mean(axis=0)) < np.abs(true - true.mean(axis=0))).all()


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
