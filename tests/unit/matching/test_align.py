"""A picture is laid over a proof to a fraction of a pixel, or not at all."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.matching.align import align, render_on_grid, resample
from gateway.matching.coarse import (
    NotAligned,
    coarse_alignment,
    correlation,
    homography_of_features,
    local_scale,
    plausible,
    quarter_turns,
    scaled_turns,
    scaling,
)
from gateway.matching.field import displacement_field, sample_field
from gateway.matching.pieces import (
    PIECE_AGREES,
    PieceMatches,
    Pieces,
    corners_outside,
    match_pieces,
    match_rules,
    pieces_of_rules,
)
from gateway.matching.proof import make_proof
from gateway.matching.query import Features, Query, orb_features


def _perspective(page: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = page.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    moved = corners + np.float32([[22, 9], [-14, 20], [-25, -12], [10, -18]])
    transform = cv2.getPerspectiveTransform(corners, moved)
    return cv2.warpPerspective(page, transform, (width, height), borderValue=(255, 255, 255)), transform


def test_corners_of_lines_are_found_in_a_perspective(page, proof, slip):
    picture, transform = _perspective(page)
    alignment = align(proof, Query(picture))
    expected = cv2.perspectiveTransform(slip.boxes().reshape(1, -1, 2), transform)[0]
    assert np.abs(alignment.to_query(proof.quads.reshape(-1, 2)) - expected).max() < 1.5
    assert alignment.agreement > 0.95


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_and_scaled_page_is_laid_over(page, proof, turns):
    picture = np.ascontiguousarray(np.rot90(cv2.resize(page, None, fx=1.5, fy=1.5), turns))
    alignment = align(proof, Query(picture))
    assert correlation(alignment.image, proof.image.astype(np.float32)) > 0.97
    assert alignment.field is None


def test_a_bent_page_gets_a_field(page, proof):
    height, width = page.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(page, xs, ys + 3 * np.sin(xs / width * 4), cv2.INTER_CUBIC, borderValue=(255, 255, 255))
    alignment = align(proof, Query(bent))
    assert alignment.field is not None
    assert correlation(alignment.image, proof.image.astype(np.float32)) > 0.9


def test_a_page_that_bends_a_lot_is_followed_to_its_edges(page, slip):
    framed = cv2.rectangle(page.copy(), (18, 14), (682, 506), (60, 60, 60), 2)
    proof = make_proof(framed, slip.boxes())
    height, width = page.shape[:2]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(framed, xs + 4 * np.sin(ys / height * 3), ys + 7 * np.sin(xs / width * 5), cv2.INTER_CUBIC,
                     borderMode=cv2.BORDER_REPLICATE)
    alignment = align(proof, Query(bent))
    corners = np.concatenate([slip.boxes().reshape(-1, 2), np.float32([[18, 14], [682, 14], [682, 506], [18, 506]])])
    seen = alignment.to_query(corners)
    back = np.stack([seen[:, 0] + 4 * np.sin(seen[:, 1] / height * 3), seen[:, 1] + 7 * np.sin(seen[:, 0] / width * 5)])
    assert np.abs(back.T - corners).max() < 2.5
    assert np.abs(alignment.to_proof(seen) - corners).max() < 2


def test_what_the_frame_does_not_show_is_known(page, proof):
    alignment = align(proof, Query(np.ascontiguousarray(page[:, : int(page.shape[1] * 0.9)])))
    assert 0.05 < 1 - alignment.inside.mean() < 0.15


@given(st.lists(st.floats(-30, 30), min_size=8, max_size=8))
@settings(max_examples=30, deadline=None)
def test_what_the_frame_shows_is_what_is_mapped_into_it(moves):
    frame = np.float32([[0, 0], [80, 0], [80, 60], [0, 60]])
    homography = cv2.getPerspectiveTransform(frame, frame + np.float32(moves).reshape(4, 2))
    _, inside = resample(np.zeros((61, 81), np.uint8), homography, None, (61, 81))
    places = np.stack(np.meshgrid(np.arange(81.0), np.arange(61.0)), axis=-1)
    x, y = np.moveaxis(cv2.perspectiveTransform(places, homography), -1, 0)
    within = np.minimum(np.minimum(x, y), np.minimum(80 - x, 60 - y))  # pixels
    assert inside[within > 0].all() and not inside[within < -2].any()


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.6])
def test_scaling_samples_where_a_perspective_would(page, factor):
    query = cv2.cvtColor(cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    height, width = page.shape[:2]
    homography = scaling(query.shape[1] / width, query.shape[0] / height)
    seen, inside = resample(query, homography, None, (height, width))
    slanted = homography + np.float64([[0, 1e-7, 0], [0, 0, 0], [0, 0, 0]])
    other, _ = resample(query, slanted, None, (height, width))
    difference = np.abs(seen.astype(int) - other)
    assert inside.all() and difference.max() <= 8 and difference.mean() < 0.3


def _corners(homography: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape
    frame = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], np.float64)
    return cv2.perspectiveTransform(frame, homography)[0]


@pytest.mark.parametrize("shadow", [1.0, 0.4, 0.3])
def test_a_photograph_is_laid_over_whatever_shadow_outweighs_its_print(page, slip, photographed, seen_corners, shadow):
    pale = np.maximum(page, 150)
    picture = photographed(pale, 1.5, shadow)
    found = _corners(coarse_alignment(make_proof(pale, slip.boxes()), Query(picture)), page.shape[:2])
    assert np.abs(found - seen_corners(picture)).max() < 8


def test_a_small_page_is_found_in_a_large_picture_of_it(page, slip, photographed, seen_corners):
    small = make_proof(cv2.resize(page, None, fx=0.45, fy=0.45, interpolation=cv2.INTER_AREA), 0.45 * slip.boxes())
    picture = photographed(page, 3.0)
    found = _corners(coarse_alignment(small, Query(picture)), small.image.shape)
    assert np.abs(found - seen_corners(picture)).max() < 24


def test_the_next_filling_is_looked_for_where_the_last_one_lay(page, proof, slip, monkeypatch):
    picture, transform = _perspective(page)
    query = Query(picture)
    align(proof, query)
    other = slip.with_text(2, "another")
    monkeypatch.setattr("gateway.matching.coarse.orb_features", None)
    found = coarse_alignment(make_proof(other.draw(), other.boxes()), query)
    assert np.abs(_corners(found, page.shape[:2]) - _corners(transform, page.shape[:2])).max() < 2


def test_a_field_is_sampled_at_more_points_than_opencv_takes_at_once():
    field = np.random.default_rng(0).normal(0, 1, (6, 8, 2)).astype(np.float32)
    points = np.random.default_rng(1).uniform(0, 400, (70_000, 2)).astype(np.float32)
    found = sample_field(field, points, 400, 300)
    assert found.shape == (70_000, 2) and np.array_equal(found[-5:], sample_field(field, points[-5:], 400, 300))


def test_another_page_is_not_aligned(proof):
    noise = np.random.default_rng(0).integers(0, 255, (500, 700, 3), np.uint8)
    with pytest.raises(NotAligned):
        align(proof, Query(noise))


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_follow_rot90(turns):
    image = np.arange(12).reshape(3, 4)
    turned = np.rot90(image, turns)
    x, y, _ = quarter_turns(turns, 4, 3) @ [3, 1, 1]
    assert turned[int(y), int(x)] == image[1, 3]


def test_only_turns_of_a_like_aspect_are_tried():
    assert len(list(scaled_turns((100, 200), (50, 100)))) == 2
    assert len(list(scaled_turns((100, 100), (50, 50)))) == 4
    assert list(scaled_turns((100, 200), (100, 100))) == []


def test_a_mirrored_or_squeezed_map_is_implausible():
    shape = (100, 200)
    assert plausible(np.eye(3), shape, shape)
    assert not plausible(np.diag([-1.0, 1, 1]), shape, shape)
    assert not plausible(np.diag([0.3, 1.0, 1]), shape, shape)
    assert not plausible(np.diag([0.05, 0.05, 1]), shape, shape)


def test_the_scale_of_a_map():
    assert local_scale(np.diag([2.0, 3.0, 1.0]), (100, 100)) == pytest.approx(6**0.5)


def test_too_few_features_give_no_map():
    few = Features(np.zeros((3, 2), np.float32), np.zeros((3, 32), np.uint8))
    assert homography_of_features(few, few) is None
    assert homography_of_features(Features(np.zeros((0, 2), np.float32), None), few) is None


def test_a_few_strong_features_lead_to_the_same_place(proof):
    features = orb_features(proof.image, 600)
    image = cv2.GaussianBlur(proof.image, (0, 0), 1)
    few, all_ = (homography_of_features(features.strongest(most), orb_features(image, 600).strongest(most))
                 for most in (300, 1500))
    assert len(features.strongest(300).points) == 300 < len(features.points)
    assert np.abs(_corners(few, image.shape) - _corners(all_, image.shape)).max() < 3


def test_lines_are_cut_into_pieces(proof):
    pieces = Pieces.of(proof)
    assert len(pieces) > len(proof.boxes)
    assert len(pieces.halved()) > len(pieces)
    assert len(pieces.sample(5)) == 5
    assert (pieces.rectangles[:, 2:] <= proof.image.shape[::-1]).all()


def test_pieces_are_found_where_they_were_moved_to(proof):
    moved = cv2.warpAffine(proof.image, np.float32([[1, 0, 2.5], [0, 1, -1.25]]), proof.image.shape[::-1],
                           borderMode=cv2.BORDER_REPLICATE)
    matches = match_pieces(proof.image, moved, Pieces.of(proof).rectangles, 5)
    assert np.median(matches.shifts, axis=0) == pytest.approx([2.5, -1.25], abs=0.25)
    assert np.median(matches.scores) > 0.85


def test_a_piece_that_is_not_near_is_found_farther(proof):
    moved = cv2.warpAffine(proof.image, np.float32([[1, 0, 14], [0, 1, 0]]), proof.image.shape[::-1],
                           borderMode=cv2.BORDER_REPLICATE)
    pieces = Pieces.of(proof).sample(8)
    assert np.median(match_pieces(proof.image, moved, pieces, 4).scores) < PIECE_AGREES
    farther = match_pieces(proof.image, moved, pieces, 4, 20)
    assert np.median(farther.shifts[:, 0]) == pytest.approx(14, abs=0.25)


def test_corners_of_what_is_drawn_are_found_outside_the_lines(page, slip):
    plain = make_proof(page, slip.boxes())
    framed = make_proof(cv2.rectangle(page.copy(), (300, 350), (660, 490), (60, 60, 60), 2), slip.boxes())
    corners = corners_outside(framed)
    assert len(corners) > len(corners_outside(plain))
    middles = (corners[:, :2] + corners[:, 2:]) / 2
    for corner in ((300, 350), (660, 350), (660, 490), (300, 490)):
        assert np.linalg.norm(middles - corner, axis=1).min() < 20
    for x0, y0, x1, y1 in framed.boxes:
        inside = (middles > [x0, y0]).all(axis=1) & (middles < [x1, y1]).all(axis=1)
        assert not inside.any()


def test_a_blank_piece_is_left_out_and_a_blank_place_does_not_agree():
    blank, inked = np.full((60, 200), 255, np.uint8), np.full((60, 200), 255, np.uint8)
    cv2.putText(inked, "12.50", (20, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 0, 2)
    piece = np.array([[20, 10, 80, 32]])
    assert len(match_pieces(blank, inked, piece, 4).scores) == 0
    assert match_pieces(inked, blank, piece, 4).scores.tolist() == [0]


def _found(centres, shifts, known=(True, True)) -> PieceMatches:
    """Pieces that were found for sure."""
    return PieceMatches(centres, shifts, np.ones(len(centres), np.float32), np.tile(known, (len(centres), 1)))


def test_a_field_follows_the_page_and_no_single_word():
    rng = np.random.default_rng(3)
    centres = rng.uniform(0, 1, (150, 2)).astype(np.float32) * [800, 600]
    shifts = np.stack([0.01 * centres[:, 1], 2 * np.sin(centres[:, 0] / 400)], axis=1).astype(np.float32)
    wrong = shifts.copy()
    wrong[::15] += 9
    found = displacement_field(_found(centres, wrong), (600, 800), 70)
    error = np.linalg.norm(sample_field(found.field, centres, 800, 600) - shifts, axis=1)
    assert np.median(error) < 0.3 and np.percentile(error, 95) < 1.5


def test_a_field_follows_a_title_far_from_all_other_print():
    rows = np.mgrid[40:760:60, 300:580:40].reshape(2, -1).T.astype(np.float32)
    title = np.float32([[x, 40] for x in range(200, 600, 80)])
    centres = np.concatenate([rows, title])
    shifts = np.where(centres[:, 1:] < 100, [[-1.7, 0]], 0).astype(np.float32)
    found = displacement_field(_found(centres, shifts), (620, 800), 45)
    assert np.abs(sample_field(found.field, title, 800, 620) - [-1.7, 0]).max() < 0.6


def test_rules_tell_how_far_they_moved_across_themselves():
    words = np.mgrid[20:200:45, 20:780:60].reshape(2, -1).T[:, ::-1].astype(np.float32)
    rules = np.mgrid[300:600:50, 20:780:60].reshape(2, -1).T[:, ::-1].astype(np.float32)

    def sunk(points: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros(len(points)), 4e-5 * points[:, 1] ** 2], axis=1).astype(np.float32)

    slid = sunk(rules) + np.float32([7, 0])  # along themselves, which they cannot tell
    matches = _found(words, sunk(words)).and_(_found(rules, slid, (False, True)))
    found = displacement_field(matches, (600, 800), 100)
    assert np.abs(sample_field(found.field, rules, 800, 600) - sunk(rules)).max() < 0.5


def test_a_rule_is_found_across_itself():
    proof, seen = np.full((300, 400), 255, np.uint8), np.full((300, 400), 255, np.uint8)
    for image, y, x in ((proof, 150, 200), (seen, 156, 196)):
        cv2.line(image, (20, y), (380, y), 40, 2)
        cv2.line(image, (x, 20), (x, 280), 40, 2)
    quads = np.float32([[[30, 30], [90, 30], [90, 50], [30, 50]]])
    rules = pieces_of_rules(make_proof(cv2.cvtColor(proof, cv2.COLOR_GRAY2RGB), quads))
    found = match_rules(proof, seen, rules, 10)
    level, upright = found.known[:, 1], found.known[:, 0]
    assert level.any() and upright.any() and not (level & upright).any()
    assert np.median(found.shifts[level, 1]) == pytest.approx(6, abs=0.3)
    assert np.median(found.shifts[upright, 0]) == pytest.approx(-4, abs=0.3)


def test_too_few_pieces_make_no_field():
    few = np.zeros((3, 2), np.float32)
    assert displacement_field(_found(few, few), (100, 100), 50) is None


def test_a_rendition_loses_what_lies_between_coarse_pixels(proof):
    small = np.diag([0.4, 0.4, 1.0])
    size = round(proof.image.shape[0] * 0.4), round(proof.image.shape[1] * 0.4)
    coarse = render_on_grid(proof.image, small, size)
    same = render_on_grid(proof.image, np.eye(3), proof.image.shape)
    assert np.abs(same.astype(int) - proof.image).max() <= 1
    assert cv2.Laplacian(coarse, cv2.CV_32F).var() < 0.5 * cv2.Laplacian(proof.image, cv2.CV_32F).var()


@pytest.mark.parametrize(("shape", "dtype"), [((4, 4), np.uint8), ((4, 4, 3), np.float32), ((0, 4, 3), np.uint8)])
def test_a_query_is_a_page(shape, dtype):
    with pytest.raises(ValueError, match="page"):
        Query(np.zeros(shape, dtype))


def test_a_huge_query_is_reduced():
    assert Query(np.zeros((4000, 5000, 3), np.uint8)).grey.size <= 10_100_000
