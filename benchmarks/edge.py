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
import json
import os
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gateway.purge import EdgePurger
from infra.places import free_ports
from tests.edge import Edge, running_edge
from tests.origin import Answer, Origin, Seen, packed_result

Reply = Callable[[Seen], Answer]

CONNECTIONS = 32
HERD = 200
PURGE_GOAL_MS = 100
THREADS = 2


@dataclass(frozen=True)
class Run:
    """One wrk run: requests a second, the 99th percentile of the response time in milliseconds, and the CPU time of
    nginx's workers for one request in microseconds, which hardly depends on what else the machine does."""

    rate: float
    p99: float
    cpu: float


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
def edge(gateway_port: int, body: bytes) -> Iterator[tuple[Edge, str]]:
    """The edge as it is rendered, with one more server for a static file; and that one's base URL."""
    (port,) = free_ports(1)

    def add_static(configuration: Path) -> None:
        files = configuration.parent / "files"
        files.mkdir()
        (files / "result.json").write_bytes(body)
        (files / "result.json.gz").write_bytes(gzip.compress(body, 6, mtime=0))
        (configuration / "servers" / "static.conf").write_text(
            f"server {{ listen 127.0.0.1:{port}; root {files}; types {{ application/json json; }} "
            "gzip off; gzip_static on; }\n"
        )

    with running_edge(f"127.0.0.1:{gateway_port}", adapt=add_static) as up:
        yield up, f"http://127.0.0.1:{port}"


def load(up: Edge, url: str, seconds: int, headers: Sequence[str] = (), status: int = 200) -> Run:
    """wrk against ``url`` of that nginx, which must answer ``status`` throughout."""
    before = cpu_seconds(up)
    extra = [word for header in headers for word in ("-H", header)]
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *extra, url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Socket errors" in output or ("Non-2xx" in output) != (status != 200):
        sys.exit(f"not {status} under load:\n{output}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", output)
    count = re.search(r"(\d+) requests in", output)
    if rate is None or p99 is None or count is None:
        sys.exit(f"wrk's output was not understood:\n{output}")
    cpu = 1e6 * (cpu_seconds(up) - before) / int(count[1])
    return Run(float(rate[1]), float(p99[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]], cpu)


def cpu_seconds(up: Edge) -> float:
    """What nginx's workers have used so far."""
    ticks = 0
    for worker in up.processes(b"worker process"):
        fields = (worker / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def herd(up: Edge, origin: Origin, reply: Reply) -> tuple[int, float, float]:
    """How many of :data:`HERD` requests for a cold result at the same moment reach the gateway; and after how many
    milliseconds the first and the last of them have their answer."""
    result_id = secrets.token_hex(32)
    origin.answers[f"/results/{result_id}"] = reply
    gate = threading.Barrier(HERD)

    def ask(_: int) -> float:
        gate.wait(30)
        began = time.perf_counter()
        up.get(f"/results/{result_id}")
        return (time.perf_counter() - began) * 1e3

    with ThreadPoolExecutor(HERD) as pool:
        waited = list(pool.map(ask, range(HERD)))
    return len(origin.seen(result_id)), min(waited), max(waited)


def purge_times(up: Edge, origin: Origin, reply: Reply, count: int = 40) -> tuple[float, float]:
    """Milliseconds from a deletion's order to the edge's last confirmation: the median, and the slowest."""
    purger = EdgePurger([up.admin])
    times = []
    for _ in range(count):
        result_id = secrets.token_hex(32)
        origin.answers[f"/results/{result_id}"] = reply
        up.get(f"/results/{result_id}")
        began = time.perf_counter()
        purger.purge(result_id)
        times.append((time.perf_counter() - began) * 1e3)
    purger.close()
    return statistics.median(times), max(times)


def middle(runs: list[Run]) -> Run:
    """The medians."""
    return Run(*(statistics.median(getattr(run, each) for run in runs) for each in ("rate", "p99", "cpu")))


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
    reply = packed_result(body)
    address = f"/results/{secrets.token_hex(32)}"
    with contextlib.closing(Origin()) as origin, edge(origin.port, body) as (up, static):
        origin.answers[address] = reply
        for coding in ("identity", "gzip"):
            words = [up.get(address, headers={"Accept-Encoding": coding}).word for _ in range(2)]
            if words != ["MISS", "HIT"]:
                sys.exit(f"the edge said {words}")
        targets = {
            "static file": (f"{static}/result.json", ()),
            "HIT": (up.url + address, ()),
            "static file, gzip": (f"{static}/result.json", ("Accept-Encoding: gzip",)),
            "HIT, gzip": (up.url + address, ("Accept-Encoding: gzip",)),
        }
        for url, headers in targets.values():
            load(up, url, 1, headers)
        runs: dict[str, list[Run]] = {name: [] for name in targets}
        for _ in range(arguments.rounds):
            for name, (url, headers) in targets.items():
                runs[name].append(load(up, url, arguments.seconds, headers))
        cold, first, last = herd(up, origin, reply)
        purges = purge_times(up, origin, reply)
    medians = {name: middle(each) for name, each in runs.items()}
    print(f"{len(body)} bytes, {CONNECTIONS} connections, median of {arguments.rounds} runs of {arguments.seconds} s")
    for name, run in medians.items():
        print(f"{name:>18}: {run.rate:9,.0f} requests/s, p99 {run.p99:6.2f} ms, CPU {run.cpu:5.1f} us")
    missed = False
    for coding in ("", ", gzip"):
        pairs = list(zip(runs[f"HIT{coding}"], runs[f"static file{coding}"], strict=True))
        rate = statistics.median(hit.rate / static.rate for hit, static in pairs)
        p99 = statistics.median(hit.p99 / static.p99 for hit, static in pairs)
        cpu = statistics.median(static.cpu / hit.cpu for hit, static in pairs)
        goals = f"goals {arguments.goal:.2f}, {arguments.p99:.2f}"
        print(f"HIT / static{coding}: rate {rate:.2f}, p99 {p99:.2f} ({goals}); static's CPU / HIT's {cpu:.2f}")
        missed |= rate < arguments.goal or p99 > arguments.p99
    print(
        f"{HERD} ask for a cold result at once: {cold} reached the gateway (goal 1); "
        f"answered after {first:.0f} ms (the first) to {last:.0f} ms (the last)"
    )
    print(f"a purge of 9 entries: median {purges[0]:.1f} ms, slowest {purges[1]:.1f} ms (goal {PURGE_GOAL_MS})")
    return 1 if missed or cold > 1 or purges[1] > PURGE_GOAL_MS else 0


if __name__ == "__main__":
    sys.exit(main())
