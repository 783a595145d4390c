"""The web page and its files: addresses that last, and headers that keep other sites out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.http.assets import Assets

STATIC = Path(__file__).parents[3] / "gateway" / "http" / "static"


def addresses(html: str) -> list[str]:
    return re.findall(r'"(/static/[^"]+)"', html)


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_a_page_names_its_files_by_their_content(client, page):
    named = addresses(client.get(page).text)
    assert named
    for address in named:
        assert re.fullmatch(r"/static/[0-9a-f]{16}/[a-z.]+", address)
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_every_file_is_there_with_a_type_that_browsers_take(client):
    digest = addresses(client.get("/").text)[0].split("/")[2]
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
    for path in STATIC.rglob("*"):
        answer = client.get(f"/static/{digest}/{path.relative_to(STATIC).as_posix()}")
        assert answer.data == path.read_bytes()
        assert answer.mimetype == types[path.suffix]


def test_another_versions_address_is_never_answered_with_this_ones_bytes(client, assert_problem):
    assert_problem(client.get("/static/0123456789abcdef/app.js"), 404, "not-found")


@pytest.mark.parametrize("page", ["/", "/docs", "/static/app.js"])
def test_what_has_no_version_in_its_address_is_asked_about_each_time(client, page):
    answer = client.get(page)
    assert answer.headers["Cache-Control"] == "no-cache"
    again = client.get(page, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("page", ["/", "/docs", "/static/app.js"])
def test_nothing_inline_and_nothing_of_others_runs_in_the_page(client, page):
    headers = client.get(page).headers
    policy = headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_the_page_has_nothing_inline_that_the_policy_would_refuse(client, page):
    html = client.get(page).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html)


def test_any_change_changes_the_address_of_the_whole_set(tmp_path):
    (tmp_path / "a.js").write_text("import './b.js'")
    (tmp_path / "b.js").write_text("1")
    before = Assets(tmp_path).digest
    assert Assets(tmp_path).digest == before
    (tmp_path / "b.js").write_text("2")
    changed = Assets(tmp_path).digest
    (tmp_path / "b.js").rename(tmp_path / "c.js")
    assert len({before, changed, Assets(tmp_path).digest}) == 3


@pytest.mark.parametrize("name", ["../page.py", "%2e%2e/page.py", "app.js/", "", "nothing.js"])
def test_only_the_pages_own_files_are_there(client, name):
    digest = addresses(client.get("/").text)[0].split("/")[2]
    for address in (f"/static/{name}", f"/static/{digest}/{name}"):
        assert client.get(address).status_code == 404
