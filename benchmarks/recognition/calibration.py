"""Whether a score is the probability that its line is right: how often lines of each score are, and the mean gap.

    python -m benchmarks.recognition.calibration                # generated lines
    python -m benchmarks.recognition.calibration --eval DIR     # and real ones, every set in DIR/lines together

The gap is the expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599) over the bands shown: the
mean, weighted by lines, of the distance between a band's mean score and its share of lines without an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2

from benchmarks.recognition.samples import generated, line_sets
from worker.engine import load_engine
from worker.ppocr import line_recognizer
from worker.recognise import LineRecognizer
from worker.training.evaluate import Sample, normalise, table

BANDS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)
Judged = tuple[float, bool]
"""A line's score, and whether it was read without an error."""


def judged(recognizer: LineRecognizer, samples: Iterable[Sample]) -> list[Judged]:
    """Every line that says something."""
    lines = [(image, normalise(text)) for image, text in samples]
    readings = ((recognizer.recognise([image])[0], text) for image, text in lines if text)
    return [(reading.score, normalise(reading.text) == text) for reading, text in readings]


def bands(lines: Sequence[Judged]) -> list[list[Judged]]:
    """The lines of each band; a score belongs to the band that it begins, 1 to the last."""
    return [
        [line for line in lines if low <= line[0] < high or line[0] == high == BANDS[-1]]
        for low, high in pairwise(BANDS)
    ]


def calibration_error(lines: Sequence[Judged]) -> float:
    """The expected calibration error, 0..1."""
    gaps = (abs(sum(score for score, _ in band) - sum(right for _, right in band)) for band in bands(lines))
    return sum(gaps) / len(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, help="a folder with lines/")
    parser.add_argument("--count", type=int, default=200, help="most lines of a set")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    engine = load_engine(threads=1)
    sets = {"generated": generated(engine.charset, arguments.count)}
    if arguments.eval:
        sets["real"] = line_sets(arguments.eval, arguments.count)
    rows = [["lines right, of those scored", *(f"{low:g} to {high:g}" for low, high in pairwise(BANDS)), "mean gap"]]
    for reader, recognizer in (("crnn", LineRecognizer(engine)), ("ppocr", line_recognizer())):
        for kind, members in sets.items():
            lines = [line for samples in members.values() for line in judged(recognizer, samples)]
            cells = [f"{sum(right for _, right in band) / len(band):.0%} of {len(band)}" if band else "-" for band in
                     bands(lines)]  # fmt: skip
            rows.append([f"{reader}, {kind}", *cells, f"{calibration_error(lines):.3f}"])
    print(table(rows))


if __name__ == "__main__":
    main()
