"""Collected lines, varied as another photograph or another detector would have them."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from random import Random

import cv2
import numpy as np

from worker.training import capture
from worker.training.collect import LABELS
from worker.training.lines import GeneratedLine

FAULTS = (
    (capture.blurred, 0.15), (capture.low_resolution, 0.15), (capture.toned, 0.25), (capture.noisy, 0.15),
    (capture.sharpened, 0.05), (capture.compressed, 0.2),
)  # fmt: skip


class RealLines:
    """The lines of a folder of :mod:`worker.training.collect`. Raises ``FileNotFoundError`` where there are none."""

    def __init__(self, folder: Path) -> None:
        self._sources: dict[str, list[Path]] = defaultdict(list)
        with (folder / LABELS).open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                self._sources[row["repository"]].append(folder / row["image"])
        # The square root: a repository of many pictures of one kind shall not drown the others.
        self._weights = [len(paths) ** 0.5 for paths in self._sources.values()]

    def line(self, random: Random) -> GeneratedLine:
        """One of them, a little turned, stretched, cropped and spoiled; what it says is not known (empty text)."""
        [paths] = random.choices(list(self._sources.values()), self._weights)
        image = cv2.imread(str(random.choice(paths)), cv2.IMREAD_GRAYSCALE)
        if random.random() < 0.7:
            image = _recropped(random, image)
        for step, chance in FAULTS:
            if random.random() < chance:
                image = step(random, image)
        return GeneratedLine(image, "", "real")


def _recropped(random: Random, image: np.ndarray) -> np.ndarray:
    """The corners moved by up to a tenth of the height, the width stretched by up to a fifth."""
    height, width = image.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    corners += np.array([[random.gauss(0, 0.04) * height for _ in range(2)] for _ in range(4)], np.float32)
    columns = max(4, round(width * random.uniform(0.85, 1.2)))
    target = np.array([[0, 0], [columns, 0], [columns, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    return cv2.warpPerspective(image, matrix, (columns, height), borderMode=cv2.BORDER_REPLICATE)
