"""How a reader is put together, and what identifies its readings. Imports no model and no image library by itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from worker.constraints import UNCONSTRAINED, Constraints

if TYPE_CHECKING:
    from worker.page import PageReader
    from worker.second_reader import SecondOpinion

# Everything of this package that a reading passes through, and the libraries that do its arithmetic.
_PIPELINE = (
    "characters.py", "charset.py", "constraints.py", "crnn.py", "crops.py", "ctc.py", "detect.py", "engine.py",
    "decoder.py", "lexicon.py", "order.py", "page.py", "pattern.py", "pattern_syntax.py", "ppocr.py", "preprocess.py",
    "reader.py", "recognise.py", "second_reader.py", "session.py", "turning.py",
)  # fmt: skip
_LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "rapidocr")


@dataclass(frozen=True)
class ReaderSpec:
    """Which reader to build: small and picklable, so that it can be sent to the process that builds it.

    ``threads`` is the number of CPU threads that one reader uses. With a second reader, lines whose score is under
    ``second_below`` (0..1) are read again by it. ``constraints`` hold for whoever brings none.
    """

    engine: Literal["onnx", "torch"] = "onnx"
    threads: int = 1
    second: Literal["off", "ppocr"] = "off"
    second_below: float = 0.0
    constraints: Constraints = UNCONSTRAINED

    def build(self) -> PageReader:
        """Loads the models. Raises what loading raises: ``FileNotFoundError``, ``ImportError``, ``ValueError``."""
        import cv2

        from worker.detect import TextDetector
        from worker.engine import load_engine
        from worker.page import PageReader
        from worker.recognise import LineRecognizer

        cv2.setNumThreads(self.threads)
        recognizer = LineRecognizer(load_engine(self.engine), threads=self.threads)
        return PageReader(TextDetector(self.threads), recognizer, self._reviewer(), self.constraints)

    def _reviewer(self) -> SecondOpinion | None:
        if self.second == "off":
            return None
        from worker.ppocr import line_recognizer
        from worker.second_reader import SecondOpinion

        return SecondOpinion(line_recognizer(self.threads), self.second_below)

    def revision(self) -> str:
        """Identifies the weights and the pipeline: another one may read another text from the same pixels.

        Loads no model. Raises ``FileNotFoundError`` when the weights are missing.
        """
        second = None if self.second == "off" else (self.second, self.second_below)
        return _revision(self.engine, second, self.constraints)


@cache
def _revision(engine: str, second: tuple[str, float] | None, constraints: Constraints) -> str:
    from worker.engine import default_weights
    from worker.package_weights import DETECTOR, SECOND_READER, weights_path

    digest = hashlib.sha256(engine.encode())
    folder = Path(__file__).parent
    weights = [default_weights(), weights_path(DETECTOR)]
    if second:
        digest.update(repr(second).encode())
        weights.append(weights_path(SECOND_READER))
    if constraints:
        digest.update(repr(constraints).encode())
    for path in (*weights, *(folder / name for name in _PIPELINE)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for library in _LIBRARIES:
        digest.update(f"{library}=={version(library)}\n".encode())
    if engine == "torch":
        digest.update(version("torch").encode())
    return digest.hexdigest()[:16]
