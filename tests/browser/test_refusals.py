"""What is said when there is no result, and the way on from there."""

from __future__ import annotations

import json
import re

import pytest


def refused(opened) -> tuple[str, str]:
    """The heading and the advice."""
    opened.page.locator(".problem").wait_for()
    return (
        opened.page.locator(".problem-title").inner_text(),
        opened.page.locator(".problem-detail").inner_text(),
    )


@pytest.mark.parametrize(
    ("contents", "title"),
    [
        pytest.param(lambda png: png[: len(png) // 2], "The file is damaged", id="truncated"),
        pytest.param(lambda png: b"just some words", "Not a picture that can be read", id="no image"),
        pytest.param(lambda png: b"", "The request was not understood", id="empty"),
        pytest.param(lambda png: png + bytes(3 * 2**20), "Too large", id="over the byte limit"),
    ],
)
def test_a_refused_file_shows_the_gateways_own_advice(desk, drawn, contents, title):
    opened = desk()
    with opened.page.expect_response(lambda response: response.url.endswith("/ocr")) as answered:
        opened.choose(
            {"name": "bad.png", "mimeType": "image/png", "buffer": contents(drawn("Broken").file()["buffer"])}
        )
    problem = answered.value.json()
    assert refused(opened) == (title, problem["detail"])
    assert problem["request_id"] in opened.page.locator(".problem-id").inner_text()


def test_a_chinese_reader_gets_advice_in_chinese_and_what_the_gateway_said(desk):
    opened = desk(locale="zh-CN")
    opened.choose({"name": "bad.png", "mimeType": "image/png", "buffer": b"just some words"})
    title, advice = refused(opened)
    assert (title, advice[:3]) == ("不是可识别的图片", "请使用")
    assert opened.page.locator('.problem [lang="en"]').inner_text().startswith("Send a JPEG")


def test_a_file_that_would_be_refused_again_is_not_offered_for_another_try(desk):
    opened = desk()
    opened.choose({"name": "bad.png", "mimeType": "image/png", "buffer": b"just some words"})
    refused(opened)
    assert opened.page.locator(".problem button").count() == 0


def test_one_bad_file_does_not_spoil_the_others(desk, drawn):
    opened = desk()
    opened.choose(
        {"name": "bad.png", "mimeType": "image/png", "buffer": b"no image"}, drawn("Good company").file("good.png")
    )
    opened.settled()
    assert [card.get_attribute("data-state") for card in opened.page.locator(".card").all()] == ["failed", "done"]
    opened.page.locator(".card .open").nth(1).click()
    assert opened.texts == ["Good company"]


def test_a_busy_gateway_says_when_to_come_back_and_trying_again_works(desk, drawn):
    def busy_once(page):
        problem = {
            "type": "/docs#overloaded",
            "title": "Too busy",
            "status": 503,
            "detail": "Come back.",
            "request_id": "r1",
        }
        page.route(
            "**/ocr",
            lambda route: route.fulfill(
                status=503,
                headers={"Retry-After": "7", "Content-Type": "application/problem+json"},
                body=json.dumps(problem),
            ),
            times=1,
        )

    opened = desk(before=busy_once)
    opened.choose(drawn("Worth a second try").file())
    assert refused(opened) == ("Too busy just now", "Come back.")
    assert opened.page.get_by_text("Try again in 7 seconds.").is_visible()
    opened.page.get_by_role("button", name="Try again").click()
    opened.settled()
    assert opened.texts == ["Worth a second try"]


def test_a_lost_connection_is_told_and_trying_again_works(desk, drawn):
    opened = desk(before=lambda page: page.route("**/ocr", lambda route: route.abort("connectionreset"), times=1))
    opened.choose(drawn("Across the gap").file())
    assert refused(opened)[0] == "No connection to the server"
    opened.page.get_by_role("button", name="Try again").click()
    opened.settled()
    assert opened.texts == ["Across the gap"]
    # Chromium notes the lost connection in its console.
    assert [complaint for complaint in opened.complaints if "ERR_CONNECTION_RESET" not in complaint] == []
    opened.complaints.clear()


def test_an_answer_from_something_in_between_is_not_taken_for_a_result(desk, drawn):
    opened = desk(
        before=lambda page: page.route("**/ocr", lambda route: route.fulfill(status=200, body="<h1>Log in</h1>"))
    )
    opened.choose(drawn("Behind a portal").file())
    assert refused(opened)[0] == "The answer was not understood"


def test_a_reading_can_be_cancelled_and_started_again(desk, drawn):
    held = []
    opened = desk(before=lambda page: page.route("**/ocr", lambda route: held.append(route), times=1))
    opened.choose(drawn("Never mind").file())
    opened.page.locator("#cancel").wait_for()
    opened.page.locator(".progress-label", has_text=re.compile("Uploading|Reading")).wait_for()
    opened.page.locator("#cancel").click()
    opened.settled()
    assert opened.page.locator(".progress-label").inner_text() == "Cancelled"
    assert len(held) == 1
    opened.page.get_by_role("button", name="Try again").click()
    opened.settled()
    assert opened.texts == ["Never mind"]
