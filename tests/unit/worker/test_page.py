"""The pipeline of a page, over a scripted detector and recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from worker.constraints import UNCONSTRAINED, Constraints
from worker.page import PageReader
from worker.types import Character, Line, LineReading


class Boxes:
    """Detects what it was given."""

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self._quads = np.array(
            [[(left, top), (right, top), (right, bottom), (left, bottom)] for left, top, right, bottom in boxes],
            np.float32,
        ).reshape(-1, 4, 2)

    def detect(self, page: np.ndarray) -> np.ndarray:
        return self._quads


class Shades:
    """Reads a crop as its mean grey level, unsure of all that is higher than wide; black reads as nothing."""

    def __init__(self) -> None:
        self.calls: list[Sequence[np.ndarray]] = []

    def recognise(self, crops: Sequence[np.ndarray]) -> list[LineReading]:
        self.calls.append(crops)
        return [self._read(crop) for crop in crops]

    @staticmethod
    def _read(crop: np.ndarray) -> LineReading:
        height, width = crop.shape[:2]
        shade = round(float(crop.mean()))
        if not shade:
            return LineReading("", 0.0)
        return LineReading(f"{shade}:{width}x{height}", 0.3 if height > width else 0.9)


@pytest.fixture
def page() -> np.ndarray:
    page = np.zeros((100, 200, 3), np.uint8)
    page[10:30, 10:90] = 50
    page[10:30, 110:190] = 60
    page[50:70, 10:190] = 70
    page[40:100, 195:200] = 80
    return page


def texts(lines: Sequence[Line | LineReading]) -> list[str]:
    return [line.text for line in lines]


def test_lines_come_in_reading_order_with_their_boxes(page: np.ndarray) -> None:
    reader = PageReader(Boxes((10, 50, 190, 70), (110, 10, 190, 30), (10, 10, 90, 30)), Shades())
    lines = reader.read(page)
    assert texts(lines) == ["50:80x20", "60:80x20", "70:180x20"]
    assert lines[1] == Line("60:80x20", 0.9, ((110.0, 10.0), (190.0, 10.0), (190.0, 30.0), (110.0, 30.0)))


def test_where_the_lines_are_is_told_before_they_are_read(page: np.ndarray) -> None:
    shades, told = Shades(), []
    reader = PageReader(Boxes((10, 50, 190, 70), (10, 80, 90, 100), (10.04, 10, 90, 30)), shades)
    lines = reader.read(page, found=lambda boxes: told.append((len(shades.calls), boxes)))
    [(calls, boxes)] = told
    assert calls < len(shades.calls)
    assert [boxes[0], boxes[1]] == [line.box for line in lines]
    assert boxes[2] == ((10, 80), (90, 80), (90, 100), (10, 100))


def test_lines_that_read_as_nothing_are_left_out(page: np.ndarray) -> None:
    assert texts(PageReader(Boxes((10, 10, 90, 30), (10, 80, 90, 100)), Shades()).read(page)) == ["50:80x20"]


def test_a_page_without_lines_is_empty(page: np.ndarray) -> None:
    assert PageReader(Boxes(), Shades()).read(page) == []


def test_a_line_image_is_read_whole_without_detection(page: np.ndarray) -> None:
    [line] = PageReader(Boxes((10, 10, 90, 30)), Shades()).read(page[10:30, 10:90], "line")
    assert line == Line("50:80x20", 0.9, ((0.0, 0.0), (80.0, 0.0), (80.0, 20.0), (0.0, 20.0)))


def test_blank_edges_of_a_line_image_are_not_read(page: np.ndarray) -> None:
    picture = np.zeros((100, 80, 3), np.uint8)
    picture[40:60, 5:75] = 200
    [line] = PageReader(Boxes(), Shades()).read(picture, "line")
    assert line.box == ((0.0, 37.0), (80.0, 37.0), (80.0, 63.0), (0.0, 63.0))


def test_boxes_are_read_again_in_the_order_given_and_blanks_are_kept(page: np.ndarray) -> None:
    blank = ((10, 80), (90, 80), (90, 100), (10, 100))
    first = ((10, 10), (90, 10), (90, 30), (10, 30))
    readings = PageReader(Boxes(), Shades()).read_lines(page, [blank, first, blank])
    assert texts(readings) == ["", "50:80x20", ""]
    assert readings[0].score == 0.0


def test_no_boxes_need_no_recogniser(page: np.ndarray) -> None:
    assert PageReader(Boxes(), Shades()).read_lines(page, []) == []


def test_reading_a_box_again_gives_the_same_even_after_rounding(page: np.ndarray) -> None:
    page = np.random.default_rng(0).integers(1, 255, page.shape, np.uint8)
    reader = PageReader(Boxes((10.123, 50.456, 190.789, 70.987), (3.333, 3.3, 60.05, 29.95)), Shades())
    lines = reader.read(page)
    again = reader.read_lines(page, [line.box for line in lines])
    assert again == [LineReading(line.text, line.score) for line in lines]
    assert all(round(value, 1) == value for line in lines for corner in line.box for value in corner)


def test_a_tall_box_is_read_turned_too_and_the_likelier_reading_counts(page: np.ndarray) -> None:
    assert texts(PageReader(Boxes((195, 40, 200, 100)), Shades()).read(page)) == ["80:60x5"]


def test_ordinary_lines_are_read_in_one_call(page: np.ndarray) -> None:
    shades = Shades()
    boxes = [((10, 10), (90, 10), (90, 30), (10, 30)), ((10, 50), (190, 50), (190, 70), (10, 70))]
    PageReader(Boxes(), shades).read_lines(page, boxes)
    assert [len(call) for call in shades.calls if call] == [2]


class Arrows:
    """Reads an arrow by the way it points: to the right surely, on its head badly."""

    def recognise(self, crops: Sequence[np.ndarray]) -> list[LineReading]:
        return [self._read(crop) for crop in crops]

    @staticmethod
    def _read(crop: np.ndarray) -> LineReading:
        height, width = crop.shape[:2]
        if height > width:
            return LineReading("I", 0.3)
        upright = crop[:, : width // 2].mean() < crop[:, width // 2 :].mean()
        return LineReading("right", 0.9) if upright else LineReading("left", 0.1)


def arrows(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A page with lines that get lighter from left to right."""
    page = np.zeros((400, 300, 3), np.uint8)
    for left, top, right, bottom in boxes:
        page[top:bottom, left:right] = np.linspace(20, 250, right - left, dtype=np.uint8)[:, None]
    return page


