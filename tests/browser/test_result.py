"""The result beside the picture: pointing, copying, saving, doubtful lines, the cache's word."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from tests.documents import draw_invoice

RESULT = re.compile(r"/results/[0-9a-f]{64}$")
LINES = ("Total amount 1280", "Thank you", "Come again")


@pytest.fixture
def result(desk, drawn):
    """A desk with one document of three lines on it."""
    opened = desk()
    opened.choose(drawn(*LINES).file("note.png"))
    return opened.settled()


@pytest.fixture
def answered(desk, drawn):
    """The same desk, with the gateway's answer to an upload edited on its way by ``edit(record, headers)``."""

    def open_edited(edit):
        def handle(route):
            response = route.fetch()
            record, headers = response.json(), dict(response.headers)
            edit(record, headers)
            route.fulfill(status=200, headers=headers, body=json.dumps(record))

        def intercept(page):
            page.route("**/ocr", handle)
            page.route(RESULT, lambda route: route.fulfill(status=404, body="{}"))

        opened = desk(before=intercept)
        opened.choose(drawn(*LINES).file("note.png"))
        return opened.settled()

    return open_edited


def clipboard(opened) -> str:
    return opened.page.evaluate("navigator.clipboard.readText()")


def saved(opened, button) -> tuple[str, bytes]:
    with opened.page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def record_of(opened, gateway) -> dict:
    return requests.get(opened.look_ups()[0].url, timeout=10).json()


# --- pointing -----------------------------------------------------------------------------


def test_pointing_at_a_line_marks_its_box_and_the_other_way_round(result):
    result.page.locator(".line").nth(1).hover()
    assert result.page.locator(".box.pointed").get_attribute("data-line") == "1"
    result.page.locator(".box").nth(2).hover()
    assert result.page.locator(".line.pointed").get_attribute("data-line") == "2"
    result.page.locator("h2.name").hover()
    assert result.page.locator(".pointed").count() == 0


def test_a_clicked_box_chooses_its_line(result):
    result.page.locator(".box").nth(2).click()
    assert result.page.locator('.line[aria-selected="true"] .text').inner_text() == LINES[2]


def test_arrow_keys_walk_the_lines_and_enter_copies_one(result):
    result.page.locator(".line").first.focus()
    result.page.keyboard.press("ArrowDown")
    assert result.page.locator(".box.chosen").get_attribute("data-line") == "1"
    result.page.keyboard.press("Enter")
    result.page.locator(".line .copy.done").wait_for()
    assert clipboard(result) == LINES[1]
    result.page.keyboard.press("End")
    assert result.page.evaluate("document.activeElement.dataset.line") == "2"


def test_sixty_lines_are_one_stop_for_the_tab_key(result):
    assert result.page.locator('.lines [tabindex="0"]').count() == 1
    assert result.page.locator('.lines button:not([tabindex="-1"])').count() == 0


def test_a_line_out_of_sight_is_brought_into_view_on_the_picture(result):
    for _ in range(5):
        result.page.get_by_role("button", name="Zoom in").click()
    result.page.locator(".viewport").evaluate("frame => frame.scrollTo(frame.scrollWidth, frame.scrollHeight)")
    box = result.page.locator('.box[data-line="0"]')
    expect(box).not_to_be_in_viewport()
    result.page.locator(".line").first.click()
    expect(box).to_be_in_viewport()


def test_boxes_can_be_hidden(result):
    result.page.locator('[data-tool="boxes"]').click()
    assert result.page.locator(".box").first.evaluate("box => getComputedStyle(box).opacity") == "0"


# --- taking it away -----------------------------------------------------------------------


def test_copy_all_gives_the_text(result, gateway):
    result.page.locator("#copy-all").click()
    result.page.get_by_role("button", name="Copied").wait_for()
    assert clipboard(result) == record_of(result, gateway)["text"] == "\n".join(LINES)


def test_a_button_that_is_pressed_twice_has_its_own_words_again(result):
    own = result.page.locator("#copy-all")
    words = own.inner_text()
    own.dblclick()
    expect(own).to_have_text("Copied")
    expect(own).to_have_text(words)


