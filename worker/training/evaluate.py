"""Scores of a recogniser: character error rates over generated lines or over a folder of labelled ones."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import cv2
import numpy as np

from worker.training import capture
from worker.training.lines import LineGenerator
from worker.training.scene import SceneGenerator

HELD_OUT_SEED = 20_000_003
"""Never a training seed."""

Sample = tuple[np.ndarray, str]
"""A uint8 crop, grey (h, w) or RGB (h, w, 3), and what it says."""


def normalise(text: str) -> str:
    """NFKC, lower-case, letters and digits of any script only: what two readings of one line should share."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(character for character in folded if unicodedata.category(character)[0] in "LN")


def edit_distance(a: str, b: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over a set; a line's edits count up to its length."""

    edits: int
    characters: int
    exact: int
    lines: int

    @property
    def cer(self) -> float:
        """Character error rate, 0..1."""
        return self.edits / max(1, self.characters)

    @property
    def exact_rate(self) -> float:
        """Share of lines read without an error."""
        return self.exact / max(1, self.lines)


def score(readings: Iterable[str], references: Iterable[str], fold: Callable[[str], str] = normalise) -> Score:
    """Compares after ``fold``; references that it leaves empty are skipped."""
    edits = characters = exact = lines = 0
    for reading, reference in zip(readings, references, strict=True):
        wanted = fold(reference)
        if not wanted:
            continue
        distance = min(edit_distance(fold(reading), wanted), len(wanted))
        edits, characters = edits + distance, characters + len(wanted)
        exact, lines = exact + (distance == 0), lines + 1
    return Score(edits, characters, exact, lines)


def _pale(random: Random, image: np.ndarray) -> np.ndarray:
    """A twelfth to a fifth of the contrast."""
    level, share = random.uniform(60, 200), random.uniform(0.08, 0.2)
    return np.clip(level + (image.astype(np.float32) - 128) * share, 0, 255).astype(np.uint8)


CONDITIONS: dict[str, Callable[[Random, np.ndarray], np.ndarray] | None] = {
    "clean": None,
    "blurred": capture.blurred,
    "noisy": capture.noisy,
    "pale": _pale,
    "small": capture.low_resolution,
}
"""Clean print with one fault each; the further conditions ``mixed`` and ``scene`` are what training sees."""


def held_out(generator: LineGenerator, condition: str, count: int) -> list[Sample]:
    """Lines of a condition; those of :data:`CONDITIONS` have the same texts. ``KeyError`` for an unknown one."""
    if condition == "mixed":
        return [(line.image, line.text) for line in generator.lines(0, count)]
    if condition == "scene":
        return [(line.image, line.text) for line in map(SceneGenerator(generator).line, range(count))]
    fault = CONDITIONS[condition]
    samples = []
    for number in range(count):
        line = generator.line(number, intensity=0)
        image = fault(Random(number), line.image) if fault else line.image
        samples.append((image, line.text))
    return samples


def folder_lines(folder: Path) -> list[Sample]:
    """The lines of a folder whose ``labels.jsonl`` has ``{"image": path, "text": ...}`` a row. RGB crops."""
    samples = []
    with (folder / "labels.jsonl").open(encoding="utf-8") as file:
        for row in filter(str.strip, file):
            item = json.loads(row)
            image = cv2.imread(str(folder / item["image"]))
            if image is None:
                raise FileNotFoundError(f"no readable image {item['image']} in {folder}")
            samples.append((cv2.cvtColor(image, cv2.COLOR_BGR2RGB), item["text"]))
    return samples


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows (the first one the head) as a Markdown table."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
