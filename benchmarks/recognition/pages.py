"""Where pages lose lines: the share of their lines read without an error, by who detects and who recognises.

    python -m benchmarks.recognition.pages                # drawn invoices
    python -m benchmarks.recognition.pages --eval DIR     # every set in DIR/pages

``crnn``, ``crnn + ppocr`` and ``ppocr`` (PP-OCRv6 small) read this project's boxes, ``rapidocr`` is RapidOCR as a
whole, with its own detection, ``crnn on rapidocr`` reads its boxes. In brackets, milliseconds of CPU time a page on one
thread.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.recognition.readers import cpu_seconds, page_readers
from benchmarks.recognition.samples import Page, drawn_invoices, found, page_sets
from gateway.config import Settings
from worker.page import PageReader
from worker.training.evaluate import table

Read = Callable[[np.ndarray], Sequence[str]]
"""A uint8 RGB page to its lines' texts."""


def rapidocr_readers(own: PageReader) -> dict[str, Read]:
    """RapidOCR as it comes, and ``own`` on its boxes."""
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    engine = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"})

    def whole(page: np.ndarray) -> Sequence[str]:
        return engine(np.ascontiguousarray(page[..., ::-1])).txts or ()

    def own_on_its_boxes(page: np.ndarray) -> Sequence[str]:
        boxes = engine(np.ascontiguousarray(page[..., ::-1])).boxes
        if boxes is None:
            return ()
        quads = [tuple((float(x), float(y)) for x, y in box) for box in boxes]
        return [reading.text for reading in own.read_lines(page, quads)]

    return {"rapidocr": whole, "crnn on rapidocr": own_on_its_boxes}


def cell(read: Read, pages: Sequence[Page]) -> str:
    """Recall and time."""
    start = cpu_seconds()
    texts = [read(page.image) for page in pages]
    milliseconds = (cpu_seconds() - start) / len(pages) * 1e3
    right, wanted = np.sum([found(page, each) for page, each in zip(pages, texts, strict=True)], axis=0)
    return f"{right / wanted:.3f} ({milliseconds:.0f})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eval", type=Path, help="a folder with pages/")
    parser.add_argument("--count", type=int, default=30, help="most pages of a set")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    own = page_readers(1, Settings.model_fields["second_reader_below"].default)
    readers: dict[str, Read] = {
        name: lambda page, reader=reader: [line.text for line in reader.read(page)] for name, reader in own.items()
    }
    readers |= rapidocr_readers(own["crnn"])
    sets = page_sets(arguments.eval, arguments.count) or {
        "drawn": drawn_invoices(4),
        "drawn, half size": drawn_invoices(4, scale=0.5),
        "drawn, blurred": drawn_invoices(4, blur=2),
    }
    rows = [["pages", *readers]]
    for name, pages in sets.items():
        rows.append([f"{name} ({len(pages)})", *(cell(read, pages) for read in readers.values())])
    print(table(rows))


if __name__ == "__main__":
    main()
