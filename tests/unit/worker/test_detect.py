"""Text detection with the real weights on drawn pages, held against the read-out of the package they come from."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tests.documents import FONT, draw_invoice
from worker import detect
from worker.detect import DetectorSettings, TextDetector, lines_of, tiling

WORDS = ("增值税电子普通发票", "Total amount 1,280.00", "购买方名称：北京某某公司", "No. 24112000000052340515")


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    return TextDetector(threads=2)


@pytest.fixture(scope="module")
def invoice() -> np.ndarray:
    return np.asarray(draw_invoice(seed=5).image)


def drawn(size: tuple[int, int], height: int, places: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """A white page with words at ``places``; their true boxes ``(n, 4)``: left, top, right, bottom."""
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, height, index=2)
    boxes = []
    for number, place in enumerate(places):
        draw.text(place, WORDS[number % len(WORDS)], "black", font)
        boxes.append(draw.textbbox(place, WORDS[number % len(WORDS)], font))
    return np.asarray(image), np.array(boxes, np.float32)


def upright(quads: np.ndarray) -> np.ndarray:
    return np.concatenate((quads.min(1), quads.max(1)), axis=1)


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of upright boxes, ``(n, m)``."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = np.prod((high - low).clip(0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (some, others)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def test_every_drawn_line_is_found_once(detector: TextDetector) -> None:
    page, truth = drawn((1300, 900), 26, [(80 + 600 * (row % 2), 60 + 50 * row) for row in range(16)])
    match = overlaps(truth, upright(detector.detect(page))) > 0.5
    assert match.shape == (16, 16)
    assert (match.sum(0) == 1).all()
    assert (match.sum(1) == 1).all()


def test_boxes_hold_the_whole_ink_with_little_air(detector: TextDetector) -> None:
    page, truth = drawn((1000, 400), 30, [(60, 50), (60, 150), (60, 250)])
    found = upright(detector.detect(page))
    found = found[np.argsort(found[:, 1])]
    assert (found[:, :2] <= truth[:, :2] + 3).all()
    assert (found[:, 2:] >= truth[:, 2:] - 3).all()
    assert np.abs(found - truth).max() < 16


def test_corners_run_clockwise_from_the_top_left_also_on_a_skewed_page(detector: TextDetector) -> None:
    page, truth = drawn((1000, 700), 30, [(200, 150), (200, 300), (200, 450)])
    turn = cv2.getRotationMatrix2D((500, 350), 12, 1)
    quads = detector.detect(cv2.warpAffine(page, turn, (1000, 700), borderValue=(255, 255, 255)))
    assert len(quads) == 3
    along, down = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
    assert np.rad2deg(np.arctan2(along[:, 1], along[:, 0])) == pytest.approx([-12] * 3, abs=1.5)
    assert (along[:, 0] * down[:, 1] - along[:, 1] * down[:, 0] > 0).all()
    assert np.hypot(*down.T) == pytest.approx(truth[:, 3] - truth[:, 1], abs=14)


def test_small_print_on_a_large_page_is_found(detector: TextDetector) -> None:
    page, truth = drawn((3600, 2600), 18, [(200 + 800 * (row % 4), 150 + 150 * row) for row in range(16)])
    assert (overlaps(truth, upright(detector.detect(page))).max(1) > 0.4).all()


def test_a_small_picture_of_text_is_enlarged_enough(detector: TextDetector) -> None:
    page, truth = drawn((340, 76), 13, [(10, 5), (10, 28), (10, 50)])
    assert (overlaps(truth, upright(detector.detect(page))).max(1) > 0.4).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (1, 5000), (33, 17), (640, 64)])
@pytest.mark.parametrize("shade", [0, 255])
def test_a_blank_page_of_any_size_has_no_lines(detector: TextDetector, size: tuple[int, int], shade: int) -> None:
    quads = detector.detect(np.full((*size, 3), shade, np.uint8))
    assert quads.shape == (0, 4, 2)
    assert quads.dtype == np.float32


def test_boxes_stay_within_the_page(detector: TextDetector) -> None:
    page, _ = drawn((600, 200), 40, [(-20, -18), (400, 160)])
    quads = detector.detect(page)
    assert len(quads)
    assert (quads >= 0).all()
    assert (quads <= (600, 200)).all()


def test_a_page_in_tiles_gives_the_lines_of_the_whole(
    detector: TextDetector, invoice: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = upright(detector.detect(invoice))
    monkeypatch.setattr(detect, "LARGEST_INPUT", 200_000)
    tiled = upright(detector.detect(invoice))
    assert len(tiled) == pytest.approx(len(whole), abs=1)
    assert (overlaps(whole, tiled).max(1) > 0.65).mean() > 0.95


@given(st.integers(1, 9000), st.integers(1, 9000))
@settings(max_examples=30, deadline=None)
def test_tiles_cover_a_page_of_any_size_and_are_bounded(rows: int, columns: int) -> None:
    cuts = tiling(rows, columns)
    for edges, length in zip(cuts, (rows, columns), strict=True):
        assert (edges[0], edges[-1]) == (0, length)
        assert edges == sorted(set(edges))
    sides = [max(np.diff(edges)) + 2 * detect.HALO for edges in cuts]
    assert min(sides[0], rows) * min(sides[1], columns) <= 1.05 * detect.LARGEST_INPUT


def test_a_page_that_fits_is_one_tile() -> None:
    assert tiling(700, 960) == ([0, 700], [0, 960])


def test_input_shapes_are_shared_and_bounded(detector: TextDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, int]] = []

    def run(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape[2:])
        return np.zeros((1, 1, *batch.shape[2:]), np.float32)

    monkeypatch.setattr(detector, "_run", run)
    for size in ((1170, 1654), (1180, 1650), (1171, 1640)):
        detector.detect(np.zeros((*size, 3), np.uint8))
    assert len(set(shapes)) == 1, "pages of nearly the same size"
    for size in ((7000, 7000), (40, 9000), (100, 50_000)):
        detector.detect(np.zeros((*size, 3), np.uint8))
    assert all(rows % 64 == columns % 64 == 0 for rows, columns in shapes)
    assert max(rows * columns for rows, columns in shapes) <= 1.7 * detect.LARGEST_INPUT


def test_the_read_out_equals_the_packages_own(detector: TextDetector, invoice: np.ndarray) -> None:
    from rapidocr.ch_ppocr_det.utils import DBPostProcess

    probability = detector._probability(cv2.resize(invoice, (960, 704)))
    chosen = detector.settings
    theirs, _ = DBPostProcess(chosen.core, chosen.line, chosen.most_lines, chosen.grow)(
        probability[None, None], probability.shape
    )
    ours = lines_of(probability, chosen)
    assert len(ours) == len(theirs) > 20
    assert (overlaps(upright(ours), upright(theirs)).max(0) > 0.85).all()
    assert np.abs(np.sort(ours.mean(1), 0) - np.sort(theirs.mean(1), 0)).max() < 1


def test_the_same_page_gives_the_packages_own_detectors_lines(invoice: np.ndarray) -> None:
    page = cv2.resize(invoice, (1152, 832))
    ours = TextDetector(2, DetectorSettings(longest_side=1152, least_scale=1)).detect(page)
    theirs = package_detector()(page[..., ::-1]).boxes
    assert len(ours) == pytest.approx(len(theirs), abs=1)
    assert (overlaps(upright(ours), upright(theirs)).max(1) > 0.75).mean() > 0.95


def package_detector():
    """The detector class of the package, as its own configuration builds it."""
    from importlib.resources import files

    from omegaconf import OmegaConf
    from rapidocr.ch_ppocr_det import TextDetector as PackageDetector
    from rapidocr.utils.typings import EngineType, LangDet, ModelType, OCRVersion, TaskType

    config = OmegaConf.load(files("rapidocr") / "config.yaml")
    part = config.Det
    part.engine_type, part.lang_type, part.model_type = EngineType.ONNXRUNTIME, LangDet.CH, ModelType.SMALL
    part.ocr_version, part.task_type = OCRVersion.PPOCRV6, TaskType.DET
    part.model_path = str(detect.weights_path(detect.DETECTOR))
    part.engine_cfg = config.EngineConfig.onnxruntime
    part.engine_cfg.intra_op_num_threads = 2
    return PackageDetector(part)


def rectangle_map(*rectangles: tuple[int, int, int, int], value: float = 0.9) -> np.ndarray:
    probability = np.zeros((100, 200), np.float32)
    for left, top, right, bottom in rectangles:
        probability[top:bottom, left:right] = value
    return probability


def test_a_core_grows_back_by_the_unclip_ratio() -> None:
    [quad] = lines_of(rectangle_map((50, 40, 111, 51)), DetectorSettings(grow=1.5))
    margin = 1.5 * 60 * 10 / (2 * 70)
    left, top, right, bottom = 50 - margin, 40 - margin, 110 + margin, 50 + margin
    expected = [(left, top), (right, top), (right, bottom), (left, bottom)]
    assert quad == pytest.approx(np.array(expected), abs=0.01)


def test_faint_and_thin_cores_are_no_lines() -> None:
    chosen = DetectorSettings()
    assert len(lines_of(rectangle_map((20, 20, 90, 40), value=0.45), chosen)) == 0
    assert len(lines_of(rectangle_map((20, 20, 90, 22)), chosen)) == 0
    assert len(lines_of(rectangle_map((20, 20, 90, 40)), chosen)) == 1


def test_of_too_many_lines_the_largest_are_kept() -> None:
    rectangles = [(10, 10, 190, 30), (10, 40, 30, 50), (60, 40, 80, 50), (10, 60, 190, 90)]
    found = upright(lines_of(rectangle_map(*rectangles), replace(DetectorSettings(), most_lines=2)))
    assert sorted(found[:, 2] - found[:, 0] > 150) == [True, True]
