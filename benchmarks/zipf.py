"""Look-ups of invoices with and without the cache: mean response, peak bandwidth and CPU, before and after.

    python -m benchmarks.zipf [--known 0.8 0.9 0.95 1] [--lookups 40] [--plot docs/images/zipf.png]

Devices look invoices up, some of them often (Zipf), at random moments (Poisson); of the look-ups a share is for known
ones, each of the others for one that nobody saw before. *Before*: every look-up uploads the image through nginx to the
same server with its cache off (``match=none``). *After*: the edge, the gateway behind it and the Python client, which
asks by fingerprint and uploads only what is unknown. Both replay the same look-ups at the same moments, in turns, so
that what else the machine does falls on both; what is before is the same at every share, and taken over all of them.
The rate is what keeps the server without a cache a quarter busy. Response times count from the moment a look-up was
due, so queueing is in them; bandwidth is what nginx's log says, both ways, over the time of 20 look-ups; CPU time is
nginx's, the gateway's and the reader's.

What is claimed for such a service ("980 → 63 ms, 15 → 2 Mbps, 78 → 32 %") comes without its share of known documents.
So each row is measured at several, and printed is from which share on it is beaten: what is left of each cost grows
with the unknown ones, on a straight line. The exit status is 1 when a row is not beaten at the largest share asked for.
Needs nginx with its purge module.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.client import Client
from gateway.edge_log.lines import LogReader
from tests.documents import draw_invoice
from tests.edge import running_edge
from tests.serving import running

TURNS = 2
# Little enough that waiting for one another is not what is measured.
BUSY = 0.25
# Bandwidth is averaged over the time in which so many look-ups are due: fewer say more about chance than about caches.
WINDOW_LOOKUPS = 20
# What articles about such a service claim, before and after: mean ms, peak Mbps, % of the CPU.
CLAIMED = {"mean response, ms": (980.0, 63.0), "peak bandwidth, Mbps": (15.0, 2.0), "CPU, %": (78.0, 32.0)}

Turn = list[tuple[float, bytes]]
"""Moments, in seconds from the turn's start, and the image that is looked up then."""
Rows = dict[str, tuple[float, float]]
"""The rows of :data:`CLAIMED`, measured: before, after."""


@dataclass
class Replayed:
    """What was measured while turns were replayed. ``windows``: their beginnings and ends, POSIX seconds."""

    seconds: list[float] = field(default_factory=list)
    uploaded: int = 0
    cpu_seconds: float = 0.0
    windows: list[tuple[float, float]] = field(default_factory=list)

    def cpu_share(self) -> float:
        """Of all cores."""
        return self.cpu_seconds / sum(ended - begun for begun, ended in self.windows) / len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Stack:
    """One gateway with nginx in front. ``upload_always``: the cache is not used."""

    url: str
    access_log: Path
    processes: tuple[int, ...]
    upload_always: bool

    def look_up(self, client: Client, image: bytes) -> bool:
        """Whether the image travelled."""
        return client.recognise(image, match="none" if self.upload_always else "near").uploaded

    def replay(self, turn: Turn, into: Replayed) -> None:
        """Look everything up at its moment."""
        with Client(self.url, timeout=300) as client, ThreadPoolExecutor(64) as pool:
            used, start, begun = cpu_seconds(self.processes), time.perf_counter(), time.time()

            def one(moment: float, image: bytes) -> tuple[float, bool]:
                time.sleep(max(0.0, start + moment - time.perf_counter()))
                uploaded = self.look_up(client, image)
                return time.perf_counter() - start - moment, uploaded

            answers = list(pool.map(lambda each: one(*each), turn))
            into.cpu_seconds += cpu_seconds(self.processes) - used
        into.windows.append((begun, time.time()))
        into.seconds += [seconds for seconds, _ in answers]
        into.uploaded += sum(uploaded for _, uploaded in answers)

    def peak_mbps(self, replayed: Replayed, window: int) -> float:
        """The busiest ``window`` seconds of what was replayed."""
        seconds: Counter[int] = Counter()
        for line in LogReader([self.access_log]):
            seconds[int(datetime.fromisoformat(line.time).timestamp())] += line.bytes_in + line.bytes_out
        peaks = [
            sum(seconds[start + each] for each in range(window))
            for begun, ended in replayed.windows
            for start in range(int(begun), max(int(begun) + 1, int(ended) - window + 2))
        ]
        return 8 * max(peaks) / window / 1e6


