"""What int8 would do: the recognisers with weights and activations of 8 bits, against float32.

    python -m benchmarks.recognition.int8 [--count 100] [--eval DIR] [--only crnn ppocr]

Static quantisation by ONNX Runtime (QDQ, weights per channel), activations' ranges from generated lines that are not
the measured ones. Character error rate on the lines of :mod:`benchmarks.recognition.compare`, CPU time a line on one
thread, size of the file. Needs the package onnx.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from benchmarks.recognition.compare import measure
from benchmarks.recognition.readers import Reader, one_by_one, size
from benchmarks.recognition.samples import generated, line_sets
from worker.engine import default_weights, load_engine
from worker.package_weights import SECOND_READER, weights_path
from worker.ppocr import MINIMUM_WIDTH, PpocrEngine
from worker.preprocess import Preprocess, to_batch
from worker.recognise import WINDOW, LineRecognizer, padded_width
from worker.training.evaluate import table
from worker.training.lines import LineGenerator

CALIBRATION_SEED = 20_000_033
CALIBRATION_LINES = 64
PER_CHANNEL_OPSET = 13
"""The first that has a scale for every channel."""
LAYERS = {"float32": None, "int8, convolutions": ["Conv"], "int8, products, too": ["Conv", "MatMul", "Gemm"]}


@dataclass(frozen=True)
class Subject:
    """A recogniser whose network takes lines of ``minimum_width`` pixels or more, ``channels`` times the same grey."""

    weights: Path
    recogniser: Callable[[Path], LineRecognizer]
    minimum_width: int
    channels: int

    def inputs(self, lines: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Batches of one of uint8 grey crops."""
        preprocess = Preprocess()
        for strip in map(preprocess, lines):
            if strip.shape[1] <= WINDOW:
                width = padded_width(max(strip.shape[1], self.minimum_width))
                yield to_batch([strip], width).repeat(self.channels, axis=1)


class Feeds(CalibrationDataReader):
    """Inputs for a network whose input has this name."""

    def __init__(self, name: str, inputs: Iterator[np.ndarray]) -> None:
        self._name, self._inputs = name, inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._inputs, None)
        return None if batch is None else {self._name: batch}


def widened(source: Path, into: Path) -> None:
    """The network in float32 with its constants folded, in an opset that quantisation can use."""
    model = onnx.load(source)
    if max(each.version for each in model.opset_import if not each.domain) < PER_CHANNEL_OPSET:
        model = version_converter.convert_version(model, PER_CHANNEL_OPSET)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(into)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def quantised(source: Path, into: Path, layers: list[str], inputs: Iterator[np.ndarray]) -> None:
    """``source`` with the ``layers`` of these operators in int8, its metadata as they were."""
    wide = into.with_suffix(".float32.onnx")
    widened(source, wide)
    model = onnx.load(wide)
    quantize_static(
        str(wide),
        str(into),
        Feeds(model.graph.input[0].name, inputs),
        per_channel=True,
        op_types_to_quantize=layers,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    model = onnx.load(into)
    metadata = {item.key: item.value for item in onnx.load(source).metadata_props}
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, into)


def crnn(weights: Path) -> LineRecognizer:
    return LineRecognizer(load_engine("onnx", 1, weights))


def ppocr(weights: Path) -> LineRecognizer:
    return LineRecognizer(PpocrEngine(1, weights), Preprocess(minimum_width=MINIMUM_WIDTH))


SUBJECTS = {
    "crnn": lambda: Subject(default_weights(), crnn, Preprocess.minimum_width, 1),
    "ppocr": lambda: Subject(weights_path(SECOND_READER), ppocr, MINIMUM_WIDTH, 3),
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, help="a folder whose lines/ holds sets of labelled lines")
    parser.add_argument("--count", type=int, default=100, help="generated lines a condition; most lines of a set")
    parser.add_argument("--only", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="more folders with the generator's fonts")
    arguments = parser.parse_args()
    charset = load_engine().charset
    sets = generated(charset, arguments.count, arguments.fonts) | line_sets(arguments.eval, arguments.count)
    generator = LineGenerator(charset, CALIBRATION_SEED, extra=tuple(arguments.fonts))
    lines = [line.image for line in generator.lines(0, CALIBRATION_LINES)]
    rows = [["recogniser", "weights", "mean character error rate", "ms a line", "MB"]]
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.only:
            subject = SUBJECTS[kind]()
            for name, layers in LAYERS.items():
                weights = subject.weights
                if layers:
                    weights = Path(folder, f"{kind}-{len(layers)}.onnx")
                    quantised(subject.weights, weights, layers, subject.inputs(lines))
                reader = Reader(one_by_one(subject.recogniser(weights)), size(weights))
                results = [measure(reader, samples) for samples in sets.values()]
                errors = sum(each.score.cer for each in results) / len(results)
                milliseconds = sum(each.milliseconds for each in results) / len(results)
                rows.append([kind, name, f"{errors:.4f}", f"{milliseconds:.1f}", f"{reader.megabytes:.1f}"])
    print(table(rows))


if __name__ == "__main__":
    main()
