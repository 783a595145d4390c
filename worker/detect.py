"""Text line detection: PP-OCRv6-small in ONNX Runtime, then the differentiable-binarisation read-out.

The network gives each pixel its probability of being in the shrunken core of a text line; the read-out takes the
minimum-area rectangle of each core and grows it back by the inverse of the shrinking. (Liao et al., *Real-time Scene
Text Detection with Differentiable Binarization*, AAAI 2020; a rectangle needs no polygon clipping to be grown.)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from worker.package_weights import DETECTOR, weights_path
from worker.session import options

# Sides of the network's input are multiples of this: of 32 because it halves five times, of 64 so that pages of
# many sizes share few input shapes (ONNX Runtime keeps a memory plan for each).
SIDE_MULTIPLE = 64
# Pixels of the largest input, about 200 bytes of memory each. More go through the network in tiles, each with HALO
# pixels of its surroundings on every side, whose own probabilities are dropped.
LARGEST_INPUT = 1_100_000
HALO = 64


@dataclass(frozen=True)
class DetectorSettings:
    """What decides which lines are found, beside the weights.

    A page is scaled so that its longest side is ``longest_side`` pixels, but never below ``least_scale`` (small print
    on a large page), and never enlarged further than its shortest side reaches ``shortest_side``. ``core`` is the
    probability from which a pixel belongs to a line, ``line`` the mean probability from which a line counts, ``grow``
    the read-out's unclip ratio, ``thinnest`` the least side of a core in network pixels. Of more than ``most_lines``
    the largest are kept.
    """

    longest_side: int = 960
    shortest_side: int = 736
    least_scale: float = 0.5
    core: float = 0.3
    line: float = 0.5
    grow: float = 1.6
    thinnest: float = 3.0
    most_lines: int = 3000


class TextDetector:
    """Finds text lines. Keeps nothing from one call to the next; calls may come from several threads."""

    def __init__(self, threads: int = 1, settings: DetectorSettings | None = None, weights: Path | None = None) -> None:
        self.settings = settings or DetectorSettings()
        # ONNX Runtime's arena is fast, but would keep the largest page's memory for ever: it shrinks after each run.
        self._shrinking = onnxruntime.RunOptions()
        self._shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session = onnxruntime.InferenceSession(
            str(weights or weights_path(DETECTOR)), options(threads), providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def detect(self, page: np.ndarray) -> np.ndarray:
        """Quadrilaterals of the text lines of a page, in no particular order.

        ``page`` is uint8 RGB ``(h, w, 3)`` of any size. Returns float32 ``(n, 4, 2)``: corners ``(x, y)`` in page
        pixels, clockwise from the top-left, within the page.
        """
        height, width = page.shape[:2]
        scaled = self._scaled(page)
        rows, columns = scaled.shape[:2]
        probability = np.empty((rows, columns), np.float32)
        down, across = tiling(rows, columns)
        for top, bottom in pairwise(down):
            for left, right in pairwise(across):
                above, before = min(HALO, top), min(HALO, left)
                tile = self._probability(scaled[top - above : bottom + HALO, left - before : right + HALO])
                probability[top:bottom, left:right] = tile[above : above + bottom - top, before : before + right - left]
        # Contours run through pixels' centres, boxes count from pixels' outer corners.
        quads = (lines_of(probability, self.settings) + 0.5) * np.float32((width / columns, height / rows))
        return quads.clip(0, np.float32((width, height)))

    def _scaled(self, page: np.ndarray) -> np.ndarray:
        settings = self.settings
        height, width = page.shape[:2]
        scale = settings.longest_side / max(width, height)
        if scale < 1:
            scale = min(1.0, max(scale, settings.least_scale))
        else:
            scale = min(scale, max(1.0, settings.shortest_side / min(width, height)))
        if scale == 1:
            return page
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return cv2.resize(page, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

    def _probability(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB ``(h, w, 3)`` to float32 ``(h, w)``."""
        rows, columns = image.shape[:2]
        # Filled up with the colour that the picture ends in: another one would frame it, and a frame looks like text.
        edge = np.median(np.concatenate((image[-1], image[:, -1])), axis=0)
        batch = np.empty((1, 3, *(-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in (rows, columns))), np.float32)
        # The network was trained on images in OpenCV's channel order.
        for number, channel in enumerate((2, 1, 0)):
            plane = batch[0, number]
            plane[rows:] = plane[:, columns:] = edge[channel]
            plane[:rows, :columns] = image[..., channel]
            plane *= np.float32(1 / 127.5)
            plane -= 1
        return self._run(batch)[0, 0, :rows, :columns]

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """float32 ``(1, 3, h, w)`` in -1..1 to probabilities float32 ``(1, 1, h, w)``."""
        # Into memory of our own: an output inside the arena would keep it from shrinking.
        probability = np.empty((1, 1, *batch.shape[2:]), np.float32)
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, batch)
        binding.bind_output(self._output, "cpu", 0, np.float32, probability.shape, probability.ctypes.data)
        self._session.run_with_iobinding(binding, self._shrinking)
        return probability


def tiling(rows: int, columns: int) -> tuple[list[int], list[int]]:
    """Where to cut a picture into tiles: row and column edges, both from 0 to the end.

    Of all even cuts whose tiles, surroundings included, are within LARGEST_INPUT, the one that costs the least.
    """

    def cost(cuts: tuple[int, int]) -> tuple[bool, int]:
        sides = [
            min(length, -(-length // count) + 2 * HALO) for length, count in zip((rows, columns), cuts, strict=True)
        ]
        area = sides[0] * sides[1]
        return area > LARGEST_INPUT, area * cuts[0] * cuts[1]

    most = [1 + length // (2 * HALO) for length in (rows, columns)]
    best = min(((down, across) for down in range(1, most[0] + 1) for across in range(1, most[1] + 1)), key=cost)
    return tuple(
        np.linspace(0, length, count + 1).astype(int).tolist()
        for length, count in zip((rows, columns), best, strict=True)
    )


def lines_of(probability: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """Rectangles of the lines in a probability map ``(h, w)`` float32, as ``(n, 4, 2)`` float32 in the map's pixels."""
    mask = (probability > settings.core).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    quads = []
    for contour in contours:
        centre, (side, other), angle = cv2.minAreaRect(contour)
        if min(side, other) < settings.thinnest:
            continue
        if _mean_inside(probability, cv2.boxPoints((centre, (side, other), angle))) < settings.line:
            continue
        margin = settings.grow * side * other / (2 * (side + other))
        quads.append(_upright(cv2.boxPoints((centre, (side + 2 * margin, other + 2 * margin), angle))))
    if len(quads) > settings.most_lines:
        quads = sorted(quads, key=cv2.contourArea, reverse=True)[: settings.most_lines]
    return np.array(quads, np.float32).reshape(-1, 4, 2)


def _mean_inside(probability: np.ndarray, quad: np.ndarray) -> float:
    height, width = probability.shape
    left, top = np.floor(quad.min(0)).astype(int).clip(0, (width - 1, height - 1))
    right, bottom = np.ceil(quad.max(0)).astype(int).clip(0, (width - 1, height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(quad - (left, top)).astype(np.int32)], 1)
    return cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0]


def _upright(quad: np.ndarray) -> np.ndarray:
    """The corners clockwise, beginning with the one whose edge to the next points right within 45 degrees."""
    edges = np.roll(quad, -1, axis=0) - quad
    if edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0] < 0:
        quad = quad[::-1]
        edges = np.roll(quad, -1, axis=0) - quad
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    return np.roll(quad, -int(np.argmax(edges[:, 0] / np.maximum(lengths, 1e-6))), axis=0)
