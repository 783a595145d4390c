"""The pictures of docs/matching.md, made by the matcher itself: python -m benchmarks.matching.pictures [FOLDER]"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from benchmarks.matching.captures import CAPTURES, Layout, generator
from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import RED, Document, font, line_boxes, render
from benchmarks.matching.pairs import changed
from gateway.identity import perceptual_hash
from gateway.matching import Query, Verdict, use_one_thread, verify
from gateway.matching.align import Alignment, align
from gateway.matching.capture import model_capture
from gateway.matching.compare import ink_ranges, line_windows
from gateway.matching.proof import Proof, make_proof
from gateway.matching.residual import line_scale

KIND, SEED = "invoice", 3
_WIDTH = 1180
_GAP = 12
_GREEN, _AMBER, _GROUND = (27, 127, 59), (214, 137, 16), (244, 244, 242)
_GLOW = (225, 25, 25)
_LEAST, _MOST = 0.08, 0.35  # residuals that begin to glow, and that glow fully
_WORDS = {"same": "hit", "doubtful": "read again", "different": "miss"}


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture laid over the proof, and what of it the model of the capture leaves unexplained."""

    proof: Proof
    alignment: Alignment
    verdict: Verdict
    residual: np.ndarray


def look(proof: Proof, page: np.ndarray, texts: Sequence[str]) -> Seen:
    """``page`` as the matcher sees it. ``residual``: float32 (h, w), stroke residual in the lines, 0 elsewhere."""
    query = Query(page)
    alignment = align(proof, query)
    windows = line_windows(proof)
    inked = np.zeros(proof.image.shape, bool)
    for x0, y0, x1, y1 in windows.tolist():
        inked[y0:y1, x0:x1] = True
    height = float(np.median(proof.text_heights))
    capture = model_capture(alignment.rendition, alignment.image, inked, alignment.inside, height)
    ranges = ink_ranges(capture.expected, windows)
    typical = float(np.median(ranges[ranges > 0]))
    residual = np.zeros(proof.image.shape, np.float32)
    for (x0, y0, x1, y1), own in zip(windows.tolist(), ranges.tolist(), strict=True):
        seen, expected = capture.seen[y0:y1, x0:x1], capture.expected[y0:y1, x0:x1]
        relative = cv2.blur((seen - expected) / line_scale(expected, own, typical), (3, 3))
        residual[y0:y1, x0:x1] = np.maximum(residual[y0:y1, x0:x1], np.abs(relative))
    return Seen(proof, alignment, verify(proof, query, texts), residual)