def test_copying_works_without_the_clipboard_interface(desk, drawn):
    opened = desk(before=lambda page: page.add_init_script("delete Navigator.prototype.clipboard"))
    opened.choose(drawn(*LINES).file())
    opened.settled()
    opened.page.evaluate(
        "document.addEventListener('copy', () => (window.taken = String(document.activeElement.value)))"
    )
    opened.page.locator(".line .copy").first.click()
    opened.page.locator(".line .copy.done").wait_for()
    assert opened.page.evaluate("window.taken") == LINES[0]


@pytest.mark.parametrize("format", ["text", "csv", "json"])
def test_a_saved_result_equals_the_gateways_own_rendering(result, gateway, format):
    name, content = saved(result, result.page.locator(f'.take [data-save="{format}"]'))
    address = result.look_ups()[0].url
    if format == "json":
        assert name == "note.json"
        assert json.loads(content) | {"match": None} == record_of(result, gateway) | {"match": None}
    elif format == "csv":
        assert name == "note.csv"
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        theirs = list(csv.DictReader(io.StringIO(requests.get(f"{address}/lines.csv", timeout=10).text)))
        assert [row.keys() for row in rows] == [row.keys() for row in theirs]
        numbers = ("page", "score", "x1", "y1", "x2", "y2")
        for mine, other in zip(rows, theirs, strict=True):
            assert mine["text"] == other["text"]
            assert [float(mine[key]) for key in numbers] == pytest.approx([float(other[key]) for key in numbers])
    else:
        assert name == "note.txt"
        assert content.decode() == requests.get(f"{address}/text", timeout=10).text


def test_a_spreadsheet_gets_no_formula_of_a_document(answered):
    def formulas(record, headers):
        for line, text in zip(record["lines"], ['=HYPERLINK("http://x")', "-1,280.50", "+cmd|calc"], strict=True):
            line["text"] = text

    opened = answered(formulas)
    _, content = saved(opened, opened.page.locator('.take [data-save="csv"]'))
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["text"] for row in rows] == ['\'=HYPERLINK("http://x")', "-1,280.50", "'+cmd|calc"]


def test_all_documents_are_saved_together(desk, drawn):
    opened = desk()
    opened.choose(drawn("First of two").file("a.png"), drawn("Second of two").file("b.png"))
    opened.settled()
    batch = opened.page.locator(".batch")
    name, content = saved(opened, batch.get_by_role("button", name="JSON"))
    assert name == "results.json"
    assert [record["text"] for record in json.loads(content)["results"]] == ["First of two", "Second of two"]
    _, content = saved(opened, batch.get_by_role("button", name="CSV"))
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [(row["file"], row["text"]) for row in rows] == [("a.png", "First of two"), ("b.png", "Second of two")]


def test_a_table_has_a_row_for_every_invoice_with_all_digits_of_its_number(desk, drawn):
    invoices = [draw_invoice(11), draw_invoice(12)]
    opened = desk()
    opened.choose(
        *({"name": f"{each.number}.png", "mimeType": "image/png", "buffer": each.png()} for each in invoices),
        drawn("No invoice at all").file("note.png"),
    )
    opened.settled()
    name, content = saved(opened, opened.page.locator(".batch").get_by_role("button", name="Invoice table"))
    assert name == "results-invoices.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    # Behind a tab it is text: a spreadsheet keeps fifteen digits of a number.
    assert [row["Number"] for row in rows] == [f"\t{each.number}" for each in invoices]
    assert all(float(row["Net amount"]) + float(row["Tax"]) == pytest.approx(float(row["Total"])) for row in rows)


