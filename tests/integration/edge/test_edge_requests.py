"""What passes through the edge, what it refuses itself, and what it writes down."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path

import pytest

INFRA = Path(__file__).resolve().parents[3] / "infra" / "nginx"

# Of an edge whose largest image has 64 KiB.
LARGEST_BODY = 4 * 65536 + 65536


def assert_problem(reply, status: int) -> dict:
    """The gateway's own shape of an error (RFC 9457), never cached."""
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    document = json.loads(reply.body)
    assert set(document) == {"type", "title", "status", "detail", "request_id"}
    assert document["status"] == status
    assert document["type"].startswith("/docs#")
    assert document["detail"].endswith(".")
    return document


def test_an_upload_passes_through_as_it_is(edge, origin, answer):
    origin.answers["/ocr"] = answer(
        200, {"X-Cache-Status": "PARTIAL", "Cache-Control": "no-store"}, b'{"text": "1280.00"}'
    )
    for _ in range(2):
        reply = edge.get(
            "/ocr?match=none&x=1", "POST", {"Authorization": "Bearer key", "Prefer": "respond-async"}, b"image" * 99
        )
        assert (reply.status, reply.word, reply.body) == (200, "PARTIAL", b'{"text": "1280.00"}')
    first, second = origin.seen("/ocr?match=none&x=1")
    assert first.body == second.body == b"image" * 99
    assert first.header("Authorization") == "Bearer key"
    assert first.header("Prefer") == "respond-async"
    assert first.header("Host") == "ocr-gateway"


def test_the_gateways_own_errors_pass_unchanged(edge, origin, answer):
    body = b'{"type": "/docs#reading-failed"}'
    origin.answers["/api/ocr"] = answer(
        502, {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}, body
    )
    reply = edge.get("/api/ocr", "POST", body=b"image")
    assert (reply.status, reply.body) == (502, body)


def test_a_deletion_and_a_preflight_reach_the_gateway(edge, origin, live, answer, address, result_id):
    origin.answers[address] = live()
    assert edge.get(address).status == 200
    origin.answers[address] = answer(204, {"Access-Control-Allow-Origin": "https://erp.example"}, b"")
    deleted = edge.get(address, "DELETE", {"Authorization": "Bearer key"})
    assert (deleted.status, deleted.word) == (204, "BYPASS")
    preflight = edge.get(
        address, "OPTIONS", {"Origin": "https://erp.example", "Access-Control-Request-Method": "DELETE"}
    )
    assert preflight.headers["access-control-allow-origin"] == "https://erp.example"
    _, deletion, options = origin.seen(result_id)
    assert (deletion.method, deletion.header("Authorization")) == ("DELETE", "Bearer key")
    assert (options.method, options.header("Origin")) == ("OPTIONS", "https://erp.example")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(edge, origin, chunked):
    length = LARGEST_BODY + 1
    if chunked:
        framing = b"Transfer-Encoding: chunked\r\n\r\n" + f"{length:x}\r\n".encode() + b"x" * length + b"\r\n0\r\n\r\n"
    else:
        framing = f"Content-Length: {length}\r\n\r\n".encode() + b"x" * length
    reply = edge.send(b"POST /ocr?too=large HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n" + framing, "POST")
    assert f"{LARGEST_BODY} bytes" in assert_problem(reply, 413)["detail"]
    assert origin.seen("too=large") == []


def test_a_body_at_the_limit_passes(edge, origin, answer):
    origin.answers["/ocr"] = answer(200, {}, b"read")
    assert edge.get("/ocr?just=right", "POST", body=b"x" * LARGEST_BODY).status == 200
    assert len(origin.seen("just=right")[0].body) == LARGEST_BODY


def test_a_client_over_its_rate_is_told_when_to_come_back(start_edge, origin, answer, live, address):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_UPLOAD_RATE="1", OCR_EDGE_UPLOAD_BURST="2")
    origin.answers["/ocr"] = answer(200, {}, b"read")
    origin.answers[address] = live()
    replies = [edge.get("/ocr", "POST", body=b"image") for _ in range(5)]
    assert [reply.status for reply in replies[:3]] == [200, 200, 200]
    assert_problem(replies[4], 429)
    assert replies[4].headers["retry-after"] == "1"
    assert {edge.get(address).status for _ in range(20)} == {200}  # look-ups are not counted


def test_a_foreign_host_is_misdirected(start_edge, origin, live, address, result_id):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_SERVER_NAMES="ocr.example,*.ocr.example")
    origin.answers[address] = live()
    for host in ("ocr.example", "OCR.example:8080", "eu.ocr.example"):
        assert edge.get(address, headers={"Host": host}).status == 200
    for host in ("evil.example", "127.0.0.1", "ocr.example.evil"):
        refused = edge.get(address, headers={"Host": host})
        assert_problem(refused, 421)
        assert refused.word == "BYPASS"
    assert_problem(edge.send(f"GET http://evil.example{address} HTTP/1.1\r\nHost: ocr.example\r\n\r\n".encode()), 421)
    assert_problem(edge.send(f"GET {address} HTTP/1.0\r\n\r\n".encode()), 421)
    assert len(origin.seen(result_id)) == 1


