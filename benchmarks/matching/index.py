"""Cost of nomination by the size of the index: python -m benchmarks.matching.index [ENTRIES ...]"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from gateway.matching.canonical import FINE_BYTES, Fingerprint
from gateway.matching.index import Index, entry_key, parse_entry_key

ONE_FORM = 7  # hashes of a tenth of the entries, which are fillings of one form


def looks(first: int, last: int) -> list[Fingerprint]:
    """Random fingerprints; every tenth differs from the others of its form in the ranking hash only."""
    rng = np.random.default_rng(first)
    searched = rng.integers(0, 2**63, (last - first, 2)).tolist()
    fine = rng.bytes(FINE_BYTES * (last - first))
    found = []
    for i, (phash, canonical) in enumerate(searched):
        ranked = fine[i * FINE_BYTES:(i + 1) * FINE_BYTES]
        same_form = i % 10 == 0
        found.append(Fingerprint(ONE_FORM if same_form else phash, (ONE_FORM if same_form else canonical,), (ranked,)))
    return found


def cpu(work: Callable[[], object], repeats: int = 1) -> float:
    """Seconds of CPU that ``work`` takes."""
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / repeats


def main(sizes: list[int]) -> None:
    index = Index()
    columns = ("add, us", "parse, us", "nominate, ms", "one form, ms", "bytes each")
    print(f"{'entries':>10}" + "".join(f"{column:>14}" for column in columns))
    for size in sizes:
        first = len(index)
        entries = [(f"{first + i:064x}", look) for i, look in enumerate(looks(first, size))]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        adding = cpu(lambda entries=entries: [index.add(id, look, 2**33) for id, look in entries]) / len(entries)
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / len(entries)
        keys = [entry_key(id, look, 2**33) for id, look in entries[:1000]]
        parsing = cpu(lambda keys=keys: [parse_entry_key(key) for key in keys]) / len(keys)
        times = []
        for hash_ in (2**62 + 1, ONE_FORM):
            query = Fingerprint(hash_, (hash_, 5, 9, 11), (bytes(FINE_BYTES),) * 4)
            times.append(cpu(lambda query=query: index.nominate(query, 0, 3), 10) * 1e3)
        row = (adding * 1e6, parsing * 1e6, *times, memory)
        print(f"{size:10d}" + "".join(f"{value:14.2f}" for value in row))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10**3, 10**4, 10**5, 10**6])
