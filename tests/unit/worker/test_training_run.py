"""Training itself: batches, losses, steps, checkpoints, and what a teacher adds."""

from __future__ import annotations

import csv
import pickle
from dataclasses import replace
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
import torch

from worker.charset import Charset
from worker.crnn import Crnn, CrnnConfig
from worker.preprocess import to_batch
from worker.training import checkpoint
from worker.training.batch import TrainingLine, collate, draw_classes
from worker.training.curve import Curve, plot
from worker.training.data import Chunks, Mixture
from worker.training.kept import read, write
from worker.training.losses import ctc_loss, teacher_loss
from worker.training.real import RealLines
from worker.training.teacher import LIKELIEST, Lesson, Teacher
from worker.training.train import TrainConfig, Trainer, device_named, rate

FULL = Charset.extending("")
DIGITS = Charset(tuple("0123456789 "))
SMALL = {"stem": 4, "stages": ((8, 1), (8, 1), (12, 1)), "rank": 12, "lstm": 8}


@pytest.fixture(autouse=True)
def ordinary_floats():
    """Training flushes subnormal numbers to zero, for the whole process; other tests need them."""
    yield
    torch.set_flush_denormal(False)


def small_network() -> Crnn:
    torch.manual_seed(0)
    return Crnn(CrnnConfig(classes=DIGITS.classes, **SMALL))


def barcode(text: str) -> TrainingLine:
    """Characters as bars of their own height, 24 pixels a character."""
    strip = np.full((48, 24 * len(text)), 255, np.uint8)
    for place, character in enumerate(text):
        strip[: 4 * int(character) + 4, 24 * place + 6 : 24 * place + 18] = 0
    return TrainingLine(strip, np.array(DIGITS.encode(text)))