def test_what_has_to_be_checked_stands_in_the_table(answered):
    def edit(record, headers):
        line = record["lines"][0]
        failed = [{"name": "words=total", "ok": False}]
        record["fields"] = {
            "total": {"value": "12.00", "text": "12.00", **line, "checks": failed},
            "buyer_tax_id": {"value": "91310115000000E629", "text": "91310115000000E629", **line, "checks": []},
        }

    opened = answered(edit)
    _, content = saved(opened, opened.page.locator('.take [data-save="invoices"]'))
    (row,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert row["Total"] == "12.00"
    assert row["Buyer's tax id"] == "\t91310115000000E629", "no power of ten"
    assert row["To check"] == "Total: Check by eye whether the total in words is the same"


# --- deleting it --------------------------------------------------------------------------


def test_a_result_can_be_deleted_from_the_server(result):
    address = result.look_ups()[0].url
    assert requests.get(address, timeout=10).status_code == 200
    result.page.on("dialog", lambda dialog: dialog.accept())
    result.page.locator("#forget").click()
    expect(result.page.locator(".card")).to_have_count(0)
    assert requests.get(address, timeout=10).status_code == 404


def test_nothing_is_deleted_before_it_is_confirmed(result):
    address = result.look_ups()[0].url
    result.page.on("dialog", lambda dialog: dialog.dismiss())
    result.page.locator("#forget").click()
    expect(result.page.locator(".card")).to_have_count(1)
    assert requests.get(address, timeout=10).status_code == 200


def test_a_deletion_that_is_not_confirmed_by_the_gateway_is_told(result):
    result.page.route("**/results/*", lambda route: route.fulfill(status=503, body="{}"))
    result.page.on("dialog", lambda dialog: dialog.accept())
    result.page.locator("#forget").click()
    expect(result.page.locator("#forget")).to_have_text("Not deleted everywhere; try again.")
    expect(result.page.locator(".card")).to_have_count(1)


# --- what the answer says -----------------------------------------------------------------


def test_a_documents_words_are_text_and_never_markup(answered):
    attack = '<img src=x onerror="window.attacked = true"><script>window.attacked = true</script>'

    def hostile(record, headers):
        record["lines"][0]["text"] = attack
        record["text"] = attack

    opened = answered(hostile)
    assert opened.texts[0] == attack
    assert opened.page.locator(".lines img, .lines script").count() == 0
    assert opened.page.evaluate("window.attacked") is None
    opened.page.locator("#copy-all").click()
    opened.page.get_by_role("button", name="Copied").wait_for()
    assert clipboard(opened) == attack


def test_doubtful_lines_are_marked_and_found_one_after_the_other(answered):
    def doubtful(record, headers):
        record["lines"][0]["score"] = 0.99
        record["lines"][1]["score"] = 0.42
        record["lines"][2]["score"] = 0.79

    opened = answered(doubtful)
    assert opened.page.locator(".line.low .text").all_inner_texts() == list(LINES[1:])
    assert opened.page.locator(".line.low .score").first.get_attribute("aria-label") == "Score 42%: please check"
    assert [box.get_attribute("data-line") for box in opened.page.locator(".box.low").all()] == ["1", "2"]
    button = opened.page.get_by_role("button", name="2 lines to check")
    for expected in ("1", "2", "1"):
        button.click()
        assert opened.page.locator('.line[aria-selected="true"]').get_attribute("data-line") == expected


def test_changed_lines_are_told_in_plain_words(answered):
    def partial(record, headers):
        headers |= {"x-cache-status": "PARTIAL", "cache-status": "ocr-gateway; fwd=partial; detail=partial"}
        record["match"] |= {"kind": "partial", "reread_lines": 2}

    opened = answered(partial)
    assert opened.word == "PARTIAL"
    assert "2 lines were read again, the rest came from the cache" in opened.said


@pytest.mark.parametrize(("kind", "words"), [("pixels", "from another file"), ("near", "checked copy")])
def test_the_kind_of_match_is_told_in_plain_words(answered, kind, words):
    def matched(record, headers):
        headers |= {"x-cache-status": "HIT", "cache-status": f"ocr-gateway; hit; detail={kind}"}
        record["match"] |= {"kind": kind}

    opened = answered(matched)
    assert opened.word == "HIT"
    assert words in opened.said


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"cache-status": "ocr-gateway; hit; detail=redis"}, "Redis (hot store)"),
        ({"cache-status": "ocr-gateway; hit; detail=s3"}, "object storage"),
        ({"cache-status": "ocr-gateway; hit; detail=sqlite"}, "local store (SQLite)"),
        ({"cache-status": "ocr-gateway; hit; detail=redis", "age": "7"}, "edge cache"),
        ({"cache-status": "ocr-gateway; hit; detail=redis, ocr-edge; hit"}, "edge cache"),
        ({"cache-status": "ocr-gateway; hit; detail=redis, ocr-edge; fwd=uri-miss"}, "Redis (hot store)"),
        ({"cache-status": "ocr-gateway; hit; detail=\"red, is\""}, "red, is"),
        ({}, "–"),
    ],
)  # fmt: skip
def test_a_look_up_tells_which_tier_answered(desk, drawn, gateway, headers, origin):
    file = drawn("Known in every tier").file()
    requests.post(f"{gateway}/ocr", files={"image": file["buffer"]}, timeout=60).raise_for_status()

    def intercept(page):
        def handle(route):
            response = route.fetch()
            own = {name: value for name, value in response.headers.items() if name != "cache-status"}
            route.fulfill(status=200, headers=own | headers, body=response.text())

        page.route(RESULT, handle)

    opened = desk(before=intercept)
    opened.choose(file)
    opened.settled()
    assert opened.page.locator(".verdict > .facts dt", has_text="From").locator("+ dd").inner_text() == origin


