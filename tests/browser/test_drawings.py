"""Files that the browser cannot show: the gateway draws their pages, for those who sent them."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import expect

from tests.browser.checks import assert_boxes_cover

DRAWN = ".sheet:not(.busy) img[src^=blob]"


def shown(opened) -> Image.Image:
    """The picture in the page once it is drawn large, in its own pixels."""
    opened.page.locator(DRAWN).wait_for()
    url = opened.page.locator(DRAWN).evaluate(
        """async (picture) => {
            await picture.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
            canvas.getContext("2d").drawImage(picture, 0, 0);
            return canvas.toDataURL("image/png");
        }"""
    )
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L")


def assert_shows(opened, page) -> None:
    """The picture is large enough to read, its boxes are where the text is, and all its ink is in them."""
    picture = shown(opened)
    assert picture.width >= page.image.width / 2
    assert_boxes_cover(page, opened.boxes())
    ink = picture.point(lambda value: 255 * (value < 128))
    covered = Image.new("L", picture.size, 0)
    for x1, y1, x2, y2 in opened.boxes():
        box = [round(x1 * picture.width), round(y1 * picture.height)]
        box += [round(x2 * picture.width), round(y2 * picture.height)]
        assert ink.crop(box).getbbox(), "a box around nothing"
        covered.paste(255, box)
    assert not ImageChops.subtract(ink, covered).getbbox(), "ink without a box"


def file_of(pages, name: str = "letter.pdf") -> dict:
    save = {"compression": "tiff_lzw"} if name.endswith("tiff") else {"resolution": 150}
    return pages[0].file(name, save_all=True, append_images=[page.image for page in pages[1:]], **save)


@pytest.fixture
def pages(drawn, request):
    """Three pages that no other test has."""
    own = request.node.name[-18:]
    return [drawn(f"{sheet} {own}", "and a line below it") for sheet in ("First", "Second", "Third")]


@pytest.mark.parametrize("name", ["letter.pdf", "letter.tiff"])
def test_pages_are_drawn_large_with_boxes_where_the_text_is_when_they_are_turned_to(desk, pages, name):
    opened = desk()
    opened.choose(file_of(pages, name))
    opened.settled()
    assert_shows(opened, pages[0])
    assert opened.drawings() == ["?page=1"], "and no other before it is wanted"
    opened.page.get_by_role("button", name="Next page").press("Enter")
    expect(opened.page.locator(".pages > span")).to_have_text("2 / 3")
    assert_shows(opened, pages[1])
    assert opened.page.locator(".note").is_hidden()
    opened.page.get_by_role("button", name="Previous page").press("Enter")
    assert_shows(opened, pages[0])
    assert opened.drawings() == ["?page=1", "?page=2"], "the last few are remembered"


def test_who_turns_pages_by_keyboard_stays_at_the_page_buttons(desk, pages):
    opened = desk()
    opened.choose(file_of(pages))
    opened.settled()
    focused = opened.page.locator("[data-tool]:focus")
    opened.page.get_by_role("button", name="Next page").press("Enter")
    expect(focused).to_have_attribute("data-tool", "next")
    focused.press("Enter")
    expect(opened.page.locator(".pages > span")).to_have_text("3 / 3")
    expect(focused).to_have_attribute("data-tool", "previous")


def test_a_line_on_another_page_leads_there(desk, pages):
    opened = desk()
    opened.choose(file_of(pages))
    opened.settled()
    opened.page.locator(".line").filter(has_text="Third").click()
    assert_shows(opened, pages[2])
    assert opened.page.locator(".box.chosen").count() == 1
    assert opened.drawings()[-1] == "?page=3"


def test_what_the_browser_shows_itself_is_not_sent_to_be_drawn(desk, drawn):
    opened = desk()
    for name in ("page.png", "page.jpg"):
        opened.choose(drawn(f"Drawn at home {name}").file(name))
        opened.settled()
    assert opened.drawings() == []


def test_a_known_file_stays_on_the_device_until_it_is_to_be_seen_large(desk, pages):
    file = file_of(pages)
    first = desk()
    first.choose(file)
    first.settled()

    opened = desk()
    opened.choose(file)
    opened.settled()
    opened.page.locator(".note").filter(has_text="small picture").wait_for()
    opened.page.locator(".sheet img").evaluate("picture => picture.decode()")
    assert opened.page.locator(".sheet img").evaluate("picture => picture.naturalWidth") <= 320
    assert_boxes_cover(pages[0], opened.boxes())
    assert "did not leave this device" in opened.said
    assert (opened.uploads(), opened.drawings()) == ([], [])

    opened.page.get_by_role("button", name="Send the file to see it large").press("Enter")
    assert_shows(opened, pages[0])
    expect(opened.page.locator(".viewport")).to_be_focused()
    assert opened.word == "HIT"
    assert "did not leave" not in opened.said
    opened.page.get_by_role("button", name="Next page").click()
    assert_shows(opened, pages[1])
    assert (opened.uploads(), opened.drawings()) == ([], ["?page=1", "?page=2"])


def test_the_thumbnail_and_then_the_lines_are_shown_until_a_page_is_drawn(desk, pages):
    held = []
    opened = desk(before=lambda page: page.route("**/preview?*", lambda route: held.append(route)))
    opened.choose(file_of(pages))
    opened.settled()
    opened.page.locator(".note").filter(has_text="The server is drawing the page").wait_for()
    assert opened.page.locator(".viewport").get_attribute("aria-busy") == "true"
    assert opened.page.locator(".sheet img").get_attribute("src").endswith("/thumbnail.webp")
    opened.page.get_by_role("button", name="Next page").click()
    assert opened.page.locator(".overlay text").all_text_contents() == [text for text, _ in pages[1].lines]
    expect(opened.page.locator(".sheet.busy")).to_have_count(1)
    held[-1].continue_()
    assert_shows(opened, pages[1])
    assert opened.page.locator(".viewport").get_attribute("aria-busy") == "false"


def test_who_turns_on_waits_for_the_new_page_alone(desk, pages):
    opened = desk(before=lambda page: page.route("**/preview?*", lambda route: None))
    left = []
    opened.page.on("requestfailed", lambda request: left.append(request.url.partition("/preview")[2]))
    opened.choose(file_of(pages))
    opened.settled()
    for _ in range(2):
        opened.page.get_by_role("button", name="Next page").click()
    opened.page.wait_for_function("document.querySelector('.pages > span').textContent === '3 / 3'")
    expect(opened.page.locator(".sheet.busy")).to_have_count(1)
    assert left == ["?page=1", "?page=2"]


def test_a_page_that_cannot_be_drawn_leaves_the_thumbnail_and_can_be_tried_again(desk, pages):
    refuse = lambda route: route.fulfill(status=503, headers={"Retry-After": "1"}, body="{}")  # noqa: E731
    opened = desk(before=lambda page: page.route("**/preview?*", refuse, times=1))
    opened.choose(file_of(pages))
    opened.settled()
    opened.page.locator(".note").filter(has_text="The server could not draw this page").wait_for()
    assert opened.page.locator(".sheet img").get_attribute("src").endswith("/thumbnail.webp")
    assert_boxes_cover(pages[0], opened.boxes())
    opened.page.locator(".note").get_by_role("button", name="Try again").click()
    assert_shows(opened, pages[0])


def test_a_refused_file_is_not_drawn_either(desk, drawn):
    opened = desk()
    whole = drawn("Cut off").file("letter.pdf")
    opened.choose(whole | {"buffer": whole["buffer"][:-30]})
    opened.page.locator(".problem").wait_for()
    expect(opened.page.locator("#picture")).to_be_hidden()


def test_a_known_file_is_seen_large_on_a_phone_in_chinese(desk, pages):
    file = file_of(pages)
    first = desk()
    first.choose(file)
    first.settled()
    opened = desk(locale="zh-CN", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    opened.choose(file)
    opened.settled()
    button = opened.page.get_by_role("button", name="上传文件，查看大图")
    assert button.bounding_box()["height"] >= 24, "WCAG 2.2, 2.5.8"
    button.tap()
    assert_shows(opened, pages[0])
    assert opened.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