def lesson(line: TrainingLine, said: str, sure: float = 1.0) -> Lesson:
    """A teacher that reads ``said``, a character every third step, and is ``sure`` of it (and else of a blank)."""
    classes = np.zeros((line.width // 8, LIKELIEST), np.uint16)
    shares = np.zeros(classes.shape, np.float16)
    shares[:, 0] = 1
    for place, number in enumerate(DIGITS.encode(said)):
        classes[3 * place + 1, 1] = number
        shares[3 * place + 1, :2] = 1 - sure, sure
    return Lesson(classes, shares)


def batch_of(*lines: TrainingLine, negatives: int = 0):
    return collate(lines, DIGITS.classes, negatives, seed=1)


# -- data ------------------------------------------------------------------------------------------------------------
def test_chunks_are_reproducible_and_fit_the_network():
    network = CrnnConfig(classes=FULL.classes)
    mixture = Mixture(seed=5, chunk=24, scene=0.25)
    chunks, again = (Chunks(FULL, network, mixture, pixels=2000, negatives=50) for _ in range(2))
    assert sum(len(batch.lengths) for batch in chunks[3]) > 12
    for batch, same in zip(chunks[3], again[3], strict=True):
        assert all(torch.equal(value, getattr(same, name)) for name, value in vars(batch).items())
        count, _, height, width = batch.images.shape
        assert height == 48
        assert count == 1 or count * width <= 2000
        assert batch.lengths.max() <= network.steps(width)
        targets = batch.classes[batch.targets]
        assert targets.min() >= 1
        assert targets.max() < FULL.classes
        assert len(batch.classes) <= len(set(batch.targets.tolist())) + 51


def test_distinct_chunks_come_again_in_another_order():
    network = CrnnConfig(classes=FULL.classes)
    chunks = Chunks(FULL, network, Mixture(seed=5, chunk=12), pixels=1500, negatives=0, distinct=2)

    def lines(number: int) -> list[bytes]:
        return [image.numpy().tobytes() for batch in chunks[number] for image in batch.images]

    assert sorted(lines(0)) == sorted(lines(2)) != sorted(lines(1))
    assert lines(0) != lines(2)


def test_a_batch_is_what_inference_would_see():
    lines = [barcode("0123"), barcode("45")]
    batch = batch_of(*lines)
    expected = to_batch([line.strip for line in lines], lines[0].width)
    np.testing.assert_allclose(batch.inputs().numpy(), expected, atol=1e-6)


def test_a_batch_goes_whole_from_process_to_process():
    batch = batch_of(barcode("0123"), barcode("45"))
    data = pickle.dumps(batch)
    assert all(torch.equal(value, getattr(batch, name)) for name, value in vars(pickle.loads(data)).items())


def test_kept_lines_are_those_that_were_drawn(tmp_path):
    plain = barcode("01")
    lines = [plain, replace(barcode("234"), labels=np.zeros(0, np.int64)), replace(plain, lesson=lesson(plain, "07"))]
    write(tmp_path / "kept" / "0.npz", lines)
    for one, two in zip(lines, read(tmp_path / "kept" / "0.npz"), strict=True):
        assert (one.strip == two.strip).all()
        assert one.labels.tolist() == two.labels.tolist()
        assert (one.lesson is None) == (two.lesson is None)
    assert (two.lesson.classes == lines[2].lesson.classes).all()
    assert (two.lesson.shares == lines[2].lesson.shares).all()


@pytest.mark.parametrize("negatives", [0, 5, 500])
def test_the_loss_sees_blank_the_lines_classes_and_some_others(negatives):
    classes, added = draw_classes(np.array([0, 3, 7]), 20, negatives, seed=1)
    assert classes[:3].tolist() == [0, 3, 7]
    assert len(set(classes.tolist())) == len(classes) == 3 + (negatives if negatives == 5 else 17)
    assert added[:3].tolist() == [0, 0, 0]
    # Each drawn class stands for as many as it has to.
    assert np.exp(added[3:]).sum() == pytest.approx(17, rel=1e-5)


def test_a_batch_names_its_targets_among_its_classes():
    taught = replace(barcode("77"), lesson=lesson(barcode("77"), "71"))
    batch = batch_of(barcode("31"), taught, negatives=2)
    assert DIGITS.decode(batch.classes[batch.targets].tolist()) == "3177"
    assert batch.classes[batch.taught[1, 4, 1]] == DIGITS.encode("1")[0]
    assert batch.shares[0].sum() == 0
    assert len(batch.classes) == len(batch.added) == 1 + 3 + 2


def test_real_lines_vary_and_keep_their_secret(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), barcode("0123").strip)
    (tmp_path / "lines.jsonl").write_text('{"image": "a.png", "repository": "a/b"}\n', encoding="utf-8")
    lines = [RealLines(tmp_path).line(Random(seed)) for seed in range(6)]
    assert {line.text for line in lines} == {""}
    assert len({line.image.tobytes() for line in lines}) > 3
    assert (lines[0].image == RealLines(tmp_path).line(Random(0)).image).all()
    with pytest.raises(FileNotFoundError):
        RealLines(tmp_path / "nowhere")


# -- the teacher -----------------------------------------------------------------------------------------------------
class Engine:
    """Says of each step of a strip how dark it is: class 1 for black, class 2 for white, class 3 in between."""

    charset = Charset(("白", "7", "0"))

    def run(self, batch: np.ndarray) -> np.ndarray:
        tone = batch[:, 0].reshape(len(batch), 48, -1, 8).mean((1, 3))
        likely = np.where(tone < -0.9, 1, np.where(tone > 0.9, 2, 3))
        probabilities = np.full((*likely.shape, 4), 0.1, np.float32)
        np.put_along_axis(probabilities, likely[..., None], 0.7, -1)
        return np.log(probabilities)


def test_a_lesson_is_in_the_learners_numbers():
    strip = np.concatenate((np.full((48, 16), 255, np.uint8), np.zeros((48, 16), np.uint8)), axis=1)
    [said] = Teacher(DIGITS, Engine()).teach([strip], [320])
    assert said.classes.shape == said.shares.shape == (40, LIKELIEST)
    seven = DIGITS.encode("7")[0]
    for step in (0, 1):
        share = dict(zip(said.classes[step].tolist(), said.shares[step].tolist(), strict=True))
        assert share[seven] == pytest.approx(0.7, abs=1e-3)
    # 白 is unknown to the learner: nothing is said in its place.
    assert said.shares[2].sum() == pytest.approx(0.3, abs=1e-2)
    # Behind the teacher's own padding (160 pixels) there is nothing but blanks.
    assert (said.classes[20:, 0] == 0).all()
    assert (said.shares[20:, 0] == 1).all()


def test_lessons_come_in_the_order_of_the_strips():
    strips = [np.full((48, width), tone, np.uint8) for width, tone in ((400, 0), (40, 255), (400, 255), (40, 0))]
    teacher = Teacher(Charset(("白", "7")), Engine())
    lessons = teacher.teach(strips, [448, 320, 448, 320])
    likeliest = [each.classes[0, each.shares[0].argmax()] for each in lessons]
    assert likeliest == [1, 2, 2, 1]


# -- losses ----------------------------------------------------------------------------------------------------------
def test_the_loss_is_the_negative_log_likelihood():
    logits = torch.log(torch.tensor([[[0.5, 0.4, 0.1], [0.5, 0.4, 0.1]]]))
    batch = replace(batch_of(barcode("0")), targets=torch.tensor([1]))
    likelihood = 0.4 * 0.4 + 2 * 0.4 * 0.5
    assert ctc_loss(logits, batch).item() == pytest.approx(-np.log(likelihood), rel=1e-5)


def test_a_line_without_a_text_leaves_the_characters_loss_alone():
    known, unknown = barcode("01"), replace(barcode("23"), labels=np.zeros(0, np.int64))
    logits = torch.randn(2, 40, DIGITS.classes, generator=torch.Generator().manual_seed(1))
    assert torch.equal(batch_of(known, unknown).classes, batch_of(known).classes)
    both, alone = ctc_loss(logits, batch_of(known, unknown)), ctc_loss(logits[:1], batch_of(known))
    assert both.item() == pytest.approx(alone.item(), rel=1e-5)


def test_the_teachers_loss_is_zero_for_who_says_the_same():
    line = barcode("0123")
    batch = batch_of(replace(line, lesson=lesson(line, "0123", sure=0.8)))
    same = torch.zeros(1, 40, len(batch.classes)).scatter_add(-1, batch.taught, batch.shares).clamp_min(1e-9).log()
    assert teacher_loss(same, batch).item() == pytest.approx(0, abs=1e-3)
    assert teacher_loss(torch.zeros_like(same), batch).item() > 1


def test_a_character_may_be_named_one_step_beside_the_teachers_not_two():
    line = barcode("0123")
    batch = batch_of(replace(line, lesson=lesson(line, "5")))
    five = batch.classes.tolist().index(DIGITS.encode("5")[0])
    losses = []
    for step in (1, 2, 0, 3):
        logits = torch.zeros(1, 40, len(batch.classes))
        logits[..., 0] = 20
        logits[0, step, 0], logits[0, step, five] = 0, 20
        losses.append(teacher_loss(logits, batch).item())
    assert losses[:3] == pytest.approx([0, 0, 0], abs=1e-3)
    assert losses[3] > 10


def test_lines_without_a_lesson_are_not_taught():
    batch = batch_of(barcode("0123"))
    logits = torch.randn(1, 40, len(batch.classes), requires_grad=True)
    teacher_loss(logits, batch).backward()
    assert logits.grad.abs().sum() == 0


# -- steps -----------------------------------------------------------------------------------------------------------
def test_the_rate_rises_then_falls():
    config = TrainConfig(steps=1000, warmup=0.1, decay=0.4)
    rates = [rate(step, config) for step in range(1000)]
    assert max(rates) == pytest.approx(1)
    assert rates[:100] == sorted(rates[:100])
    assert rates[99:601] == [1.0] * 502
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert rates[-1] == pytest.approx(0.02)


def test_training_learns_and_resumes(tmp_path: Path):
    batch = batch_of(*map(barcode, ["0123", "4567", "8901", "2468", "1357", "9630"]))
    config = TrainConfig(steps=160, frozen=0.0, lr_pretrained=5e-3, lr_new=5e-3, bf16=False, device="cpu")
    trainer = Trainer(small_network(), DIGITS, config, tmp_path, (), known=0)
    losses = [trainer.update(batch)["ctc"] for _ in range(60)]
    assert losses[-1] < 0.6 * losses[0]
    trainer.save()
    resumed = Trainer.from_folder(tmp_path, config, ())
    assert resumed.step == 60
    assert resumed.update(batch)["ctc"] == pytest.approx(trainer.update(batch)["ctc"], rel=1e-4)


@pytest.mark.parametrize("device", [name for name in ("cpu", "cuda") if name == "cpu" or torch.cuda.is_available()])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_network_learns_from_a_teacher_alone(tmp_path, device, bf16):
    lines = [barcode(text) for text in ("0123", "4567", "8901")]
    silent = [
        replace(line, labels=np.zeros(0, np.int64), lesson=lesson(line, text))
        for line, text in zip(lines, ("0123", "4567", "8901"), strict=True)
    ]
    config = TrainConfig(
        steps=160, frozen=0.0, lr_pretrained=5e-3, lr_new=5e-3, bf16=bf16, teacher=0.5, hold=False, device=device
    )
    trainer = Trainer(small_network(), DIGITS, config, tmp_path, (), known=11)
    rows = [trainer.update(batch_of(*silent)) for _ in range(40)]
    assert rows[-1]["teacher"] < 0.6 * rows[0]["teacher"]
    assert {row["ctc"] for row in rows} == {0.0}


def test_what_the_warm_start_knows_is_held(tmp_path):
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    config = TrainConfig(steps=10, frozen=0.5, bf16=False, device="cpu")
    Trainer(network, DIGITS, config, tmp_path, (), known=3).update(batch_of(barcode("0123")))
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith(("lstm", "context", "classify")) for name in moved)
    assert torch.equal(network.classify.weight[:4], before["classify.weight"][:4])
    assert not torch.equal(network.classify.weight[4:], before["classify.weight"][4:])


