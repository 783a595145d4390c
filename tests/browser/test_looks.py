"""Languages, small screens, keyboards, contrast: the page is for everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
NO_IMAGE = {"name": "bad.png", "mimeType": "image/png", "buffer": b"no image at all"}

# WCAG 2.2, 1.4.3: text against the nearest opaque background behind it, 4.5 to 1 (3 to 1 when large).
FAINT_TEXT = """() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (color) => {
        const [r, g, b] = color.map((part) => (part /= 255) <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const color = rgba(getComputedStyle(element).backgroundColor);
            if (color[3] === 255) return color;
        }
        return [255, 255, 255];
    };
    const faint = [];
    const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode());) {
        const element = text.parentElement;
        if (!text.data.trim() || !element.checkVisibility() || element.closest("svg, .unseen, :disabled")) continue;
        const style = getComputedStyle(element);
        const [light, dark] = [rgba(style.color), behind(element)].map(luminance).sort((a, b) => b - a);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        if ((light + .05) / (dark + .05) < (large ? 3 : 4.5)) faint.push(text.data.trim());
    }
    return faint;
}"""

NAMELESS = """() => [...document.querySelectorAll("button, input:not([hidden]), a, [role=region], [role=grid]")]
    .filter((element) => element.checkVisibility())
    .filter((element) => !(element.getAttribute("aria-label") || element.innerText || element.labels?.[0]?.innerText))
    .map((element) => element.outerHTML)"""


@pytest.mark.parametrize(
    ("locale", "heading"),
    [
        ("zh-CN", "把发票或其他文件拖到这里"),
        ("zh-TW", "把发票或其他文件拖到这里"),
        ("en-GB", "Drop invoices or other documents here"),
        ("de-DE", "Drop invoices or other documents here"),
    ],
    ids=["zh-CN", "zh-TW", "en-GB", "de-DE"],
)
def test_the_browser_chooses_the_language(desk, locale, heading):
    opened = desk(locale=locale)
    assert opened.page.locator("h2:visible").inner_text() == heading
    assert opened.page.evaluate("document.documentElement.lang") == ("zh-CN" if locale.startswith("zh") else "en")


def test_the_language_can_be_switched_with_a_result_open_and_is_remembered(desk, drawn):
    opened = desk()
    opened.choose(drawn("Bilingual").file())
    opened.settled()
    opened.page.get_by_role("button", name="中文").click()
    assert opened.page.locator("#copy-all").inner_text() == "复制全部文字"
    assert opened.page.locator(".summary").inner_text().startswith("共 1 行")
    assert opened.texts == ["Bilingual"]
    opened.page.reload()
    assert opened.page.locator("h2:visible").inner_text() == "把发票或其他文件拖到这里"
    opened.page.get_by_role("button", name="English").click()
    assert "Drop invoices" in opened.page.locator("h2:visible").inner_text()


def test_both_languages_have_every_word(desk):
    opened = desk()
    english, chinese, shape = opened.page.evaluate(
        """async () => {
            const {ENGLISH, CHINESE} = await import("/static/dictionary.js");
            const holes = (word) => Object.values(typeof word === "object" ? word : {word})
                .map((form) => (form.match(/\\{\\w+\\}/g) ?? []).sort().join()).at(-1);
            const shape = Object.keys(ENGLISH).filter((key) => holes(ENGLISH[key]) !== holes(CHINESE[key] ?? ""));
            return [Object.keys(ENGLISH), Object.keys(CHINESE), shape];
        }"""
    )
    assert english == chinese
    assert shape == []


@pytest.mark.parametrize("width", [360, 1024, 1280, 1440, 1920])
def test_the_empty_page_has_its_name_above_the_place_for_files(desk, width):
    page = desk(viewport={"width": width, "height": 800}).page
    name, intake = page.locator("h1").bounding_box(), page.locator("#intake").bounding_box()
    assert name["y"] + name["height"] <= intake["y"]
    assert abs(intake["x"] + intake["width"] / 2 - width / 2) < 20, "in the middle"


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_phone_never_scrolls_sideways(desk, drawn, locale):
    opened = desk(locale=locale, **PHONE)

    def sideways() -> float:
        return opened.page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert sideways() == 0
    assert opened.page.locator("#camera").is_visible()
    assert opened.page.locator("#shot").get_attribute("capture") == "environment"
    opened.choose(drawn("Short", "A" * 60, width=2600).file("a-very-long-name-" * 6 + ".png"), NO_IMAGE)
    opened.settled()
    assert opened.texts
    assert sideways() == 0
    opened.page.locator("details summary").click()
    assert sideways() == 0
    opened.page.locator(".card .open").nth(1).tap()
    opened.page.locator(".problem").wait_for()
    assert sideways() == 0


def test_fingers_find_targets_large_enough_on_a_phone(desk, drawn):
    opened = desk(**PHONE)
    opened.choose(drawn("Touch me").file())
    opened.settled()
    # WCAG 2.2, 2.5.8: 24 by 24 pixels at least.
    small = opened.page.evaluate(
        """() => [...document.querySelectorAll("a, button, summary, .line, label.switch")]
            .filter((element) => element.checkVisibility())
            .filter((element) => element.offsetWidth < 24 || element.offsetHeight < 24)
            .map((element) => element.outerHTML)"""
    )
    assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read_in_either_colour_scheme(desk, drawn, scheme):
    opened = desk(color_scheme=scheme)
    assert opened.page.evaluate(FAINT_TEXT) == []
    opened.choose(drawn("Contrast matters").file(), NO_IMAGE)
    opened.settled()
    opened.page.locator("details summary").click()
    opened.page.locator(".line").first.click()
    assert opened.page.evaluate(FAINT_TEXT) == []
    opened.page.locator(".card .open").nth(1).click()
    opened.page.locator(".problem").wait_for()
    assert opened.page.evaluate(FAINT_TEXT) == []


def test_the_page_leads_to_the_description_of_the_api(desk):
    page = desk().page
    page.locator("footer a").click()
    page.get_by_role("heading", name="Addresses").wait_for()


def test_every_control_has_a_name(desk, drawn):
    opened = desk(**PHONE)
    assert opened.page.evaluate(NAMELESS) == []
    opened.choose(drawn("Page one").file("a.png"), drawn("Page two").file("b.png"))
    opened.settled()
    assert opened.page.evaluate(NAMELESS) == []


def test_the_whole_way_can_be_gone_by_keyboard(desk, drawn):
    opened = desk()
    for _ in range(2):
        opened.page.keyboard.press("Tab")
    with opened.page.expect_file_chooser() as chooser:
        while opened.page.evaluate("document.activeElement.id") != "choose":
            opened.page.keyboard.press("Shift+Tab")
        opened.page.keyboard.press("Enter")
    chooser.value.set_files([drawn("By keyboard alone").file()])
    opened.settled()
    reached = set()
    for _ in range(25):
        opened.page.keyboard.press("Tab")
        reached.add(opened.page.evaluate("document.activeElement.id || document.activeElement.classList[0]"))
    assert {"language", "fresh", "viewport", "copy-all", "reread", "line"} <= reached


def test_the_focus_stays_with_the_document_that_is_read_again(desk, drawn):
    opened = desk()
    opened.choose(drawn("Focus on me").file())
    opened.settled()
    opened.page.locator("#reread").press("Enter")
    expect(opened.page.locator("#cancel")).to_be_focused()
    opened.settled()
    expect(opened.page.locator("#copy-all")).to_be_focused()


def test_results_and_problems_are_announced(desk, drawn):
    opened = desk()
    opened.choose(drawn("Say it aloud").file("aloud.png"))
    opened.settled()
    announcer = opened.page.locator("#announcer")
    assert announcer.get_attribute("aria-live") == "polite"
    assert announcer.inner_text().startswith("aloud.png: 1 line. New document")
    opened.choose(NO_IMAGE)
    opened.settled()
    assert announcer.inner_text().startswith("bad.png: Not a picture")


def test_everything_comes_from_the_gateway_itself(desk, drawn, gateway):
    opened = desk()
    opened.choose(drawn("No third party").file())
    opened.settled()
    assert all(request.url.startswith((gateway, "blob:", "data:")) for request in opened.requests)
