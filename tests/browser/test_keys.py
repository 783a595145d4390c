"""The page where API keys are on: asked for once, kept in the tab, and used for an id that the device computes."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from gateway.tenants import key_digest, new_api_key
from tests.serving import running

KEY, LOOKUP_KEY = new_api_key(), "a1" * 32


@pytest.fixture(scope="module")
def keyed(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("keyed")
    tenants = {"acme": {"lookup_key": LOOKUP_KEY, "keys": [{"sha256": key_digest(KEY)}]}}
    (folder / "keys.json").write_text(json.dumps({"tenants": tenants}))
    (folder / "keys.json").chmod(0o600)
    with running("serve", folder / "data", api_keys_file=folder / "keys.json") as gateway:
        yield gateway.url


@pytest.fixture
def page(browser, keyed):
    context = browser.new_context(locale="en-US")
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request))
    broken = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    opened.on("console", lambda message: "Content Security" in message.text and broken.append(message.text))
    opened.goto(keyed)
    yield opened
    context.close()
    assert broken == []


def give(page, key: str) -> None:
    page.locator("#api-key").fill(key)
    page.locator("#api-key").press("Enter")


def test_a_key_is_asked_for_before_anything_of_a_document_leaves(page, drawn):
    page.locator("#files").set_input_files([drawn("Private").file()])
    page.locator("#api-key").wait_for()
    assert page.locator(".problem-title").inner_text() == "An access key is needed"
    asked = [urlsplit(request.url) for request in page.asked if request.url.startswith("http")]
    assert [url.path for url in asked if not url.path.startswith(("/static/", "/favicon"))][1:] == ["/account"]


def test_with_the_key_every_waiting_document_is_read_and_then_found_by_its_own_id(page, drawn):
    first, second = drawn("First of two").file("one.png"), drawn("Second of two").file("two.png")
    page.locator("#files").set_input_files([first, second])
    page.locator("#api-key").wait_for()
    give(page, "not the key")
    page.locator(".key-refused:visible").wait_for()
    give(page, KEY)
    page.locator('.card[data-state="done"]').nth(1).wait_for()
    assert page.locator(".line .text").all_inner_texts() == ["First of two"]

    page.reload()
    page.asked.clear()
    page.locator("#files").set_input_files([first])
    page.locator('.card[data-state="done"]').wait_for()
    digest = hashlib.sha256(first["buffer"]).digest()
    own_id = hmac.new(bytes.fromhex(LOOKUP_KEY), digest, hashlib.sha256).hexdigest()
    asked = [(request.method, urlsplit(request.url).path) for request in page.asked]
    assert ("GET", f"/results/{own_id}") in asked
    assert not any(method == "POST" or digest.hex() in path for method, path in asked)
    assert KEY not in "".join(request.url for request in page.asked)


def test_a_page_is_drawn_and_a_thumbnail_fetched_with_the_key(page, drawn):
    file = drawn("On a TIFF").file("page.tiff")
    picture = page.locator(".sheet:not(.busy) img[src^=blob]")
    page.locator("#files").set_input_files([file])
    page.locator("#api-key").wait_for()
    give(page, KEY)
    page.locator('.card[data-state="done"]').wait_for()
    picture.wait_for()
    page.wait_for_function("() => document.querySelector('.sheet img').naturalWidth === 900")

    page.reload()
    page.locator("#files").set_input_files([file])
    page.locator('.card[data-state="done"]').wait_for()
    page.locator("#draw").wait_for()
    picture.wait_for()
    page.wait_for_function("() => document.querySelector('.sheet img').naturalWidth === 320")


def test_the_key_is_gone_with_the_tab(page, browser, keyed):
    page.evaluate("() => sessionStorage.setItem('probe', '1')")
    assert page.evaluate("() => localStorage.length") <= 1
    assert not re.search("ocr_", page.evaluate("() => JSON.stringify({...localStorage}) + document.cookie"))


def test_it_is_asked_in_chinese_too(browser, keyed, drawn):
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(keyed)
    page.locator("#files").set_input_files([drawn("Private").file()])
    page.locator("#api-key").wait_for()
    assert page.locator(".key label").inner_text() == "API 密钥"
    assert page.locator(".problem-title").inner_text() == "需要访问密钥"
    context.close()
