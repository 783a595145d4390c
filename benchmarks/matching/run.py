"""Measure the matcher on drawn documents: hits by capture, false hits, doubtful lines, cost; beside whole-image rules.

    python -m benchmarks.matching.run [--full] [--seed N] [--jobs N]

Every capture is applied to the query side of both true copies and of documents that differ in one small thing.
Exits with 1 when a false hit was found.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import cv2
import imagehash
import numpy as np
from PIL import Image

from benchmarks.matching.captures import CAPTURES
from benchmarks.matching.documents import CHANGES, KINDS, changed, render
from gateway.matching import fingerprint, use_one_thread, verify
from gateway.matching.index import Index
from gateway.matching.proof import make_proof

FAMILY = 40  # further fillings of the same form in the index


@dataclass
class Check:
    """One verification. ``change``: empty for a true copy. ``phash``, ``ssim``: what the plain rules measured."""

    capture: str
    change: str
    what: str
    kind: str
    doubtful_share: float
    nominated: bool
    milliseconds: float
    phash: int
    ssim: float
    margin: float


def measure(job: tuple[str, int, int, tuple[str, ...], int]) -> tuple[int, list[Check]]:
    """All checks of one document: bytes of its proof, and the checks."""
    kind, seed, family, captures, changes = job
    use_one_thread()
    document = KINDS[kind](seed)
    page, boxes = render(document)
    texts = [run.text for run in document.runs]
    proof = make_proof(page, boxes)
    index = Index()
    for other in range(seed, seed + family + 1):
        look = _look(render(KINDS[kind](other))[0])
        if look is not None:
            index.add(str(other), look, 2**40)
    phash = imagehash.phash(Image.fromarray(page))
    checks = []
    for number, name in enumerate(captures):
        capture = CAPTURES[name]
        chosen = [CHANGES[(number + seed + i * 3) % len(CHANGES)] for i in range(changes)]
        for change in ("", *chosen):
            made = changed(document, random.Random(f"{seed} {name} {change}"), change) if change else (document, "")
            if made is None:
                continue
            original = render(made[0])[0] if change else page
            query = capture(original, np.random.default_rng([seed, number]))
            if change and np.array_equal(query, capture(page, np.random.default_rng([seed, number]))):
                continue
            look = _look(query)
            nominees = [n.id for n in index.nominate(look, 0, 3)] if look is not None else []
            started = time.thread_time()
            verdict = verify(proof, query, texts)
            spent = time.thread_time() - started
            worst = float((verdict.residuals / verdict.limit).max()) if len(verdict.residuals) else np.inf
            checks.append(Check(
                name, change, f"{kind} {seed}: {made[1]}", verdict.kind, len(verdict.doubtful) / len(texts),
                str(seed) in nominees, spent * 1000, int(phash - imagehash.phash(Image.fromarray(query))),
                whole_image_ssim(page, query), worst,
            ))
    return len(proof.to_bytes()), checks


def _look(page: np.ndarray):
    return fingerprint(page, str(imagehash.phash(Image.fromarray(page))))


def whole_image_ssim(page: np.ndarray, query: np.ndarray) -> float:
    """Mean SSIM (Wang et al., 2004) of the grey pages, the query scaled to the page's size."""
    a = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY).astype(np.float32)
    b = cv2.cvtColor(cv2.resize(query, page.shape[1::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    b = b.astype(np.float32)

    def smooth(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5)

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(ssim.mean())


def report(sizes: list[int], checks: list[Check]) -> int:
    """Print the tables; the number of false hits."""
    copies = [check for check in checks if not check.change]
    others = [check for check in checks if check.change]
    false = [check for check in others if check.kind == "same"]
    best_other = max((check.ssim for check in others), default=1.0)
    print("True copies. 'end to end': the original was among the 3 nominees, in a family of one form, and verified.")
    print("'lines': share of lines to read again, where doubtful. 'SSIM': above that of every changed document.\n")
    print(_row("capture", "same", "doubtful", "lines", "nominated", "end to end", "pHash<=10", "SSIM", "ms"))
    for name in (*CAPTURES, "all"):
        rows = [check for check in copies if check.capture == name or name == "all"]
        if rows:
            again = [row.doubtful_share for row in rows if row.kind == "doubtful"]
            print(_row(
                name, _share(rows, "same"), _share(rows, "doubtful"), float(np.mean(again)) if again else 0.0,
                sum(row.nominated for row in rows) / len(rows),
                sum(row.kind == "same" and row.nominated for row in rows) / len(rows),
                sum(row.phash <= 10 for row in rows) / len(rows),
                sum(row.ssim > best_other for row in rows) / len(rows),
                int(np.median([row.milliseconds for row in rows])),
            ))
    print("\nDocuments that differ in one thing. 'margin': the least (largest residual / limit) among them.\n")
    print(_row("change", "checks", "FALSE HITS", "doubtful", "margin", "pHash<=10"))
    for name in (*CHANGES, "all"):
        rows = [check for check in others if check.change == name or name == "all"]
        if rows:
            print(_row(name, len(rows), sum(row.kind == "same" for row in rows), _share(rows, "doubtful"),
                       min(row.margin for row in rows), sum(row.phash <= 10 for row in rows) / len(rows)))
    spent = np.array([check.milliseconds for check in checks])
    print(f"\nCPU a verification: median {np.median(spent):.0f} ms, 99th percentile {np.percentile(spent, 99):.0f} ms")
    print(f"proof: mean {np.mean(sizes) / 1024:.1f} KiB, largest {max(sizes) / 1024:.1f} KiB")
    for check in false:
        print(f"FALSE HIT: {check.capture} / {check.change}: {check.what}")
    return len(false)


def _row(name: str, *cells: str | int | float) -> str:
    return f"{name:14s}" + "".join(f"{cell:>12.2f}" if isinstance(cell, float) else f"{cell:>12}" for cell in cells)


def _share(rows: list[Check], kind: str) -> float:
    return sum(row.kind == kind for row in rows) / len(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="20 fillings a kind and 4 changes a capture, for hours")
    parser.add_argument("--seed", type=int, default=0, help="number of the first filling")
    parser.add_argument("--fillings", type=int, help="fillings of each kind")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    fillings = arguments.fillings or (20 if arguments.full else 1)
    family, changes = (200, 4) if arguments.full else (FAMILY, 2)
    jobs = [(kind, arguments.seed + 100 * i, family, tuple(CAPTURES), changes)
            for kind in KINDS for i in range(fillings)]
    sizes, checks = [], []
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
        for size, found in pool.map(measure, jobs):
            sizes.append(size)
            checks += found
            print(f"{len(sizes)}/{len(jobs)} documents, {len(checks)} checks", file=sys.stderr, flush=True)
    return 1 if report(sizes, checks) else 0


if __name__ == "__main__":
    sys.exit(main())
