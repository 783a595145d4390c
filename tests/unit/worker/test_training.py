"""What makes the weights. Texts and shapes of the generated lines; the fonts' look is a matter for ``sheet``."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from worker.charset import Charset, big5_frequent_hanzi, gb2312_hanzi
from worker.crnn import Crnn, CrnnConfig
from worker.training import capture, checkpoint, vocabulary
from worker.training.data import Batch, Chunks
from worker.training.evaluate import CONDITIONS, edit_distance, folder_lines, held_out, normalise, score
from worker.training.fonts import CATALOGUE, Fonts
from worker.training.lines import LineGenerator
from worker.training.texts import Texts
from worker.training.train import TrainConfig, Trainer, ctc_loss, draw_classes, rate

FULL = Charset.extending("")
DIGITS = Charset(tuple("0123456789 "))
SMALL = {"stem": 4, "stages": ((8, 1), (8, 1), (12, 1)), "rank": 12, "lstm": 8}


@pytest.fixture(autouse=True)
def ordinary_floats():
    """Training flushes subnormal numbers to zero, for the whole process; other tests need them."""
    yield
    torch.set_flush_denormal(False)


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


# -- training --------------------------------------------------------------------------------------------------------
def small_network() -> Crnn:
    torch.manual_seed(0)
    return Crnn(CrnnConfig(classes=DIGITS.classes, **SMALL))


def barcode(text: str) -> np.ndarray:
    """Characters as bars of their own height, 24 pixels a character."""
    image = np.full((48, 24 * len(text)), 1.0, np.float32)
    for place, character in enumerate(text):
        image[: 4 * int(character) + 4, 24 * place + 6 : 24 * place + 18] = -1
    return image


def test_chunks_are_reproducible_and_fit_the_network(generator):
    network = CrnnConfig(classes=FULL.classes)
    chunks, again = (Chunks(FULL, network, seed=5, chunk=24, pixels=2000) for _ in range(2))
    assert sum(len(batch.lengths) for batch in chunks[3]) > 12
    for batch, same in zip(chunks[3], again[3], strict=True):
        assert (batch.images == same.images).all()
        assert (batch.targets == same.targets).all()
        count, _, height, width = batch.images.shape
        assert height == 48
        assert count == 1 or count * width <= 2000
        assert batch.lengths.max() <= network.steps(width)
        assert batch.targets.min() >= 1
        assert batch.targets.max() < FULL.classes


def test_the_loss_is_the_negative_log_likelihood():
    logits = torch.log(torch.tensor([[[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]]]))
    batch = Batch(np.zeros((1, 1, 48, 16), np.float32), np.array([1]), np.array([1]))
    likelihood = 0.4 * 0.4 + 2 * 0.4 * 0.5
    assert ctc_loss(logits, batch).item() == pytest.approx(-np.log(likelihood), rel=1e-5)


def test_the_rate_rises_then_falls():
    config = TrainConfig(steps=1000, warmup=0.1, decay=0.4)
    rates = [rate(step, config) for step in range(1000)]
    assert max(rates) == pytest.approx(1)
    assert rates[:100] == sorted(rates[:100])
    assert rates[99:601] == [1.0] * 502
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert rates[-1] == pytest.approx(0.02)


def test_training_learns_and_resumes(tmp_path: Path):
    texts = ["0123", "4567", "8901", "2468", "1357", "9630"]
    images = np.stack([barcode(text) for text in texts])[:, None]
    batch = Batch(images, np.array(DIGITS.encode("".join(texts))), np.full(len(texts), 4))
    config = TrainConfig(steps=160, frozen=0.0, lr_pretrained=5e-3, lr_new=5e-3, bf16=False)
    trainer = Trainer(small_network(), DIGITS, config, tmp_path, (), known=0)
    losses = [trainer.update(batch)[0] for _ in range(60)]
    assert losses[-1] < 0.6 * losses[0]
    trainer.save()
    resumed = Trainer.from_folder(tmp_path, config, ())
    assert resumed.step == 60
    assert resumed.update(batch)[0] == pytest.approx(trainer.update(batch)[0], rel=1e-4)


def test_what_the_warm_start_knows_is_kept(tmp_path):
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch = Batch(barcode("0123")[None, None], np.array(DIGITS.encode("0123")), np.array([4]))
    config = TrainConfig(steps=10, frozen=0.5, bf16=False)
    Trainer(network, DIGITS, config, tmp_path, (), known=3).update(batch)
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith(("lstm", "context", "classify")) for name in moved)
    assert torch.equal(network.classify.weight[:4], before["classify.weight"][:4])
    assert not torch.equal(network.classify.weight[4:], before["classify.weight"][4:])


@pytest.mark.parametrize("negatives", [0, 5, 500])
def test_the_loss_sees_blank_the_lines_classes_and_some_others(negatives):
    batch = Batch(np.zeros((1, 1, 48, 32), np.float32), np.array([7, 3, 7]), np.array([3]))
    classes, added, places = draw_classes(batch, 20, negatives, seed=1)
    assert classes[:3].tolist() == [0, 3, 7]
    assert len(set(classes.tolist())) == len(classes) == 3 + (negatives if negatives == 5 else 17)
    assert classes[places.targets].tolist() == [7, 3, 7]
    assert added[:3].tolist() == [0, 0, 0]
    # Each drawn class stands for as many as it has to.
    assert torch.exp(added[3:]).sum().item() == pytest.approx(17, rel=1e-5)


def test_averaged_weights_can_be_mixed_with_the_warm_start(tmp_path):
    network = small_network()
    checkpoint.write(tmp_path / checkpoint.WARM_START, network, DIGITS, 3)
    average = {name: value + 1 for name, value in network.state_dict().items()}
    checkpoint.write(tmp_path / checkpoint.CHECKPOINT, network, DIGITS, 3, average=average)
    mixed, charset = checkpoint.averaged(tmp_path, share=0.25, prior=2.0)
    assert charset == DIGITS
    expected = {name: value + 0.25 for name, value in network.state_dict().items()}
    expected["classify.bias"][4:] -= 2.0  # the blank and three known characters keep theirs
    for name, value in mixed.state_dict().items():
        torch.testing.assert_close(value, expected[name])


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


@pytest.mark.parametrize("condition", [*CONDITIONS, "mixed"])
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
