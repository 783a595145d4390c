"""What it is worth to know something of a text, and what it costs, on lines of which it is true, and where not.

    python -m benchmarks.recognition.constraints                # generated lines
    python -m benchmarks.recognition.constraints --eval DIR     # and real ones, every set in DIR/lines

Columns: without; with a lexicon of the words of all lines of the set; with one of the words of all lines but the one
that is read, which ought to change nothing; of the lines that are amounts, dates and numbers alone, without and with
these character sets; and of the lines that are codes (digits, capitals, punctuation), without, with the pattern of the
line, and with that of the next line, which ought to change nothing. Each has the character error rate, the lines
without an error, and CPU time.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from benchmarks.recognition.readers import cpu_seconds
from benchmarks.recognition.samples import generated, line_sets
from worker.constraints import LONGEST_WORD, UNCONSTRAINED, Constraints
from worker.engine import load_engine
from worker.recognise import LineRecognizer
from worker.training.evaluate import Sample, score, table

FIGURES = Constraints("amount,date")
CODE = re.compile(r"[A-Z0-9./:,()¥￥%年月日 -]*[0-9][A-Z0-9./:,()¥￥%年月日 -]*")
SHORTEST_CODE = 4
_WORD = re.compile(rf"[^\W_]{{2,{LONGEST_WORD}}}")


def words(texts: Sequence[str]) -> frozenset[str]:
    """Their words: runs of letters, hanzi and digits."""
    return frozenset(word for text in texts for word in _WORD.findall(text))


def pattern(text: str) -> str:
    """What lines like ``text`` look like: any digit where it has one, any capital, the rest as it is."""
    kinds = groupby("0" if character.isdigit() else "A" if character.isalpha() and character.isascii() else character
                    for character in text)  # fmt: skip
    named = {"0": r"\d", "A": "[A-Z]"}
    return "".join(f"{named.get(kind, re.escape(kind))}{{{len(list(run))}}}" for kind, run in kinds)


def read(recognizer: LineRecognizer, crop: np.ndarray, constraints: Constraints) -> str:
    """As a page's line is read: constraints count where they might change something."""
    [reading] = recognizer.recognise([crop])
    if constraints.may_change(reading):
        [reading] = recognizer.recognise([crop], constraints)
    return reading.text


def measured(
    recognizer: LineRecognizer, samples: Sequence[Sample], constraints: Callable[[int], Constraints]
) -> str:
    """One cell: ``constraints`` are those of a line by its number."""
    if not samples:
        return "-"
    chosen = [constraints(number) for number in range(len(samples))]
    started = cpu_seconds()
    texts = [read(recognizer, image, each) for (image, _), each in zip(samples, chosen, strict=True)]
    spent = (cpu_seconds() - started) * 1000 / len(samples)
    result = score(texts, [text for _, text in samples])
    return f"{result.cer:.4f} ({result.exact_rate:.0%}, {spent:.0f} ms)"


def row(recognizer: LineRecognizer, name: str, samples: Sequence[Sample]) -> list[str]:
    """One set of lines."""
    texts = [text for _, text in samples]
    everything = Constraints(lexicon=tuple(sorted(words(texts))))
    others = [
        Constraints(lexicon=tuple(sorted(words(texts[:number] + texts[number + 1 :]) - words([text]))))
        for number, text in enumerate(texts)
    ]
    figures = [sample for sample in samples if sample[1].strip() and FIGURES.allows(sample[1])]
    codes = [sample for sample in samples if len(sample[1]) >= SHORTEST_CODE and CODE.fullmatch(sample[1])]
    patterns = [Constraints(pattern=pattern(text)) for _, text in codes]
    return [
        f"{name} ({len(samples)}, {len(figures)}, {len(codes)})",
        measured(recognizer, samples, lambda number: UNCONSTRAINED),
        measured(recognizer, samples, lambda number: everything),
        measured(recognizer, samples, lambda number: others[number]),
        measured(recognizer, figures, lambda number: UNCONSTRAINED),
        measured(recognizer, figures, lambda number: FIGURES),
        measured(recognizer, codes, lambda number: UNCONSTRAINED),
        measured(recognizer, codes, lambda number: patterns[number]),
        measured(recognizer, codes, lambda number: patterns[(number + 1) % len(patterns)]),
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, help="a folder with lines/")
    parser.add_argument("--count", type=int, default=150, help="most lines of a set")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    engine = load_engine(threads=1)
    recognizer = LineRecognizer(engine)
    sets = {f"generated, {name}": lines for name, lines in generated(engine.charset, arguments.count).items()}
    sets |= line_sets(arguments.eval, arguments.count)
    head = ["lines (all, figures, codes)", "without", "lexicon", "lexicon of others", "figures, without",
            "with charset", "codes, without", "with pattern", "pattern of others"]  # fmt: skip
    print(table([head, *(row(recognizer, name, samples) for name, samples in sets.items())]))


if __name__ == "__main__":
    main()
