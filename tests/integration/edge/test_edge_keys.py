"""One rendering and one cache entry for an address, whatever the request says besides."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OWN = {"x-request-id", "x-forwarded-for"}  # the edge's own, new with every request


@pytest.fixture
def mirror(origin, live, address):
    """A gateway whose answer shows everything that reached it: the worst case for a shared cache."""

    def reflect(seen):
        headers = sorted((name.lower(), value) for name, value in seen.headers if name.lower() not in OWN)
        return live(json.dumps([seen.method, seen.path, headers, seen.body.decode("latin-1")]).encode())

    origin.answers[address] = reflect
    return origin


def request(target: str = "{path}", *headers: str, version: str = "1.1", body: str = "") -> str:
    """A request as sent; without a Host among ``headers`` it asks for ocr.example, with ``"-"`` for none."""
    if not any(header.startswith(("Host:", "-")) for header in headers):
        headers = ("Host: ocr.example", *headers)
    lines = [f"GET {target} HTTP/{version}", *(header for header in headers if header != "-")]
    return "\r\n".join([*lines, "", body])


VARIANTS = {
    "clean": request(),
    "another Host": request("{path}", "Host: evil.example"),
    "a Host with a port": request("{path}", "Host: ocr.example:1337"),
    "absolute form": request("http://evil.example:1337{path}"),
    "HTTP/1.0 without Host": request("{path}", "-", version="1.0"),
    "query": request("{path}?x=1"),
    "query that asks for another format": request("{path}?format=csv&min_score=.99"),
    "empty query": request("{path}?"),
    "double slash": request("/{path}"),
    "dot segments": request("/static/../.{path}"),
    "percent-encoded": request("{encoded}"),
    "fragment": request("{path}#x"),
    "forwarded host": request(
        "{path}", "X-Forwarded-Host: evil", "X-Forwarded-Host: worse", "X-Host: evil", "Forwarded: host=evil"
    ),
    "forwarded scheme": request(
        "{path}", "X-Forwarded-Proto: gopher", "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /evil", "X-Scheme: x"
    ),
    "another address in a header": request("{path}", "X-Original-URL: /evil", "X-Rewrite-URL: /evil"),
    "another method in a header": request("{path}", "X-HTTP-Method-Override: DELETE"),
    "negotiation": request("{path}", "Accept: text/csv", "Accept-Language: zh", "Prefer: respond-async"),
    "encodings": request("{path}", "Accept-Encoding: br, zstd"),
    "origin": request("{path}", "Origin: https://evil.example"),
    "conditions": request("{path}", 'If-None-Match: "other"', "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
    "cache-busting": request("{path}", "Cache-Control: no-cache, no-store", "Pragma: no-cache"),
    "a body": request("{path}", "Content-Length: 5", body="image"),
    "a chunked body": request("{path}", "Transfer-Encoding: chunked", body="5\r\nimage\r\n0\r\n\r\n"),
    "client addresses": request("{path}", "X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Via: 1.1 evil"),
    "hop-by-hop": request("{path}", "Connection: close, X-Request-ID, Host", "TE: trailers"),
    "edge's own names": request("{path}", "X-Accel-Expires: 0", "X-Cache-Status: HIT", "X-Request-ID: evil"),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_request_can_neither_poison_nor_miss_the_cache(edge, mirror, address, result_id, variant):
    encoded = "/%72esults/" + "".join(f"%{ord(character):02X}" for character in result_id)
    strange = edge.send(variant.format(path=address, encoded=encoded).encode())
    clean = edge.get(address)
    assert (strange.status, strange.word) == (200, "MISS")
    assert (clean.status, clean.word) == (200, "HIT")
    assert strange.body == clean.body
    (asked,) = mirror.seen(result_id)
    assert (asked.method, asked.path, asked.header("Host"), asked.body) == ("GET", address, "ocr-gateway", b"")
    assert {name.lower() for name, _ in asked.headers} == {
        "host",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
    }
    assert json.loads(clean.body)[2] == [["host", "ocr-gateway"], ["x-forwarded-proto", "http"]]


@pytest.mark.parametrize(
    "path",
    [
        "/results/",
        "/results/short",
        "/results/{id}/",
        "/results/{id}/secret",
        "/results/{id}/text/",
        "/results/{id}.json",
        "/results/{id}-",
        "/results/{id}-0A1B2C3D",
        "/results/{id}%00",
        "/results/{id}%0a",
        "/results/{id}%2ftext%3fx",
        "/results/{upper}",
    ],
)
def test_no_other_spelling_reaches_cache_or_gateway(edge, origin, path, result_id):
    reply = edge.get(path.format(id=result_id, upper=result_id.upper().replace("0", "A")))
    asked = [seen.path for seen in origin.seen(result_id)]
    assert reply.status in (400, 404)
    assert asked in ([], [f"/results/{result_id}"], [f"/results/{result_id}/text"])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET {path} HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nimage",
        b"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET {path} HTTP/1.1\r\n\r\n",
    ],
    ids=["two hosts", "a broken host", "two lengths", "length and chunks", "no host"],
)
def test_an_ambiguous_request_is_refused(edge, origin, address, result_id, request_bytes):
    reply = edge.send(request_bytes.replace(b"{path}", address.encode()))
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert json.loads(reply.body)["status"] == 400
    assert origin.seen(result_id) == []


def test_head_and_get_share_an_entry(edge, origin, live, address, result_id):
    origin.answers[address] = live(b'{"text": "12"}')
    head = edge.get(address, "HEAD")
    assert (head.word, head.body, head.headers["content-length"]) == ("MISS", b"", "14")
    assert edge.get(address).word == "HIT"
    assert edge.get(address, "HEAD").word == "HIT"
    assert [seen.method for seen in origin.seen(result_id)] == ["GET"]


def test_a_known_entity_tag_is_answered_304_by_the_edge(edge, origin, live, address, result_id):
    origin.answers[address] = live(ETag='"one"')
    for expected_word in ("MISS", "HIT"):
        reply = edge.get(address, headers={"If-None-Match": '"one"'})
        assert (reply.status, reply.word, reply.body) == (304, expected_word, b"")
        assert reply.headers["etag"] == '"one"'
        assert "expires" in reply.headers
    assert edge.get(address, headers={"If-None-Match": '"two"'}).status == 200
    assert len(origin.seen(result_id)) == 1


def test_a_range_never_becomes_the_cached_answer(edge, origin, live, address, result_id):
    origin.answers[address] = live(b"0123456789")
    for _ in range(2):
        part = edge.get(address, headers={"Range": "bytes=2-4"})
        assert (part.status, part.body) in [(206, b"234"), (200, b"0123456789")]
    assert edge.get(address).body == b"0123456789"
    assert origin.seen(result_id)[0].header("Range") is None


BODY = b'{"text": "' + b"1280.00 " * 500 + b'"}'

GZIP = [
    "gzip",
    "GZIP",
    "gzip, deflate, br, zstd",
    "br;q=1.0, gzip;q=0.8, *;q=0.1",
    "deflate,gzip",
    "gzip ; q=0.001",
    "*;q=0, gzip",
]
PLAIN = [
    "",
    "identity",
    "br",
    "*",
    "gzip;q=0",
    "gzip;q=0.000, br",
    "x-gzip",
    "gzipped",
    "deflate",
    "gzip;q=x",
    "gzip;level=9",
    ",",
]


def test_a_result_is_stored_as_it_was_compressed_once(edge, origin, packed, address, result_id):
    origin.answers[address] = packed(BODY)
    for spelling, word in zip(GZIP, ["MISS"] + ["HIT"] * len(GZIP), strict=False):
        reply = edge.get(address, headers={"Accept-Encoding": spelling})
        assert (reply.word, reply.headers["content-encoding"]) == (word, "gzip"), spelling
        assert gzip.decompress(reply.body) == BODY
        assert reply.headers["etag"] == '"one-gzip"'
        assert reply.headers["vary"] == "Accept-Encoding"
        assert reply.headers["content-length"] == str(len(reply.body))
    assert [seen.header("Accept-Encoding") for seen in origin.seen(result_id)] == ["gzip"]
    (file,) = edge.cached_files(f"{result_id}.gz")
    assert BODY not in file.read_bytes()


def test_who_does_not_ask_for_gzip_gets_the_plain_bytes(edge, origin, packed, address, result_id):
    origin.answers[address] = packed(BODY)
    edge.get(address, headers={"Accept-Encoding": "gzip"})
    for spelling, word in zip(PLAIN, ["MISS"] + ["HIT"] * len(PLAIN), strict=False):
        reply = edge.get(address, headers={"Accept-Encoding": spelling})
        assert (reply.word, reply.body) == (word, BODY), spelling
        assert "content-encoding" not in reply.headers
        assert reply.headers["etag"] == '"one"'
        assert reply.headers["vary"] == "Accept-Encoding"
    assert len(origin.seen(result_id)) == 2


@given(st.lists(st.sampled_from([*GZIP, *PLAIN, "q=0", ";", "gzip;q=1.0.0", "\t"]), max_size=4).map(", ".join))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_accept_encoding_makes_a_third_entry(edge, origin, packed, address, result_id, accepted):
    origin.answers[address] = packed(BODY)
    reply = edge.get(address, headers={"Accept-Encoding": accepted})
    if "content-encoding" in reply.headers:
        assert "gzip" in accepted.lower()
        assert gzip.decompress(reply.body) == BODY
    else:
        assert reply.body == BODY
    assert {seen.header("Accept-Encoding") for seen in origin.seen(result_id)} <= {None, "gzip"}
    assert len(origin.seen(result_id)) <= 2


def test_a_tag_of_one_representation_is_not_another_ones(edge, origin, packed, address):
    origin.answers[address] = packed(BODY)
    for coding, own, other in (("gzip", '"one-gzip"', '"one"'), ("identity", '"one"', '"one-gzip"')):
        for _ in range(2):
            known = {"Accept-Encoding": coding, "If-None-Match": own}
            assert edge.get(address, headers=known).status == 304
            assert edge.get(address, headers=known | {"If-None-Match": other}).status == 200


def test_a_picture_has_one_entry_whatever_is_accepted(edge, origin, live, address, result_id):
    origin.answers[address + "/thumbnail.webp"] = live(b"RIFF")
    words = [edge.get(address + "/thumbnail.webp", headers={"Accept-Encoding": coding}).word for coding in ("gzip", "")]
    assert words == ["MISS", "HIT"]
    assert origin.seen(result_id)[0].header("Accept-Encoding") is None
