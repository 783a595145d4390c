"""Resident memory of the whole embedded server over many pages of mixed size: small enough, and flat?

    python -m benchmarks.memory [--pages 200] [--limit 500]

Starts its own server and reads drawn invoices of .1 to 8 megapixels, each new. Prints the resident memory of all of
the server's processes together, between two requests and the most at any time. The exit status is 1 when it ends
above ``--limit`` megabytes, or when the last fifty pages lie more than a tenth above the pages 50 to 100.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
from pathlib import Path

import requests

from tests.documents import draw_invoice
from tests.serving import running

MEGABYTE = 2**20
FLAT = 1.1


def processes(root: int) -> dict[int, str]:
    """Ids of ``root`` and all that descend from it, with their names."""
    parents, names = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = status.read_text().rpartition(")")
        except OSError:
            continue
        pid, _, name = head.partition(" (")
        parents[int(pid)], names[int(pid)] = int(rest.split()[1]), name
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid: names.get(pid, "?") for pid in sorted(family)}


def resident(pid: int, field: str = "VmRSS") -> float:
    """Resident memory in megabytes: ``VmRSS`` now, ``VmHWM`` the most ever; 0 when the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / MEGABYTE
    except OSError:
        pass
    return 0.0


class Watch:
    """Samples the sum of all processes' resident memory twenty times a second and keeps the most."""

    def __init__(self, root: int) -> None:
        self.most = 0.0
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.most = max(self.most, sum(map(resident, processes(self._root))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--limit", type=float, default=500, help="megabytes")
    chosen = parser.parse_args()
    chance = random.Random(1)
    levels: list[float] = []
    with tempfile.TemporaryDirectory() as folder, running("serve", Path(folder)) as served:
        root = served.process.pid
        print(f"ready after {served.seconds:.1f} s with {sum(map(resident, processes(root))):.0f} MB")
        with Watch(root) as watch:
            for number in range(chosen.pages):
                upload = draw_invoice(number, rows=chance.randrange(1, 40)).jpeg(chance.choice((0.35, 0.7, 1, 1.4, 2)))
                answer = requests.post(f"{served.url}/ocr?match=none", files={"image": upload}, timeout=120)
                answer.raise_for_status()
                levels.append(sum(map(resident, processes(root))))
                if number + 1 in (1, 10, 25, 50, 100, 150, 200) or number + 1 == chosen.pages:
                    print(f"after page {number + 1:4}: {levels[-1]:4.0f} MB", flush=True)
        for pid, name in processes(root).items():
            print(f"  {name:16} {resident(pid):4.0f} MB, at most {resident(pid, 'VmHWM'):4.0f} MB")
    print(f"at most {watch.most:.0f} MB at any time")
    failed = levels[-1] > chosen.limit
    if chosen.pages >= 150:
        growth = statistics.mean(levels[-50:]) / statistics.mean(levels[50:100])
        print(f"last fifty pages / pages 50 to 100: {growth:.3f}")
        failed = failed or growth > FLAT
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
