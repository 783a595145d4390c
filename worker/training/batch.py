"""Lines as training sees them, and what one step is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from worker.charset import BLANK
from worker.preprocess import Preprocess
from worker.recognise import padded_width
from worker.training.teacher import LIKELIEST, STEP, Lesson


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
