"""What a second reader brings and costs, by the score under which lines are read again.

    python -m benchmarks.recognition.second_reader                # generated lines, drawn invoices
    python -m benchmarks.recognition.second_reader --eval DIR     # the sets of lines and pages in DIR

Every line is read by both recognisers once; each threshold is then worked out from those readings and their CPU time on
one thread. For pages the detection is added. The last column is the second reader alone, on the same boxes.
The margin is how much likelier the first reading has to be to count.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from time import process_time

import cv2
import numpy as np

from benchmarks.recognition.samples import Page, drawn_invoices, found, generated, line_sets, page_sets
from gateway.config import Settings
from worker.crops import crop_line, is_tall
from worker.detect import TextDetector
from worker.engine import load_engine
from worker.order import reading_order
from worker.ppocr import PpocrEngine, line_recognizer
from worker.preprocess import Preprocess
from worker.recognise import LineRecognizer
from worker.second_reader import MARGIN, better
from worker.training.evaluate import Sample, score, table
from worker.types import LineReading

THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DEFAULT = Settings.model_fields["second_reader_below"].default
MARGINS = (1.0, 1.5, MARGIN, 4.0, inf)


@dataclass
class Twice:
    """One line read by both; times in milliseconds."""

    first: LineReading
    second: LineReading
    first_time: float
    second_time: float

    def at(self, below: float, margin: float = MARGIN) -> LineReading:
        """The reading that counts when lines scored under ``below`` are read again."""
        return better(self.first, self.second, margin) if self.first.score < below else self.first

    def cost(self, below: float) -> float:
        """What that reading took."""
        return self.first_time + (self.second_time if self.first.score < below else 0.0)


@dataclass
class Both:
    """The two recognisers, a line a call."""

    first: LineRecognizer
    second: LineRecognizer

    def read(self, crop: np.ndarray) -> Twice:
        """Both readings of one line."""
        start = process_time()
        [first] = self.first.recognise([crop])
        between = process_time()
        [second] = self.second.recognise([crop])
        return Twice(first, second, (between - start) * 1e3, (process_time() - between) * 1e3)


@dataclass
class Curve:
    """A set at every threshold: ``quality`` is an error rate of lines or a recall of pages, ``cost`` milliseconds."""

    again: list[float]
    quality: list[float]
    cost: list[float]
    alone: tuple[float, float]
    margins: list[float] = field(default_factory=list)


def curve_of_lines(both: Both, samples: Sequence[Sample]) -> Curve:
    """Character error rates and milliseconds a line."""
    lines = [both.read(image) for image, _ in samples]
    texts = [text for _, text in samples]
    return Curve(
        [float(np.mean([line.first.score < below for line in lines])) for below in THRESHOLDS],
        [score([line.at(below).text for line in lines], texts).cer for below in THRESHOLDS],
        [float(np.mean([line.cost(below) for line in lines])) for below in THRESHOLDS],
        (score([line.second.text for line in lines], texts).cer, float(np.mean([line.second_time for line in lines]))),
        [score([line.at(DEFAULT, margin).text for line in lines], texts).cer for margin in MARGINS],
    )


def curve_of_pages(both: Both, detector: TextDetector, pages: Sequence[Page]) -> Curve:
    """Page recalls and milliseconds a page."""
    read: list[list[Twice]] = []
    detection = 0.0
    for page in pages:
        start = process_time()
        quads = detector.detect(page.image)
        detection += (process_time() - start) * 1e3
        crops = [crop_line(page.image, quad) for quad in quads[reading_order(quads)]]
        read.append([both.read(np.ascontiguousarray(np.rot90(crop)) if is_tall(crop) else crop) for crop in crops])
    lines = [line for page in read for line in page]

    def recall(texts: Sequence[Sequence[str]]) -> float:
        right, wanted = np.sum([found(page, each) for page, each in zip(pages, texts, strict=True)], axis=0)
        return float(right / wanted)

    return Curve(
        [float(np.mean([line.first.score < below for line in lines])) for below in THRESHOLDS],
        [recall([[line.at(below).text for line in page] for page in read]) for below in THRESHOLDS],
        [(detection + sum(line.cost(below) for line in lines)) / len(pages) for below in THRESHOLDS],
        (
            recall([[line.second.text for line in page] for page in read]),
            (detection + sum(line.second_time for line in lines)) / len(pages),
        ),
    )


def show(title: str, curves: dict[str, Curve]) -> None:
    """A table: quality, and in brackets the share of lines read again and the time against the second reader alone."""
    rows = [[title, *(f"{below:g}" for below in THRESHOLDS), "second reader alone"]]
    for name, curve in curves.items():
        cells = [
            f"{quality:.4f} ({again:.0%}, {cost / curve.alone[1]:.2f})"
            for quality, again, cost in zip(curve.quality, curve.again, curve.cost, strict=True)
        ]
        rows.append([name, *cells, f"{curve.alone[0]:.4f} ({curve.alone[1]:.0f} ms)"])
    print(table(rows), end="\n\n", flush=True)


def plot(lines: dict[str, Curve], pages: dict[str, Curve], file: Path) -> None:
    """Error rate, or 1 - recall, against the time as a share of the second reader's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for axis, curves, what in ((axes[0], lines, "character error rate"), (axes[1], pages, "lines missed or misread")):
        for name, curve in curves.items():
            errors = [1 - each for each in curve.quality] if curves is pages else curve.quality
            axis.plot([each / curve.alone[1] for each in curve.cost], errors, marker=".", label=name)
        axis.axvline(1, color="grey", linewidth=0.8)
        axis.set(xlabel="time, the second reader alone = 1", ylabel=what, ylim=(0, None))
        axis.grid(alpha=0.3)
        axis.legend(fontsize="x-small")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, help="a folder with lines/ and pages/")
    parser.add_argument("--count", type=int, default=200, help="most lines of a set")
    parser.add_argument("--pages", type=int, default=20, help="most pages of a set")
    parser.add_argument("--padding", type=int, help="pixels that the second reader pads to; PaddleOCR pads to 320")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    second = line_recognizer()
    if arguments.padding:
        second = LineRecognizer(PpocrEngine(), Preprocess(minimum_width=arguments.padding))
    both, detector = Both(LineRecognizer(load_engine(threads=1)), second), TextDetector(1)
    lines = line_sets(arguments.eval, arguments.count) or generated(load_engine().charset, arguments.count)
    pages = page_sets(arguments.eval, arguments.pages) or {
        "drawn invoices": drawn_invoices(4),
        "drawn, half size": drawn_invoices(4, scale=0.5),
        "drawn, blurred": drawn_invoices(4, blur=2),
    }
    line_curves = {name: curve_of_lines(both, samples) for name, samples in lines.items()}
    show("lines, CER", line_curves)
    rows = [[f"CER under {DEFAULT}, by margin", *(f"{margin:g}" for margin in MARGINS)]]
    rows += [[name, *(f"{each:.4f}" for each in curve.margins)] for name, curve in line_curves.items()]
    print(table(rows), end="\n\n", flush=True)
    page_curves = {name: curve_of_pages(both, detector, each) for name, each in pages.items()}
    show("pages, recall", page_curves)
    if arguments.plot:
        plot(line_curves, page_curves, arguments.plot)


if __name__ == "__main__":
    main()
