"""Generated lines in batches."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from torch.utils.data import Dataset

from worker.charset import Charset
from worker.crnn import CrnnConfig
from worker.preprocess import Preprocess, to_batch
from worker.recognise import WINDOW, padded_width
from worker.training.lines import LineGenerator


@dataclass(frozen=True, slots=True)
class Batch:
    """float32 ``images`` (N, 1, 48, W); class indices ``targets``, concatenated; their ``lengths`` (N,)."""

    images: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray


class Chunks(Dataset):
    """Chunk ``k``, a pure function of ``(seed, k)``: ``chunk`` lines in batches of one padded width each.

    A batch's lines x width is at most ``pixels``. Lines wider than a window or too dense for the time steps are left
    out.
    """

    def __init__(
        self,
        charset: Charset,
        network: CrnnConfig,
        seed: int,
        chunk: int,
        pixels: int,
        fresh: str = "",
        fonts: tuple[Path, ...] = (),
    ) -> None:
        self._charset, self._network = charset, network
        self._seed, self._chunk, self._pixels = seed, chunk, pixels
        self._fresh, self._fonts = fresh, fonts
        self._generator: LineGenerator | None = None

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, number: int) -> list[Batch]:
        if self._generator is None:
            self._generator = LineGenerator(self._charset, self._seed, self._fresh, self._fonts)
        preprocess = Preprocess(height=self._network.height)
        buckets: dict[int, list[tuple[np.ndarray, list[int]]]] = {}
        for line in self._generator.lines(number * self._chunk, self._chunk):
            strip = preprocess(line.image)
            width = padded_width(max(strip.shape[1], preprocess.minimum_width))
            labels = self._charset.encode(line.text)
            repeats = sum(a == b for a, b in itertools.pairwise(labels))
            if width <= WINDOW and len(labels) + repeats <= self._network.steps(strip.shape[1] // 8 * 8):
                buckets.setdefault(width, []).append((strip, labels))
        batches = []
        for width, members in sorted(buckets.items()):
            size = max(1, self._pixels // width)
            for begin in range(0, len(members), size):
                part = members[begin : begin + size]
                targets = np.concatenate([np.array(labels) for _, labels in part])
                lengths = np.array([len(labels) for _, labels in part])
                batches.append(Batch(to_batch([strip for strip, _ in part], width), targets, lengths))
        Random(number).shuffle(batches)
        return batches
