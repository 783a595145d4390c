"""What the edge's tests share: a real nginx in front of a gateway double."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.places import free_ports
from tests.edge import Edge, nginx_program, running_edge
from tests.origin import Answer, Origin, Seen, packed_result, stored_result


@pytest.fixture(scope="session", autouse=True)
def nginx() -> None:
    """Said once, where it is not installed."""
    nginx_program()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for ocr.example, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=ocr.example"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:ocr.example"], check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def start_edge() -> Iterator[Callable[..., Edge]]:
    """``start_edge(upstreams, SETTING=value)``: one more nginx, stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda upstreams, **settings: stack.enter_context(running_edge(upstreams, **settings))


@pytest.fixture(scope="session")
def unused_port() -> Callable[[], int]:
    """A loopback port that nothing listens on now."""
    return lambda: free_ports(1)[0]


@pytest.fixture(scope="module")
def edge_before() -> Iterator[Callable[..., Edge]]:
    """Like ``start_edge``, for a whole module."""
    with contextlib.ExitStack() as stack:
        yield lambda upstreams, **settings: stack.enter_context(running_edge(upstreams, **settings))


@pytest.fixture
def start_origin() -> Iterator[Callable[..., Origin]]:
    """``start_origin()``: one more gateway double, stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda port=0: stack.enter_context(contextlib.closing(Origin(port)))


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with contextlib.closing(Origin()) as started:
        yield started


@pytest.fixture(scope="module")
def edge(origin: Origin) -> Iterator[Edge]:
    with running_edge(f"127.0.0.1:{origin.port}", OCR_MAX_UPLOAD_BYTES="65536") as up:
        yield up


@pytest.fixture
def result_id() -> str:
    """An id nobody used before."""
    return secrets.token_hex(32)


@pytest.fixture
def address(result_id: str) -> str:
    return f"/results/{result_id}"


@pytest.fixture
def answer() -> type[Answer]:
    """Any answer of the gateway double."""
    return Answer


@pytest.fixture
def live() -> Callable[..., Answer]:
    """The gateway's answer for a stored result: ``live(body, lives=seconds, Header_Name=value)``."""
    return stored_result


@pytest.fixture
def packed() -> Callable[..., Callable[[Seen], Answer]]:
    """The gateway's answers for a stored result that is long enough to be compressed: ``packed(body)``."""
    return packed_result


@pytest.fixture
def together() -> Callable[..., list]:
    """``together(n, call)``: n calls at the same moment, and what they returned."""

    def run(count: int, call: Callable[[], object]) -> list:
        gate = threading.Barrier(count)

        def one(_: int) -> object:
            gate.wait(10)
            return call()

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(one, range(count)))

    return run
