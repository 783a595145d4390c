"""The edge in front of the real gateway: what both have to agree on."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from datetime import datetime

import brotli
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.serving import running

TTL = 6
IMAGE = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def whole(edge_before, unused_port, tmp_path_factory):
    """The gateway, and the edge that it purges."""
    admin = f"127.0.0.1:{unused_port()}"
    settings = {"ttl": TTL, "edge_purge_urls": f"http://{admin}"}
    with running("serve", tmp_path_factory.mktemp("data"), **settings) as gateway:
        yield edge_before(gateway.url.removeprefix("http://"), OCR_EDGE_ADMIN_LISTEN=admin, OCR_TTL=str(TTL))


@pytest.fixture
def upload(result_id):
    """A line of text that nobody uploaded before."""
    picture = Image.new("RGB", (640, 64), "white")
    ImageDraw.Draw(picture).text(
        (16, 12), f"No {int(result_id[:8], 16)}", fill="black", font=ImageFont.load_default(36)
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def where(upload):
    return f"/results/{hashlib.sha256(upload).hexdigest()}"


def test_a_result_ends_in_the_very_second_it_says(whole, upload, where):
    answered = json.loads(whole.get("/ocr", "POST", IMAGE, upload).body)
    ends = datetime.fromisoformat(answered["expires_at"]).timestamp()
    assert [whole.get(where).word for _ in range(2)] == ["MISS", "HIT"]
    asked = []
    time.sleep(max(0.0, ends - 0.7 - time.time()))
    while time.time() < ends + 1.2:
        began = time.time()
        status = whole.get(where).status
        asked.append((began, time.time(), status))
        time.sleep(0.02)
    assert {status for _, done, status in asked if done < ends} == {200}
    assert {status for began, _, status in asked if began >= ends} == {404}


def test_a_deletion_is_over_when_it_is_answered(whole, upload, where):
    whole.get("/ocr", "POST", IMAGE, upload)
    for clothes in ("", "/text", "/thumbnail.webp"):
        replies = [whole.get(where + clothes) for _ in range(2)]
        assert [(reply.status, reply.word) for reply in replies] == [(200, "MISS"), (200, "HIT")]
    assert whole.get(where, "DELETE").status == 204
    assert {whole.get(where + clothes).status for clothes in ("", "/text", "/thumbnail.webp")} == {404}


def test_a_replaced_reading_is_replaced_at_the_edge(whole, upload, where):
    whole.get("/ocr", "POST", IMAGE, upload)
    before = whole.get(where).headers["expires"]
    time.sleep(1.1)
    assert whole.get("/ocr?match=none", "POST", IMAGE, upload).word == "MISS"
    after = whole.get(where)
    assert (after.word, after.status) == ("MISS", 200)
    assert after.headers["expires"] != before


def test_who_asked_before_the_upload_finds_it_soon_after(whole, upload, where):
    assert whole.get(where).status == 404
    assert whole.get("/ocr", "POST", IMAGE, upload).status == 200
    deadline = time.monotonic() + 0.7
    while whole.get(where).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_look_up_of_the_gateway_is_stored_by_the_edge(whole, upload, where):
    whole.get("/ocr", "POST", IMAGE, upload)
    for clothes in ("", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"):
        replies = [whole.get(where + clothes) for _ in range(2)]
        assert [(reply.status, reply.word) for reply in replies] == [(200, "MISS"), (200, "HIT")], clothes


def test_a_page_is_drawn_through_the_edge_and_kept_nowhere(whole):
    pages = [Image.new("RGB", size, "white") for size in ((300, 200), (200, 300))]
    buffer = io.BytesIO()
    pages[0].save(buffer, "PDF", save_all=True, append_images=pages[1:])
    for number, upright in ((1, False), (2, True)):
        reply = whole.get(f"/preview?page={number}", "POST", {"Content-Type": "application/pdf"}, buffer.getvalue())
        assert (reply.status, reply.headers["content-type"]) == (200, "image/webp")
        assert reply.headers["cache-control"] == "no-store"
        width, height = Image.open(io.BytesIO(reply.body)).size
        assert (height > width) == upright
    refused = whole.get("/preview?page=3", "POST", {"Content-Type": "application/pdf"}, buffer.getvalue())
    assert json.loads(refused.body)["detail"].startswith("There is no page 3")
    assert whole.get(f"/results/{hashlib.sha256(buffer.getvalue()).hexdigest()}").status == 404


def test_the_pages_files_come_from_the_edge_as_they_were_compressed(whole):
    page = whole.get("/", headers={"Accept-Encoding": "identity"})
    assert page.headers["cache-control"] == "no-cache"
    named = re.findall(rb'"(/static/[^"]+)"', page.body)
    assert named
    for address in set(named):
        replies = [whole.get(address.decode(), headers={"Accept-Encoding": "br"}) for _ in range(2)]
        assert [(reply.status, reply.word) for reply in replies] == [(200, "MISS"), (200, "HIT")]
        assert brotli.decompress(replies[1].body)
        assert replies[1].headers["etag"].startswith('"')
        assert replies[1].headers["vary"] == "Accept-Encoding"
