"""What articles about CRNN services claim for them, and what this one reaches, a command for each figure.

    python -m benchmarks.recognition.claims                # what can be drawn: invoices, blur
    python -m benchmarks.recognition.claims --eval DIR     # and real pages and lines

Pages count as in ``page recall``: the share of their lines that stand in the page's text without an error. Handwriting
counts characters. Blur is tried with the preprocessing that those articles recommend, and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.recognition.readers import page_readers
from benchmarks.recognition.samples import Page, drawn_invoices, found, line_sets, page_sets
from gateway.config import Settings
from worker.detect import TextDetector
from worker.engine import load_engine
from worker.page import PageReader
from worker.preprocess import Preprocess
from worker.recognise import LineRecognizer
from worker.training.evaluate import Sample, score, table

CLAIMS = {
    "invoices": ("92%", ("einvoice_zh", "hand_invoices_zh")),
    "street signs": ("85%", ("hand_scene_zh",)),
    "screenshots": ("96%", ("hand_screens_zh",)),
}
HANDWRITING = ("78%", ("handwriting_lines_zh", "hwdb_stitched_lines_zh"))
PREPROCESSING = {
    "as it is": Preprocess(),
    "CLAHE": Preprocess(clahe=True),
    "CLAHE, denoised": Preprocess(clahe=True, denoise=True),
    "CLAHE, denoised, Otsu": Preprocess(clahe=True, denoise=True, binarise="otsu"),
    "CLAHE, denoised, adaptive": Preprocess(clahe=True, denoise=True, binarise="adaptive"),
}


def recall(reader: PageReader, pages: Sequence[Page]) -> str:
    """The share of all lines that were read without an error."""
    right, wanted = np.sum([found(page, [line.text for line in reader.read(page.image)]) for page in pages], axis=0)
    return f"{right / wanted:.1%}"


def claims(readers: dict[str, PageReader], folder: Path | None) -> None:
    """Claims about pages."""
    sets = page_sets(folder)
    rows = [["what", "claimed", *readers]]
    invoices = drawn_invoices(8, blur=0.5, scale=0.75)
    rows.append(["invoices, drawn", CLAIMS["invoices"][0], *(recall(each, invoices) for each in readers.values())])
    for what, (claimed, names) in CLAIMS.items():
        pages = [page for name in names for page in sets.get(name, [])]
        if pages:
            rows.append([f"{what}, real", claimed, *(recall(each, pages) for each in readers.values())])
    lines = line_sets(folder)
    for name in HANDWRITING[1]:
        if name in lines:
            cells = (characters(each, lines[name]) for each in readers.values())
            rows.append([f"handwriting, {name}", HANDWRITING[0], *cells])
    print(table(rows), end="\n\n", flush=True)


def characters(reader: PageReader, samples: Sequence[Sample]) -> str:
    """The share of characters that are right, lines read without detection."""
    texts = ["".join(line.text for line in reader.read(image, "line")) for image, _ in samples]
    return f"{1 - score(texts, [text for _, text in samples]).cer:.1%}"


def blur(readers: dict[str, PageReader], count: int) -> None:
    """Drawn invoices, ever more blurred; the preprocessing of lines is the CRNN's alone."""
    detector, engine = TextDetector(1), load_engine(threads=1)
    ways = {name: PageReader(detector, LineRecognizer(engine, each)) for name, each in PREPROCESSING.items()}
    ways["as it is, with the second reader"] = readers["crnn + ppocr"]
    blurs = (0.0, 1.5, 2.0, 2.5, 3.0)
    pages = {each: drawn_invoices(count, blur=each) for each in blurs}
    rows = [["lines read right at a blur of", *(f"{each:g} px" for each in blurs)]]
    for name, reader in ways.items():
        rows.append([name, *(recall(reader, pages[each]) for each in blurs)])
    print(table(rows), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, help="a folder with lines/ and pages/")
    parser.add_argument("--count", type=int, default=5, help="drawn pages of each blur")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    readers = page_readers(1, Settings.model_fields["second_reader_below"].default)
    claims(readers, arguments.eval)
    blur(readers, arguments.count)


if __name__ == "__main__":
    main()