LINES = ((10, 10, 140, 30), (160, 10, 290, 30), (10, 60, 200, 80), (10, 110, 60, 130), (10, 300, 280, 330))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_page_is_read_whichever_way_up(quarters: int) -> None:
    page = np.ascontiguousarray(np.rot90(arrows(*LINES), -quarters))
    width, height = 300, 400

    def on_the_page(x: float, y: float) -> tuple[float, float]:
        return [(x, y), (height - y, x), (width - x, height - y), (y, width - x)][quarters]

    detected = []
    for left, top, right, bottom in LINES:
        (one, other) = on_the_page(left, top), on_the_page(right, bottom)
        detected.append((*np.minimum(one, other), *np.maximum(one, other)))
    reader = PageReader(Boxes(*detected), Arrows())
    lines = reader.read(page)
    expected = [
        tuple(on_the_page(*corner) for corner in ((left, top), (right, top), (right, bottom), (left, bottom)))
        for left, top, right, bottom in LINES
    ]
    assert [line.box for line in lines] == expected
    assert set(texts(lines)) == {"right"}
    assert set(texts(reader.read_lines(page, [line.box for line in lines]))) == {"right"}


def test_one_line_on_its_head_is_turned_alone() -> None:
    page = arrows(*LINES)
    left, top, right, bottom = LINES[2]
    page[top:bottom, left:right] = page[top:bottom, left:right][:, ::-1]
    lines = PageReader(Boxes(*LINES), Arrows()).read(page)
    assert set(texts(lines)) == {"right"}
    assert [line.box[0] for line in lines] == [(10, 10), (160, 10), (200, 80), (10, 110), (10, 300)]


