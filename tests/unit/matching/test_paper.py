"""Where a curled sheet lets the table show, the table is not taken for ink, and no ink for the table."""

import cv2
import numpy as np
import pytest

from gateway.matching import Query, verify
from gateway.matching.align import align
from gateway.matching.paper import filled, paper_of, strip_depths


def _on_a_table(page, strip: np.ndarray) -> np.ndarray:
    """The page photographed from above; ``strip`` (h,) pixels of its right side are bent out of sight."""
    height, width = page.shape[:2]
    picture = np.full((height + 120, width + 120, 3), 70, np.uint8)
    picture[60:-60, 60:-60] = page
    for y, depth in enumerate(strip.astype(int)):
        picture[60 + y, 60 + width - depth:60 + width] = 70
    return picture


@pytest.fixture
def strip(page):
    return 9 * np.sin(np.linspace(0, np.pi, page.shape[0])) ** 2


def test_the_sheet_ends_where_the_table_begins(page, proof, strip):
    query = Query(_on_a_table(page, strip))
    outline = paper_of(proof, align(proof, query)).outline
    right = outline[(outline[:, 1] > 200) & (outline[:, 1] < 300) & (outline[:, 0] > 350)]
    assert ((right[:, 0] > 670) & (right[:, 0] < 692)).all()
    assert outline[:, 0].min() == 0 and outline[:, 1].min() == 0 and outline[:, 1].max() == page.shape[0] - 1


def test_a_page_that_is_seen_whole_ends_at_its_frame(page, proof):
    outline = paper_of(proof, align(proof, Query(page))).outline
    assert outline.min() == 0 and outline.max(axis=0).tolist() == [page.shape[1] - 1, page.shape[0] - 1]
    corners = {(0, 0), (page.shape[1] - 1, 0), (page.shape[1] - 1, page.shape[0] - 1), (0, page.shape[0] - 1)}
    assert corners <= {(float(x), float(y)) for x, y in outline}


def test_a_strip_of_the_table_is_no_ink(page, slip, proof, strip):
    assert verify(proof, _on_a_table(page, strip), slip.texts).kind == "same"


def test_print_beside_the_strip_or_on_it_is_noticed(page, slip, proof, strip):
    for place, ink in ((600, 0), (692, 255)):
        picture = _on_a_table(page, strip)
        for row, digit in enumerate("864297"):
            cv2.putText(picture, digit, (place + 58, 240 + 18 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (ink,) * 3, 1)
        assert verify(proof, picture, slip.texts).kind != "same"


def test_a_pen_stroke_along_the_edge_is_ink(page, slip, proof):
    marked = cv2.line(page.copy(), (690, 120), (690, 170), (30, 30, 30), 5)
    assert verify(proof, _on_a_table(marked, np.zeros(page.shape[0])), slip.texts).kind == "different"


@pytest.mark.parametrize(("band", "depth"), [((0, 12), 12), ((4, 12), 0), ((0, 60), 0), ((0, 0), 0)])
def test_only_what_reaches_the_edge_and_ends_soon_is_no_paper(band, depth):
    paper = np.full((300, 400), 230, np.uint8)
    seen = paper.copy()
    seen[slice(*band)] = 90
    depths = strip_depths(seen, paper, 20)
    assert np.abs(depths - depth).max() <= 5


def test_what_is_left_out_takes_the_level_around():
    image = np.full((80, 120), 200, np.uint8)
    image[:, 100:] = 20
    mask = np.zeros(image.shape, bool)
    mask[:, :100] = True
    assert np.abs(filled(image, mask, 20).astype(int) - 200).max() <= 2
    assert filled(image, np.ones(image.shape, bool), 20) is image
