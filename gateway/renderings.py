"""A record in the clothes that clients ask for: the contract's JSON, plain text, CSV and hOCR."""

from __future__ import annotations

import csv
import html
import io
import json
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.fields import Field, fields_of
from gateway.record import Match, PageLine, Point, Record

MEDIA_TYPES = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "hocr": "text/vnd.hocr+html; charset=utf-8",
}


def render(record: Record, clothes: str, *, min_score: float = 0.0, match: Match | None = None) -> bytes:
    """``record`` as ``json``, ``text``, ``csv`` or ``hocr``, without the lines scored under ``min_score``.

    ``match`` replaces the stored one in the JSON (an answer to the same bytes says ``exact``).
    Deterministic: the same record gives the same bytes.
    """
    lines = tuple(line for line in record.lines if line.score >= min_score)
    if clothes == "json":
        return json.dumps(answer(record, lines, match or record.match), ensure_ascii=False).encode()
    if clothes == "hocr":
        return _hocr(lines, record.image.page_sizes).encode()
    renderer: Callable[[tuple[PageLine, ...]], str] = {"text": _text, "csv": _csv}[clothes]
    return renderer(lines).encode()


def answer(record: Record, lines: tuple[PageLine, ...], match: Match) -> dict[str, Any]:
    """The contract's JSON object."""
    text = _text(lines)
    fields = {name: _field(field) for name, field in fields_of(lines).items()}
    return {
        "id": record.id,
        "success": True,
        "text": text,
        "lines": [_line(line) for line in lines],
        "boxes": [[round(value, 1) for value in line.bounds] for line in lines],
        "scores": [round(line.score, 4) for line in lines],
        "confidence": round(confidence(lines), 4),
        "language": language(text),
        "image": {
            "width": record.image.width,
            "height": record.image.height,
            "sha256": record.image.sha256,
            "phash": record.image.phash,
            "pages": record.image.pages,
            "page_sizes": [
                {"page": number, "width": width, "height": height} for number, width, height in record.image.page_sizes
            ],
        },
        "match": {
            "kind": match.kind,
            "source": record.id if match.of_another_document else match.source,
            "distance": match.distance,
            "reread_lines": match.reread_lines,
        },
        "engine": {"name": record.engine.name, "revision": record.engine.revision},
        "processing_time_ms": round(record.processing_time_ms, 1),
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "thumbnail": f"/results/{record.id}/thumbnail.webp",
    } | ({"fields": fields} if fields else {})


def _line(line: PageLine) -> dict[str, Any]:
    said = {
        "text": line.text,
        "score": round(line.score, 4),
        "box": _points(line),
        "page": line.page,
        "reader": line.reader,
    }
    if line.characters:
        said["characters"] = [
            {
                "text": character.text,
                "score": round(character.score, 4),
                "span": [character.start, character.end],
                "alternatives": [
                    {"text": text, "score": round(score, 4)} for text, score in character.alternatives
                ],
            }
            for character in line.characters
        ]
    return said


def confidence(lines: Sequence[PageLine]) -> float:
    """Mean score of ``lines`` weighted by the characters of each; 0 without any."""
    characters = sum(len(line.text) for line in lines)
    return sum(line.score * len(line.text) for line in lines) / characters if characters else 0.0


def language(text: str) -> str:
    """BCP 47 tag of the dominant script: ``zh`` with any Han character, else ``en`` with a letter, else ``und``."""
    letters = [character for character in text if unicodedata.category(character)[0] == "L"]
    if any("\u3400" <= character <= "\u9fff" for character in letters):
        return "zh"
    return "en" if letters else "und"


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _points(line: PageLine) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in line.box]


def _field(field: Field) -> dict[str, Any]:
    return {
        "value": field.value,
        "text": field.text,
        "box": _points(field.line),
        "page": field.line.page,
        "score": round(field.line.score, 4),
        "checks": [{"name": check.name, "ok": check.ok} for check in field.checks],
    }


def _text(lines: tuple[PageLine, ...]) -> str:
    return "\n".join(line.text for line in lines)


def _csv(lines: tuple[PageLine, ...]) -> str:
    """RFC 4180, one line of text a row. A cell that a spreadsheet would run as a formula starts with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["page", "text", "score", "x1", "y1", "x2", "y2"])
    for line in lines:
        text = (
            "'" + line.text
            if line.text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(line.text)
            else line.text
        )
        writer.writerow([line.page, text, f"{line.score:.4f}", *(round(value, 1) for value in line.bounds)])
    return buffer.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _hocr(lines: tuple[PageLine, ...], page_sizes: tuple[tuple[int, int, int], ...]) -> str:
    """hOCR 1.2: one ``ocr_page`` a page, one ``ocr_line`` a line, one ``ocrx_cinfo`` a character where they are told;
    ``x_wconf`` and ``x_confs`` in percent."""
    body = []
    for page, width, height in page_sizes:
        title = f"bbox 0 0 {width} {height}; ppageno {page - 1}"
        body.append(f'<div class="ocr_page" id="page_{page}" title="{title}">')
        for number, line in enumerate((line for line in lines if line.page == page), 1):
            x1, y1, x2, y2 = (round(value) for value in line.bounds)
            body.append(
                f'<span class="ocr_line" id="line_{page}_{number}" title="bbox {x1} {y1} {x2} {y2}">'
                f'<span class="ocrx_word" title="bbox {x1} {y1} {x2} {y2}; x_wconf {round(line.score * 100)}">'
                f"{_hocr_characters(line) or html.escape(line.text)}</span></span>"
            )
        body.append("</div>")
    head = (
        '<meta charset="utf-8"/><title>hOCR</title><meta name="ocr-system" content="ocr-gateway"/>'
        '<meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word ocrx_cinfo"/>'
    )
    content = "\n".join(body)
    tag = language(_text(lines))
    return f'<!DOCTYPE html>\n<html lang="{tag}"><head>{head}</head><body>\n{content}\n</body></html>\n'


def _hocr_characters(line: PageLine) -> str:
    (left, top), (right, up), (far, bottom), (near, low) = line.box

    def along(share: float) -> tuple[Point, Point]:
        """Where the line's upper and lower edge are after that share of its length."""
        upper = left + share * (right - left), top + share * (up - top)
        return upper, (near + share * (far - near), low + share * (bottom - low))

    marked = []
    for character in line.characters:
        corners = (*along(character.start), *along(character.end))
        xs, ys = [round(x) for x, _ in corners], [round(y) for _, y in corners]
        title = f"x_bboxes {min(xs)} {min(ys)} {max(xs)} {max(ys)}; x_confs {round(character.score * 100)}"
        marked.append(f'<span class="ocrx_cinfo" title="{title}">{html.escape(character.text)}</span>')
    return "".join(marked)
