"""Line crops to text: preprocess, batch by width, run the network, decode.

A crop's reading depends on its own pixels only: it is padded to a width that its own width determines, whatever else
is in the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np

from worker.ctc import greedy
from worker.engine import Engine
from worker.preprocess import Preprocess, to_batch
from worker.types import LineReading

WINDOW = 1280
"""Widest network input in pixels; longer lines are read in windows of this width."""
OVERLAP = 256
"""Pixels that two neighbouring windows share."""
LONGEST = 12 * WINDOW
"""A strip beyond this (320 times as long as high) is no text line; it is squeezed, to bound time and memory."""


def padded_width(width: int) -> int:
    """The network input's width for a strip: few distinct shapes, little padding (at most 32 px or a tenth)."""
    for limit, multiple in ((320, 32), (640, 64)):
        if width <= limit:
            return -(-width // multiple) * multiple
    return -(-width // 128) * 128


def windows(width: int) -> list[tuple[int, int]]:
    """(start, end) of the windows that cover a strip; starts are multiples of 8, so time steps fall together."""
    if width <= WINDOW:
        return [(0, width)]
    stride = WINDOW - OVERLAP
    count = -(-(width - OVERLAP) // stride)
    return [(number * stride, min(number * stride + WINDOW, width)) for number in range(count)]


def stitch(left: np.ndarray, right: np.ndarray, shared: int) -> int:
    """Where to change from one window's path to the next one's.

    The last ``shared`` steps of ``left`` (T,) and the first of ``right`` (T,) show the same columns. Returns the
    number of steps of ``right`` to drop (``left`` keeps that many of the shared ones): the place nearest to the middle
    where both say the same there and before, a blank if there is one, so that no character is cut or doubled.
    """
    agree = left[-shared:] == right[:shared]
    both = agree[1:] & agree[:-1]
    blank = both & (right[1:shared] == 0)
    for allowed in (blank, both):
        places = np.flatnonzero(allowed) + 1
        if places.size:
            return int(places[np.argmin(np.abs(places - shared // 2))])
    return shared // 2


class LineRecognizer:
    """Reads text lines with an engine. Keeps nothing from one call to the next.

    ``max_batch`` bounds the crops of one network call; wide crops go in smaller batches, so that a call sees about as
    many pixels as ``max_batch`` crops of 320 pixels.
    """

    def __init__(self, engine: Engine, preprocess: Preprocess | None = None, max_batch: int = 4) -> None:
        if max_batch < 1:
            raise ValueError("a batch holds at least one crop")
        self._engine = engine
        self._preprocess = preprocess or Preprocess(height=engine.height)
        self._max_batch = max_batch

    @property
    def revision(self) -> str:
        """The weights' revision: readings of another revision are not this one's."""
        return self._engine.revision

    def recognise(self, crops: Sequence[np.ndarray]) -> list[LineReading]:
        """Readings of uint8 RGB ``(h, w, 3)`` or grey ``(h, w)`` crops of one text line each, in the order given.

        Any size of at least 1x1. Raises ``ValueError`` for another dtype or shape.
        """
        paths: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        buckets: dict[int, list[tuple[tuple[int, int], np.ndarray]]] = defaultdict(list)
        parts: list[list[tuple[int, int]]] = []
        for number, crop in enumerate(crops):
            strip = self._strip(crop)
            parts.append(windows(strip.shape[1]))
            for part, (start, end) in enumerate(parts[-1]):
                width = padded_width(max(end - start, self._preprocess.minimum_width))
                buckets[width].append(((number, part), strip[:, start:end]))
        for width, members in sorted(buckets.items()):
            size = max(1, min(self._max_batch, self._max_batch * 320 // width))
            for begin in range(0, len(members), size):
                batch = members[begin : begin + size]
                best, probability = self._engine.best(to_batch([strip for _, strip in batch], width))
                for (key, strip), row, scores in zip(batch, best, probability, strict=True):
                    steps = min(len(row), -(-strip.shape[1] // self._engine.step) + 1)
                    paths[key] = row[:steps], scores[:steps]
        return [self._join(number, spans, paths) for number, spans in enumerate(parts)]

    def _strip(self, crop: np.ndarray) -> np.ndarray:
        height, width = crop.shape[:2]
        if crop.size and width * self._preprocess.height > LONGEST * height:
            crop = cv2.resize(crop, (max(1, LONGEST * height // self._preprocess.height), height))
        return self._preprocess(crop)

    def _join(
        self,
        number: int,
        spans: list[tuple[int, int]],
        paths: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]],
    ) -> LineReading:
        best, probability = paths[number, 0]
        for part in range(1, len(spans)):
            following, scores = paths[number, part]
            # Steps of the earlier window beyond the shared pixels' end do not exist: windows end where they end.
            shared = min(len(best) - spans[part][0] // self._engine.step, len(following))
            drop = stitch(best, following, shared) if shared > 1 else 0
            keep = len(best) - shared + drop
            best = np.concatenate((best[:keep], following[drop:]))
            probability = np.concatenate((probability[:keep], scores[drop:]))
        return greedy(best, probability).reading(self._engine.charset)
