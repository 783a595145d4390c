"""Line crops to text: preprocess, batch by width, run the network, decode.

A crop's reading depends on its own pixels only: it is padded to a width that its own width determines, whatever else
is in the batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from worker.constraints import UNCONSTRAINED, Constraints
from worker.decoder import Decoder, Path
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

    ``threads`` batches are read at a time: a network this small has too little to do in one call to share it among
    threads. ``max_batch`` bounds the crops that all of them see, one a thread at least; wide crops go in smaller
    batches, so that they see about as many pixels as ``max_batch`` crops of 320 pixels.
    """

    def __init__(
        self, engine: Engine, preprocess: Preprocess | None = None, max_batch: int = 4, threads: int = 1
    ) -> None:
        if max_batch < 1 or threads < 1:
            raise ValueError("a batch holds at least one crop, and at least one thread reads it")
        self._engine = engine
        self._preprocess = preprocess or Preprocess(height=engine.height)
        self._max_batch = max(1, max_batch // threads)
        self._each = map if threads == 1 else ThreadPoolExecutor(threads, "lines").map
        self._decoder = Decoder(engine.charset)

    @property
    def revision(self) -> str:
        """The weights' revision: readings of another revision are not this one's."""
        return self._engine.revision

    def recognise(self, crops: Sequence[np.ndarray], constraints: Constraints = UNCONSTRAINED) -> list[LineReading]:
        """Readings of uint8 RGB ``(h, w, 3)`` or grey ``(h, w)`` crops of one text line each, in the order given.

        Any size of at least 1x1. With a character set, scores are those of readings that are known to be made of it.
        Raises ``ValueError`` for another dtype or shape.
        """
        paths: dict[tuple[int, int], Path] = {}
        buckets: dict[int, list[tuple[tuple[int, int], np.ndarray]]] = defaultdict(list)
        parts: list[list[tuple[int, int]]] = []
        for number, crop in enumerate(crops):
            strip = self._strip(crop)
            parts.append(windows(strip.shape[1]))
            for part, (start, end) in enumerate(parts[-1]):
                width = padded_width(max(end - start, self._preprocess.minimum_width))
                buckets[width].append(((number, part), strip[:, start:end]))
        batches = []
        for width, members in sorted(buckets.items()):
            size = max(1, min(self._max_batch, self._max_batch * 320 // width))
            batches += [(width, members[begin : begin + size]) for begin in range(0, len(members), size)]

        def read(batch: tuple[int, list[tuple[tuple[int, int], np.ndarray]]]) -> list[Path]:
            width, members = batch
            return self._paths(to_batch([strip for _, strip in members], width), constraints)

        for (_, members), found in zip(batches, self._each(read, batches), strict=True):
            for (key, strip), path in zip(members, found, strict=True):
                steps = min(len(path[0]), -(-strip.shape[1] // self._engine.step) + 1)
                paths[key] = tuple(each[:steps] for each in path)
        return [
            self._decoder.reading(self._join(number, spans, paths), constraints, spans[-1][1] / self._engine.step)
            for number, spans in enumerate(parts)
        ]

    def _paths(self, batch: np.ndarray, constraints: Constraints) -> list[Path]:
        if not constraints:
            return list(zip(*self._engine.best(batch), strict=True))
        return [self._decoder.path(log_probs, constraints) for log_probs in self._engine.run(batch)]

    def _strip(self, crop: np.ndarray) -> np.ndarray:
        height, width = crop.shape[:2]
        if crop.size and width * self._preprocess.height > LONGEST * height:
            crop = cv2.resize(crop, (max(1, LONGEST * height // self._preprocess.height), height))
        return self._preprocess(crop)

    def _join(self, number: int, spans: list[tuple[int, int]], paths: dict[tuple[int, int], Path]) -> Path:
        joined = paths[number, 0]
        for part in range(1, len(spans)):
            following = paths[number, part]
            # Steps of the earlier window beyond the shared pixels' end do not exist: windows end where they end.
            shared = min(len(joined[0]) - spans[part][0] // self._engine.step, len(following[0]))
            drop = stitch(joined[0], following[0], shared) if shared > 1 else 0
            keep = len(joined[0]) - shared + drop
            joined = tuple(
                np.concatenate((one[:keep], other[drop:])) for one, other in zip(joined, following, strict=True)
            )
        return joined
