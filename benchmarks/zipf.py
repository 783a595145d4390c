"""Look-ups of invoices with and without the cache: mean response, peak bandwidth and CPU, before and after.

    python -m benchmarks.zipf [--documents 100] [--lookups 240] [--plot docs/images/zipf.png]

Devices look invoices up, some of them often (Zipf), at random moments (Poisson). *Before*: every look-up uploads the
image through nginx to the same server with its cache off (``match=none``). *After*: the edge, the gateway behind it and
the Python client, which asks by fingerprint and uploads only what is unknown. Both replay the same look-ups at the same
moments, in turns, so that what else the machine does falls on both; earlier look-ups of the same kind have filled the
cache. The rate is what keeps the server without a cache half busy. Response times count from the moment a look-up was
due, so queueing is in them; bandwidth is what nginx's log says, both ways, over half a minute; CPU time is nginx's, the
gateway's and the reader's. The exit status is 1 when a ratio is not better than the one claimed for such a service
("980 → 63 ms, 15 → 2 Mbps, 78 → 32 %"). Needs nginx with its purge module.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.edge import free_ports
from gateway.client import Client
from gateway.edge_log.lines import LogReader
from tests.documents import draw_invoice
from tests.serving import running

RENDER = Path(__file__).resolve().parents[1] / "infra" / "nginx" / "render.py"
TURNS = 3
BUSY = 0.5
BANDWIDTH_WINDOW = 30
# What articles about such a service claim, before and after: mean ms, peak Mbps, % of the CPU.
CLAIMED = {"mean response, ms": (980.0, 63.0), "peak bandwidth, Mbps": (15.0, 2.0), "CPU, %": (78.0, 32.0)}


@dataclass
class Stack:
    """One gateway with nginx in front. ``upload_always``: the cache is not used."""

    name: str
    url: str
    access_log: Path
    processes: tuple[int, ...]
    upload_always: bool
    due: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    uploaded: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    windows: list[tuple[float, float]] = field(default_factory=list)

    def look_up(self, client: Client, image: bytes) -> bool:
        """Whether the image travelled."""
        return client.recognise(image, match="none" if self.upload_always else "near").uploaded

    def peak_mbps(self) -> float:
        """The busiest half minute of the measured turns."""
        seconds: Counter[int] = Counter()
        for line in LogReader([self.access_log]):
            seconds[int(datetime.fromisoformat(line.time).timestamp())] += line.bytes_in + line.bytes_out
        peaks = [
            sum(seconds[start + each] for each in range(BANDWIDTH_WINDOW))
            for begun, ended in self.windows
            for start in range(int(begun), max(int(begun) + 1, int(ended) - BANDWIDTH_WINDOW + 2))
        ]
        return 8 * max(peaks) / BANDWIDTH_WINDOW / 1e6


@contextlib.contextmanager
def stack(name: str, folder: Path, *, upload_always: bool) -> Iterator[Stack]:
    """A gateway with an empty store, and an edge with an empty cache."""
    own = folder / name
    own.mkdir(mode=0o755)
    with running("serve", own / "data", log_level="WARNING") as served:
        ports = free_ports(2)
        environment = {
            "PATH": os.environ["PATH"],
            "OCR_EDGE_LISTEN": f"127.0.0.1:{ports[0]}",
            "OCR_EDGE_ADMIN_LISTEN": f"127.0.0.1:{ports[1]}",
            "OCR_EDGE_UPSTREAMS": served.url.removeprefix("http://"),
            "OCR_EDGE_DIR": str(own / "edge"),
            "OCR_EDGE_ACCESS_LOG": str(own / "access.log"),
            "OCR_EDGE_ERROR_LOG": str(own / "error.log"),
            "OCR_EDGE_UPLOAD_RATE": "1000",
            "OCR_EDGE_UPLOAD_BURST": "1000",
        }
        with (own / "output").open("wb") as output:
            command = [sys.executable, str(RENDER), str(own / "conf"), "--run"]
            nginx = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            wait_until_up(f"http://127.0.0.1:{ports[1]}/healthz", nginx)
            url = f"http://127.0.0.1:{ports[0]}"
            yield Stack(name, url, own / "access.log", (served.process.pid, nginx.pid), upload_always)
        finally:
            nginx.send_signal(signal.SIGTERM)
            nginx.wait(20)


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when ``url`` answers; give up after twenty seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("nginx did not start")


def cpu_seconds(roots: tuple[int, ...]) -> float:
    """CPU time of these processes and of all that descend from them."""
    ticks, parents = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
                parents[int(entry.name)] = int(fields[1])
                ticks[int(entry.name)] = sum(int(value) for value in fields[11:15])
    family = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")


def zipf(documents: int, exponent: float, count: int, chance: random.Random) -> list[int]:
    """``count`` documents, number n (from 0) with a probability proportional to 1 / (n + 1) ** exponent."""
    weights = [1 / (number + 1) ** exponent for number in range(documents)]
    return chance.choices(range(documents), weights, k=count)


def replay(target: Stack, images: list[bytes], turn: list[tuple[float, int]], before: float) -> None:
    """One turn: ``(moment, document)``, seconds from the turn's start. ``before``: measured seconds so far."""
    with Client(target.url, timeout=300) as client, ThreadPoolExecutor(64) as pool:
        used, start, begun = cpu_seconds(target.processes), time.perf_counter(), time.time()

        def one(moment: float, document: int) -> tuple[float, bool]:
            time.sleep(max(0.0, start + moment - time.perf_counter()))
            uploaded = target.look_up(client, images[document])
            return time.perf_counter() - start - moment, uploaded

        answers = list(pool.map(lambda each: one(*each), turn))
        target.wall_seconds += time.perf_counter() - start
        target.cpu_seconds += cpu_seconds(target.processes) - used
    target.windows.append((begun, time.time()))
    target.due += [before + moment for moment, _ in turn]
    target.seconds += [seconds for seconds, _ in answers]
    target.uploaded += sum(uploaded for _, uploaded in answers)


