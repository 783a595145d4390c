"""What training sees: chunks of lines, drawn and real, with or without what the teacher says, in batches.

Chunk ``k`` is a pure function of the mixture and ``k``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np
from torch.utils.data import Dataset

from worker.charset import Charset
from worker.crnn import CrnnConfig
from worker.preprocess import Preprocess
from worker.recognise import WINDOW
from worker.training.batch import Batch, TrainingLine, collate
from worker.training.kept import read, write
from worker.training.lines import GeneratedLine, LineGenerator
from worker.training.real import RealLines
from worker.training.scene import SceneGenerator
from worker.training.teacher import Teacher


@dataclass(frozen=True)
class Mixture:
    """What a chunk is made of.

    ``chunk`` lines, of them the shares ``scene`` and ``real``; the latter come from the folder ``collected``. ``fresh``
    characters are drawn often; ``fonts`` are more folders with the generator's fonts. With ``taught``, the teacher
    says what it reads in scene and real lines, and chunks are kept in the folder ``kept``, which is for one mixture.
    It is not asked about the other lines: it costs as much as a step, and they are drawn well enough to speak for
    themselves.
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
        others = itertools.chain(
            (self._scenes.line(start + index) for index in range(scenes)),
            (self._reals.line(Random(f"{mixture.seed}/{number}/{index}")) for index in range(reals)),
        )
        fitting = self._fitting(others)
        yield from self._taught(list(fitting)) if mixture.taught else fitting

    def _taught(self, lines: list[TrainingLine]) -> Iterator[TrainingLine]:
        lessons = self._teacher.teach([line.strip for line in lines], [line.width for line in lines])
        for line, lesson in zip(lines, lessons, strict=True):
            yield replace(line, lesson=lesson)

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
