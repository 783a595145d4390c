"""Creased, curled and folded paper is laid over its proof; what is another page stays one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from gateway.matching import verify
from gateway.matching.align import LEAST_BENT_AGREEMENT, Pair, align, bent_alignment
from gateway.matching.bent import evened, lies_flat, query_places, supported
from gateway.matching.coarse import Correspondences, NotAligned
from gateway.matching.field import interpolated, outliers
from gateway.matching.pieces import Pieces
from gateway.matching.query import Query


def _bent(page: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``page`` rolled about both axes by ``amount`` pixels, and where each pixel of the picture comes from (x, y)."""
    height, width = page.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    from_x = x + 0.4 * amount * np.sin(2 * np.pi * y / height)
    from_y = y + amount * np.sin(1.5 * np.pi * x / width + 1)
    picture = cv2.remap(page, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT,
                        borderValue=(255, 255, 255))
    shade = 1 - 0.25 * (x / width)[..., None]
    return np.clip(picture * shade, 0, 255).astype(np.uint8), from_x, from_y


def _shaken(page: np.ndarray) -> np.ndarray:
    return _bent(page, 12.0)[0]


def test_lines_are_found_on_curled_paper(page, proof):
    picture, from_x, from_y = _bent(page, 12.0)
    alignment = align(proof, Query(picture))
    corners = proof.quads.reshape(-1, 2)
    seen = alignment.to_query(corners).round().astype(int)
    height, width = page.shape[:2]
    inside = ((seen >= 0) & (seen < [width, height])).all(axis=1)
    x, y = seen[inside].T
    came_from = np.stack([from_x[y, x], from_y[y, x]], axis=1) * proof.scale
    error = np.linalg.norm(came_from - corners[inside], axis=1)
    assert inside.mean() > 0.9
    assert np.median(error) < 2 and np.percentile(error, 90) < 6


