"""What training sees: chunks of lines, drawn and real, with or without what the teacher says, in batches.

Chunk ``k`` is a pure function of the mixture and ``k``. What the teacher says costs more than all the rest, so chunks
with it are kept on disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from worker.charset import BLANK, Charset
from worker.crnn import CrnnConfig
from worker.preprocess import Preprocess
from worker.recognise import WINDOW, padded_width
from worker.training.lines import GeneratedLine, LineGenerator
from worker.training.real import RealLines
from worker.training.scene import SceneGenerator
from worker.training.teacher import LIKELIEST, STEP, Lesson, Teacher


@dataclass(frozen=True)
class Mixture:
    """What a chunk is made of.

    ``chunk`` lines, of them the shares ``scene`` and ``real``; the latter come from the folder ``collected``. ``fresh``
    characters are drawn often; ``fonts`` are more folders with the generator's fonts. With ``taught``, the teacher
    says what it reads in scene and real lines, and chunks are kept in the folder ``kept``. It is not asked about the
    other lines: it costs as much as a step, and they are drawn well enough to speak for themselves.
    """

    seed: int = 1
    chunk: int = 1024
    scene: float = 0.0
    real: float = 0.0
    collected: Path | None = None
    fresh: str = ""
    fonts: tuple[Path, ...] = ()
    taught: bool = False
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """uint8 ``strip`` (48, w), its classes ``labels`` (empty: nobody knows them) and what the teacher says."""

    strip: np.ndarray
    labels: np.ndarray
    lesson: Lesson | None = None

    @property
    def width(self) -> int:
        """The padded width in pixels."""
        return line_width(self.strip)


def line_width(strip: np.ndarray) -> int:
    """The width in pixels that a strip is padded to, in training as in inference."""
    return padded_width(max(strip.shape[1], Preprocess.minimum_width))


@dataclass(frozen=True)
class Batch:
    """Lines of one padded width.

    uint8 ``images`` (N, 1, 48, W), their ``widths`` (N,) in pixels; class indices ``targets``, concatenated, and their
    ``lengths`` (N,), 0 where the text is unknown. The teacher's likeliest classes ``taught`` (N, T, k) and their
    probabilities ``shares`` (N, T, k), zeros where it was not asked.
    ``classes`` (K,) are those that the loss looks at, ``added`` (K,) what is added to their logits; ``targets`` and
    ``taught`` are places in ``classes``.
    """

    images: Tensor
    widths: Tensor
    targets: Tensor
    lengths: Tensor
    taught: Tensor
    shares: Tensor
    classes: Tensor
    added: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; from pinned memory without waiting for it. CTC wants the lengths on the CPU."""
        moved = {each.name: getattr(self, each.name) for each in fields(self)}
        moved |= {name: value.to(device, non_blocking=True) for name, value in moved.items() if name != "lengths"}
        return Batch(**moved)

    def pin_memory(self) -> Batch:
        """The batch in pinned memory, as ``DataLoader`` asks for it."""
        return Batch(**{each.name: getattr(self, each.name).pin_memory() for each in fields(self)})

    def __reduce__(self) -> tuple:
        # As tensors they would go from process to process in a file descriptor each: too many of them.
        return _batch, tuple(getattr(self, each.name).numpy() for each in fields(self))

    def inputs(self) -> Tensor:
        """float32 (N, 1, 48, W) in -1..1, mid grey (0) behind each line's end: :func:`worker.preprocess.to_batch`."""
        columns = torch.arange(self.images.shape[-1], device=self.images.device)
        inside = (columns < self.widths[:, None]).float()[:, None, None]
        return (self.images.float() * (1 / 127.5) - 1) * inside


def _batch(*arrays: np.ndarray) -> Batch:
    return Batch(*map(torch.from_numpy, arrays))


