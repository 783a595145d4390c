"""From a file to its lines: chosen, dropped or pasted; known, new or read again."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

import pytest
from PIL import Image

from tests.browser.checks import assert_boxes_cover


def test_a_dropped_picture_gets_its_lines_with_boxes_where_the_text_is(desk, drawn):
    page = drawn("增值税电子普通发票", "开票日期：2026年11月18日", "价税合计1280.50")
    opened = desk()
    opened.drop(page.file())
    opened.settled()
    assert opened.word == "MISS"
    assert opened.texts == [text for text, _ in page.lines]
    assert_boxes_cover(page, opened.boxes())


def test_a_known_document_is_a_hit_and_its_file_stays_on_the_device(desk, drawn):
    file = drawn("Delivery note 4711", "Thirty pallets").file()
    first = desk()
    first.choose(file)
    first.settled()
    assert len(first.uploads()) == 1

    second = desk()
    second.choose(file)
    second.settled()
    assert second.word == "HIT"
    assert "did not leave this device" in second.said
    assert second.uploads() == []
    assert [request.url.rpartition("/")[2] for request in second.look_ups()] == [
        hashlib.sha256(file["buffer"]).hexdigest()
    ]
    assert second.texts == first.texts


def test_the_file_travels_only_after_an_unanswered_look_up_and_without_its_name(desk, drawn):
    opened = desk()
    opened.choose(drawn("Unheard of 20261").file("secret name.png"))
    opened.settled()
    look_up, upload = opened.look_ups()[0], opened.uploads()[0]
    assert opened.requests.index(look_up) < opened.requests.index(upload)
    assert "secret" not in upload.url + str(upload.all_headers())


def test_without_a_secure_context_the_file_is_sent_at_once(desk, drawn):
    # A page served over plain HTTP from another machine has no crypto.subtle.
    opened = desk(before=lambda page: page.add_init_script("delete Crypto.prototype.subtle"))
    opened.choose(drawn("Plain transport").file())
    opened.settled()
    assert opened.look_ups() == []
    assert len(opened.uploads()) == 1
    assert len(opened.texts) == 1


def test_a_known_file_sent_all_the_same_is_a_hit_too(desk, drawn):
    file = drawn("Sent twice 8080").file()
    for word in ("MISS", "HIT"):
        opened = desk(before=lambda page: page.add_init_script("delete Crypto.prototype.subtle"))
        opened.choose(file)
        opened.settled()
        assert opened.word == word
    assert "This very file was known" in opened.said


def test_the_same_picture_in_another_file_is_a_hit(desk, drawn):
    page = drawn("One picture, two files")
    opened = desk()
    opened.choose(page.file("fast.png", compress_level=1))
    opened.settled()
    opened.choose(page.file("small.png", compress_level=9))
    opened.settled()
    assert [request.url.rpartition("/")[2] for request in opened.uploads()] == ["ocr", "ocr"]
    assert opened.word == "HIT"
    assert "from another file" in opened.said


def test_the_switch_reads_known_documents_again(desk, drawn):
    file = drawn("Read me twice").file()
    opened = desk()
    opened.choose(file)
    opened.settled()
    opened.page.locator("label.switch").click()
    opened.choose(file)
    opened.settled()
    assert [request.url.rpartition("/")[2] for request in opened.uploads()] == ["ocr", "ocr?match=none"]
    assert len(opened.look_ups()) == 1
    assert opened.word == "MISS"
    assert "Read again as asked" in opened.said


def test_one_document_can_be_read_again(desk, drawn):
    opened = desk()
    opened.choose(drawn("Once more please").file())
    opened.settled()
    with opened.page.expect_response(lambda response: response.url.endswith("/ocr?match=none")) as answered:
        opened.page.locator("#reread").click()
    assert answered.value.headers["x-cache-status"] == "MISS"
    opened.settled()
    assert "Read again as asked" in opened.said


def test_a_picture_can_be_pasted(desk, drawn):
    opened = desk()
    opened.paste(drawn("From the clipboard").file("image.png"))
    opened.settled()
    assert len(opened.texts) == 1


def test_several_documents_each_get_their_own_lines(desk, drawn):
    pages = [drawn("Alpha 111"), drawn("Bravo 222", "Charlie 333"), drawn("Delta 444", "Echo 555", "Foxtrot 666")]
    opened = desk()
    opened.choose(*(page.file(f"page{number}.png") for number, page in enumerate(pages, 1)))
    opened.settled()
    cards = opened.page.locator(".card .open")
    assert cards.count() == 3
    for number, page in enumerate(pages):
        cards.nth(number).click()
        assert opened.page.locator("h2.name").inner_text() == f"page{number + 1}.png"
        assert opened.texts == [text for text, _ in page.lines]
        assert_boxes_cover(page, opened.boxes())


def test_a_document_can_be_taken_off_the_list(desk, drawn):
    opened = desk()
    opened.choose(drawn("Stays here").file("stays.png"), drawn("Goes away").file("goes.png"))
    opened.settled()
    opened.page.get_by_role("button", name="Remove goes.png from the list").click()
    assert opened.page.locator(".card-name").all_inner_texts() == ["stays.png"]
    opened.page.get_by_role("button", name="Remove stays.png from the list").click()
    assert opened.page.locator(".invitation").is_visible()
    assert not opened.page.locator("#desk").is_visible()


def test_when_the_open_document_is_taken_off_the_next_one_is_opened(desk, drawn):
    opened = desk()
    opened.choose(*(drawn(f"Page {number}").file(f"{number}.png") for number in range(1, 5)))
    opened.settled()
    shown = opened.page.locator("h2.name")
    opened.page.locator(".card .open").nth(1).click()
    opened.page.get_by_role("button", name="Remove 2.png from the list").click()
    assert shown.inner_text() == "3.png"
    opened.page.get_by_role("button", name="Remove 1.png from the list").click()
    assert shown.inner_text() == "3.png"
    opened.page.get_by_role("button", name="Remove 3.png from the list").click()
    assert shown.inner_text() == "4.png"


def test_a_list_is_cleared_without_being_drawn_once_for_each_document(desk, drawn):
    opened = desk()
    opened.choose(*[drawn("The same again").file()] * 12)
    opened.settled()
    opened.page.evaluate(
        """() => {
            window.changes = 0;
            const observer = new MutationObserver((records) => (window.changes += records.length));
            observer.observe(document.getElementById("documents"), {childList: true});
        }"""
    )
    opened.page.get_by_role("button", name="Clear the list").click()
    assert opened.page.locator(".card").count() == 0
    assert opened.page.evaluate("window.changes") == 1
    assert opened.page.evaluate("document.activeElement.id") == "choose"


def test_the_pages_own_pictures_are_not_taken_for_files_that_are_dragged_in(desk, drawn):
    opened = desk()
    opened.choose(drawn("Stays").file("stays.png"))
    opened.settled()
    opened.page.evaluate("document.addEventListener('dragstart', () => (window.dragged = true))")
    for picture in ("h1 img", ".card .preview", ".sheet img"):
        box = opened.page.locator(picture).bounding_box()
        opened.page.mouse.move(box["x"] + 8, box["y"] + 8)
        opened.page.mouse.down()
        opened.page.mouse.move(box["x"] + 90, box["y"] + 90, steps=4)
        opened.page.mouse.up()
    assert opened.page.evaluate("window.dragged") is None


@pytest.mark.parametrize("orientation", [3, 6])
def test_boxes_fit_a_picture_that_its_exif_mark_turns(desk, drawn, orientation):
    page = drawn("Turned by the camera", f"Orientation {orientation}")
    transposed = page.image.transpose({3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = desk()
    opened.choose(type(page)(transposed, page.lines).file("turned.jpg", quality=92, exif=exif))
    opened.settled()
    assert_boxes_cover(page, opened.boxes())


def test_boxes_stay_on_their_text_at_any_zoom(desk, drawn):
    page = drawn("Near and far", "Large and small")
    opened = desk()
    opened.choose(page.file())
    opened.settled()
    widths = []
    for _ in range(4):
        widths.append(opened.page.locator(".sheet img").bounding_box()["width"])
        assert_boxes_cover(page, opened.boxes())
        opened.page.get_by_role("button", name="Zoom in").click()
    assert all(small < large for small, large in pairwise(widths))
    opened.page.get_by_role("button", name="Fit the page into the frame").click()
    assert opened.page.locator(".sheet img").bounding_box()["width"] == widths[0]


def test_nothing_of_a_document_is_kept_by_the_browser(desk, drawn):
    opened = desk()
    opened.choose(drawn("Confidential 99").file("private.png"))
    opened.settled()
    opened.page.locator("#language").click()
    assert opened.page.url.rstrip("/").count("/") == 2
    kept = opened.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert kept == '[{"language":"zh"},{},""]'


def booklet(pages, name: str) -> dict:
    """One file of all of them."""
    others = [page.image for page in pages[1:]]
    return pages[0].file(name, save_all=True, compression="tiff_lzw", append_images=others)


def test_a_file_of_several_pages_is_read_as_a_job_that_tells_its_progress(desk, drawn):
    pages = [drawn(f"Page number {number}", *["One more line of the long letter"] * 6) for number in range(1, 7)]
    file = booklet(pages, "letter.tiff")
    opened = desk()
    opened.choose(file)
    opened.page.locator(".progress-label").filter(has_text=re.compile(r"page \d of 6")).wait_for()
    opened.settled()
    [upload] = opened.uploads()
    assert upload.headers["prefer"] == "respond-async"
    assert any("/jobs/" in request.url for request in opened.requests)
    assert opened.word == "MISS"
    assert opened.page.locator(".pages > span").inner_text() == "1 / 6"
    firsts = [text.replace(" ", "") for text in opened.texts if text.startswith("Page")]
    assert firsts == [f"Pagenumber{number}" for number in range(1, 7)]


def test_a_job_is_asked_after_while_an_edge_says_that_its_gateway_is_being_replaced(desk, drawn):
    away = iter([502, 503, 504])

    def answer(route):
        status = next(away, None)
        route.fulfill(status=status, body="") if status else route.continue_()

    opened = desk(before=lambda page: page.route("**/jobs/*", answer))
    opened.choose(booklet([drawn("Kept meanwhile 1"), drawn("Kept meanwhile 2")], "kept.tiff"))
    opened.settled()
    assert next(away, None) is None
    assert opened.texts == ["Kept meanwhile 1", "Kept meanwhile 2"]


def read_pages_3_to_4(opened):
    opened.page.get_by_label("Pages", exact=True).fill("3-4")
    opened.page.get_by_role("button", name="Read these").click()
    opened.page.locator(".line").filter(has_text="Sheet 100").wait_for(state="detached")
    opened.settled()


def test_some_pages_are_read_when_they_are_asked_for(desk, drawn):
    pages = [drawn(f"Sheet {number}00") for number in range(1, 5)]
    file = booklet(pages, "sheets.tiff")
    opened = desk()
    opened.choose(file)
    opened.settled()
    read_pages_3_to_4(opened)
    assert opened.texts == ["Sheet 300", "Sheet 400"]
    assert opened.uploads()[-1].url.endswith("/ocr?pages=3-4")
    assert opened.page.locator(".pages > span").inner_text() == "3 / 4"
    assert_boxes_cover(pages[2], opened.boxes())

    again = desk()
    again.choose(file)
    again.settled()
    read_pages_3_to_4(again)
    assert again.uploads() == [], "its id is computed here, the pages included"
    assert again.texts == ["Sheet 300", "Sheet 400"]


def test_a_range_of_pages_can_be_typed_on_a_phone(desk, drawn):
    opened = desk()
    opened.choose(drawn("Page one").file("two.pdf", save_all=True, append_images=[drawn("Page two").image]))
    opened.settled()
    keyboard = opened.page.locator("#pages").get_attribute("inputmode")
    assert keyboard in (None, "text"), "a keypad of digits has no hyphen"


def test_other_pages_can_be_asked_for_while_all_are_read(desk, drawn):
    pages = [drawn(f"Leaf {number}00", *["A line that takes its time"] * 6) for number in range(1, 9)]
    opened = desk()
    opened.choose(booklet(pages, "leaves.tiff"))
    opened.page.locator(".progress-label").filter(has_text="of 8").wait_for()
    opened.page.get_by_label("Pages", exact=True).fill("2-2")
    opened.page.get_by_role("button", name="Read these").click()
    opened.settled()
    assert opened.texts[0] == "Leaf 200"
    assert opened.uploads()[-1].url.endswith("/ocr?pages=2")


@pytest.mark.parametrize(("name", "as_job"), [("picture.png", False), ("leaflet.pdf", True)])
def test_a_file_of_one_page_has_no_pages_to_choose_from(desk, drawn, name, as_job):
    opened = desk()
    opened.choose(drawn(f"Just one {name}").file(name))
    opened.settled()
    assert opened.page.get_by_label("Pages", exact=True).count() == 0
    assert ("prefer" in opened.uploads()[0].headers) == as_job