def test_a_document_that_only_the_gateway_knew_is_told_as_such(desk, drawn, gateway):
    file = drawn("New to the edge").file()
    requests.post(f"{gateway}/ocr", files={"image": file["buffer"]}, timeout=60).raise_for_status()

    def intercept(page):
        def handle(route):
            response = route.fetch()
            route.fulfill(status=200, headers=response.headers | {"x-cache-status": "MISS"}, body=response.text())

        page.route(RESULT, handle)

    opened = desk(before=intercept)
    opened.choose(file)
    opened.settled()
    assert opened.word == "MISS"
    assert "the gateway had it" in opened.said
    assert opened.page.locator(".verdict.hit").is_visible()
    assert opened.uploads() == []


def test_the_time_of_expiry_is_shown_where_the_reader_is(answered):
    def dated(record, headers):
        record["expires_at"] = "2026-11-27T18:30:00Z"

    opened = answered(dated)
    shown = opened.page.locator(".verdict > .facts dt", has_text="Kept until").locator("+ dd").inner_text()
    assert re.fullmatch(r"Nov 28, 02:30\sAM", shown)  # the desk stands in Shanghai


def test_a_page_without_text_says_so(answered):
    def blank(record, headers):
        record |= {"lines": [], "boxes": [], "scores": [], "text": "", "confidence": 0}

    opened = answered(blank)
    assert opened.page.get_by_text("No text was found").is_visible()
    assert opened.page.locator("#copy-all, [data-save]").count() == 0, "there is nothing to take"
    assert opened.page.locator(".line").count() == 0


# --- what it means --------------------------------------------------------------------------


def test_an_invoice_shows_its_fields_and_each_leads_to_its_line(desk):
    invoice = draw_invoice(11)
    opened = desk()
    opened.choose({"name": "invoice.png", "mimeType": "image/png", "buffer": invoice.png()})
    opened.settled()
    number = opened.page.locator('[data-field="number"] .value')
    assert number.inner_text() == invoice.number
    assert opened.page.locator('[data-field="total"] .check:not(.failed)').count() == 1
    number.click()
    assert invoice.number in opened.page.locator('.line[aria-selected="true"] .text').inner_text()
    expect(opened.page.locator(".box.chosen")).to_be_in_viewport()


def test_a_sum_that_does_not_hold_is_marked(answered):
    def edit(record, headers):
        line = record["lines"][0]
        failed = [{"name": "amount+tax=total", "ok": False}]
        record["fields"] = {"total": {"value": "12.00", "text": "12.00", **line, "checks": failed}}

    shown = answered(edit).page.locator('[data-field="total"] .check.failed')
    assert shown.get_attribute("aria-label") == "Check by eye whether net amount and tax make the total"


def test_what_is_no_invoice_has_no_list_of_fields(result):
    assert result.page.locator(".fields").count() == 0