def draw_classes(needed: np.ndarray, classes: int, negatives: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The classes of one step's loss: ``needed`` (sorted), and ``negatives`` of the others at random (0: all).

    Returns the class indices (K,), the needed ones first, and what is added to each one's logit (K,) float32. The
    drawn ones stand for all others (log of the inverse share is added to their logits), so that the sum over classes
    is right on average: importance sampling after Bengio and Senecal (2003).
    """
    others = np.setdiff1d(np.arange(classes), needed, assume_unique=True)
    drawn = others
    if 0 < negatives < len(others):
        drawn = np.random.default_rng(seed).choice(others, negatives, replace=False)
    added = np.zeros(len(needed) + len(drawn), np.float32)
    if len(drawn):
        added[len(needed) :] = np.log(len(others) / len(drawn))
    return np.concatenate((needed, drawn)), added


def collate(lines: Sequence[TrainingLine], classes: int, negatives: int, seed: int) -> Batch:
    """One batch of lines of one padded width."""
    width = lines[0].width
    images = np.zeros((len(lines), 1, lines[0].strip.shape[0], width), np.uint8)
    for row, line in zip(images[:, 0], lines, strict=True):
        row[:, : line.strip.shape[1]] = line.strip
    targets = np.concatenate([line.labels for line in lines]).astype(np.int64)
    taught = np.zeros((len(lines), width // STEP, LIKELIEST), np.int64)
    shares = np.zeros(taught.shape, np.float32)
    for number, line in enumerate(lines):
        if line.lesson is not None:
            taught[number], shares[number] = line.lesson.classes, line.lesson.shares
    needed = np.unique(np.concatenate(([BLANK], targets, taught.ravel())))  # sorted: the blank stays class 0
    chosen, added = draw_classes(needed, classes, negatives, seed)
    return _batch(
        images,
        np.array([line.strip.shape[1] for line in lines]),
        np.searchsorted(needed, targets),
        np.array([len(line.labels) for line in lines]),
        np.searchsorted(needed, taught),
        shares,
        chosen,
        added,
    )


class Chunks(Dataset):
    """Chunk ``k`` as a list of batches; a batch's lines x padded width is at most ``pixels``.

    Of ``distinct`` chunks, in rotation (0: no two are the same). Lines wider than a window or too dense for the time
    steps are left out. ``negatives`` as in :func:`draw_classes`.
    """

    def __init__(
        self, charset: Charset, network: CrnnConfig, mixture: Mixture, pixels: int, negatives: int, distinct: int = 0
    ) -> None:
        self._charset, self._network, self._mixture = charset, network, mixture
        self._pixels, self._negatives, self._distinct = pixels, negatives, distinct

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, number: int) -> list[Batch]:
        lines = self.lines(number % self._distinct if self._distinct else number)
        random = Random(f"{self._mixture.seed}/{number}")
        random.shuffle(lines)
        buckets: dict[int, list[TrainingLine]] = {}
        for line in lines:
            buckets.setdefault(line.width, []).append(line)
        parts = []
        for width, members in sorted(buckets.items()):
            size = max(1, self._pixels // width)
            parts += [members[begin : begin + size] for begin in range(0, len(members), size)]
        random.shuffle(parts)
        return [collate(part, self._charset.classes, self._negatives, random.getrandbits(32)) for part in parts]

    def lines(self, number: int) -> list[TrainingLine]:
        """The lines of chunk ``number``, from disk when they are kept there."""
        kept = self._mixture.kept and self._mixture.kept / f"{number:06}.npz"
        if kept and kept.exists():
            return read(kept)
        lines = list(self._drawn(number))
        if kept:
            write(kept, lines)
        return lines

    def _drawn(self, number: int) -> Iterator[TrainingLine]:
        mixture = self._mixture
        scenes, reals = (round(share * mixture.chunk) for share in (mixture.scene, mixture.real))
        start = number * mixture.chunk
        yield from self._fitting(self._generator.lines(start, mixture.chunk - scenes - reals))
        others = list(
            self._fitting(
                itertools.chain(
                    (self._scenes.line(start + index) for index in range(scenes)),
                    (self._reals.line(Random(f"{mixture.seed}/{number}/{index}")) for index in range(reals)),
                )
            )
        )
        if not mixture.taught:
            yield from others
            return
        lessons = self._teacher.teach([line.strip for line in others], [line.width for line in others])
        for line, lesson in zip(others, lessons, strict=True):
            yield TrainingLine(line.strip, line.labels, lesson)

    def _fitting(self, lines: Iterable[GeneratedLine]) -> Iterator[TrainingLine]:
        """The lines that fit the network, as it sees them."""
        preprocess = Preprocess(height=self._network.height)
        for line in lines:
            strip = preprocess(line.image)
            labels = np.array(self._charset.encode(line.text), np.int64)
            repeats = int((labels[1:] == labels[:-1]).sum())
            if strip.shape[1] <= WINDOW and len(labels) + repeats <= self._network.steps(strip.shape[1] // 8 * 8):
                yield TrainingLine(strip, labels)

    # Made where they are used: in the process that draws.
    @cached_property
    def _generator(self) -> LineGenerator:
        return LineGenerator(self._charset, self._mixture.seed, self._mixture.fresh, self._mixture.fonts)

    @cached_property
    def _scenes(self) -> SceneGenerator:
        return SceneGenerator(self._generator)

    @cached_property
    def _reals(self) -> RealLines:
        if self._mixture.collected is None:
            raise ValueError("real lines need the folder that they were collected into")
        return RealLines(self._mixture.collected)

    @cached_property
    def _teacher(self) -> Teacher:
        return Teacher(self._charset)


def write(path: Path, lines: Sequence[TrainingLine]) -> None:
    """A chunk's lines in one file, in one piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lessons = [line.lesson or _NO_LESSON for line in lines]
    arrays = {
        "pixels": np.concatenate([line.strip for line in lines], axis=1),
        "widths": np.array([line.strip.shape[1] for line in lines]),
        "labels": np.concatenate([line.labels for line in lines]).astype(np.uint16),
        "lengths": np.array([len(line.labels) for line in lines]),
        "classes": np.concatenate([lesson.classes for lesson in lessons]),
        "shares": np.concatenate([lesson.shares for lesson in lessons]),
        "steps": np.array([len(lesson.classes) for lesson in lessons]),
    }
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(path)


def read(path: Path) -> list[TrainingLine]:
    """What :func:`write` wrote."""
    with np.load(path) as file:
        arrays = dict(file)

    def split(values: np.ndarray, lengths: np.ndarray, axis: int = 0) -> list[np.ndarray]:
        return np.split(values, np.cumsum(lengths)[:-1], axis)

    strips = split(arrays["pixels"], arrays["widths"], axis=1)
    labels = split(arrays["labels"].astype(np.int64), arrays["lengths"])
    classes, shares = (split(arrays[name], arrays["steps"]) for name in ("classes", "shares"))
    return [
        TrainingLine(strip, said, Lesson(*lesson) if len(lesson[0]) else None)
        for strip, said, *lesson in zip(strips, labels, classes, shares, strict=True)
    ]


_NO_LESSON = Lesson(np.zeros((0, LIKELIEST), np.uint16), np.zeros((0, LIKELIEST), np.float16))