def glowing(grey: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """``grey`` (uint8 (h, w)) pale, with ``residual`` (float32 (h, w)) lit up over it: uint8 RGB."""
    pale = np.repeat((150 + grey.astype(np.float32) * 0.41)[..., None], 3, axis=2)
    share = np.clip((residual - _LEAST) / (_MOST - _LEAST), 0, 1)[..., None]
    return (pale * (1 - share) + np.float32(_GLOW) * share).astype(np.uint8)


def outlined(page: np.ndarray, boxes: np.ndarray, doubtful: Sequence[int]) -> np.ndarray:
    """``page`` with its lines in green, those to be read again in amber."""
    drawn = page.copy()
    width = max(2, round(page.shape[1] / 500))
    for index, quad in enumerate(boxes):
        cv2.polylines(drawn, [np.round(quad).astype(np.int32)], True, _AMBER if index in doubtful else _GREEN,
                      width * (2 if index in doubtful else 1), cv2.LINE_AA)
    return drawn


# --- layout -----------------------------------------------------------------------------------------------------
def panel(picture: np.ndarray, caption: str, size: tuple[int, int]) -> Image.Image:
    """``picture`` fitted into ``size`` = (w, h) pixels over its caption."""
    width, height = size
    scale = min(width / picture.shape[1], height / picture.shape[0])
    fitted = cv2.resize(picture, None, fx=scale, fy=scale,
                        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    card = Image.new("RGB", (width, fitted.shape[0] + 30), _GROUND)
    card.paste(Image.fromarray(fitted), ((width - fitted.shape[1]) // 2, 0))
    ImageDraw.Draw(card).text((2, fitted.shape[0] + 5), caption, (40, 40, 40), font("Sans", "Regular", 16))
    return card


def row(*panels: Image.Image) -> Image.Image:
    """Panels side by side."""
    width = sum(one.width for one in panels) + _GAP * (len(panels) - 1)
    sheet = Image.new("RGB", (width, max(one.height for one in panels)), _GROUND)
    x = 0
    for one in panels:
        sheet.paste(one, (x, 0))
        x += one.width + _GAP
    return sheet


def column(*rows: Image.Image) -> Image.Image:
    """Rows under one another."""
    sheet = Image.new("RGB", (max(one.width for one in rows), sum(one.height for one in rows) + _GAP * (len(rows) - 1)),
                      _GROUND)
    y = 0
    for one in rows:
        sheet.paste(one, (0, y))
        y += one.height + _GAP
    return sheet


def _crop(picture: np.ndarray, box: np.ndarray, scale: float, around: tuple[float, float] = (3.0, 2.2)) -> np.ndarray:
    """The surroundings of ``box`` (4, 2) in pixels of the page; ``scale``: pixels of ``picture`` per page pixel."""
    (x0, y0), (x1, y1) = box.min(axis=0) * scale, box.max(axis=0) * scale
    dx, dy = around[0] * (y1 - y0), around[1] * (y1 - y0)
    height, width = picture.shape[:2]
    return picture[max(0, int(y0 - dy)):min(height, int(y1 + dy)), max(0, int(x0 - dx)):min(width, int(x1 + dx))]


# --- the pictures -----------------------------------------------------------------------------------------------
def impostor(document: Document, page: np.ndarray, proof: Proof) -> tuple[Image.Image, str]:
    """An original, an impostor with the very same pHash, and what the matcher sees."""
    for number in range(1000):
        other = changed(document, "digit", number, SEED)
        if "¥" in other.what:
            query = render(other.document)
            if perceptual_hash(query) == perceptual_hash(page):
                break
    index = next(i for i, (a, b) in enumerate(zip(document.runs, other.document.runs, strict=True)) if a != b)
    seen = look(proof, query, document.texts)
    box = line_boxes(document)[index]
    glow = glowing(proof.image, seen.residual)
    third = (_WIDTH - 2 * _GAP) // 3
    limit = seen.verdict.limit
    cards = row(
        panel(_crop(page, box, 1), f"stored: pHash {perceptual_hash(page)}", (third, 400)),
        panel(_crop(query, box, 1), f"uploaded: pHash {perceptual_hash(query)}", (third, 400)),
        panel(_crop(glow, box, proof.scale), f"residual {seen.verdict.residuals[index]:.2f}, limit {limit:.2f}",
              (third, 400)),
    )
    half = (_WIDTH - _GAP) // 2
    whole = row(panel(query, f"uploaded: {other.what}", (half, 500)),
                panel(glow, f"the stroke residual of all lines: {_WORDS[seen.verdict.kind]}", (half, 500)))
    return column(cards, whole), f"{other.what}, residual {seen.verdict.residuals[index]:.2f}: {seen.verdict.kind}"


def photograph(document: Document, proof: Proof, page: np.ndarray) -> tuple[Image.Image, str]:
    """A photographed copy, its rendition in the proof's frame, and what is left unexplained."""
    query = CAPTURES["photo 2400"](Layout.of(document), generator(KIND, SEED, "photo 2400"))(page)
    seen = look(proof, query, document.texts)
    rendition = np.repeat(seen.alignment.image[..., None], 3, axis=2)
    worst = float(seen.verdict.residuals.max())
    half = (_WIDTH - _GAP) // 2
    sheet = column(
        row(panel(outlined(query, seen.verdict.boxes, seen.verdict.doubtful),
                  "uploaded, the record's lines found on it", (half, 460)),
            panel(rendition, "the same in the stored page's frame", (half, 460))),
        row(panel(np.repeat(proof.image[..., None], 3, axis=2), "the proof: what is stored of the page", (half, 460)),
            panel(glowing(proof.image, seen.residual),
                  f"the stroke residual, at most {worst:.2f}: {_WORDS[seen.verdict.kind]}", (half, 460))),
    )
    return sheet, f"photograph: {seen.verdict.kind}, residual {worst:.3f}, limit {seen.verdict.limit:.3f}"


def partial(document: Document, proof: Proof, page: np.ndarray) -> tuple[Image.Image, str]:
    """A corrected copy: the lines to be read again, and the residual that says so."""
    other = changed(document, "point", 0, SEED)
    query = CAPTURES["x 0.75"](Layout.of(document), generator(KIND, SEED, "x 0.75"))(render(other.document))
    seen = look(proof, query, document.texts)
    half = (_WIDTH - _GAP) // 2
    lines = len(document.runs)
    sheet = row(
        panel(outlined(query, seen.verdict.boxes, seen.verdict.doubtful),
              f"uploaded: {other.what}; {len(seen.verdict.doubtful)} of {lines} lines are read again", (half, 500)),
        panel(glowing(proof.image, seen.residual), "the stroke residual of all lines", (half, 500)),
    )
    return sheet, f"partial: {other.what}: {seen.verdict.kind}, lines {seen.verdict.doubtful}"


def misses(document: Document, proof: Proof, page: np.ndarray) -> tuple[Image.Image, str]:
    """What makes a page another one: a stamp, struck-out text, an added line, a line removed."""
    cards, notes = [], []
    quarter = (_WIDTH - 3 * _GAP) // 4
    for change in ("stamp", "struck", "added", "removed"):
        other = changed(document, change, 0, SEED)
        picture = render(other.document)
        verdict = verify(proof, picture, document.texts)
        differs = (picture != page).any(axis=2)
        ys, xs = np.nonzero(differs)
        x, y = int(xs.mean()), int(ys.mean())
        top, left = max(0, min(y - 90, page.shape[0] - 180)), max(0, min(x - 150, page.shape[1] - 300))
        shown = picture[top:top + 180, left:left + 300].copy()
        if change == "removed":
            cv2.rectangle(shown, (int(xs.min()) - left - 4, int(ys.min()) - top - 4),
                          (int(xs.max()) - left + 4, int(ys.max()) - top + 4), RED, 1)
        cards.append(panel(shown, f"{change}: {_WORDS[verdict.kind]} ({verdict.reasons[0]})", (quarter, 200)))
        notes.append(f"{change}: {verdict.kind} {verdict.reasons} {verdict.doubtful}")
    return row(*cards), "; ".join(notes)


def main(folder: Path) -> None:
    use_one_thread()
    document = KINDS[KIND](SEED)
    page = render(document)
    proof = make_proof(page, line_boxes(document))
    drawn = {"impostor": impostor(document, page, proof), "photograph": photograph(document, proof, page),
             "partial": partial(document, proof, page), "misses": misses(document, proof, page)}
    for name, (picture, note) in drawn.items():
        picture.save(folder / f"matching-{name}.webp", quality=80, method=6)
        print(note)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images"))
