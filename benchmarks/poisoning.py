#!/usr/bin/env python3
"""Try to poison the edge's cache with thousands of generated requests, over raw sockets, against a real nginx.

Each request (``tests/poisonous.py``) goes to an address that nobody asked for before; behind the edge answers a gateway
that writes all it was sent into its answer, the worst case. Then the address is asked for plainly, in each coding, and
the answer has to be the one that plain asking alone gives: status, body and headers. Exit status 1 if one is not.
With ``--keys`` the edge is one that checks API keys, and every request has one.

    python -m benchmarks.poisoning --requests 10000 [--keys]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.edge import running_edge
from tests.key_mode import ACME, write_files
from tests.origin import Answer, Origin, Seen, stored_result
from tests.poisonous import mutated

# The edge's own, different with every request; and the headers whose value is the moment.
VOLATILE = {"x-request-id", "x-forwarded-for"}
MOMENTARY = {"date", "expires", "x-accel-expires", "x-request-id", "x-cache-status", "cache-status", "connection"}
CODINGS = ("identity", "gzip")
# A request may leave nginx waiting for more of it.
PATIENCE_SECONDS = 0.4


@dataclass
class Report:
    """``poisoned``: the requests (as sent) after which a plain one was answered differently."""

    sent: int = 0
    reached: int = 0
    poisoned: list[bytes] = field(default_factory=list)


def reflection(method: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    """All of a request that could differ, in the order sent."""
    kept = [(name.lower(), value) for name, value in headers if name.lower() not in VOLATILE]
    return json.dumps([method, kept, body.decode("latin-1")]).encode()


def send(port: int, request: bytes) -> None:
    """Send exactly these bytes, and read until nginx closes or has nothing more to say."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    with connection, contextlib.suppress(OSError):
        connection.sendall(request)
        while connection.recv(65536):
            pass


def plainly(port: int, path: str, coding: str, key: str = "") -> tuple[int, bytes, dict[str, str]]:
    """Status, body and lasting headers of a plain look-up, with the API key ``key`` if there is one."""
    with_key = {"X-API-Key": key} if key else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": "ocr.example", "Accept-Encoding": coding} | with_key)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders() if name.lower() not in MOMENTARY}
        return response.status, response.read(), headers
    finally:
        connection.close()


def poisonings(
    port: int, origin: Origin, live: Callable[[bytes], Answer], count: int, seed: int, threads: int = 8, key: str = ""
) -> Report:
    """Send ``count`` requests to the edge on ``port``, whose gateway is ``origin``, and ask plainly after each.

    ``live``: makes a stored result's answer of its body. ``key``: the API key that all requests have.
    """
    report = Report()
    lock = threading.Lock()
    paths = [f"/results/{hashlib.sha256(f'{seed} {number}'.encode()).hexdigest()}" for number in range(count + 1)]
    reference = paths.pop()
    touched: set[str] = set()

    def answer(seen: Seen) -> Answer:
        with lock:
            touched.add(seen.path.partition("?")[0])
        return live(reflection(seen.method, list(seen.headers), seen.body))

    for path in (*paths, reference):
        for rendering in ("", "/text", "/hocr"):
            origin.answers[path + rendering] = answer
    clean = {coding: plainly(port, reference, coding, key) for coding in CODINGS}
    assert {status for status, *_ in clean.values()} == {200}

    def attempt(path: str) -> None:
        request = mutated(path, seed)
        if key:
            request = request.replace(b"\r\n", f"\r\nX-API-Key: {key}\r\n".encode(), 1)
        send(port, request)
        with lock:
            report.sent += 1
            report.reached += path in touched
        for coding in CODINGS:
            if plainly(port, path, coding, key) != clean[coding]:
                with lock:
                    report.poisoned.append(request)
                return

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(attempt, paths))
    return report


def released(body: bytes) -> Answer:
    """The gateway's answer to a link: for edges that check it."""
    return stored_result(body, Cache_Control="private", OCR_Edge_Cache_Control="public")


def settings(folder: Path, keys: bool) -> dict[str, str]:
    """The edge's, with files of keys in ``folder`` where it has to check them."""
    return write_files(folder) | {"OCR_EDGE_KEYS": "edge"} if keys else {}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keys", action="store_true", help="against an edge that checks API keys")
    arguments = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="poisoning-") as folder,
        contextlib.closing(Origin()) as origin,
        running_edge(f"127.0.0.1:{origin.port}", **settings(Path(folder), arguments.keys)) as edge,
    ):
        live, key = (released, ACME) if arguments.keys else (stored_result, "")
        report = poisonings(edge.port, origin, live, arguments.requests, arguments.seed, key=key)
    for request in report.poisoned:
        print(request)
    print(
        f"seed {arguments.seed}: {report.sent} requests in {time.monotonic() - began:.0f} s, {report.reached} reached "
        f"the gateway, {len(report.poisoned)} poisonings"
    )
    return 1 if report.poisoned else 0


if __name__ == "__main__":
    sys.exit(main())
