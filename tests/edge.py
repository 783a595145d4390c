"""A real nginx with the rendered configuration, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.places import free_ports
from tests.servers import response_of, wait_until_closed

ROOT = Path(__file__).resolve().parents[1]
RENDER = ROOT / "infra" / "nginx" / "render.py"


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
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

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
            reply = _reply(response)
            wait_until_closed(connection)
            return reply

    def wait_until_filed(self, entry: str) -> None:
        """Wait for an answer that is on its way into the cache, as a deletion does.

        For who asked otherwise than by :meth:`get` or :meth:`send`, through another edge say. ``entry``: an id, its
        rendering, its coding.
        """
        with response_of(self.admin_port, "HEAD", f"/stored/{entry}") as response:
            assert response.status in (200, 204)

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
        for child in self.processes(b"nginx: "):  # its workers, and whoever looks after the cache
            os.kill(int(child.name), signal.SIGKILL)
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
def running_edge(upstreams: str, *, adapt: Callable[[Path], None] | None = None, **settings: str) -> Iterator[Edge]:
    """``render.py --run``, ready to be asked; stopped at the end. :class:`RuntimeError`: nginx did not start.

    ``adapt`` changes the configuration in a folder before nginx reads it; then there is no process beside nginx.
    """
    # nginx's workers are another user when this is root, so a private folder won't do.
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    folder.chmod(0o755)
    port, free = free_ports(2)
    admin_port = int(settings.get("OCR_EDGE_ADMIN_LISTEN", f":{free}").rpartition(":")[2])
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
    conf = folder / "conf"
    command = [sys.executable, str(RENDER), str(conf), "--run"]
    if adapt is not None:
        subprocess.run(command[:-1], env=environment, check=True, stdout=subprocess.DEVNULL)
        adapt(conf)
        command = [nginx_program(), "-p", str(conf), "-c", str(conf / "nginx.conf"), "-g", "daemon off;"]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
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
        shutil.rmtree(folder, ignore_errors=True)


def nginx_program() -> str:
    """Where nginx is. Raises :class:`RuntimeError` when it is not installed."""
    found = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        raise RuntimeError("nginx is not installed: apt-get install nginx libnginx-mod-http-cache-purge")
    return found


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
