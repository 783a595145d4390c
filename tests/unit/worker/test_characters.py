"""Where the characters of a line stand, and what else they may be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tests.documents import FONT
from worker.characters import MOST_ALTERNATIVES, characters_of
from worker.charset import Charset
from worker.constraints import Constraints
from worker.ctc import Decoded, likely
from worker.engine import load_engine
from worker.ppocr import line_recognizer
from worker.recognise import LineRecognizer

CHARSET = Charset(tuple("abcdef"))
ASKED = Constraints(characters=True)


def lattice(*rows: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    chances = np.full((len(rows), CHARSET.classes), 1e-6)
    for row, told in zip(chances, rows, strict=True):
        row[list(told)] = list(told.values())
    return likely(np.log(chances).astype(np.float32), 6, 10.0)


@given(st.lists(st.integers(0, 39), min_size=1, max_size=20, unique=True).map(sorted), st.integers(1, 40))
def test_characters_follow_each_other_within_the_line(steps, length):
    decoded = Decoded([1] * len(steps), [0.95] * len(steps), steps)
    characters = characters_of(decoded, *lattice(*[{1: 0.95}] * 40), CHARSET, length)
    edges = [edge for each in characters for edge in (each.start, each.end)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= 1


def test_a_character_reaches_to_the_middle_between_it_and_its_neighbour():
    decoded = Decoded([1, 2], [0.95, 0.95], [2, 6])
    first, second = characters_of(decoded, *lattice(*[{1: 0.9}] * 10), CHARSET, 10)
    assert (first.start, first.end, second.start, second.end) == (0.0, 0.45, 0.45, 1.0)


def test_only_a_doubtful_character_has_alternatives_the_likeliest_first():
    rows = [{1: 0.5, 2: 0.1, 3: 0.2, 4: 0.07, 5: 0.06, 0: 0.06}, {2: 0.95, 3: 0.04}, {3: 0.8, 4: 0.01, 0: 0.1}]
    decoded = Decoded([1, 2, 3], [0.5, 0.95, 0.8], [0, 1, 2])
    first, sure, alone = characters_of(decoded, *lattice(*rows), CHARSET, 3)
    assert [other for other, _ in first.alternatives] == ["c", "b", "d"]
    assert len(first.alternatives) == MOST_ALTERNATIVES
    assert [chance for _, chance in first.alternatives] == pytest.approx([0.2, 0.1, 0.07], rel=1e-3)
    assert sure.alternatives == alone.alternatives == ()


@pytest.mark.parametrize(
    "recognizer", [lambda: LineRecognizer(load_engine()), lambda: line_recognizer(2)], ids=["crnn", "ppocr"]
)
@pytest.mark.parametrize("text", ["合计人民币12.50元", "INV-2026/0042", "发票专用章" * 12])
def test_characters_stand_where_they_were_drawn(recognizer, text):
    font = ImageFont.truetype(FONT, 40, index=2)
    width = round(font.getlength(text)) + 40
    image = Image.new("RGB", (width, 56), "white")
    ImageDraw.Draw(image).text((20, 0), text, "black", font)
    [free] = recognizer().recognise([np.asarray(image)])
    [reading] = recognizer().recognise([np.asarray(image)], ASKED)
    assert (reading.text, reading.score) == (free.text, pytest.approx(free.score, rel=1e-4))
    assert "".join(character.text for character in reading.characters) == reading.text == text
    assert min(character.score for character in reading.characters) == pytest.approx(reading.score)
    for number, character in enumerate(reading.characters):
        middle = 20 + font.getlength(text[:number]) + font.getlength(text[number]) / 2
        assert abs((character.start + character.end) / 2 * width - middle) < 20


def test_characters_are_told_of_what_constraints_allow():
    font = ImageFont.truetype(FONT, 40, index=2)
    image = Image.new("RGB", (300, 56), "white")
    ImageDraw.Draw(image).text((20, 0), "税额 1 2.50", "black", font)
    recognizer = LineRecognizer(load_engine())
    [reading] = recognizer.recognise([np.asarray(image)], Constraints("amount", characters=True))
    assert "".join(character.text for character in reading.characters) == reading.text
    assert reading.characters[0].start > 0.25