def test_no_gateway_is_a_502_and_a_slow_one_a_504(start_edge, start_origin, answer, address):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_LOOKUP_TIMEOUT="1")
    origin.answers[address] = answer(200, delay=2)
    assert_problem(edge.get(address), 504)
    origin.close()
    reply = edge.get("/ocr", "POST", body=b"image")
    assert_problem(reply, 502)
    assert reply.headers["retry-after"] == "2"


def test_headers_that_are_too_long_and_addresses_too(edge):
    assert_problem(edge.get("/healthz", headers={"X-Long": "x" * 9000}), 431)
    assert_problem(edge.get("/" + "x" * 9000), 414)


def test_a_condition_that_fails_is_a_problem_too(edge, origin, live, address):
    origin.answers[address] = live(b"0123456789")
    for _ in range(2):
        assert_problem(edge.get(address, headers={"If-Match": '"another"'}), 412)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/3.7\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_what_nginx_itself_does_not_take_is_a_problem_document(edge, sent, status):
    assert_problem(edge.send(sent), status)


def test_every_error_of_nginx_is_described(edge):
    pages = (INFRA / "snippets" / "problem-pages.conf").read_text()
    problems = (INFRA / "http" / "problems.conf").read_text()
    for status in re.findall(r"\b[45][0-9]{2}\b", pages.partition("494")[0].partition("error_page")[2]):
        if status != "500":  # the default
            assert len(re.findall(rf"^    {status} ", problems, re.MULTILINE)) >= 3, status


def test_every_answer_about_a_result_has_a_cache_word(edge, origin, answer, live, address):
    origin.answers[address] = live()
    origin.answers[address + "/text"] = answer(304)
    words = {
        "miss": edge.get(address).word,
        "hit": edge.get(address).word,
        "absent": edge.get(address + "/hocr").word,
        "not modified": edge.get(address + "/text").word,
        "no such address": edge.get("/results/nobody").word,
        "post": edge.get(address, "POST", body=b"x").word,
    }
    assert words == {
        "miss": "MISS",
        "hit": "HIT",
        "absent": "MISS",
        "not modified": "MISS",
        "no such address": "BYPASS",
        "post": "BYPASS",
    }


def test_the_edge_appends_its_own_word_to_the_gateways(edge, origin, live, address):
    origin.answers[address] = live()
    assert edge.get(address).headers["cache-status"] == "ocr-gateway; hit; detail=redis, ocr-edge; fwd=uri-miss"
    assert edge.get(address).headers["cache-status"] == "ocr-gateway; hit; detail=redis, ocr-edge; hit"


def test_operators_addresses_are_not_public(edge, origin, answer, result_id):
    origin.answers["/metrics"] = answer(200, {}, b"counters")
    assert_problem(edge.get("/metrics"), 404)
    assert_problem(edge.get("//metrics?x"), 404)
    assert edge.get(f"/purge/{result_id}", "DELETE").status == 404
    assert edge.get(f"/stored/{result_id}").status == 404


