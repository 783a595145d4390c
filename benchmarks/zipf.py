"""Look-ups of invoices with and without the cache: mean response, peak bandwidth and CPU, before and after.

    python -m benchmarks.zipf [--known 0.8 0.9 0.95 1] [--lookups 60] [--plot docs/images/zipf.png]

Devices look invoices up, some of them often (Zipf), at random moments (Poisson); of the look-ups a share is for known
ones, each of the others for one that nobody saw before. *Before*: every look-up uploads the image through nginx to the
same server with its cache off (``match=none``). *After*: the edge, the gateway behind it and the Python client, which
asks by fingerprint and uploads only what is unknown. Both replay the same look-ups at the same moments, in turns, so
that what else the machine does falls on both. The rate is what keeps the server without a cache half busy. Response
times count from the moment a look-up was due, so queueing is in them; bandwidth is what nginx's log says, both ways,
over the time of 30 look-ups; CPU time is nginx's, the gateway's and the reader's.

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
BUSY = 0.5
# Bandwidth is averaged over the time in which so many look-ups are due: fewer say more about chance than about caches.
WINDOW_LOOKUPS = 30
# What articles about such a service claim, before and after: mean ms, peak Mbps, % of the CPU.
CLAIMED = {"mean response, ms": (980.0, 63.0), "peak bandwidth, Mbps": (15.0, 2.0), "CPU, %": (78.0, 32.0)}

Turn = list[tuple[float, bytes]]
"""Moments, in seconds from the turn's start, and the image that is looked up then."""
Rows = dict[str, tuple[float, float]]
"""The rows of :data:`CLAIMED`, measured: before, after."""


@dataclass
class Replayed:
    """What was measured while turns were replayed. ``windows``: their beginnings and ends, POSIX seconds."""

    due: list[float] = field(default_factory=list)
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
        past = into.due[-1] if into.due else 0.0
        into.windows.append((begun, time.time()))
        into.due += [past + moment for moment, _ in turn]
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


def compare(before: Stack, after: Stack, replayed: tuple[Replayed, Replayed], rate: float) -> Rows:
    """What was measured of each row."""
    time.sleep(1.5)  # nginx writes its log once a second
    window = math.ceil(WINDOW_LOOKUPS / rate)
    both = tuple(zip((before, after), replayed, strict=True))
    return {
        "mean response, ms": tuple(1000 * statistics.mean(each.seconds) for _, each in both),
        "peak bandwidth, Mbps": tuple(stack.peak_mbps(each, window) for stack, each in both),
        "CPU, %": tuple(100 * each.cpu_share() for _, each in both),
    }  # type: ignore[return-value]


def beaten_from(name: str, measured: dict[float, Rows]) -> float:
    """The share of known documents from which on a row is better than claimed."""
    unknown = [1 - share for share in measured]
    left = [rows[name][1] / rows[name][0] for rows in measured.values()]
    slope, least = statistics.linear_regression(unknown, left)
    return 1 - max(0.0, (CLAIMED[name][1] / CLAIMED[name][0] - least) / slope)


def draw(measured: dict[float, Rows], example: tuple[float, Replayed, Replayed], path: Path) -> None:
    """The response times of one replay, and what is left of each row by the share of known documents."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    over_time, by_share = figure.subplots(1, 2, width_ratios=(3, 2))
    share, before, after = example
    for each, colour, label in ((before, "#e76f51", "every look-up uploads"), (after, "#2a9d8f", "edge and cache")):
        over_time.scatter(each.due, [1000 * seconds for seconds in each.seconds], s=10, color=colour, label=label)
    over_time.set_yscale("log")
    over_time.set_ylim(top=over_time.get_ylim()[1] * 6)
    over_time.set_xlabel("seconds of the replay")
    over_time.set_title(f"response of each look-up, ms; {share:.0%} of them for known documents", fontsize=10)
    over_time.legend(loc="upper left", fontsize=8, ncols=2, markerscale=2)
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
    parser.add_argument("--lookups", type=int, default=60, help="look-ups that are measured at each share")
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
        measured, replays = measure(before, after, shares, chosen, chance)
    beaten = show(measured)
    if chosen.plot:
        # One with both kinds of look-ups in it.
        share = max((each for each in shares if each < 1), default=1.0)
        draw(measured, (share, *replays[share]), chosen.plot)
    return 0 if beaten else 1


def measure(
    before: Stack, after: Stack, shares: Sequence[float], chosen: argparse.Namespace, chance: random.Random
) -> tuple[dict[float, Rows], dict[float, tuple[Replayed, Replayed]]]:
    """Fill the cache, then replay a workload of each share; its rows and its replays, before and after."""
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
    measured, replays = {}, {}
    for share in shares:
        wanted = with_unknown(zipf(len(known), chosen.exponent, chosen.lookups, chance), share, unknown, chance)
        images = [known[each] if each < len(known) else invoice(each) for each in wanted]
        replays[share] = Replayed(), Replayed()
        for turn in turns(images, rate, chance):
            before.replay(turn, replays[share][0])
            after.replay(turn, replays[share][1])
        measured[share] = compare(before, after, replays[share], rate)
    return measured, replays


def invoice(number: int) -> bytes:
    return draw_invoice(number, rows=2).jpeg(scale=1.4)


if __name__ == "__main__":
    sys.exit(main())
