from __future__ import annotations

import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from worker.charset import Charset
from worker.constraints import UNCONSTRAINED, Constraints
from worker.engine import default_weights, load_engine
from worker.recognise import LONGEST, OVERLAP, WINDOW, LineRecognizer, padded_width, stitch, windows
from worker.types import LineReading


def printed(text: str, size: int = 40, pad: int = 10) -> np.ndarray:
    """Black print on white, RGB."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("RGB", (int(right - left) + 2 * pad, int(bottom - top) + pad), "white")
    ImageDraw.Draw(image).text((pad - left, pad // 2 - top), text, "black", font)
    return np.asarray(image)


class Ruler:
    """An engine that reads grey levels: each 8 pixels' level names the class, so that a strip says where it is."""

    revision = "ruler"
    charset = Charset(tuple(map(chr, range(0x4E00, 0x4E00 + 250))))
    height = 48
    step = 8

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.shapes.append(batch.shape)
        levels = np.round((batch[:, 0, 24, 4::8] + 1) * 127.5).astype(np.int64)
        levels[levels == 128] = 0  # the padding's mid grey is a blank
        return levels, np.full(levels.shape, 0.5, np.float32)

    def run(self, batch: np.ndarray) -> np.ndarray:
        raise AssertionError("greedy decoding needs the best classes only")


def ruled(levels: list[int]) -> np.ndarray:
    """A strip that the ruler reads as ``levels``."""
    return np.repeat(np.array(levels, np.uint8), 8)[None].repeat(48, 0)


@pytest.fixture(scope="module")
def recogniser() -> LineRecognizer:
    return LineRecognizer(load_engine())


# -- reading ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text", ["Invoice 2024-05-17", "TOTAL RM 1,280.50", "91110108MA01", "a", "GST @6%", "(03)7728"]
)
def test_print_is_read(recogniser, text):
    reading = recogniser.recognise([printed(text)])[0]
    assert reading.text == text
    assert 0.5 < reading.score <= 1


def test_light_print_on_dark_is_read(recogniser):
    assert recogniser.recognise([255 - printed("Invoice 2024")])[0].text == "Invoice 2024"


def test_grey_and_colour_crops_read_alike(recogniser):
    colour = printed("Subtotal 42.10")
    assert recogniser.recognise([colour]) == recogniser.recognise([colour[:, :, 0]])


def test_order_is_kept_and_batches_change_nothing(recogniser):
    texts = ["7", "Change 0.50", "THANK YOU PLEASE COME AGAIN", "7", "12/05/2018 14:22", "Cashier: Mary"]
    crops = [printed(text) for text in texts]
    together = recogniser.recognise(crops)
    assert [reading.text for reading in together] == texts
    alone = [recogniser.recognise([crop])[0] for crop in crops]
    for one, other in zip(together, alone, strict=True):
        assert one.text == other.text
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_a_very_long_line_is_read_whole(recogniser):
    words = ("the", "total", "amount", "of", "this", "invoice", "is", "due", "within", "thirty", "days", "after")
    text = " ".join(f"{word} {number}" for number, word in enumerate(words * 4, start=10))
    crop = printed(text)
    assert crop.shape[1] * 48 / crop.shape[0] > 4 * WINDOW
    reading = recogniser.recognise([crop])[0].text
    assert reading.replace(" ", "") == text.replace(" ", "")  # windows can lose characters; spaces are the network's


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3, 3), (48, 8), (300, 20), (20, 3000, 3)])
@pytest.mark.parametrize("level", [0, 255])
def test_blank_crops_of_any_shape_say_nothing(recogniser, shape, level):
    reading = recogniser.recognise([np.full(shape, level, np.uint8)])[0]
    assert (reading.text, reading.score) == ("", 0.0)


def test_noise_of_any_shape_is_survived(recogniser):
    noise = np.random.default_rng(0)
    crops = [noise.integers(0, 256, shape, np.uint8) for shape in ((1, 1), (1, 5000), (7, 2, 3), (64, 64), (90, 10))]
    readings = recogniser.recognise(crops)
    assert len(readings) == len(crops)
    assert all(0 <= reading.score <= 1 for reading in readings)


def test_no_crops_no_readings(recogniser):
    assert recogniser.recognise([]) == []


def test_the_revision_is_the_file_names(recogniser):
    assert default_weights().name == f"crnn-{recogniser.revision}.onnx"


# -- windows and batches ---------------------------------------------------------------------------------------------
@given(st.integers(1, 40_000))
def test_windows_cover_a_strip(width):
    spans = windows(width)
    assert spans[0][0] == 0
    assert spans[-1][1] == width
    assert all(end - start <= WINDOW and start % 8 == 0 for start, end in spans)
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end - start == OVERLAP


