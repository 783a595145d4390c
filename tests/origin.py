"""A gateway double whose answers a test decides, for tests and benchmarks of the edge."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate


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


def packed_result(body: bytes, **more: str) -> Callable[[Seen], Answer]:
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