def test_a_page_of_an_allowed_origin_may_read_a_cached_result(start_edge, origin, live, address):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_CORS_ORIGINS="https://erp.example,https://web.example")
    origin.answers[address] = live(Access_Control_Allow_Origin="https://other.example")
    for _ in range(2):
        assert (
            "access-control-allow-origin" not in edge.get(address, headers={"Origin": "https://evil.example"}).headers
        )
        allowed = edge.get(address, headers={"Origin": "https://erp.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://erp.example"
        assert "X-Cache-Status" in allowed.headers["access-control-expose-headers"]
        assert "Origin" in allowed.headers["vary"]


def test_a_page_of_an_allowed_origin_may_read_what_a_refusal_asks_for(start_edge, origin):
    edge = start_edge(
        f"127.0.0.1:{origin.port}",
        OCR_EDGE_UPLOAD_RATE="1", OCR_EDGE_UPLOAD_BURST="1", OCR_CORS_ORIGINS="https://erp.example",
    )  # fmt: skip
    replies = [edge.get("/ocr", "POST", {"Origin": "https://erp.example"}, b"image") for _ in range(4)]
    assert_problem(replies[-1], 429)
    assert replies[-1].headers["access-control-allow-origin"] == "https://erp.example"
    assert "Retry-After" in replies[-1].headers["access-control-expose-headers"]


def test_a_page_of_any_origin_may_where_the_operator_says_so(start_edge, origin, live, address):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_CORS_ORIGINS="*")
    origin.answers[address] = live()
    for _ in range(2):
        reply = edge.get(address, headers={"Origin": "https://any.example"})
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "Origin" not in reply.headers.get("vary", "")


def test_security_headers_are_the_gateways_where_it_sets_them(edge, origin, answer, live, address):
    origin.answers["/"] = answer(200, {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}, b"page")
    origin.answers[address] = live()
    page = edge.get("/").headers
    assert (page["x-content-type-options"], page["referrer-policy"]) == ("nosniff", "same-origin")
    for _ in range(2):
        found = edge.get(address).headers
        assert (found["x-content-type-options"], found["referrer-policy"]) == ("nosniff", "no-referrer")
    assert found["server"] == "nginx"  # and no version


def test_the_log_says_what_happened_and_nothing_of_a_document(edge, origin, answer, live, address):
    origin.answers[address] = live()
    origin.answers["/ocr"] = answer(200, {"X-Cache-Status": "MISS"}, b'{"text": "body-secret"}')
    edge.get(address + "?query-secret=1")
    edge.get(address, headers={"X-Note": "header-secret"})
    edge.get("/ocr?format=query-secret", "POST", body=b"body-secret")
    edge.get("/upload/path-secret.png")
    edge.get("/results/path-secret")
    edge.get(address + "-00000000", "PUT", body=b"body-secret" * LARGEST_BODY)
    log = edge.log()
    assert "secret" not in json.dumps(log)
    lines = [line for line in log if line["path"] == address]
    miss, hit = sorted(lines, key=lambda line: line["edge"] == "HIT")  # each nginx worker writes when it likes
    assert (miss["edge"], miss["gateway"], miss["status"], miss["method"]) == ("MISS", "HIT", 200, "GET")
    assert (hit["edge"], hit["gateway"], hit["status"], hit["method"]) == ("HIT", "HIT", 200, "GET")
    assert float(miss["upstream_seconds"]) >= 0
    assert hit["upstream_seconds"] == ""
    assert hit["body_bytes"] == len(origin.answers[address].body)
    assert re.fullmatch("[0-9a-f]{32}", miss["request_id"])
    assert ("POST", "/ocr", "MISS") in [(line["method"], line["path"], line["gateway"]) for line in log]
    assert ("PUT", address + "-00000000", 413) in [(line["method"], line["path"], line["status"]) for line in log]


def test_a_slow_upload_does_not_occupy_a_gateway(edge, origin, answer):
    origin.answers["/ocr"] = answer(200, {}, b"read")
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as slow:
        slow.sendall(b"POST /ocr?slow=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf ")
        time.sleep(0.5)
        assert origin.seen("slow=1") == []
        slow.sendall(b"there")
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
    assert origin.seen("slow=1")[0].body == b"half there"


def test_clients_behind_a_trusted_proxy_are_told_apart(start_edge, origin, answer):
    origin.answers["/ocr"] = answer(200, {}, b"read")
    edge = start_edge(
        f"127.0.0.1:{origin.port}",
        OCR_EDGE_TRUSTED_PROXIES="127.0.0.0/8",
        OCR_EDGE_UPLOAD_RATE="1",
        OCR_EDGE_UPLOAD_BURST="1",
    )
    statuses = [edge.get("/ocr", "POST", {"X-Forwarded-For": f"192.0.2.{n}"}, b"image").status for n in (1, 1, 2, 3, 1)]
    assert statuses == [200, 200, 200, 200, 429]


def test_pages_to_be_drawn_are_counted_like_uploads_and_never_kept(start_edge, origin, answer):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_UPLOAD_RATE="1", OCR_EDGE_UPLOAD_BURST="2")
    origin.answers["/preview"] = answer(200, {"Cache-Control": "public, max-age=9", "Content-Type": "image/webp"}, b"p")
    replies = [edge.get("/preview?page=2", "POST", body=b"document") for _ in range(6)]
    assert [reply.status for reply in replies[:3]] == [200, 200, 200]
    assert replies[-1].status == 429
    passed = origin.seen("/preview?page=2")
    assert len(passed) == sum(reply.status == 200 for reply in replies), "each was drawn for itself"
    assert {seen.body for seen in passed} == {b"document"}
    assert {line["path"] for line in edge.log() if line["method"] == "POST"} == {"/preview"}


def test_deletions_are_counted_like_uploads(start_edge, origin, answer):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_UPLOAD_RATE="1", OCR_EDGE_UPLOAD_BURST="2")
    paths = [f"/results/{number:064x}" for number in range(6)]
    origin.answers |= {path: lambda seen: answer(204 if seen.method == "DELETE" else 404) for path in paths}
    replies = [edge.get(path, "DELETE") for path in paths]
    assert [reply.status for reply in replies[:3]] == [204, 204, 204]
    assert replies[-1].status == 429
    assert replies[-1].headers["retry-after"] == "1"
    assert edge.get(paths[0]).status == 404, "looking up is not counted"
