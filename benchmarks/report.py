"""How fast ``ocr-gateway report`` reads an access log, and in how much memory.

    python -m benchmarks.report [--lines 1000000]

Writes a log of look-ups and uploads to a temporary folder, plain and compressed; each is read in its own process.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DOCUMENTS = 200_000
DAYS = 3


def lines(count: int) -> Iterator[str]:
    """Three days of look-ups (a tenth of them edge misses) and 3 % uploads."""
    chance = random.Random(1)
    for number in range(count):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(1_790_000_000 + DAYS * 86400 * number // count))
        result_id = hashlib.sha256(b"%d" % int(DOCUMENTS * chance.random() ** 4)).hexdigest()
        kind = chance.random()
        line = {
            "time": moment, "request_id": f"{number:032x}", "client": "192.0.2.7", "method": "GET",
            "path": f"/results/{result_id}", "status": 200, "edge": "HIT", "gateway": "HIT", "bytes_in": 310,
            "bytes_out": 6012, "body_bytes": 5400, "seconds": 0.0, "upstream": "", "upstream_status": "",
            "upstream_seconds": "",
        }  # fmt: skip
        if kind > 0.87:
            line |= {"edge": "MISS", "seconds": 0.004, "upstream": "192.0.2.8:5000", "upstream_status": "200",
                     "upstream_seconds": "0.004"}  # fmt: skip
        if kind > 0.97:
            seconds = round(chance.lognormvariate(-0.6, 0.3), 3)
            line |= {"method": "POST", "path": "/ocr", "edge": "", "gateway": "MISS", "bytes_in": 412_000,
                     "seconds": seconds, "upstream_seconds": f"{seconds:.3f}"}  # fmt: skip
        yield json.dumps(line, separators=(",", ":")) + "\n"


def measure(path: Path, size: int) -> None:
    """One run of the command on ``path``; ``size``: its bytes unpacked."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "report", "--json", path], check=True, capture_output=True, text=True
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime - before
    facts = json.loads(done.stdout)
    print(
        f"{path.name:16} {size / 1e6:8.0f} MB  {size / seconds / 1e6:6.0f} MB/s  "
        f"{facts['requests'] / seconds:9,.0f} lines/s of CPU time"
    )
    print(f"{'':16} largest resident size of any run so far: {used.ru_maxrss / 1024:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small, plain, packed = (Path(folder) / name for name in ("a tenth", "access.log", "access.log.gz"))
        for path, count in ((small, chosen.lines // 10), (plain, chosen.lines)):
            with path.open("w") as file:
                file.writelines(lines(count))
        with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=3) as target:
            while chunk := source.read(1 << 20):
                target.write(chunk)
        for path in (small, plain, packed):
            measure(path, (small if path == small else plain).stat().st_size)


if __name__ == "__main__":
    main()
