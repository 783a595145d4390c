"""What a commercial CDN is told, over real HTTP, and when it counts as done."""

from __future__ import annotations

import contextlib
import http.server
import json
import time

import pytest

from gateway.cdn import HttpCdn, tag_headers
from gateway.config import SettingsError, load_settings
from gateway.purge import RENDERINGS, EdgePurger, PurgeFailed, open_purger
from tests.servers import HttpDouble

ID = "ab" * 32


class Api(HttpDouble):
    """A CDN's purge API; confirms unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, object]] = []
        self.status, self.body, self.delay = 200, b'{"success": true}', 0.0
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                double.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
                time.sleep(double.delay)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(double.status)
                    self.send_header("Content-Length", str(len(double.body)))
                    self.end_headers()
                    self.wfile.write(double.body)

            def log_message(self, *arguments: object) -> None:
                pass

        super().__init__(Handler)
        self.base, self.url = self.url, f"{self.url}/zones/z/purge_cache"


@pytest.fixture
def api():
    with contextlib.closing(Api()) as started:
        yield started


def test_every_public_address_of_a_record_is_purged(api):
    cdn = HttpCdn(api.url, "secret", public_urls=["https://ocr.example/", "https://cn.example"], renderings=RENDERINGS)
    assert cdn.purge(ID, 2)
    ((path, authorization, body),) = api.asked
    assert (path, authorization) == ("/zones/z/purge_cache", "Bearer secret")
    assert len(body["files"]) == 2 * len(RENDERINGS)
    assert f"https://ocr.example/results/{ID}" in body["files"]
    assert f"https://cn.example/results/{ID}/thumbnail.webp" in body["files"]


def test_or_the_one_tag_that_all_of_them_carry(api):
    assert HttpCdn(api.url, by="tag").purge(ID, 2)
    assert api.asked == [("/zones/z/purge_cache", None, {"tags": [ID]})]
    assert set(tag_headers(ID).values()) == {ID}


def test_everything_is_one_word(api):
    assert HttpCdn(api.url, by="tag").purge_all(2)
    assert api.asked[0][2] == {"purge_everything": True}


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, b"{}"), (401, b""), (429, b""), (500, b""), (302, b""), (200, b'{"success": false}'), (200, b"{broken")],
)
def test_anything_but_a_confirmation_is_a_failure_without_the_secrets_in_it(api, status, body):
    api.status, api.body = status, body
    with pytest.raises(PurgeFailed) as failure:
        EdgePurger([], cdn=HttpCdn(api.url, "secret", by="tag")).purge(ID)
    assert failure.value.edges == (api.base,)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("body", [b"", b"OK", b"{}"])
def test_a_cdn_that_says_nothing_in_words_is_taken_by_its_status(api, body):
    api.body = body
    assert HttpCdn(api.url, by="tag").purge(ID, 2)


def test_a_silent_or_absent_cdn_costs_its_timeout_and_no_more(api):
    api.delay = 3
    began = time.monotonic()
    assert not HttpCdn(api.url, by="tag").purge(ID, 0.2)
    assert not HttpCdn("http://127.0.0.1:1/", by="tag").purge(ID, 0.2)
    assert time.monotonic() - began < 2


def test_the_settings_name_it(api):
    settings = load_settings(cdn_purge_url=api.url, cdn_purge_token="secret", cdn_public_urls="https://ocr.example")
    purger = open_purger(settings)
    purger.purge(ID)
    purger.close()
    assert api.asked[0][1] == "Bearer secret"
    assert len(api.asked[0][2]["files"]) == len(RENDERINGS)


def test_purging_by_address_needs_the_addresses(api):
    with pytest.raises(SettingsError, match="OCR_CDN_PUBLIC_URLS"):
        load_settings(cdn_purge_url=api.url)
    with pytest.raises(ValueError, match="public URLs"):
        HttpCdn(api.url)
