"""Measure the matcher on drawn documents, beside pHash, PDQ and SSIM: hits, false hits, lines read again, cost.

    python -m benchmarks.matching.run [--quick | --full] [--seed N] [--jobs N] [--out FILE] [--plot FILE]
    python -m benchmarks.matching.run --known-as "photo 2400" --captures "photo 2400" "photo 1280" creased
    python -m benchmarks.matching.run --only "invoice 3 / x 0.5 / digit 0"

Nine kinds of documents in 36 fillings each are known; their copies, and documents that differ from one of them in one
small thing, come as 38 captures. Exits with 1 when an answer holds something wrong, with 2 when it cannot run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import gateway.matching
import gateway.near
import gateway.rereading
from benchmarks.matching.captures import CAPTURES, PHOTOGRAPHS
from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import faces, missing_fonts
from benchmarks.matching.library import Library, Original
from benchmarks.matching.measure import Check, measure, open_library, prepare_process, store
from benchmarks.matching.pairs import CHANGES
from benchmarks.matching.plan import COPY, SIZES, Job, jobs, names
from benchmarks.matching.report import faulty, tables


class Journal:
    """What has been measured, a line of JSON per document, so that an interrupted run goes on where it stopped."""

    def __init__(self, path: Path | None, settings: str) -> None:
        """``settings``: whatever must be equal for earlier measurements to count."""
        self._path = path
        self._settings = settings
        self.done: dict[str, list[dict]] = {}
        if path and path.exists():
            first, *rest = path.read_text().splitlines() or [""]
            if first == self._header():
                for line in rest:
                    if line.endswith("]}"):  # whole
                        entry = json.loads(line)
                        self.done[entry["job"]] = entry["checks"]
        if path:
            entries = [json.dumps({"job": job, "checks": checks}) for job, checks in self.done.items()]
            path.write_text("\n".join([self._header(), *entries]) + "\n")

    def add(self, job: str, checks: list[dict]) -> None:
        """Keep the checks of a job."""
        self.done[job] = checks
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps({"job": job, "checks": checks}) + "\n")

    def _header(self) -> str:
        return json.dumps({"settings": self._settings})


def main() -> int:
    arguments = _arguments()
    if missing := missing_fonts():
        print(f"Nothing can be drawn: {missing}.", file=sys.stderr)
        return 2
    size = SIZES["quick" if arguments.quick else "full" if arguments.full else "default"]
    if arguments.fillings:
        size = replace(size, fillings=arguments.fillings, measured=min(size.measured, arguments.fillings))
    kinds = arguments.kinds or list(KINDS)
    known = names(size, arguments.seed, kinds)
    if arguments.only:
        work = [_only(arguments.only)]
        known = sorted({*known, (work[0].kind, work[0].seed)})
    else:
        work = jobs(size, arguments.seed, kinds, arguments.captures or list(CAPTURES),
                    arguments.changes or [COPY, *CHANGES])
    settings = repr((size, arguments.seed, work, arguments.known_as, _fingerprint_of_sources()))
    journal = Journal(arguments.out, hashlib.sha256(settings.encode()).hexdigest())
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder) / "originals"
        _store_all(known, arguments.known_as, originals, arguments.jobs)
        library = Library(pickle.loads(originals.read_bytes()))
        _measure_all(work, originals, journal, arguments.jobs, not arguments.no_reader)
    checks = [Check(**check) for job in work for check in journal.done[job.name]]
    print(f"{len(library)} known documents of {len(kinds)} kinds, {len(checks)} checks, seed {arguments.seed}; "
          f"faces: {', '.join(faces())}; known as: {arguments.known_as or 'drawn'}\n")
    print(tables(checks, library.proof_bytes()))
    if arguments.plot:
        from benchmarks.matching.plot import draw

        draw(checks, arguments.plot)
    return 1 if faulty(checks) else 0


def _store_all(known: Sequence[tuple[str, int]], known_as: str, path: Path, processes: int) -> None:
    """Draw and fingerprint the known documents into ``path``."""
    with ProcessPoolExecutor(processes, get_context("spawn"), prepare_process) as pool:
        originals: list[Original] = list(pool.map(partial(store, known_as=known_as), known, chunksize=8))
    path.write_bytes(pickle.dumps(originals))
    _say(f"{len(originals)} documents drawn")


def _measure_all(work: Sequence[Job], originals: Path, journal: Journal, processes: int, with_reader: bool) -> None:
    """Measure what ``journal`` does not hold yet."""
    left = [job for job in work if job.name not in journal.done]
    started, done = time.monotonic(), 0
    with ProcessPoolExecutor(processes, get_context("spawn"), open_library, (originals, with_reader)) as pool:
        running = {pool.submit(measure, job): job for job in left}
        for future in as_completed(running):
            checks = future.result()
            journal.add(running[future].name, checks)
            done += 1
            false = sum(check["false"] for found in journal.done.values() for check in found)
            rest = (time.monotonic() - started) / done * (len(left) - done)
            _say(f"{len(journal.done)}/{len(work)} documents, {sum(map(len, journal.done.values()))} checks, "
                 f"{false} false, about {rest / 60:.0f} min left")


def _only(name: str) -> Job:
    """The job of one check, by the name that the report gives it."""
    match = re.fullmatch(r"(\w+) (\d+) / ([^/]+?)(?: / (.+) (\d+))?", name.strip())
    if not match or match[1] not in KINDS or match[3] not in CAPTURES or (match[4] and match[4] not in CHANGES):
        raise SystemExit(f"no check is called {name!r}")
    return Job(match[1], int(match[2]), ((match[3], match[4] or COPY, int(match[5] or 0)),))


def _fingerprint_of_sources() -> str:
    """Changes with the matcher and with the benchmark."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for folder in (Path(gateway.matching.__file__).parent, Path(__file__).parent):
        yield from folder.rglob("*.py")
    yield from (Path(module.__file__) for module in (gateway.near, gateway.rereading))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help="some 700 checks, in a few minutes")
    amount.add_argument("--full", action="store_true", help="85,000 checks, in hours")
    parser.add_argument("--seed", type=int, default=0, help="number of the first filling")
    parser.add_argument("--fillings", type=int, help="of each kind in the index (36)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, help="keep measurements here, and go on from what is there")
    parser.add_argument("--plot", type=Path, help="draw the comparison into this PNG (needs matplotlib)")
    parser.add_argument("--only", metavar="NAME", help="one check, by the name that the report gives it")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS))
    parser.add_argument("--captures", nargs="+", choices=list(CAPTURES))
    parser.add_argument("--changes", nargs="+", choices=[COPY, *CHANGES], help="'' stands for true copies")
    parser.add_argument("--known-as", choices=list(PHOTOGRAPHS), default="",
                        help="documents are known from such a photograph, not from the page itself")
    parser.add_argument("--no-reader", action="store_true", help="lines in doubt are a miss: nothing is read again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