@contextlib.contextmanager
def stack(folder: Path, *, upload_always: bool) -> Iterator[Stack]:
    """A gateway with an empty store in ``folder``, and an edge with an empty cache."""
    with (
        running("serve", folder, log_level="WARNING") as served,
        running_edge(served.url.removeprefix("http://")) as edge,
    ):
        processes = (served.process.pid, edge.process.pid)
        yield Stack(edge.url, edge.folder / "access.log", processes, upload_always)


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


def with_unknown(wanted: list[int], share: float, unknown: Iterator[int], chance: random.Random) -> list[int]:
    """``wanted``, with all but ``share`` of it replaced by ``unknown`` documents, at random places."""
    places = set(chance.sample(range(len(wanted)), round((1 - share) * len(wanted))))
    return [next(unknown) if place in places else document for place, document in enumerate(wanted)]


def turns(images: list[bytes], rate: float, chance: random.Random) -> list[Turn]:
    """The look-ups in ``TURNS`` parts, each with Poisson arrivals of its own."""
    size = -(-len(images) // TURNS)
    return [
        list(zip(itertools.accumulate(chance.expovariate(rate) for _ in part), part, strict=True))
        for part in (images[start : start + size] for start in range(0, len(images), size))
    ]


def beaten_from(name: str, measured: dict[float, Rows]) -> float:
    """The share of known documents from which on a row is better than claimed."""
    unknown = [1 - share for share in measured]
    left = [rows[name][1] / rows[name][0] for rows in measured.values()]
    slope, least = statistics.linear_regression(unknown, left)
    return 1 - max(0.0, (CLAIMED[name][1] / CLAIMED[name][0] - least) / slope)


def draw(measured: dict[float, Rows], before: Replayed, after: dict[float, Replayed], path: Path) -> None:
    """The response times, sorted, and what is left of each row by the share of known documents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    response, by_share = figure.subplots(1, 2)
    curves = {"without the cache": before} | {f"{share:.0%} known": each for share, each in after.items()}
    colours = ("#e76f51", "#a8dadc", "#74c2b5", "#2a9d8f", "#1d6f65", "#0f403a")
    for (label, each), colour in zip(curves.items(), colours, strict=False):
        shares = [100 * (place + 1) / len(each.seconds) for place in range(len(each.seconds))]
        response.step(shares, sorted(1000 * seconds for seconds in each.seconds), color=colour, label=label)
    response.set_yscale("log")
    response.set_xlabel("% of the look-ups")
    response.set_title("answered within, ms", fontsize=10)
    response.legend(fontsize=8)
    for name, colour in zip(CLAIMED, ("#264653", "#e9a03b", "#7b5ea7"), strict=True):
        ratios = [rows[name][0] / rows[name][1] for rows in measured.values()]
        by_share.plot([100 * each for each in measured], ratios, marker="o", color=colour, label=name.partition(",")[0])
        by_share.axhline(CLAIMED[name][0] / CLAIMED[name][1], color=colour, linestyle=":", linewidth=1)
    by_share.set_yscale("log")
    by_share.set_xlabel("% of the look-ups for known documents")
    by_share.set_title("how many times less (dotted: as claimed)", fontsize=10)
    by_share.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def show(measured: dict[float, Rows]) -> bool:
    """Print the table; whether every row is beaten at the largest share."""
    print(f"{'':22}" + "".join(f"{f'{share:.0%} known':>26}" for share in measured) + "   claimed   beaten from")
    for name, (worse, better) in CLAIMED.items():
        cells = "".join(
            f"{f'{rows[name][0]:.4g} → {rows[name][1]:.3g}: 1/{rows[name][0] / rows[name][1]:.1f}':>26}"
            for rows in measured.values()
        )
        print(f"{name:22}{cells}{f'1/{worse / better:.1f}':>10}{f'{beaten_from(name, measured):.0%} known':>14}")
    best = measured[max(measured)]
    return all(best[name][0] / best[name][1] > worse / better for name, (worse, better) in CLAIMED.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--known", type=float, nargs="+", default=[0.8, 0.9, 0.95, 1.0], help="shares, at least two")
    parser.add_argument("--documents", type=int, default=100, help="how many known ones there are")
    parser.add_argument("--exponent", type=float, default=1.1, help="of Zipf's law")
    parser.add_argument("--lookups", type=int, default=40, help="look-ups that are measured at each share")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    chosen = parser.parse_args()
    if len(shares := sorted(set(chosen.known))) < 2:
        parser.error("--known: at least two shares")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    chance = random.Random(chosen.seed)
    with (
        tempfile.TemporaryDirectory(prefix="zipf-") as folder,
        stack(Path(folder) / "before", upload_always=True) as before,
        stack(Path(folder) / "after", upload_always=False) as after,
    ):
        measured, replayed = measure(before, after, shares, chosen, chance)
    beaten = show(measured)
    if chosen.plot:
        draw(measured, *replayed, chosen.plot)
    return 0 if beaten else 1


def measure(
    before: Stack, after: Stack, shares: Sequence[float], chosen: argparse.Namespace, chance: random.Random
) -> tuple[dict[float, Rows], tuple[Replayed, dict[float, Replayed]]]:
    """Fill the cache, then replay a workload of each share; the rows, and the replays, before and after."""
    known = [invoice(number) for number in range(chosen.documents)]
    unknown = itertools.count(chosen.documents)
    with Client(after.url, timeout=300) as client:
        # The second time as after some days: what was looked up before is at the edge.
        for image in (*known, *known):
            after.look_up(client, image)
    with Client(before.url, timeout=300) as client:
        took = []
        for image in known[:6]:
            started = time.perf_counter()
            before.look_up(client, image)
            took.append(time.perf_counter() - started)
    rate = BUSY / statistics.median(took)
    size = statistics.mean(map(len, known)) / 1000
    print(
        f"{len(known)} known invoices of {size:.0f} kB, Zipf {chosen.exponent}; "
        f"{chosen.lookups} look-ups at each share, {rate:.2f} a second",
        flush=True,
    )
    without, replays = Replayed(), {share: Replayed() for share in shares}
    for share in shares:
        wanted = with_unknown(zipf(len(known), chosen.exponent, chosen.lookups, chance), share, unknown, chance)
        images = [known[each] if each < len(known) else invoice(each) for each in wanted]
        for turn in turns(images, rate, chance):
            before.replay(turn, without)
            after.replay(turn, replays[share])
    time.sleep(1.5)  # nginx writes its log once a second
    window = math.ceil(WINDOW_LOOKUPS / rate)
    measured = {}
    for share in shares:
        both = ((before, without), (after, replays[share]))
        measured[share] = {
            "mean response, ms": tuple(1000 * statistics.mean(each.seconds) for _, each in both),
            "peak bandwidth, Mbps": tuple(stack.peak_mbps(each, window) for stack, each in both),
            "CPU, %": tuple(100 * each.cpu_share() for _, each in both),
        }
    return measured, (without, replays)  # type: ignore[return-value]


def invoice(number: int) -> bytes:
    return draw_invoice(number, rows=2).jpeg(scale=1.4)


if __name__ == "__main__":
    sys.exit(main())
