"""What the benchmarks read: generated lines, drawn pages, and folders of labelled images.

A folder given with ``--eval`` has ``lines/<set>/`` and ``pages/<set>/``, each with a ``labels.jsonl``: ``{"image",
"text"}`` a row, or ``{"image", "lines": [{"text"}, ...]}``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from tests.documents import draw_invoice
from worker.charset import Charset
from worker.training.evaluate import CONDITIONS, HELD_OUT_SEED, Sample, folder_lines, held_out, normalise
from worker.training.lines import LineGenerator


@dataclass(frozen=True)
class Page:
    """``image``: uint8 RGB ``(h, w, 3)``; ``texts``: its lines, in no order that counts."""

    image: np.ndarray
    texts: tuple[str, ...]


def generated(charset: Charset, count: int, fonts: Sequence[Path] = ()) -> dict[str, list[Sample]]:
    """Held-out generated lines, ``count`` a condition."""
    generator = LineGenerator(charset, HELD_OUT_SEED, extra=tuple(fonts))
    return {name: held_out(generator, name, count) for name in (*CONDITIONS, "mixed")}


def line_sets(folder: Path | None, most: int | None = None) -> dict[str, list[Sample]]:
    """The sets of lines under ``folder``, ``most`` of each."""
    found = sorted((folder / "lines").iterdir()) if folder and (folder / "lines").is_dir() else []
    return {each.name: folder_lines(each)[:most] for each in found}


def page_sets(folder: Path | None, most: int | None = None) -> dict[str, list[Page]]:
    """The sets of pages under ``folder``, ``most`` of each."""
    found = sorted((folder / "pages").iterdir()) if folder and (folder / "pages").is_dir() else []
    return {each.name: list(_pages(each))[:most] for each in found}


def _pages(folder: Path) -> Iterator[Page]:
    with (folder / "labels.jsonl").open(encoding="utf-8") as file:
        for row in filter(str.strip, file):
            item = json.loads(row)
            with Image.open(folder / item["image"]) as image:
                upright = ImageOps.exif_transpose(image).convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            white.alpha_composite(upright)
            yield Page(np.asarray(white.convert("RGB")), tuple(line["text"] for line in item["lines"]))


def drawn_invoices(count: int, blur: float = 0.0, scale: float = 1.0, seed: int = 0) -> list[Page]:
    """Drawn e-invoices, 1190 pixels wide times ``scale``, blurred (Gaussian, standard deviation in pixels), a little
    noisy."""
    pages = []
    for number in range(count):
        invoice = draw_invoice(seed + number, rows=4 + number % 5)
        image = invoice.image
        if scale != 1:
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        noise = np.random.default_rng(random.Random(number).getrandbits(32)).normal(0, 4, (*image.size[::-1], 1))
        pages.append(Page(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8), invoice.texts))
    return pages


def found(page: Page, texts: Sequence[str]) -> tuple[int, int]:
    """How many of the page's labelled lines are, as they are, in what was read; and how many there are."""
    read = normalise("\n".join(texts))
    wanted = [text for text in map(normalise, page.texts) if text]
    return sum(text in read for text in wanted), len(wanted)
