"""What is sent compressed: results and pages in gzip, the page's files in Brotli too, each with its own strong tag."""

from __future__ import annotations

import gzip

import brotli
import pytest

from gateway.identity import result_id

CLOTHES = ["", "/text", "/lines.csv", "/hocr"]


@pytest.fixture
def address(client, invoice) -> str:
    client.post("/ocr", data=invoice.encoded(), content_type="image/png")
    return f"/results/{result_id(invoice.encoded())}"


@pytest.mark.parametrize("clothes", ["", "/hocr"])
def test_a_result_is_sent_in_gzip_to_whom_takes_it(client, address, clothes):
    plain = client.get(address + clothes)
    packed = client.get(address + clothes, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data)
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("clothes", CLOTHES)
def test_each_representation_has_a_strong_tag_of_its_own(client, address, clothes):
    plain = client.get(address + clothes)
    packed = client.get(address + clothes, headers={"Accept-Encoding": "gzip"})
    assert not packed.headers["ETag"].startswith("W/")
    assert (packed.headers["ETag"] == plain.headers["ETag"]) == (packed.data == plain.data)
    for answer, coding in ((plain, "identity"), (packed, "gzip")):
        again = client.get(
            address + clothes, headers={"If-None-Match": answer.headers["ETag"], "Accept-Encoding": coding}
        )
        assert again.status_code == 304


def test_the_compressed_bytes_are_always_the_same(client, address):
    answers = {client.get(address, headers={"Accept-Encoding": "gzip"}).data for _ in range(3)}
    assert len(answers) == 1


@pytest.mark.parametrize(
    "accepted", ["", "identity", "br", "gzip;q=0", "*", "gzip;q=0.000, *", "deflate, zstd", "identity;q=0.5", "xgzip"]
)
def test_who_does_not_ask_for_gzip_gets_plain_bytes(client, address, accepted):
    answer = client.get(address, headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.json["success"]


@pytest.mark.parametrize("accepted", ["gzip", "GZIP", "br, gzip", "gzip;q=0.1", "deflate;q=1.0, gzip;q=0.5, *;q=0"])
def test_who_names_gzip_gets_it(client, address, accepted):
    assert client.get(address, headers={"Accept-Encoding": accepted}).headers["Content-Encoding"] == "gzip"


def test_a_picture_is_not_compressed_twice(client, address):
    answer = client.get(address + "/thumbnail.webp", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers
    assert answer.data[:4] == b"RIFF"


def test_an_upload_is_answered_in_gzip_with_a_strong_tag(client, invoice):
    sent = client.post(
        "/ocr", data=invoice.encoded(), content_type="image/png", headers={"Accept-Encoding": "gzip"}
    )
    assert sent.headers["Content-Encoding"] == "gzip"
    assert sent.headers["ETag"].startswith('"')
    assert gzip.decompress(sent.data).startswith(b"{")


@pytest.mark.parametrize(("coding", "unpack"), [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_the_pages_files_are_stored_compressed(client, coding, unpack):
    plain = client.get("/static/app.js")
    packed = client.get("/static/app.js", headers={"Accept-Encoding": f"{coding}, deflate"})
    assert packed.headers["Content-Encoding"] == coding
    assert unpack(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]


def test_brotli_is_preferred_where_both_are_taken(client):
    answer = client.get("/static/style.css", headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert answer.headers["Content-Encoding"] == "br"