def test_on_its_head_a_line_has_to_have_its_characters_too(page: np.ndarray) -> None:
    class Handwriting:
        def recognise(self, crops: Sequence[np.ndarray]) -> list[LineReading]:
            upright = [crop[:, : crop.shape[1] // 2].mean() < crop[:, crop.shape[1] // 2 :].mean() for crop in crops]
            return [LineReading("hardly legible", 0.3) if right else LineReading("品", 0.9) for right in upright]

    quad = ((10, 10), (140, 10), (140, 30), (10, 30))
    assert texts(PageReader(Boxes(), Handwriting()).read_lines(arrows(*LINES), [quad])) == ["hardly legible"]


def test_no_line_of_an_upright_page_is_read_twice() -> None:
    shades = Shades()
    PageReader(Boxes((10, 50, 190, 70), (110, 10, 190, 30), (10, 10, 90, 30), (10, 80, 90, 95)), shades).read(
        np.full((100, 200, 3), 9, np.uint8)
    )
    assert [len(call) for call in shades.calls if call] == [3, 1]


def test_the_reviewer_has_the_last_word_on_the_crop_that_was_chosen() -> None:
    class Reviewer:
        def review(
            self, crops: Sequence[np.ndarray], readings: Sequence[LineReading], constraints: Constraints
        ) -> list[LineReading]:
            assert constraints == UNCONSTRAINED
            [crop], [reading] = crops, readings
            return [LineReading(f"{reading.text} {crop.shape}", 0.7, "other")]

    page = np.ascontiguousarray(np.rot90(arrows(*LINES[:1])))
    [line] = PageReader(Boxes((10, 160, 30, 290)), Arrows(), Reviewer()).read(page)
    assert line == Line("right (20, 130, 3)", 0.7, ((10, 290), (10, 160), (30, 160), (30, 290)), "other")


class Words:
    """Reads a crop as the word that its grey level names; under constraints, says which."""

    words: ClassVar = {40: ("O01", 0.95), 80: ("名称", 0.6), 120: ("20 26", 0.99)}

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def recognise(
        self, crops: Sequence[np.ndarray], constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]:
        readings = []
        for crop in crops:
            text, score = self.words[int(np.median(crop))]
            self.asked.append((constraints.charset, int(np.median(crop))))
            readings.append(LineReading(text + "!" if constraints else text, score))
        return readings


def words_page() -> np.ndarray:
    page = np.zeros((120, 100, 3), np.uint8)
    for number, level in enumerate(Words.words):
        page[40 * number : 40 * number + 30] = level
    return page


WORD_BOXES = ((0, 0, 99, 29), (0, 40, 99, 69), (0, 80, 99, 109))


@pytest.mark.parametrize(
    ("constraints", "wanted"),
    [
        (Constraints("digits"), ["O01!", "名称!", "20 26"]),
        (Constraints("digits,zh"), ["O01!", "名称", "20 26"]),
        (Constraints(lexicon=("名称",)), ["O01", "名称!", "20 26"]),
        (Constraints("digits", ("名称",)), ["O01!", "名称!", "20 26"]),
        (UNCONSTRAINED, ["O01", "名称", "20 26"]),
    ],
)
def test_only_lines_that_might_read_otherwise_are_read_under_constraints(
    constraints: Constraints, wanted: list[str]
) -> None:
    reader = PageReader(Boxes(*WORD_BOXES), Words())
    lines = reader.read(words_page(), constraints=constraints)
    assert texts(lines) == wanted
    again = reader.read_lines(words_page(), [line.box for line in lines], constraints)
    assert texts(again) == wanted


class Spelling:
    """Is surer of a line when it knows its characters, and spells it on demand, as a recogniser does."""

    def recognise(
        self, crops: Sequence[np.ndarray], constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]:
        told = (Character("1", 0.6, 0.0, 1.0, (("l", 0.3), ("7", 0.1))),) if constraints.characters else ()
        return [LineReading("1", 0.9 if constraints.charset else 0.6, characters=told) for _ in crops]


def test_telling_the_characters_changes_neither_the_text_nor_the_score() -> None:
    reader = PageReader(Boxes(*WORD_BOXES), Spelling())
    plain = reader.read(words_page(), constraints=Constraints("digits"))
    told = reader.read(words_page(), constraints=Constraints("digits", characters=True))
    assert [(line.text, line.score) for line in told] == [(line.text, line.score) for line in plain]
    assert [line.characters[0].alternatives for line in told] == [(("7", 0.1),)] * 3


def test_what_holds_by_default_gives_way_to_what_is_asked_for() -> None:
    words = Words()
    reader = PageReader(Boxes(*WORD_BOXES), words, defaults=Constraints("digits"))
    assert texts(reader.read(words_page())) == ["O01!", "名称!", "20 26"]
    assert texts(reader.read(words_page(), constraints=Constraints("ascii,zh"))) == ["O01", "名称", "20 26"]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_only_rgb_pages_are_read(wrong: np.ndarray) -> None:
    reader = PageReader(Boxes(), Shades())
    with pytest.raises(ValueError, match="a page is"):
        reader.read(wrong)
    with pytest.raises(ValueError, match="a page is"):
        reader.read_lines(wrong, [])


def test_an_unknown_layout_is_refused(page: np.ndarray) -> None:
    with pytest.raises(ValueError, match="auto, line"):
        PageReader(Boxes(), Shades()).read(page, "column")


@pytest.mark.parametrize("box", [((0, 0), (1, 0), (1, 1)), ((0, 0), (1, 0), (1, 1), (float("nan"), 1))])
def test_a_box_has_four_finite_corners(page: np.ndarray, box: tuple) -> None:
    with pytest.raises(ValueError, match="four finite corners"):
        PageReader(Boxes(), Shades()).read_lines(page, [box])