@given(st.integers(1, WINDOW))
def test_padding_is_little_and_shapes_are_few(width):
    padded = padded_width(width)
    assert padded % 32 == 0
    assert width <= padded <= max(width + 32, width * 1.2 + 1)
    assert len({padded_width(other) for other in range(1, WINDOW + 1)}) <= 20


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=700), st.integers(1, 5))
def test_long_strips_lose_and_double_nothing(levels, max_batch):
    reading = LineRecognizer(Ruler(), max_batch=max_batch).recognise([ruled(levels)])[0]
    merged = [level for level, before in zip(levels, [0, *levels], strict=False) if level != before]
    assert reading.text == Ruler.charset.decode(merged)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=20), st.integers(1, 9), st.integers(1, 4))
def test_what_all_threads_see_at_a_time_is_bounded(lengths, max_batch, threads):
    ruler = Ruler()
    crops = [ruled([number % 100 + 1] * length) for number, length in enumerate(lengths)]
    readings = LineRecognizer(ruler, max_batch=max_batch, threads=threads).recognise(crops)
    assert [reading.text for reading in readings] == [Ruler.charset.decode([i % 100 + 1]) for i in range(len(lengths))]
    assert sum(shape[0] for shape in ruler.shapes) == len(lengths)
    share = max_batch / threads
    for count, _, _, width in ruler.shapes:
        assert count == 1 or (count <= share and count * width <= share * 320)


def test_batches_are_read_on_as_many_threads_as_there_are():
    class Meeting(Ruler):
        """Goes on when two batches are being read."""

        both = threading.Barrier(2)

        def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            self.both.wait(timeout=10)
            return super().best(batch)

    readings = LineRecognizer(Meeting(), max_batch=2, threads=2).recognise([ruled([1]), ruled([2])])
    assert [reading.text for reading in readings] == [Ruler.charset.decode([1]), Ruler.charset.decode([2])]


def test_a_strip_beyond_reason_is_squeezed():
    ruler = Ruler()
    LineRecognizer(ruler).recognise([np.zeros((1, 5000), np.uint8)])
    assert sum(count * width for count, _, _, width in ruler.shapes) <= 1.5 * LONGEST


@pytest.mark.parametrize(
    ("left", "right", "drop"),
    [
        ([9, 9, 0, 0, 5, 5], [0, 0, 5, 5], 1),  # blanks agree at the shared steps 0 and 1
        ([7, 7, 7, 7], [7, 7, 7, 7], 2),  # no blank, yet they agree: the middle
        ([1, 2, 3, 4], [5, 6, 7, 8], 2),  # nothing agrees: the middle
        ([0, 0, 0, 4], [0, 0, 0, 8], 2),
    ],
)
def test_windows_change_where_they_agree(left, right, drop):
    assert stitch(np.array(left), np.array(right), 4) == drop


# -- engines ---------------------------------------------------------------------------------------------------------
def test_serving_needs_no_torch():
    script = "import sys, worker.recognise, worker.engine; worker.engine.load_engine(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="onnx, torch"):
        load_engine("tensorflow")
    with pytest.raises(ValueError, match="thread"):
        load_engine(threads=0)


@pytest.mark.parametrize("nothing", ["max_batch", "threads"])
def test_a_batch_holds_a_crop_and_a_thread_reads_it(nothing):
    with pytest.raises(ValueError, match="at least one"):
        LineRecognizer(Ruler(), **{nothing: 0})


def test_full_probabilities_and_best_classes_agree():
    engine = load_engine()
    batch = np.random.default_rng(3).uniform(-1, 1, (2, 1, 48, 64)).astype(np.float32)
    log_probs = engine.run(batch)
    best, probability = engine.best(batch)
    assert log_probs.shape == (2, 8, engine.charset.classes)
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1, rtol=1e-4)
    assert (log_probs.argmax(-1) == best).all()
    np.testing.assert_allclose(np.exp(log_probs.max(-1)), probability, rtol=1e-4)


