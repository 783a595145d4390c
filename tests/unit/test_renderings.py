"""One record, several clothes."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from gateway.record import EngineFacts, ImageFacts, Match, PageLine, Record
from gateway.renderings import confidence, language, render
from worker.types import Character

BOX = ((1.04, 2.0), (11.0, 2.0), (11.0, 8.0), (1.0, 8.0))


def record(*lines: PageLine) -> Record:
    return Record(
        id="a" * 64,
        lines=lines,
        image=ImageFacts(100, 50, "b" * 64, "0123456789abcdef", 3, ((1, 100, 50), (3, 40, 30))),
        match=Match("none", "a" * 64),
        engine=EngineFacts("crnn", "r1"),
        processing_time_ms=412.71,
        created_at=1_700_000_000.9,
        expires_at=1_700_604_800,
    )


INVOICE = record(PageLine("增值税专用发票", 0.98, BOX), PageLine("¥1280.00", 0.6, BOX, 2, "ppocr"))


def test_the_json_has_every_member_of_the_contract():
    corners = [[1.0, 2.0], [11.0, 2.0], [11.0, 8.0], [1.0, 8.0]]
    assert json.loads(render(INVOICE, "json")) == {
        "id": "a" * 64,
        "success": True,
        "text": "增值税专用发票\n¥1280.00",
        "lines": [
            {
                "text": "增值税专用发票",
                "score": 0.98,
                "box": [[1.0, 2.0], [11.0, 2.0], [11.0, 8.0], [1.0, 8.0]],
                "page": 1,
                "reader": "crnn",
            },
            {"text": "¥1280.00", "score": 0.6, "box": corners, "page": 2, "reader": "ppocr"},
        ],
        "boxes": [[1.0, 2.0, 11.0, 8.0], [1.0, 2.0, 11.0, 8.0]],
        "scores": [0.98, 0.6],
        "confidence": pytest.approx((0.98 * 7 + 0.6 * 8) / 15, abs=1e-4),
        "language": "zh",
        "image": {
            "width": 100,
            "height": 50,
            "sha256": "b" * 64,
            "phash": "0123456789abcdef",
            "pages": 3,
            "page_sizes": [{"page": 1, "width": 100, "height": 50}, {"page": 3, "width": 40, "height": 30}],
        },
        "match": {"kind": "none", "source": "a" * 64, "distance": 0, "reread_lines": 0},
        "engine": {"name": "crnn", "revision": "r1"},
        "processing_time_ms": 412.7,
        "created_at": "2023-11-14T22:13:20Z",
        "expires_at": "2023-11-21T22:13:20Z",
        "thumbnail": f"/results/{'a' * 64}/thumbnail.webp",
    }


def test_low_scores_are_left_out_of_the_answer_only():
    answer = json.loads(render(INVOICE, "json", min_score=0.8))
    assert [line["text"] for line in answer["lines"]] == ["增值税专用发票"]
    assert answer["text"] == "增值税专用发票"
    assert answer["confidence"] == 0.98, "of the lines in the answer"
    assert len(INVOICE.lines) == 2


def test_confidence_weighs_lines_by_their_characters():
    assert confidence([PageLine("abc", 1.0, BOX), PageLine("d", 0.2, BOX)]) == pytest.approx(0.8)
    assert confidence([]) == 0.0


def test_plain_text_is_the_lines():
    assert render(INVOICE, "text").decode() == "增值税专用发票\n¥1280.00"


def test_csv_has_a_row_a_line():
    rows = list(csv.DictReader(io.StringIO(render(INVOICE, "csv").decode())))
    assert [(row["page"], row["text"], row["score"], row["x2"]) for row in rows] == [
        ("1", "增值税专用发票", "0.9800", "11.0"),
        ("2", "¥1280.00", "0.6000", "11.0"),
    ]


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("@SUM(A1)", "'@SUM(A1)"), ("-12,80", "-12,80"), ("+3", "+3")],
)
def test_csv_defuses_formulas_but_leaves_numbers(text, cell):
    rows = list(csv.DictReader(io.StringIO(render(record(PageLine(text, 1, BOX)), "csv").decode())))
    assert rows[0]["text"] == cell


def test_hocr_is_well_formed_and_escapes_the_text():
    body = render(record(PageLine("<b>&", 0.5, BOX), PageLine("2", 0.5, BOX, 3)), "hocr").decode()
    tree = ElementTree.fromstring(body.removeprefix("<!DOCTYPE html>\n"))
    assert [node.get("title") for node in tree.iter("div")] == [
        "bbox 0 0 100 50; ppageno 0",
        "bbox 0 0 40 30; ppageno 2",
    ]
    words = [node for node in tree.iter("span") if node.get("class") == "ocrx_word"]
    assert words[0].text == "<b>&"
    assert words[0].get("title") == "bbox 1 2 11 8; x_wconf 50"


CHARACTERS = (Character("1", 0.95004, 0.0, 0.4), Character("<", 0.5, 0.4, 1.0, (("(", 0.30004),)))


def test_characters_are_told_where_they_were_asked_for():
    told, plain = PageLine("1<", 0.5, BOX, characters=CHARACTERS), PageLine("1<", 0.5, BOX)
    first, second = json.loads(render(record(told, plain), "json"))["lines"]
    assert first["characters"] == [
        {"text": "1", "score": 0.95, "span": [0.0, 0.4], "alternatives": []},
        {"text": "<", "score": 0.5, "span": [0.4, 1.0], "alternatives": [{"text": "(", "score": 0.3}]},
    ]
    assert "characters" not in second


@pytest.mark.parametrize(
    ("box", "titles"),
    [
        (((0, 10), (100, 10), (100, 30), (0, 30)), ["0 10 40 30; x_confs 95", "40 10 100 30; x_confs 50"]),
        # upside down, and running down the page
        (((100, 30), (0, 30), (0, 10), (100, 10)), ["60 10 100 30; x_confs 95", "0 10 60 30; x_confs 50"]),
        (((30, 0), (30, 100), (10, 100), (10, 0)), ["10 0 30 40; x_confs 95", "10 40 30 100; x_confs 50"]),
    ],
)
def test_hocr_has_a_box_for_each_character_whichever_way_the_line_runs(box, titles):
    body = render(record(PageLine("1<", 0.5, box, characters=CHARACTERS)), "hocr").decode()
    tree = ElementTree.fromstring(body.removeprefix("<!DOCTYPE html>\n"))
    found = [node for node in tree.iter("span") if node.get("class") == "ocrx_cinfo"]
    assert [node.text for node in found] == ["1", "<"]
    assert [node.get("title") for node in found] == ["x_bboxes " + title for title in titles]


@pytest.mark.parametrize(("text", "tag"), [("发票 No 1", "zh"), ("TOTAL 12", "en"), ("12.80", "und"), ("", "und")])
def test_language_is_the_dominant_script(text, tag):
    assert language(text) == tag


def test_a_rendering_is_deterministic():
    assert render(INVOICE, "json") == render(Record.from_bytes(INVOICE.to_bytes()), "json")


def test_an_invoice_has_its_fields_with_the_line_they_stand_in():
    def line(text: str, y: float, score: float = 0.9) -> PageLine:
        return PageLine(text, score, ((10.0, y), (400.0, y), (400.0, y + 20), (10.0, y + 20)), 2)

    total = line("价税合计（小写）¥44.30", 90, 0.7)
    invoice = record(line("发票号码：89465988", 10), line("合计 ¥39.00 ¥5.30", 50), total)
    answer = json.loads(render(invoice, "json"))
    assert {name: field["value"] for name, field in answer["fields"].items()} == {
        "number": "89465988", "amount": "39.00", "tax": "5.30", "total": "44.30",
    }  # fmt: skip
    assert answer["fields"]["total"] == {
        "value": "44.30",
        "text": "44.30",
        "box": answer["lines"][2]["box"],
        "page": 2,
        "score": 0.7,
        "checks": [{"name": "amount+tax=total", "ok": True}],
    }
    assert "total" not in json.loads(render(invoice, "json", min_score=0.8)).get("fields", {})
