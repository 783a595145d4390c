"""Chunks of lines on disk: what the teacher says of them costs more than all the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worker.training.batch import TrainingLine
from worker.training.teacher import LIKELIEST, Lesson

_NO_LESSON = Lesson(np.zeros((0, LIKELIEST), np.uint16), np.zeros((0, LIKELIEST), np.float16))


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
    part = path.with_suffix(f".{os.getpid()}")  # two runs may make the same chunk
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
