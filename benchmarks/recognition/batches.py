"""What lines of one call share: CPU time a line by engine, lines a call, and threads that share a call.

    python -m benchmarks.recognition.batches [--count 150]

Generated lines, in the order of their widths, as a page's lines are read. Lines of two requests in one batch are no
cheaper than larger batches are here.
"""

from __future__ import annotations

import argparse
from functools import cache

import cv2

from benchmarks.recognition.readers import cpu_seconds
from benchmarks.recognition.samples import generated
from worker.engine import load_engine
from worker.recognise import LineRecognizer
from worker.training.evaluate import table

ENGINES = ("onnx", "torch")
LINES_A_CALL = (1, 2, 4, 8, 16)
# Lines a call and threads that share it.
SHARED = ((4, 2), (8, 2))
ROUNDS = 3


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=150, help="lines")
    count = parser.parse_args().count
    cv2.setNumThreads(1)
    crops = [crop for crop, _ in generated(load_engine().charset, count)["clean"]]
    columns = [(lines, 1) for lines in LINES_A_CALL] + list(SHARED)
    load = cache(load_engine)
    rows = [["engine", *(f"{lines} a call" + f", {threads} threads" * (threads > 1) for lines, threads in columns)]]
    for kind in ENGINES:
        row = [kind]
        for lines, threads in columns:
            recognizer = LineRecognizer(load(kind, threads), max_batch=lines)
            recognizer.recognise(crops)
            spent = []
            for _ in range(ROUNDS):
                started = cpu_seconds()
                recognizer.recognise(crops)
                spent.append(cpu_seconds() - started)
            row.append(f"{min(spent) * 1000 / count:.2f} ms")
        rows.append(row)
    print(table(rows))


if __name__ == "__main__":
    main()
