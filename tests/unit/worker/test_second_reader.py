"""Doubtful lines are read again, and the reading that is likelier right counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tests.documents import FONT
from worker.constraints import UNCONSTRAINED, Constraints
from worker.package_weights import DETECTOR, weights_path
from worker.ppocr import MINIMUM_WIDTH, PpocrEngine, line_recognizer
from worker.recognise import LineRecognizer
from worker.second_reader import MARGIN, SecondOpinion, better, in_the_source_forms, script
from worker.types import Character, LineReading


class Scripted:
    """Reads a crop as the reading that its first pixel numbers."""

    def __init__(self, *readings: LineReading) -> None:
        self._readings = readings
        self.asked: list[list[int]] = []

    def recognise(
        self, crops: Sequence[np.ndarray], constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]:
        self.constraints = constraints
        self.asked.append([int(crop[0, 0, 0]) for crop in crops])
        return [self._readings[number] for number in self.asked[-1]]


def crops(count: int) -> list[np.ndarray]:
    return [np.full((10, 30, 3), number, np.uint8) for number in range(count)]


def test_only_doubtful_lines_are_read_again_and_each_says_by_whom() -> None:
    readings = [LineReading("sure", 0.9), LineReading("d0ubt", 0.4), LineReading("", 0.0)]
    second = Scripted(LineReading("never", 1.0), LineReading("doubt", 0.8), LineReading("faint", 0.3))
    reviewed = SecondOpinion(second, 0.7).review(crops(3), readings)
    assert second.asked == [[1, 2]]
    assert reviewed == [
        LineReading("sure", 0.9, "crnn"),
        LineReading("doubt", 0.8, "ppocr"),
        LineReading("faint", 0.3, "ppocr"),
    ]
    assert readings[1].text == "d0ubt"


def test_without_a_doubtful_line_the_second_is_not_asked() -> None:
    second = Scripted()
    SecondOpinion(second, 0.7).review(crops(1), [LineReading("sure", 0.7)])
    assert second.asked == []


def test_what_constrains_the_first_reader_constrains_the_second() -> None:
    second = Scripted(LineReading("7", 0.9))
    SecondOpinion(second, 0.7).review(crops(1), [LineReading("1", 0.3)], Constraints("digits"))
    assert second.constraints == Constraints("digits")


def test_a_line_without_any_character_that_is_allowed_is_not_read_again() -> None:
    second = Scripted(LineReading("7", 0.9))
    assert SecondOpinion(second, 0.7).review(crops(1), [LineReading("", 0.0)], Constraints("digits"))[0].text == ""
    assert second.asked == []


@pytest.mark.parametrize("below", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_score(below: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        SecondOpinion(Scripted(), below)


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_second_counts_unless_the_first_is_much_likelier(one: float, other: float) -> None:
    first, second = LineReading("1", one), LineReading("l", other)
    assert better(first, second).text == ("1" if one > MARGIN * other else "l")


def test_what_the_second_cannot_read_stays() -> None:
    assert better(LineReading("7", 0.01), LineReading("", 0.0)) == LineReading("7", 0.01)


def test_a_character_is_no_alternative_of_itself() -> None:
    bracket = Character(")", 0.5, 0.5, 1.0, (("）", 0.3), ("1", 0.1)))
    second = LineReading("合)", 0.5, characters=(Character("合", 0.9, 0.0, 0.5), bracket))
    told = better(LineReading("合）", 0.1), second)
    assert told.text == "合）"
    assert told.characters[1] == Character("）", 0.5, 0.5, 1.0, (("1", 0.1),))


def test_a_character_turned_traditional_is_turned_back() -> None:
    assert in_the_source_forms("北京宠大劳通锡瓦", "北京宠大劳通錫瓦") == "北京宠大劳通锡瓦"
    assert in_the_source_forms("税务局发票", "稅務局發票") == "税务局发票"
    assert in_the_source_forms("掛佇腰帶頂", "掛佇腰带頂") == "掛佇腰帶頂"


def test_the_scripts_of_a_reading_that_mixes_both_prove_nothing() -> None:
    assert in_the_source_forms("有认知、有台語意識", "有認知、有台語意識") == "有認知、有台語意識"


def test_widths_among_hanzi_are_kept_as_the_first_saw_them() -> None:
    assert in_the_source_forms("单价（元）：1", "单价(元):I") == "单价（元）：I"
    assert in_the_source_forms("TOTAL： 5", "TOTAL: 5") == "TOTAL: 5"


def test_other_differences_are_the_second_readers() -> None:
    assert in_the_source_forms("发票号吗:O1", "发票号码:01") == "发票号码:01"
    assert in_the_source_forms("", "稅") == "稅"
    assert [script(character) for character in "锡錫一aカ"] == [1, -1, 0, 0, 0]


@given(st.text("税务稅務一0", max_size=12), st.text("税务稅務一0", max_size=12))
def test_only_forms_change_and_the_same_way_twice(first: str, second: str) -> None:
    result = in_the_source_forms(first, second)
    assert len(result) == len(second)
    assert all(a == b or script(a) * script(b) == -1 for a, b in zip(result, second, strict=True))
    assert in_the_source_forms(second, second) == second


# -- PP-OCRv6 ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def engine() -> PpocrEngine:
    return PpocrEngine()


def printed(text: str) -> np.ndarray:
    font = ImageFont.truetype(FONT, 32, index=2)
    image = Image.new("L", (int(font.getlength(text)) + 24, 48), 255)
    ImageDraw.Draw(image).text((12, 4), text, 0, font)
    return np.asarray(image)


@pytest.mark.parametrize("text", ["增值税电子普通发票", "TOTAL 1,280.50", "锡伯族 Room 3", "¥12.00"])
def test_the_engine_reads_print(engine: PpocrEngine, text: str) -> None:
    [reading] = LineRecognizer(engine).recognise([printed(text)])
    assert reading.text == text
    assert 0.5 < reading.score <= 1


def test_a_reading_does_not_depend_on_the_batch(engine: PpocrEngine) -> None:
    lines = [printed(text) for text in ("发票号码", "24112000000052340515", "a", "合计金额（大写）壹仟贰佰捌拾元整")]
    together = LineRecognizer(engine).recognise(lines)
    alone = [LineRecognizer(engine).recognise([line])[0] for line in lines]
    assert [reading.text for reading in together] == [reading.text for reading in alone]
    assert [reading.score for reading in together] == pytest.approx([reading.score for reading in alone], abs=1e-4)


def test_short_lines_are_padded_less_and_read_the_same(engine: PpocrEngine) -> None:
    widths = []
    narrow, wide = line_recognizer(2), LineRecognizer(engine)
    best = engine.best
    narrow._engine.best = lambda batch: (widths.append(batch.shape[3]), best(batch))[1]
    [reading] = narrow.recognise([printed("单价12.5")])
    assert widths == [MINIMUM_WIDTH]
    assert reading.text == wide.recognise([printed("单价12.5")])[0].text == "单价12.5"


def test_log_probabilities_and_the_best_path_agree(engine: PpocrEngine) -> None:
    batch = np.random.default_rng(0).uniform(-1, 1, (2, 1, 48, 64)).astype(np.float32)
    log_probs, (best, probability) = engine.run(batch), engine.best(batch)
    assert log_probs.shape == (2, 64 // engine.step, engine.charset.classes)
    assert (log_probs.argmax(-1) == best).all()
    assert np.exp(log_probs).sum(-1) == pytest.approx(1, abs=1e-3)
    assert np.exp(log_probs.max(-1)) == pytest.approx(probability, rel=1e-5)


def test_other_weights_are_refused(engine: PpocrEngine) -> None:
    with pytest.raises(ValueError, match="lists no characters"):
        PpocrEngine(weights=weights_path(DETECTOR))
    with pytest.raises(FileNotFoundError):
        weights_path("models/none.onnx")
    assert len(engine.revision) == 8
    assert isinstance(weights_path(DETECTOR), Path)