def turns(wanted: list[int], rate: float, chance: random.Random) -> list[list[tuple[float, int]]]:
    """The look-ups in ``TURNS`` parts, each with Poisson arrivals of its own."""
    size = -(-len(wanted) // TURNS)
    return [
        list(zip(itertools.accumulate(chance.expovariate(rate) for _ in part), part, strict=True))
        for part in (wanted[start : start + size] for start in range(0, len(wanted), size))
    ]


def table(before: Stack, after: Stack) -> dict[str, tuple[float, float]]:
    """The rows of ``CLAIMED``, measured."""
    cores = len(os.sched_getaffinity(0))
    time.sleep(1.5)  # nginx writes its log once a second
    return {
        "mean response, ms": tuple(1000 * statistics.mean(each.seconds) for each in (before, after)),
        "peak bandwidth, Mbps": tuple(each.peak_mbps() for each in (before, after)),
        "CPU, %": tuple(100 * each.cpu_seconds / each.wall_seconds / cores for each in (before, after)),
    }  # type: ignore[return-value]


def draw(rows: dict[str, tuple[float, float]], before: Stack, after: Stack, path: Path) -> None:
    """The response times over the replay, and the rows."""
    from matplotlib.figure import Figure

    dark, light = "#2a9d8f", "#e76f51"
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    over_time, *bars = figure.subplots(1, 4, width_ratios=(3.2, 1, 1, 1))
    for each, colour, label in ((before, light, "every look-up uploads"), (after, dark, "edge, gateway, local ids")):
        over_time.scatter(each.due, [1000 * seconds for seconds in each.seconds], s=9, color=colour, label=label)
    over_time.set_yscale("log")
    over_time.set_ylim(top=over_time.get_ylim()[1] * 6)
    over_time.set_xlabel("seconds of the replay")
    over_time.set_title("response of each look-up, ms", fontsize=10)
    over_time.legend(loc="upper left", fontsize=8, ncols=2, markerscale=2)
    for axes, (name, values) in zip(bars, rows.items(), strict=True):
        drawn = axes.bar(("before", "after"), values, color=(light, dark))
        axes.bar_label(drawn, [f"{value:.3g}" for value in values], fontsize=10)
        axes.set_title(name, fontsize=10)
        axes.set_ylim(0, max(values) * 1.15)
        axes.set_yticks([])
        axes.spines[["top", "left", "right"]].set_visible(False)
        axes.set_xlabel(f"{values[0] / values[1]:.1f} × less", fontsize=10, weight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100, help="how many there are")
    parser.add_argument("--exponent", type=float, default=1.1, help="of Zipf's law")
    parser.add_argument("--earlier", type=int, default=600, help="look-ups that have filled the cache")
    parser.add_argument("--lookups", type=int, default=240, help="look-ups that are measured")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    wanted = zipf(chosen.documents, chosen.exponent, chosen.earlier + chosen.lookups, chance)
    earlier, measured = wanted[: chosen.earlier], wanted[chosen.earlier :]
    images = [draw_invoice(number, rows=2).jpeg(scale=1.4) for number in range(chosen.documents)]
    # nginx's workers are another user when root starts it, so a private folder won't do.
    folder = Path(tempfile.mkdtemp(prefix="zipf-"))
    folder.chmod(0o755)
    try:
        with (
            stack("before", folder, upload_always=True) as before,
            stack("after", folder, upload_always=False) as after,
        ):
            with Client(after.url, timeout=300) as client:
                for document in dict.fromkeys(earlier):
                    after.look_up(client, images[document])
                # As after some days: what was looked up before is at the edge.
                for document in dict.fromkeys(earlier):
                    after.look_up(client, images[document])
            with Client(before.url, timeout=300) as client:
                took = []
                for image in images[:6]:
                    started = time.perf_counter()
                    before.look_up(client, image)
                    took.append(time.perf_counter() - started)
            rate = BUSY / statistics.median(took)
            size = statistics.mean(map(len, images)) / 1000
            print(
                f"{chosen.documents} invoices of {size:.0f} kB, Zipf {chosen.exponent}; "
                f"{len(measured)} look-ups at {rate:.2f} a second after {len(earlier)} earlier ones"
            )
            past = 0.0
            for turn in turns(measured, rate, chance):
                for each in (before, after):
                    replay(each, images, turn, past)
                past += turn[-1][0]
            rows = table(before, after)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"uploaded, and mostly read: before {before.uploaded}, after {after.uploaded}")
    print(f"{'':22} {'before':>9} {'after':>9} {'ratio':>7}   claimed")
    beaten = True
    for name, (worse, better) in rows.items():
        claimed = CLAIMED[name][0] / CLAIMED[name][1]
        beaten &= worse / better > claimed
        print(
            f"{name:22} {worse:9.1f} {better:9.1f} {worse / better:7.1f}   "
            f"{CLAIMED[name][0]:g} → {CLAIMED[name][1]:g}: {claimed:.1f}"
        )
    for share in (0.5, 0.99):
        told = [1000 * sorted(each.seconds)[int(share * (len(each.seconds) - 1))] for each in (before, after)]
        print(f"{f'p{share * 100:.0f} response, ms':22} {told[0]:9.1f} {told[1]:9.1f} {told[0] / told[1]:7.1f}")
    if chosen.plot:
        draw(rows, before, after, chosen.plot)
    return 0 if beaten else 1


if __name__ == "__main__":
    sys.exit(main())
