"""A real nginx with the rendered configuration, in front of a gateway double whose answers a test decides."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import http.server
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.servers import response_of

ROOT = Path(__file__).resolve().parents[3]
RENDER = ROOT / "infra" / "nginx" / "render.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Answer:
    """What the gateway double says."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    delay: float = 0.0


@dataclass(frozen=True)
class Seen:
    """A request as it reached the gateway double."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def _not_found() -> Answer:
    """The gateway's own 404."""
    headers = {"X-Accel-Expires": "1", "Cache-Control": "no-store", "Content-Type": "application/problem+json"}
    return Answer(404, headers, b'{"status": 404}')


def _packed(body: bytes, **more: str) -> Callable[[Seen], Answer]:
    """A stored result as the gateway sends it: in gzip to who takes that, with a tag of its own."""

    def reply(seen: Seen) -> Answer:
        if seen.header("Accept-Encoding") == "gzip":
            coded = {"Content-Encoding": "gzip", "ETag": '"one-gzip"'}
            return stored_result(gzip.compress(body, mtime=0), **coded | more)
        return stored_result(body, **more)

    return reply


def stored_result(body: bytes = b'{"text": "1280.00"}', *, lives: float = 3600, **more: str) -> Answer:
    """A stored result that lives ``lives`` seconds from now. ``more`` changes or removes headers."""
    expires = int(time.time() + lives)
    headers = {
        "X-Cache-Status": "HIT",
        "Cache-Status": "ocr-gateway; hit; detail=redis",
        "Cache-Control": "public, stale-if-error=0",
        "X-Accel-Expires": f"@{expires - 1}",
        "Expires": formatdate(expires, usegmt=True),
        "Content-Type": "application/json",
        "ETag": '"one"',
        "Vary": "Accept-Encoding",
    }
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return Answer(200, {name: value for name, value in headers.items() if value}, body)


class Origin:
    """The gateway double: an answer for each path (404 for others), or a function of the request."""

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, Answer | Callable[[Seen], Answer]] = {}
        self.connections = 0
        self._connections: set[socket.socket] = set()
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                with origin._lock:
                    origin.connections += 1
                    origin._connections.add(self.request)
                super().setup()

            def finish(self) -> None:
                with origin._lock:
                    origin._connections.discard(self.request)
                super().finish()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, tuple(self.headers.items()), body)
                reply = origin._reply(seen)
                time.sleep(reply.delay)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response_only(reply.status)
                    for name, value in ({"Date": self.date_time_string()} | reply.headers).items():
                        self.send_header(name, value)
                    if reply.status != 204:
                        self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(reply.body)

            do_GET = do_HEAD = do_POST = do_DELETE = do_OPTIONS = do_PUT = answer

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                # nginx drops the connection of a look-up whose client has gone.
                if not isinstance(sys.exception(), ConnectionError):
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def _reply(self, seen: Seen) -> Answer:
        with self._lock:
            self._seen.append(seen)
            answer = self.answers.get(seen.path.partition("?")[0], _not_found())
        return answer(seen) if callable(answer) else answer

    def seen(self, result_id: str) -> list[Seen]:
        """The requests about ``result_id`` so far."""
        with self._lock:
            return [seen for seen in self._seen if result_id in seen.path]

    def close(self) -> None:
        """Refuse connections from now on, and drop those that are kept."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Reply:
    """What a client got. Header names in lower case; a repeated header's values joined by ``, ``."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def word(self) -> str | None:
        return self.headers.get("x-cache-status")


@dataclass
class Edge:
    """A running nginx."""

    port: int
    admin_port: int
    folder: Path
    process: subprocess.Popen

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    def get(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        with response_of(self.port, method, path, body, headers) as response:
            return _reply(response)

    def send(self, request: bytes, method: str = "GET") -> Reply:
        """Send exactly these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return _reply(response)

    def processes(self, title: bytes) -> list[Path]:
        """The ``/proc`` folders of nginx's children with ``title`` in their command line."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = [Path("/proc") / pid for pid in children]
        return [path for path in found if title in (path / "cmdline").read_bytes()]

    def worker_pids(self) -> set[str]:
        return {path.name for path in self.processes(b"worker process")}

    def kill(self) -> None:
        """Lose it as when its machine fails: all processes at once, nothing finished."""
        self.process.send_signal(signal.SIGSTOP)  # it must not start workers anew
        for worker in self.worker_pids():
            os.kill(int(worker), signal.SIGKILL)
        self.process.kill()
        self.process.wait(10)

    def cached_files(self, entry: str) -> list[Path]:
        """The cache's files that hold ``entry``: an id, its rendering, its coding."""
        # One with a suffix is being written, and soon has another name.
        files = (path for path in (self.folder / "state" / "cache").rglob("*") if path.is_file() and not path.suffix)
        return [path for path in files if f"/{entry}\n".encode() in path.read_bytes()[:1024]]

    def log(self) -> list[dict[str, object]]:
        """The access log, once nginx has flushed it."""
        time.sleep(1.3)
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


def _reply(response: http.client.HTTPResponse) -> Reply:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Reply(response.status, headers, response.read())


@contextlib.contextmanager
def running_edge(upstreams: str, **settings: str) -> Iterator[Edge]:
    # nginx's workers are another user when this is root, so a private folder won't do.
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    folder.chmod(0o755)
    port = free_port()
    admin_port = int(settings.get("OCR_EDGE_ADMIN_LISTEN", f":{free_port()}").rpartition(":")[2])
    environment = {
        "PATH": os.environ["PATH"],
        "OCR_EDGE_LISTEN": f"127.0.0.1:{port}",
        "OCR_EDGE_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "OCR_EDGE_UPSTREAMS": upstreams,
        "OCR_EDGE_DIR": str(folder / "state"),
        "OCR_EDGE_ACCESS_LOG": str(folder / "access.log"),
        "OCR_EDGE_ERROR_LOG": str(folder / "error.log"),
        "OCR_EDGE_UPLOAD_RATE": "1000",
        "OCR_EDGE_UPLOAD_BURST": "1000",
    } | settings
    output = (folder / "output").open("wb")
    process = subprocess.Popen(
        [sys.executable, str(RENDER), str(folder / "conf"), "--run"], env=environment, stdout=output, stderr=output
    )
    edge = Edge(port, admin_port, folder, process)
    try:
        _wait_until_up(edge)
        yield edge
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        output.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(edge: Edge) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if edge.process.poll() is not None:
            break
        connection = http.client.HTTPConnection("127.0.0.1", edge.admin_port, timeout=1)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError("nginx did not start: " + (edge.folder / "output").read_text())


@pytest.fixture(scope="session", autouse=True)
def nginx() -> None:
    if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        pytest.fail("nginx is not installed: apt-get install nginx libnginx-mod-http-cache-purge")


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
    return free_port


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
    return _packed


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
