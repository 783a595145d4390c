#!/usr/bin/env python3
"""Start what ``compose.yaml`` describes, without Docker: the same programs, commands and settings, on loopback.

Addresses are replaced by free loopback ports, folders by ones under ``--folder``; everything else is the file's own.
Services start in the order of ``depends_on``, each when those before it are healthy. SIGINT and SIGTERM stop all of
them, last started first; when one ends by itself the others are stopped too and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import graphlib
import os
import re
import secrets
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import redis
import yaml
from compose_file import ComposeError, chosen, interpolate, required_variables, seconds
from places import INFRA, Places, free_ports
from program import Program

COMPOSE = INFRA / "compose.yaml"

HEALTHY_SECONDS = 120.0
POLL_SECONDS = 0.2
STOP_SECONDS = 10.0  # Docker's, where the file says nothing


class StackError(RuntimeError):
    """The stack could not be started, or did not stay up."""


class Stack:
    """The services of the file, here."""

    def __init__(
        self,
        folder: Path,
        edge_port: int,
        environment: Mapping[str, str],
        say: Callable[[str, str], None],
        levels: bool = False,
    ) -> None:
        self._say = say
        self._environment = dict(environment)
        text = COMPOSE.read_text(encoding="utf-8")
        variables = {name: secrets.token_hex(16) for name in required_variables(text)}
        file = yaml.safe_load(text)
        if levels:
            variables |= file["x-levels"]
        variables |= self._environment
        self._services: dict[str, Any] = chosen(interpolate(file, variables)["services"], variables)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        edges = [name for name, service in self._services.items() if service["image"] == "ocr-edge"]
        names = [f"{name}:{port}" for name in edges for port in (8080, 8081)]
        names += ["gateway:5000", "redis:6379", "s3:8333"]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.places = Places(self.folder, ports | ({"edge:8080": edge_port} if edge_port else {}))
        self._programs: list[Program] = []
        # SeaweedFS puts sockets named after them into /tmp, whatever it is told, and may leave them.
        self._seaweedfs_ports: list[int] = []

    @property
    def url(self) -> str:
        """The edge's address."""
        return f"http://127.0.0.1:{self.places.ports['edge:8080']}"

    @property
    def further_urls(self) -> dict[str, str]:
        """The addresses of the other edges that are published, by service."""
        return {
            name: f"http://127.0.0.1:{self.places.ports[f'{name}:8080']}"
            for name, service in self._services.items()
            if name != "edge" and service.get("ports")
        }

    def order(self) -> list[str]:
        """Service names, each after those it depends on."""
        graph = {name: set(service.get("depends_on", {})) for name, service in self._services.items()}
        return list(graphlib.TopologicalSorter(graph).static_order())

    def start(self, stopped: Callable[[], bool]) -> None:
        """Start everything. Raises :class:`StackError` when something ends or does not become healthy in time."""
        for name in self.order():
            if stopped():
                return
            self._start_service(name, stopped)

    def check(self) -> None:
        """Raises :class:`StackError` naming a program that has ended."""
        for program in self._programs:
            if (status := program.status()) is not None:
                raise StackError(f"{program.name} ended with status {status}")

    def stop(self) -> None:
        """Stop everything, last started first."""
        for program in reversed(self._programs):
            program.stop()
            self._say("stack", f"{program.name} stopped")
        self._programs.clear()
        for port in self._seaweedfs_ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    def _start_service(self, name: str, stopped: Callable[[], bool]) -> None:
        service = self._services[name]
        replicas = int(service.get("deploy", {}).get("replicas", 1))
        programs = [self._program(name, number, replicas) for number in range(1, replicas + 1)]
        if self._runs_once(name):
            (program,) = programs
            program.start(self._say)
            try:
                self._wait(lambda: program.status() is not None, name, stopped, [])
                if not stopped() and program.status() != 0:
                    raise StackError(f"{name} ended with status {program.status()}")
            finally:
                program.stop()
            return
        for program in programs:
            program.start(self._say)
            self._programs.append(program)
        if probe := self._probe(name):
            self._wait(probe, name, stopped, self._programs)
            self._say("stack", f"{name} is healthy")

    def _wait(self, done: Callable[[], bool], name: str, stopped: Callable[[], bool], alive: list[Program]) -> None:
        deadline = time.monotonic() + HEALTHY_SECONDS
        while not stopped() and not done():
            if alive:
                self.check()
            if time.monotonic() > deadline:
                raise StackError(f"{name} was not healthy within {HEALTHY_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _runs_once(self, name: str) -> bool:
        return any(
            service.get("depends_on", {}).get(name, {}).get("condition") == "service_completed_successfully"
            for service in self._services.values()
        )

    def _program(self, name: str, number: int, replicas: int) -> Program:
        service = self._services[name]
        mounts = self.places.mounts(service)
        own = {
            key: self.places.localise(str(value), name, mounts)
            for key, value in (service.get("environment") or {}).items()
        }
        command = [self.places.localise(str(word), name, mounts) for word in service.get("command", ())]
        command, extra = self._adapt(name, command)
        # Settings come from the file alone, so that what runs here is what the file says.
        inherited = {
            key: value for key, value in self._environment.items() if not key.startswith("OCR_") and key != "PORT"
        }
        label = name if replicas == 1 else f"{name}-{number}"
        grace = seconds(service["stop_grace_period"]) if "stop_grace_period" in service else STOP_SECONDS
        return Program(label, command, inherited | {"PYTHONUNBUFFERED": "1"} | own | extra, self.folder, grace)

    def _adapt(self, name: str, command: list[str]) -> tuple[list[str], dict[str, str]]:
        """The parts of a command that a container's image or network decides, for this machine."""
        port = self.places.ports
        if self._services[name]["image"] == "ocr-edge":
            render = [sys.executable, str(INFRA / "nginx" / "render.py"), str(self.folder / f"{name}-conf"), "--run"]
            # As everything here: the user who started it. nginx's own choice could not enter a home folder.
            return render, {"OCR_EDGE_USER": "root"} if os.geteuid() == 0 else {}
        if name == "redis":
            own = ["--bind", "127.0.0.1", "--port", str(port["redis:6379"]), "--dir", str(self.folder / "redis-data")]
            return [_found("redis-server"), *command[1:], *own], {}
        if name == "s3":
            return [_found("weed"), *command[1:], *self._seaweedfs_addresses()], {}
        if name == "gateway":
            return [_found(command[0]), *command[1:]], {"OCR_HOST": "127.0.0.1", "OCR_PORT": str(port["gateway:5000"])}
        if name == "bucket":
            return [sys.executable, *command[1:]], {}
        return [_found(command[0]), *command[1:]], {}

    def _seaweedfs_addresses(self) -> list[str]:
        roles = ["master.port", "volume.port", "filer.port"]
        roles += [f"{role}.grpc" for role in (*roles, "s3.port")]
        ports = dict(zip(roles, free_ports(len(roles)), strict=True)) | {"s3.port": self.places.ports["s3:8333"]}
        self._seaweedfs_ports = list(ports.values())
        # A later flag wins.
        return ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", *(f"-{role}={port}" for role, port in ports.items())]

    def _probe(self, name: str) -> Callable[[], bool] | None:
        """The service's health check, asked from here; ``None`` where the next service's check covers it."""
        service = self._services[name]
        if name == "redis":
            client = redis.Redis(
                port=self.places.ports["redis:6379"], password=service["environment"]["REDISCLI_AUTH"], socket_timeout=1
            )
            return lambda: _quietly(client.ping)
        words = " ".join(service["healthcheck"]["test"])
        address = re.search(r"http://[^\s'\"]+", words)
        if address is None:
            return None
        url = self.places.localise(address[0], name, {})
        return lambda: _quietly(lambda: urllib.request.urlopen(url, timeout=3).close())


def _found(program: str) -> str:
    """Beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise StackError(f"{program} is not installed")
    return found


def _quietly(call: Callable[[], object]) -> bool:
    try:
        call()
    except (OSError, urllib.error.URLError, redis.RedisError):
        return False
    return True


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event set by SIGINT or SIGTERM."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Run the services of infra/compose.yaml on this machine, without Docker."
    )
    parser.add_argument("--folder", type=Path, default=Path("data/stack"), help="where they keep their data")
    parser.add_argument(
        "--port", type=int, default=int(os.environ.get("PORT", "8080")), help="the edge's; 0: a free one"
    )
    parser.add_argument("--levels", action="store_true", help="two edges in front of two shields (x-levels)")
    arguments = parser.parse_args()
    lock = threading.Lock()

    def say(name: str, line: str) -> None:
        with lock:
            print(f"{name:>9} | {line}", flush=True)

    with _stop_signals() as stop:
        stack = None
        try:
            stack = Stack(arguments.folder, arguments.port, os.environ, say, arguments.levels)
            stack.start(stop.is_set)
            if not stop.is_set():
                for name, url in stack.further_urls.items():
                    print(f"{name} is on {url}", flush=True)
                print(f"ready on {stack.url}", flush=True)
            while not stop.wait(POLL_SECONDS):
                stack.check()
        except (ComposeError, StackError) as error:
            print(f"stack: {error}", file=sys.stderr, flush=True)
            return 1
        finally:
            if stack is not None:
                stack.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
