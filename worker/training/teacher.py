"""What PP-OCRv6 small says of a line, time step by time step, for a network that learns from it.

Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531. The
teacher's time steps are the CRNN's: 8 pixels of a strip of 48 pixels' height. Both say a character at the same step or
one beside it, so each step can be taught by its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.charset import BLANK, Charset
from worker.ppocr import MINIMUM_WIDTH, PpocrEngine
from worker.preprocess import to_batch
from worker.recognise import padded_width

LIKELIEST = 4
"""Classes kept of a time step; on generated lines they have 99.9 % of the probability."""
STEP = 8
"""Pixels of one of its time steps."""
BATCH = 4


@dataclass(frozen=True, slots=True)
class Lesson:
    """The likeliest ``classes`` of each time step, uint16 (T, k), in the learner's numbers, and their probabilities
    ``shares``, float16 (T, k). A share is 0 where the learner does not know the teacher's character."""

    classes: np.ndarray
    shares: np.ndarray


class Teacher:
    """Teaches a network that has the characters of ``charset``. Raises ``FileNotFoundError`` without its weights."""

    def __init__(self, charset: Charset, engine: PpocrEngine | None = None) -> None:
        self._engine = engine or PpocrEngine()
        known = {character: number for number, character in enumerate(charset.characters, 1)}
        places = [known.get(character, -1) for character in self._engine.charset.characters]
        self._numbers = np.array([BLANK, *places])  # of the teacher's classes, in the learner's; -1: unknown

    def teach(self, strips: Sequence[np.ndarray], widths: Sequence[int]) -> list[Lesson]:
        """Lessons for uint8 strips (48, w), each of as many steps as ``widths`` in pixels, padding included, has."""
        buckets: dict[int, list[int]] = defaultdict(list)
        for number, strip in enumerate(strips):
            # It reads short lines no better with the learner's padding: there it is not asked, and says blank.
            buckets[padded_width(max(strip.shape[1], MINIMUM_WIDTH))].append(number)
        lessons: dict[int, Lesson] = {}
        for width, numbers in buckets.items():
            for begin in range(0, len(numbers), BATCH):
                part = numbers[begin : begin + BATCH]
                said = self._engine.run(to_batch([strips[number] for number in part], width))
                for number, log_probabilities in zip(part, said, strict=True):
                    lessons[number] = self._lesson(log_probabilities, widths[number] // STEP)
        return [lessons[number] for number in range(len(strips))]

    def _lesson(self, log_probabilities: np.ndarray, steps: int) -> Lesson:
        """From float32 (T', classes) of the teacher's, T' at most ``steps``."""
        likeliest = np.argpartition(log_probabilities, -LIKELIEST, axis=1)[:, -LIKELIEST:]
        shares = np.exp(np.take_along_axis(log_probabilities, likeliest, 1))
        numbers = self._numbers[likeliest]
        shares[numbers < 0] = 0
        classes = np.zeros((steps, LIKELIEST), np.uint16)
        kept = np.zeros((steps, LIKELIEST), np.float16)
        kept[:, 0] = 1  # blank, where nothing follows
        classes[: len(numbers)] = np.maximum(numbers, BLANK)
        kept[: len(numbers)] = shares
        return Lesson(classes, kept)
