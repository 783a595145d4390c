"""PP-OCRv6 small's recognition network in ONNX Runtime, as an :class:`worker.engine.Engine`.

Its weights and its characters are inside the package that carries the detector's (Apache-2.0); nothing else of that
package takes part. It was trained on colour, and reads grey no worse: see docs/recogniser.md.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from worker.charset import Charset
from worker.package_weights import SECOND_READER, weights_path
from worker.preprocess import Preprocess
from worker.recognise import LineRecognizer
from worker.session import line_session

MINIMUM_WIDTH = 160
"""Pixels that a shorter line is padded to; with PaddleOCR's 320 it takes half as long again and reads no better."""
_CHANNELS = 3


def line_recognizer(threads: int = 1) -> LineRecognizer:
    """Reads line crops with PP-OCRv6 small. Raises ``FileNotFoundError`` without its weights."""
    preprocess = Preprocess(height=PpocrEngine.height, minimum_width=MINIMUM_WIDTH)
    return LineRecognizer(PpocrEngine(), preprocess, threads=threads)


class PpocrEngine:
    """One thread a call. Calls are thread-safe and leave nothing behind."""

    height = 48
    step = 8

    def __init__(self, weights: Path | None = None) -> None:
        self._weights = weights or weights_path(SECOND_READER)
        self._session = line_session(self._weights)
        listed = self._session.get_modelmeta().custom_metadata_map.get("character")
        if listed is None:
            raise ValueError(f"{self._weights.name} is no recogniser of this kind: it lists no characters")
        # The last class is the space, which the list leaves out.
        self.charset = Charset((*listed.split("\n"), " "))
        self._input = self._session.get_inputs()[0].name

    @cached_property
    def revision(self) -> str:
        """The first 8 hex digits of the weights file's SHA-256."""
        return hashlib.sha256(self._weights.read_bytes()).hexdigest()[:8]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """float32 grey ``(N, 1, 48, W)`` in -1..1 to float32 log-probabilities ``(N, T, classes)``."""
        return np.log(np.maximum(self._probabilities(batch), np.finfo(np.float32).tiny))

    def best(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same input to the likeliest class ``(N, T)`` and its probability ``(N, T)``."""
        probabilities = self._probabilities(batch)
        best = probabilities.argmax(-1)
        return best, np.take_along_axis(probabilities, best[..., None], -1)[..., 0]

    def _probabilities(self, batch: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._input: batch.repeat(_CHANNELS, axis=1)})[0]
