"""Cost of nomination by the size of the index: python -m benchmarks.matching.index [ENTRIES ...]

``unknown``: for a page that looks like none of them; ``one form``: for one like a tenth of them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from gateway.matching.canonical import FINE_BYTES, FRAMED_BYTES, Fingerprint
from gateway.matching.index import Index, entry_key, parse_entry_key

ONE_FORM = 7  # hashes of a tenth of the entries, which are fillings of one form
UNKNOWN = 0x5A5A_A5A5_5A5A_A5A5
OTHER_TURNS = (0x0F0F_0F0F_0F0F_0F0F, 0x3333_3333_3333_3333, 0x00FF_00FF_00FF_00FF)


def looks(first: int, last: int) -> list[Fingerprint]:
    """Random fingerprints; every tenth differs from the others of its form in the ranking hashes only."""
    rng = np.random.default_rng(first)
    searched = rng.integers(0, 2**63, (last - first, 2)).tolist()
    size = FINE_BYTES + FRAMED_BYTES
    ranking = rng.bytes(size * (last - first))
    found = []
    for i, (phash, canonical) in enumerate(searched):
        fine, framed = ranking[i * size:i * size + FINE_BYTES], ranking[i * size + FINE_BYTES:(i + 1) * size]
        same_form = i % 10 == 0
        searched_by = (ONE_FORM, (ONE_FORM,)) if same_form else (phash, (canonical,))
        found.append(Fingerprint(*searched_by, (fine,), (framed,)))
    return found


def cpu(work: Callable[[], object], repeats: int = 1) -> float:
    """Seconds of CPU that ``work`` takes, the median of ``repeats``."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return float(np.median(times))


def main(sizes: list[int]) -> None:
    index = Index()
    columns = ("add, us", "parse, us", "unknown, ms", "one form, ms", "key, bytes")
    print(f"{'entries':>10}" + "".join(f"{column:>14}" for column in columns))
    for size in sorted(sizes):
        first = len(index)
        entries = [(f"{first + i:064x}", look) for i, look in enumerate(looks(first, size))]
        adding = cpu(lambda entries=entries: [index.add(id, look, 2**33) for id, look in entries]) / len(entries)
        keys = [entry_key(id, look, 2**33) for id, look in entries[:1000]]
        parsing = cpu(lambda keys=keys: [parse_entry_key(key) for key in keys]) / len(keys)
        times = []
        for hash_ in (UNKNOWN, ONE_FORM):
            turns = (hash_, *(hash_ ^ turn for turn in OTHER_TURNS))
            query = Fingerprint(hash_, turns, (bytes(FINE_BYTES),) * 4, (bytes(FRAMED_BYTES),) * 4)
            times.append(cpu(lambda query=query: index.nominate(query, 0, 3), 30) * 1e3)
        row = (adding * 1e6, parsing * 1e6, *times, max(map(len, keys)))
        print(f"{size:10d}" + "".join(f"{value:14.2f}" for value in row))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10**3, 10**4, 10**5, 10**6])
