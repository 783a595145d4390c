"""Generated lines and scores. Texts and shapes; the look of fonts and scenes is a matter for ``sheet``."""

from __future__ import annotations

import copy
import re
from random import Random

import numpy as np
import pytest

from worker.charset import Charset, big5_frequent_hanzi, gb2312_hanzi
from worker.training import capture, vocabulary
from worker.training.evaluate import CONDITIONS, edit_distance, folder_lines, held_out, normalise, score
from worker.training.fonts import CATALOGUE, Fonts
from worker.training.lines import LineGenerator
from worker.training.scene import SceneGenerator
from worker.training.texts import Texts

FULL = Charset.extending("")
DIGITS = Charset(tuple("0123456789 "))


@pytest.fixture(scope="module")
def generator() -> LineGenerator:
    return LineGenerator(FULL, seed=5)


# -- texts -----------------------------------------------------------------------------------------------------------
def test_texts_are_known_trimmed_and_bounded():
    texts = Texts(DIGITS)
    random = Random(1)
    for _ in range(200):
        _, text = texts.draw(random)
        assert 1 <= len(text) <= 48
        assert text == text.strip()
        assert all(character in DIGITS for character in text)


def test_every_kind_occurs_and_fresh_characters_often():
    fresh = "龘靐齉"
    texts = Texts(Charset.extending(fresh), fresh)
    random = Random(2)
    drawn = [texts.draw(random) for _ in range(600)]
    assert {kind for kind, _ in drawn} == {
        "invoice", "receipt", "prose", "english", "words", "rare", "traditional", "code", "plate", "lookalikes",
    }  # fmt: skip
    assert sum(text.count("靐") for _, text in drawn) > 20


def test_the_grammar_is_written_in_known_characters():
    assert [character for rule in vocabulary.GRAMMAR.values() for character in rule if character not in FULL] == []


@pytest.mark.parametrize("rule", sorted(vocabulary.GRAMMAR))
def test_every_rule_expands_to_its_end(rule):
    texts = Texts(FULL)
    expanded = [texts.expand(Random(seed), rule) for seed in range(30)]
    assert not any(re.search(r"<[a-zA-Z]+\d*>", text) for text in expanded)
    assert any(FULL.known(text) for text in expanded)


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("day", r"[12]\d{3}([-/.年]\d{1,2}[-/.月]\d{1,2}日?)|\d{1,2}[-/ ]?(\d\d|[A-Za-z]{3})[-/ ]?(\d\d){1,2}"),
        ("phone", r"[-+() \d]{9,}"),
        ("plate", r"[京-黑\u4e00-\u9fff][A-Z]·?[0-9A-HJ-NP-Z]{5}"),
        ("in_words", r"[壹贰叁肆伍陆柒捌玖零万仟佰拾圆元整角分]+"),
        ("tax17", r"[0-9A-HJ-NP-RTUWXY]{17}"),
        ("n12", r"[1-9]|1[0-2]"),
    ],
)
def test_rules_make_what_they_say(rule, pattern):
    texts = Texts(FULL)
    for seed in range(40):
        assert re.fullmatch(pattern, texts.expand(Random(seed), rule))


# -- lines -----------------------------------------------------------------------------------------------------------
def test_a_line_is_a_function_of_seed_and_number(generator):
    again, other = copy.copy(generator), copy.copy(generator)
    other.seed = 6
    for number in (0, 7, 12):
        one, two = generator.line(number), again.line(number)
        assert one.text == two.text
        assert (one.image == two.image).all()
    assert [generator.line(i).text for i in range(4)] != [other.line(i).text for i in range(4)]


def test_lines_are_grey_and_of_sensible_size(generator):
    for line in generator.lines(0, 60):
        assert line.image.dtype == np.uint8
        assert line.image.ndim == 2
        assert min(line.image.shape) >= 4
        assert line.text


def test_clean_lines_are_black_on_white(generator):
    for line in (generator.line(number, intensity=0) for number in range(20)):
        assert np.median(line.image) > 200
        assert line.image.min() < 130


def test_a_scene_line_is_a_function_of_seed_and_number(generator):
    scenes, again = SceneGenerator(generator), SceneGenerator(copy.copy(generator))
    for number in range(40):
        line, same = scenes.line(number), again.line(number)
        assert line.text == same.text
        assert (line.image == same.image).all()
        assert 1 <= len(line.text) <= 24
        assert all(character in FULL for character in line.text)
        assert line.image.dtype == np.uint8
        assert min(line.image.shape) >= 4
    assert len({scenes.line(number).text for number in range(40)}) > 20


def test_the_catalogue_has_every_hanzi_of_the_standards():
    full = [face for face in Fonts().faces if face.path.name.startswith(("NotoSansCJK", "NotoSerifCJK"))]
    assert full
    assert all(face.covers(gb2312_hanzi() + big5_frequent_hanzi()) for face in full)


def test_the_catalogue_names_each_face_once():
    assert len({(name, index) for name, index, *_ in CATALOGUE}) == len(CATALOGUE)


@pytest.mark.parametrize("step", [step for step, _ in (*capture.INK, *capture.CAPTURE)])
def test_faults_keep_the_kind_of_image(step):
    mask = np.zeros((40, 200), np.uint8)
    mask[10:30, 20:180:8] = 255
    for seed in range(10):
        out = step(Random(seed), mask)
        assert out.dtype == np.uint8
        assert out.ndim == 2
        assert (out == step(Random(seed), mask)).all()


# -- scores ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("a", "b", "edits"), [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("发票", "发栗", 1)]
)
def test_edit_distance(a, b, edits):
    assert edit_distance(a, b) == edits


def test_a_score_sums_edits_after_folding():
    result = score(["Total：１２", "x", "too many letters", ""], ["total 12", "yz", "t", "。"])
    assert (result.edits, result.characters, result.exact, result.lines) == (0 + 2 + 1, 7 + 2 + 1, 1, 3)
    assert result.cer == pytest.approx(0.3)
    assert result.exact_rate == pytest.approx(1 / 3)
    assert normalise("（Ｔｏｔａｌ） ¥1,280.00") == "total128000"


@pytest.mark.parametrize("condition", [*CONDITIONS, "mixed", "scene"])
def test_held_out_lines_are_the_same_every_time(generator, condition):
    first, second = (held_out(generator, condition, 3) for _ in range(2))
    for (one, text), (two, same) in zip(first, second, strict=True):
        assert text == same
        assert (one == two).all()


def test_a_folder_of_labelled_lines(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((10, 20, 3), (0, 0, 255), np.uint8))
    (tmp_path / "labels.jsonl").write_text('{"image": "a.png", "text": "甲"}\n\n', encoding="utf-8")
    [(image, text)] = folder_lines(tmp_path)
    assert text == "甲"
    assert image[0, 0].tolist() == [255, 0, 0]
    (tmp_path / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        folder_lines(tmp_path)