# -- what is known of a text -----------------------------------------------------------------------------------------
class Told:
    """An engine that gives every step of a strip the probabilities it is told, a step a row."""

    revision = "told"
    charset = Charset(tuple("O0l1Xab "))
    height, step = 48, 8

    def __init__(self, *rows: dict[str, float]) -> None:
        chances = np.full((len(rows), self.charset.classes), 1e-6)
        for row, told in zip(chances, rows, strict=True):
            for character, chance in told.items():
                row[self.charset.encode(character)[0] if character else 0] = chance
        self._log_probs = np.log(chances / chances.sum(1, keepdims=True)).astype(np.float32)

    def run(self, batch: np.ndarray) -> np.ndarray:
        blank = np.full((batch.shape[3] // 8, self.charset.classes), np.log(1e-6), np.float32)
        blank[:, 0] = 0.0
        blank[: len(self._log_probs)] = self._log_probs
        return np.stack([blank] * len(batch))

    def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_probs = self.run(batch)
        return log_probs.argmax(-1), np.exp(log_probs.max(-1))

    def read(self, constraints: Constraints = UNCONSTRAINED) -> LineReading:
        [reading] = LineRecognizer(self).recognise([np.zeros((48, 8 * len(self._log_probs)), np.uint8)], constraints)
        return reading


def test_look_alikes_become_what_is_allowed_and_others_are_left_out():
    engine = Told(
        {"O": 0.9, "0": 0.05, "": 0.01},
        {"l": 0.9, "1": 0.01, "": 0.05},
        {"1": 0.9, "": 0.01},
        {"X": 0.9, "0": 1e-4, "": 0.01},
    )
    assert engine.read().text == "Ol1X"
    assert engine.read(Constraints("digits")).text == "011"
    assert engine.read(Constraints("lower")).text == "l"


def test_a_lexicon_decides_what_is_doubtful_and_the_score_says_so():
    engine = Told({"a": 0.9}, {"O": 0.6, "0": 0.3}, {"b": 0.98})
    assert engine.read().text == engine.read(Constraints(lexicon=("b0a", "a0b1"))).text == "aOb"
    reading = engine.read(Constraints(lexicon=("a0",)))
    assert reading.text == "a0b"
    assert reading.score == pytest.approx(0.3 / 0.9, rel=0.01)


def test_a_pattern_decides_what_is_doubtful_and_the_score_says_so():
    engine = Told({"a": 0.9}, {"O": 0.6, "0": 0.3}, {"b": 0.98})
    reading = engine.read(Constraints(pattern=r"[a-z]\d[a-z]"))
    assert reading.text == "a0b"
    assert reading.score == pytest.approx(0.3 / 0.9, rel=0.01)


@pytest.mark.parametrize(
    "pattern",
    [
        "aOb|a0b",  # as it is read, it matches
        r"\d+",  # what would match is not likely
        "[a-z]X[a-z]",
        "a0",  # the b is sure
    ],
)
def test_a_line_that_does_not_nearly_match_stays_as_it_is(pattern):
    engine = Told({"a": 0.9}, {"O": 0.6, "0": 0.3, "X": 0.02}, {"b": 0.98})
    assert engine.read(Constraints(pattern=pattern)) == engine.read()


def test_nothing_that_is_read_surely_is_overruled():
    engine = Told({"a": 0.95}, {"O": 0.95, "0": 0.04}, {"b": 0.98})
    assert engine.read(Constraints(pattern=r"a\db")).text == "aOb"


def test_no_text_is_made_for_a_pattern_where_none_is_read():
    engine = Told({"": 0.6, "1": 0.3}, {"": 0.9})
    assert engine.read(Constraints(pattern=r"\d")).text == ""


def test_a_pattern_has_the_last_word_over_a_lexicon_and_keeps_to_the_character_set():
    engine = Told({"a": 0.5, "b": 0.4}, {"": 0.9}, {"O": 0.6, "0": 0.3})
    assert engine.read(Constraints(lexicon=("bO",), pattern=r"[ab]\d")).text == "a0"
    assert engine.read(Constraints(charset="lower", pattern=r"b\d?")).text == "b"


def test_words_with_characters_that_no_engine_knows_are_passed_over():
    assert Told({"a": 0.6, "b": 0.3}).read(Constraints(lexicon=("发票", "b票"))).text == "a"


def test_no_look_alike_is_lost_for_a_word_elsewhere():
    engine = Told({"l": 0.9, "1": 1e-3, "": 0.05}, {"": 0.9}, {"1": 0.6, "0": 0.35}, {"": 0.9}, {"1": 0.9})
    assert engine.read(Constraints("digits")).text == "111"
    assert engine.read(Constraints("digits", ("01",))).text == "111"


@settings(deadline=None)
@given(st.lists(st.sampled_from("O0l1Xab "), max_size=6), st.sampled_from(["digits", "lower", ":X"]))
def test_a_reading_says_only_what_is_allowed(texts, charset):
    rows = [{character: 0.7, "0": 0.1, "": 0.1, "a": 0.05} for character in texts] or [{"": 1.0}]
    assert Constraints(charset).allows(Told(*rows).read(Constraints(charset)).text)


def test_windows_are_joined_under_constraints_as_without(recogniser):
    crop = printed("0123456789 " * 14)
    freely, digits = (recogniser.recognise([crop], each)[0].text for each in (UNCONSTRAINED, Constraints("digits")))
    assert freely == digits == ("0123456789 " * 14).strip()
    words = Constraints(lexicon=("0123456789",))
    assert recogniser.recognise([crop], words)[0].text == freely