def test_where_nothing_is_held_known_characters_move(tmp_path):
    network = small_network()
    before = network.classify.weight.detach().clone()
    config = TrainConfig(steps=10, frozen=0.0, hold=False, bf16=False, device="cpu")
    Trainer(network, DIGITS, config, tmp_path, (), known=3).update(batch_of(barcode("0123")))
    assert not torch.equal(network.classify.weight[1:4], before[1:4])


def test_the_lowest_blocks_may_stand_still_for_good(tmp_path):
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    config = TrainConfig(steps=10, frozen=0.0, still=1, bf16=False, device="cpu")
    trainer = Trainer(network, DIGITS, config, tmp_path, (), known=3)
    for _ in range(2):  # the first step's rate is zero for what is pretrained
        trainer.update(batch_of(barcode("0123")))
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert not any(name.startswith(("stem", "blocks.0")) for name in moved)
    assert {"blocks.1.mix.weight", "embed.weight"} <= moved


def test_a_device_is_named_or_found():
    assert device_named("cpu").type == "cpu"
    assert device_named("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        device_named("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_said():
    with pytest.raises(ValueError, match="no CUDA device"):
        device_named("cuda")


# -- records ---------------------------------------------------------------------------------------------------------
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


def test_a_curve_goes_on_where_it_stopped(tmp_path):
    for steps in ((50, 100), (150,)):
        with Curve(tmp_path) as curve:
            for step in steps:
                curve.add(step, ctc=1 / step, rate=0.5)
    with (tmp_path / "curve.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["50", "100", "150"]
    plot(tmp_path)
    assert (tmp_path / "curve.png").stat().st_size > 1000
    assert sum(path.stat().st_size for path in (tmp_path / "events").iterdir()) > 100
