#!/usr/bin/env python3
"""How fast is a HIT at the edge? Against the same nginx serving the same bytes as a static file, in one run.

Both are asked in turns, so that what else the machine does falls on both, and both answer from what was compressed
before (the edge stores what the gateway compressed; the file has its ``.gz`` beside it). Needs nginx with its purge
module, and wrk. Prints requests a second, p99 and the ratios, each the median over the rounds of one round's ratio;
then how many of 200 that ask for a cold result at once reach the gateway, and how long a purge takes. The exit status
is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.server
import json
import os
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import MappingProxyType

from gateway.purge import EdgePurger

RENDER = Path(__file__).resolve().parents[1] / "infra" / "nginx" / "render.py"
CONNECTIONS = 32
HERD = 200
PURGE_GOAL_MS = 100
THREADS = 2


@dataclass(frozen=True)
class Run:
    """One wrk run: requests a second, and the 99th percentile of the response time in milliseconds."""

    rate: float
    p99: float


def invoice_record(lines: int = 60) -> bytes:
    """A result as large as that of an e-invoice with this many lines."""
    box = [[100.0, 200.0], [612.5, 200.0], [612.5, 231.5], [100.0, 231.5]]
    texts = [f"项目{number:02d} 技术服务费 {number * 137 % 9999}.00 6%" for number in range(lines)]
    return json.dumps(
        {
            "id": "0" * 64,
            "success": True,
            "text": "\n".join(texts),
            "lines": [{"text": text, "score": 0.9876, "box": box, "page": 1} for text in texts],
            "boxes": [[100.0, 200.0, 612.5, 231.5]] * lines,
            "scores": [0.9876] * lines,
            "confidence": 0.9876,
        },
        ensure_ascii=False,
    ).encode()


@contextlib.contextmanager
def gateway(body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[int, list[str]]]:
    """Answers every look-up with ``body``, in gzip where that is taken, and ``headers``; yields its port and the
    addresses asked for."""
    asked: list[str] = []
    packed = gzip.compress(body, 6, mtime=0)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            takes_gzip = self.headers.get("Accept-Encoding") == "gzip"
            content = packed if takes_gzip else body
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if takes_gzip:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Cache-Control", "public")
            self.send_header("Expires", formatdate(time.time() + 3600, usegmt=True))
            self.send_header("ETag", '"benchmark"')
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def edge(folder: Path, gateway_port: int, body: bytes) -> Iterator[tuple[str, str, str]]:
    """The edge as it is rendered, with one more server for a static file; yields their base URLs, the admin's last."""
    ports = free_ports(3)
    environment = {
        "PATH": os.environ["PATH"],
        "OCR_EDGE_LISTEN": f"127.0.0.1:{ports[0]}",
        "OCR_EDGE_ADMIN_LISTEN": f"127.0.0.1:{ports[1]}",
        "OCR_EDGE_UPSTREAMS": f"127.0.0.1:{gateway_port}",
        "OCR_EDGE_DIR": str(folder / "state"),
        "OCR_EDGE_ACCESS_LOG": str(folder / "access.log"),
        "OCR_EDGE_ERROR_LOG": str(folder / "error.log"),
    }
    configuration = folder / "conf"
    subprocess.run([sys.executable, RENDER, configuration], env=environment, check=True, stdout=subprocess.DEVNULL)
    (folder / "files").mkdir()
    (folder / "files" / "result.json").write_bytes(body)
    (folder / "files" / "result.json.gz").write_bytes(gzip.compress(body, 6, mtime=0))
    (configuration / "servers" / "static.conf").write_text(
        f"server {{ listen 127.0.0.1:{ports[2]}; root {folder}/files; types {{ application/json json; }} "
        "gzip off; gzip_static on; }\n"
    )
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if nginx is None:
        sys.exit("nginx is not installed")
    process = subprocess.Popen([nginx, "-p", configuration, "-c", configuration / "nginx.conf", "-g", "daemon off;"])
    bases = f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[2]}", f"http://127.0.0.1:{ports[1]}"
    try:
        wait_until_up(f"http://127.0.0.1:{ports[1]}/healthz", process)
        yield bases
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when ``url`` answers; give up after ten seconds."""
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None:
                break
            time.sleep(0.1)
    sys.exit("nginx did not start")


def load(url: str, seconds: int, *headers: str) -> Run:
    """wrk against ``url``."""
    extra = [word for header in headers for word in ("-H", header)]
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *extra, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"errors under load:\n{output}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", output)
    if rate is None or p99 is None:
        sys.exit(f"wrk's output was not understood:\n{output}")
    return Run(float(rate[1]), float(p99[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]])


def herd(url: str, asked: list[str]) -> tuple[int, float, float]:
    """How many of :data:`HERD` requests for ``url`` at the same moment reach the gateway; and after how many
    milliseconds the first and the last of them have their answer."""
    gate = threading.Barrier(HERD)

    def ask(_: int) -> float:
        gate.wait(30)
        began = time.perf_counter()
        urllib.request.urlopen(url, timeout=30).read()
        return (time.perf_counter() - began) * 1e3

    with ThreadPoolExecutor(HERD) as pool:
        waited = list(pool.map(ask, range(HERD)))
    return sum(url.endswith(path) for path in asked), min(waited), max(waited)


def purge_times(edge_base: str, admin_base: str, count: int = 40) -> tuple[float, float]:
    """Milliseconds from a deletion's order to the edge's last confirmation: the median, and the slowest."""
    purger = EdgePurger([admin_base])
    times = []
    for _ in range(count):
        result_id = secrets.token_hex(32)
        urllib.request.urlopen(f"{edge_base}/results/{result_id}").read()
        began = time.perf_counter()
        purger.purge(result_id)
        times.append((time.perf_counter() - began) * 1e3)
    purger.close()
    return statistics.median(times), max(times)


def middle(runs: list[Run]) -> Run:
    """The medians."""
    return Run(statistics.median(run.rate for run in runs), statistics.median(run.p99 for run in runs))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind, in turns")
    parser.add_argument("--lines", type=int, default=60, help="text lines of the result")
    parser.add_argument("--goal", type=float, default=0.85, help="least ratio of HIT's rate to static's")
    parser.add_argument("--p99", type=float, default=1.5, help="most that HIT's p99 may be of static's")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    body = invoice_record(arguments.lines)
    folder = Path(tempfile.mkdtemp(prefix="edge-benchmark-"))
    folder.chmod(0o755)  # nginx's workers are another user when root starts it
    try:
        with gateway(body) as (port, asked), edge(folder, port, body) as (edge_base, static_base, admin_base):
            found = f"{edge_base}/results/{secrets.token_hex(32)}"
            for coding in ("identity", "gzip"):
                request = urllib.request.Request(found, headers={"Accept-Encoding": coding})
                words = [urllib.request.urlopen(request).headers["X-Cache-Status"] for _ in range(2)]
                if words != ["MISS", "HIT"]:
                    sys.exit(f"the edge said {words}")
            targets = {
                "static file": (f"{static_base}/result.json", ()),
                "HIT": (found, ()),
                "static file, gzip": (f"{static_base}/result.json", ("Accept-Encoding: gzip",)),
                "HIT, gzip": (found, ("Accept-Encoding: gzip",)),
            }
            for url, headers in targets.values():
                load(url, 1, *headers)
            runs: dict[str, list[Run]] = {name: [] for name in targets}
            for _ in range(arguments.rounds):
                for name, (url, headers) in targets.items():
                    runs[name].append(load(url, arguments.seconds, *headers))
            cold, first, last = herd(f"{edge_base}/results/{secrets.token_hex(32)}", asked)
            purges = purge_times(edge_base, admin_base)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: middle(each) for name, each in runs.items()}
    print(f"{len(body)} bytes, {CONNECTIONS} connections, median of {arguments.rounds} runs of {arguments.seconds} s")
    for name, run in medians.items():
        print(f"{name:>18}: {run.rate:9,.0f} requests/s, p99 {run.p99:6.2f} ms")
    missed = False
    for coding in ("", ", gzip"):
        pairs = list(zip(runs[f"HIT{coding}"], runs[f"static file{coding}"], strict=True))
        rate = statistics.median(hit.rate / static.rate for hit, static in pairs)
        p99 = statistics.median(hit.p99 / static.p99 for hit, static in pairs)
        goals = f"goals {arguments.goal:.2f}, {arguments.p99:.2f}"
        print(f"HIT / static{coding}: rate {rate:.2f}, p99 {p99:.2f} ({goals})")
        missed |= rate < arguments.goal or p99 > arguments.p99
    print(
        f"{HERD} ask for a cold result at once: {cold} reached the gateway (goal 1); "
        f"answered after {first:.0f} ms (the first) to {last:.0f} ms (the last)"
    )
    print(f"a purge of 9 entries: median {purges[0]:.1f} ms, slowest {purges[1]:.1f} ms (goal {PURGE_GOAL_MS})")
    return 1 if missed or cold > 1 or purges[1] > PURGE_GOAL_MS else 0


if __name__ == "__main__":
    sys.exit(main())
