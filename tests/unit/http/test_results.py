"""``/results/<id>``: the stored record in its clothes, fresh until it expires and not a second longer."""

from __future__ import annotations

import io
import time
from email.utils import parsedate_to_datetime

import pytest
from PIL import Image

from gateway.app import create_app
from gateway.config import load_settings
from gateway.identity import result_id
from gateway.purge import RENDERINGS


@pytest.fixture
def address(client, invoice) -> str:
    client.post("/ocr", data=invoice.encoded(), content_type="image/png")
    return f"/results/{result_id(invoice.encoded())}"


def test_the_stored_answer_comes_back(client, invoice, address):
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.json["text"] == "\n".join(line.text for line in invoice.lines)
    assert answer.json["match"]["kind"] == "none"


def test_freshness_ends_when_the_record_expires(client, gateway, address):
    record = gateway.service.look_up(address.removeprefix("/results/")).record
    headers = client.get(address).headers
    assert parsedate_to_datetime(headers["Expires"]).timestamp() == record.expires_at
    assert headers["X-Accel-Expires"] == f"@{record.expires_at - 1}", "nginx answers through the second it is given"
    assert headers["Cache-Control"] == "public, stale-if-error=60", "a max-age would be counted anew by every cache"
    assert headers["Vary"] == "Accept-Encoding"


def test_nginx_reads_the_two_headers_in_the_order_that_it_heeds_both(client, address):
    found = [name for name, _ in client.get(address).headers]
    assert found.index("Cache-Control") < found.index("X-Accel-Expires"), "or 1.22 overlooks stale-if-error"
    missing = [name for name, _ in client.get("/results/" + "0" * 64).headers]
    assert missing.index("X-Accel-Expires") < missing.index("Cache-Control"), "or 1.22 does not keep it for a second"


@pytest.mark.parametrize("clothes", ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"])
def test_an_etag_saves_the_body(client, address, clothes):
    first = client.get(address + clothes)
    again = client.get(address + clothes, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert not first.headers["ETag"].startswith("W/")


@pytest.mark.parametrize("clothes", ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"])
def test_head_has_the_headers_without_the_body(client, address, clothes):
    whole, head = client.get(address + clothes), client.head(address + clothes)
    assert head.data == b""
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert head.headers["ETag"] == whole.headers["ETag"]


def test_the_thumbnail_is_a_small_picture(client, address):
    answer = client.get(address + "/thumbnail.webp")
    assert answer.headers["Content-Type"] == "image/webp"
    with Image.open(io.BytesIO(answer.data)) as image:
        assert max(image.size) == 320


@pytest.mark.parametrize("name", ["0" * 64, "x", "0" * 63, "0" * 64 + "-0123456", "A" * 64, "..", "%2e%2e", "0" * 65])
def test_unknown_ids_and_things_that_are_no_ids_look_the_same(client, assert_problem, name):
    assert_problem(client.get(f"/results/{name}"), 404, "not-found")


def test_a_missing_result_is_absorbed_at_the_edge_for_a_second_only(client):
    headers = client.get("/results/" + "0" * 64).headers
    assert headers["X-Accel-Expires"] == "1"
    assert headers["Cache-Control"] == "no-store"


def test_a_deleted_result_is_gone(client, address):
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert client.delete(address).status_code == 204


def test_a_deletion_says_nothing_and_names_no_type_for_it(client, address):
    answer = client.delete(address)
    assert (answer.data, answer.headers.get("Content-Type")) == (b"", None)


@pytest.mark.parametrize("headers", [{"If-Match": '"other"'}, {"If-Unmodified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}])
def test_a_deletion_whose_precondition_fails_deletes_nothing(client, assert_problem, address, headers):
    assert_problem(client.delete(address, headers=headers), 412, "precondition-failed")
    assert client.get(address).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_a_deletion_of_the_very_result_that_was_seen_is_done(client, address, coding):
    seen = client.get(address, headers={"Accept-Encoding": coding}).headers
    conditions = {"If-Match": seen["ETag"], "If-Unmodified-Since": seen["Last-Modified"]}
    assert client.delete(address, headers=conditions).status_code == 204
    assert client.delete(address, headers={"If-Match": "*"}).status_code == 412, "there is nothing any more"


@pytest.mark.parametrize("name", ["x", "A" * 64, "0" * 64 + "-0123456"])
def test_what_is_no_id_cannot_be_deleted(client, assert_problem, name):
    assert_problem(client.delete(f"/results/{name}"), 404, "not-found")


def test_a_failed_precondition_is_a_problem_and_shows_nothing(client, assert_problem, address):
    assert_problem(client.get(address, headers={"If-Match": '"other"'}), 412)


def test_looking_up_reads_nothing(client, gateway, address):
    reads = gateway.reader.reads
    for _ in range(3):
        client.get(address)
    assert gateway.reader.reads == reads


def test_a_record_that_expires_is_not_answered(client, gateway, store, address):
    key = "results/" + address.removeprefix("/results/")
    store.put(key, store.get(key).value, int(time.time()))
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("by", ["url", "tag"])
def test_an_answer_carries_its_tag_only_where_it_is_purged_by_it(parts, invoice, by):
    settings = load_settings(cdn_purge_url="https://cdn.example/", cdn_purge_by=by, cdn_public_urls="https://a.example")
    client = create_app(settings, parts).test_client()
    client.post("/ocr", data=invoice.encoded(), content_type="image/png")
    wanted = result_id(invoice.encoded())
    for rendering in RENDERINGS:
        headers = client.get(f"/results/{wanted}{rendering}").headers
        assert (headers.get("Cache-Tag") == wanted) == (by == "tag")
        assert ("Surrogate-Key" in headers) == (by == "tag")
