"""Requests that no honest client sends, over bare sockets: each gets its own answer and costs the others nothing."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
import requests

from tests.serving import Served, running

THREADS = 4
RECEIVE_SECONDS = 4.0  # rather than the usual quarter of a minute
POST = b"POST /ocr HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
PNG = b"Content-Type: image/png\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=XX\r\n"
JSON = b"Content-Type: application/json\r\n"
PART = b'--XX\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    shorter = {"gateway.gunicorn_worker.RECEIVE_SECONDS": RECEIVE_SECONDS}
    with running("serve", tmp_path_factory.mktemp("data"), shorter, web_threads=THREADS) as process:
        yield process


def connect(served: Served, *, wait: float = 45) -> socket.socket:
    host, port = served.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=wait)


def everything(connection: socket.socket) -> bytes:
    """All that the server sends until it closes."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def exchange(served: Served, sent: bytes, *, end: bool = False) -> bytes:
    """``end``: nothing more will be sent, and the server can see it."""
    with connect(served) as connection:
        connection.sendall(sent)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def assert_one_problem(answer: bytes, status: int) -> dict:
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in head.lower()
    assert b"cache-control: no-store" in head.lower()
    document = json.loads(body)
    assert set(document) == {"type", "title", "status", "detail", "request_id"}
    assert document["status"] == status
    assert document["detail"].endswith(".")
    assert b"x-request-id: " + document["request_id"].encode() in head.lower()
    return document


def seconds_for_health(served: Served) -> float:
    began = time.monotonic()
    assert requests.get(f"{served.url}/healthz", timeout=45).status_code == 200
    return time.monotonic() - began


class TestSlowClients:
    def test_whoever_stops_sending_or_only_trickles_is_told_so_and_the_server_goes_on(self, served):
        stop = threading.Event()

        def trickle(connection: socket.socket) -> None:
            with suppress(OSError):
                while not stop.wait(0.5):
                    connection.sendall(b"a")

        with ExitStack() as stack:
            slow = [stack.enter_context(connect(served)) for _ in range(THREADS)]
            for connection, head in zip(slow, (PNG, FORM, JSON, None), strict=True):
                connection.sendall(POST if head is None else POST + head + b"Content-Length: 1000\r\n\r\n--")
            sender = threading.Thread(target=trickle, args=slow[:1])
            sender.start()
            try:
                assert seconds_for_health(served) < RECEIVE_SECONDS + 5
                for connection in reversed(slow):
                    assert_one_problem(everything(connection), 408)
            finally:
                stop.set()
                sender.join()

    def test_connections_that_send_nothing_take_no_thread(self, served):
        with ExitStack() as stack:
            for _ in range(4 * THREADS):
                stack.enter_context(connect(served))
            assert seconds_for_health(served) < 2

    def test_clients_that_do_not_close_hold_up_nobody(self, served):
        with ExitStack() as stack:
            for _ in range(THREADS - 1):
                connection = stack.enter_context(connect(served))
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert seconds_for_health(served) < 1

    def test_one_connection_serves_request_after_request(self, served):
        client = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=10)
        with closing(client):
            client.connect()
            connection = client.sock
            for _ in range(3):
                client.request("GET", "/healthz")
                assert client.getresponse().read()
                assert client.sock is connection


class TestBodies:
    @pytest.mark.parametrize("kind", [PNG, FORM, JSON])
    @pytest.mark.parametrize(
        "chunks",
        [b"ZZ\r\n", b"3\r\nabcdef\r\n", b"3;\0\r\nabc\r\n", b"3\r\nabc\r\n0\r\nbad trailer\r\n\r\n"],
        ids=["size", "terminator", "extension", "trailer"],
    )
    def test_malformed_chunks_are_a_bad_request(self, served, kind, chunks):
        first = b"%x\r\n%s\r\n" % (len(PART), PART) if kind == FORM else b""
        assert_one_problem(exchange(served, POST + kind + CHUNKED + b"\r\n" + first + chunks), 400)

    @pytest.mark.parametrize("kind", [PNG, FORM, JSON])
    @pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n\r\n", CHUNKED + b"\r\n3e8\r\n"])
    def test_a_body_that_ends_early_is_a_bad_request(self, served, kind, length):
        assert_one_problem(exchange(served, POST + kind + length + b"abc", end=True), 400)

    def test_a_malformed_body_that_nobody_asked_for_gets_no_second_answer(self, served):
        sent = b"POST /nowhere HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\nZZ\r\n"
        assert_one_problem(exchange(served, sent), 404)

    @pytest.mark.parametrize("kind", [PNG, JSON])
    def test_whoever_sends_too_much_to_the_end_and_then_looks_is_told_so(self, served, kind):
        # As nginx does, and every client that does not listen while it sends.
        body = bytes(30_000_000)
        head = POST + kind + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert_one_problem(exchange(served, head + body), 413)

    def test_a_chunked_body_of_no_type_is_unsupported(self, served):
        sent = POST + CHUNKED + b"Connection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        assert_one_problem(exchange(served, sent), 415)

    def test_a_json_body_is_never_more_than_the_image_in_it(self, served):
        web = _child_of(served.process.pid)
        requests.post(f"{served.url}/ocr", json={"image": "QUFB"}, timeout=30)
        before = _peak_megabytes(web)
        body = b'{"image":[' + b",".join([b"{}"] * 8_000_000) + b"]}"
        answer = requests.post(f"{served.url}/ocr", data=body, headers={"Content-Type": "application/json"}, timeout=60)
        assert (answer.status_code, answer.json()["type"]) == (400, "/docs#bad-request")
        assert _peak_megabytes(web) - before < 3 * len(body) / 1e6


class TestHeads:
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"GARBAGE\r\n\r\n", 400),
            (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: x\r\nsecret header\r\n\r\n", 400),
            (POST + PNG + b"Content-Length: secret\r\n\r\n", 400),
            (POST + PNG + b"Content-Length: 1\r\n" + CHUNKED + b"\r\n", 400),
            (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: secret\r\n\r\n", 417),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"secret" * 4000 + b"\r\n\r\n", 431),
            (POST + PNG + b"Transfer-Encoding: secret\r\n\r\n", 501),
        ],
        ids=["line", "method", "header", "length", "two-lengths", "long-address", "expect", "long-header", "coding"],
    )
    def test_what_the_application_never_sees_has_the_same_shape(self, served, sent, status):
        document = assert_one_problem(exchange(served, sent), status)
        assert "secret" not in json.dumps(document) + "".join(served.output)

    def test_doubled_slashes_lead_nowhere(self, served):
        answer = exchange(served, b"GET //results//x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert_one_problem(answer, 404)
        assert b"evil.example" not in answer


def test_nothing_of_all_that_broke_anything(served):
    assert seconds_for_health(served) < 2
    assert not re.search("Traceback|ERROR", "".join(served.output))


def _child_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _peak_megabytes(pid: int) -> float:
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1000