def test_no_pixels_of_a_creased_page_prove_a_line(page, proof, slip):
    height, width = page.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    fold = np.abs(x - 0.45 * width) * 0.06 + np.abs(y - 0.5 * height) * 0.03
    folded = cv2.remap(page, x, y + fold, cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    alignment = bent_alignment(Pair(proof, Query(folded)), Pieces.of(proof))
    assert alignment.bent and alignment.agreement >= LEAST_BENT_AGREEMENT
    verdict = verify(proof, folded, slip.texts)
    assert verdict.kind != "same" and "ink-outside" not in verdict.reasons and "too-blurred" in verdict.reasons


@pytest.mark.parametrize("line", [1, 7, 12])
def test_another_figure_on_curled_paper_is_never_the_same_page(proof, slip, line):
    text = slip.texts[line]
    swapped = text[:-1] + ("3" if text[-1] != "3" else "8")
    assert verify(proof, _shaken(slip.with_text(line, swapped).draw()), slip.texts).kind != "same"


def test_a_clean_copy_on_curled_paper_has_no_ink_outside(page, proof, slip):
    reasons = verify(proof, _shaken(page), slip.texts).reasons
    assert "ink-outside" not in reasons and "ink-beyond-frame" not in reasons


def test_a_stroke_across_curled_paper_is_seen_and_not_squeezed_away(page, proof, slip):
    marked = page.copy()
    cv2.line(marked, (500, 120), (640, 230), (20, 20, 20), 4)
    verdict = verify(proof, _shaken(marked), slip.texts)
    assert verdict.kind == "different" and "ink-outside" in verdict.reasons


def test_a_line_added_on_curled_paper_is_seen(proof, slip):
    more = replace(slip, lines=(*slip.lines, ("8642.97", 420, 410)))
    verdict = verify(proof, _shaken(more.draw()), slip.texts)
    assert verdict.kind == "different" and "ink-outside" in verdict.reasons


@pytest.mark.parametrize(
    "added", [("-", 506, 320), ("1", 502, 320), ("12", 484, 320), ("5", 614, 320), ("5", 291, 400)])
def test_a_sign_or_a_digit_beside_a_number_on_curled_paper_is_seen(proof, slip, added):
    more = replace(slip, lines=(*slip.lines, added))
    verdict = verify(proof, _shaken(more.draw()), slip.texts)
    assert verdict.kind == "different" and "ink-outside" in verdict.reasons


@pytest.mark.parametrize("added", ["否", "95"])
def test_a_short_line_added_on_curled_paper_is_seen(proof, slip, added):
    more = replace(slip, lines=(*slip.lines, (added, 520, 410)))
    verdict = verify(proof, _shaken(more.draw()), slip.texts)
    assert verdict.kind == "different" and "ink-outside" in verdict.reasons


def test_an_unlike_page_is_not_bent_into_this_one(proof):
    noise = np.random.default_rng(2).integers(0, 255, (500, 700, 3), np.uint8)
    with pytest.raises(NotAligned):
        bent_alignment(Pair(proof, Query(noise)), Pieces.of(proof))


def test_matches_need_neighbours_that_agree():
    rng = np.random.default_rng(4)
    proof = rng.uniform(0, 600, (120, 2)).astype(np.float32)
    query = proof * np.float32(1.2) + np.float32([30, 10])
    query[::6] = rng.uniform(0, 700, (20, 2))
    kept = supported(Correspondences(proof, query))
    wrong = {tuple(point) for point in proof[::6].tolist()}
    assert len(kept.proof) >= 80
    assert sum(tuple(point) in wrong for point in kept.proof.tolist()) <= 2
    assert len(supported(Correspondences(proof[:5], query[:5])).proof) == 0


def test_flat_paper_is_told_from_bent_paper():
    rng = np.random.default_rng(5)
    proof = rng.uniform(0, 600, (100, 2)).astype(np.float32)
    assert lies_flat(Correspondences(proof, proof * 2), np.diag([2.0, 2, 1]))
    rolled = proof + np.stack([np.zeros(100), 15 * np.sin(proof[:, 0] / 100)], axis=1).astype(np.float32)
    assert not lies_flat(Correspondences(proof, rolled), np.eye(3))


def test_evening_out_takes_the_light_away():
    rng = np.random.default_rng(6)
    ink = (rng.uniform(size=(120, 160)) > 0.85).astype(np.float32)
    ink = cv2.GaussianBlur(ink, (0, 0), 1.0)
    bright, dim = 240 - 200 * ink, (240 - 200 * ink) * np.linspace(0.4, 1, 160)
    apart = np.abs(evened(bright.astype(np.uint8)).astype(int) - evened(dim.astype(np.uint8)))
    assert np.median(apart) < 12


def test_places_in_the_query_follow_scale_and_displacement():
    field = np.full((10, 20, 2), 3.0, np.float32)
    x, y = query_places(np.diag([2.0, 2, 1]), field, (10, 20), (20, 40))
    assert x.shape == (10, 20)
    assert x[0, 0] == pytest.approx(2 * (0.5 + 3)) and y[0, 0] == pytest.approx(2 * (0.5 + 3))


def test_a_plane_is_carried_on_and_an_outlier_stands_out():
    rng = np.random.default_rng(7)
    points = rng.uniform(0, 500, (60, 2))
    values = np.stack([0.02 * points[:, 0], -0.01 * points[:, 1]], axis=1)
    values[7] += 12
    error = outliers(points, values, np.ones(60))
    assert error.argmax() == 7 and np.median(error) < 1
    keep = np.arange(60) != 7
    at = np.array([[250.0, 250.0]])
    value, gap = interpolated(at, points[keep], values[keep], np.ones(59))
    assert value[0] == pytest.approx([5.0, -2.5], abs=0.6) and gap[0] < 100


def test_a_flat_page_is_not_called_bent(page, proof):
    assert align(proof, Query(page)).bent is False
