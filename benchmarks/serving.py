"""What the whole gateway costs on one machine, embedded: MISS beside HIT, the first requests, single lines.

    python -m benchmarks.serving [--pages 12] [--seconds 20]

Starts its own server on drawn A4 e-invoices. Ratios within one run hold on a noisy machine; absolute times do not.
RapidOCR (PP-OCRv6-small) reads the same pages in the same run, for comparison.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from tests.documents import Invoice, draw_invoice
from tests.serving import running

RATE_PER_SECOND = 5


def seconds_of(call: Callable[[], requests.Response]) -> float:
    """Wall time of one request, which must succeed."""
    started = time.perf_counter()
    call().raise_for_status()
    return time.perf_counter() - started


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` (0..1) of ``values`` lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def pages(url: str, count: int) -> None:
    """MISS, HIT and look-up of A4 e-invoices."""
    session = requests.Session()

    def post(upload: bytes) -> float:
        return seconds_of(lambda: session.post(f"{url}/ocr", files={"image": upload}))

    def get(result_id: str) -> float:
        return seconds_of(lambda: session.get(f"{url}/results/{result_id}"))

    invoices = [draw_invoice(seed, rows=9) for seed in range(count)]
    uploads = [invoice.png() for invoice in invoices]
    miss = [post(upload) for upload in uploads]
    hit = [post(upload) for upload in uploads * 5]
    look_up = [get(hashlib.sha256(upload).hexdigest()) for upload in uploads * 5]
    near = [post(invoice.jpeg(scale=0.9)) for invoice in invoices]
    middle = statistics.median(miss)
    print(f"first request / tenth request     {miss[0] / miss[min(9, count - 1)]:8.2f}      {miss[0] * 1000:.0f} ms")
    for name, values in (("POST, MISS", miss), ("POST, HIT (same bytes)", hit), ("GET /results/<id>", look_up),
                         ("POST, re-encoded copy", near)):  # fmt: skip
        value = statistics.median(values)
        print(f"{name:32}  {value * 1000:8.1f} ms   1/{middle / value:.0f} of a MISS")
    peer(uploads, middle)


def peer(uploads: list[bytes], miss: float) -> None:
    """RapidOCR in this process, on the same pages, with as many threads as the server's reader."""
    import logging

    from rapidocr import RapidOCR

    logging.disable(logging.INFO)
    engine = RapidOCR()
    times = []
    for upload in uploads:
        started = time.perf_counter()
        engine(upload)
        times.append(time.perf_counter() - started)
    value = statistics.median(times)
    print(f"{'RapidOCR, same pages':32}  {value * 1000:8.1f} ms   {value / miss:.2f} of a MISS")


def lines(url: str, seconds: float) -> None:
    """Single lines: latency one after the other, then a steady rate of new ones."""
    session = requests.Session()

    def upload(number: int) -> bytes:
        return Invoice.line(f"价税合计（小写）¥{number * 7919 % 99991}.{number % 90 + 10}")

    def read(number: int, via: requests.Session = session) -> float:
        picture = upload(number)
        return seconds_of(lambda: via.post(f"{url}/ocr", params={"layout": "line"}, files={"image": picture}))

    alone = [read(number) for number in range(30)]
    print(f"one line, alone                   {statistics.median(alone) * 1000:8.1f} ms")
    late: list[float] = []
    lock = threading.Lock()

    def at(moment: float, number: int) -> None:
        time.sleep(max(0.0, moment - time.perf_counter()))
        with requests.Session() as own:
            read(number, own)
        with lock:
            late.append(time.perf_counter() - moment)

    count = int(seconds * RATE_PER_SECOND)
    start = time.perf_counter() + 0.5
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: at(start + number / RATE_PER_SECOND, 1000 + number), range(count)))
    print(
        f"{RATE_PER_SECOND} lines a second, {count} of them     p50 {percentile(late, 0.5) * 1000:.1f} ms"
        f"   p99 {percentile(late, 0.99) * 1000:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with running("serve", Path(folder) / "pages", log_level="WARNING") as served:
            print(f"ready after                       {served.seconds:8.1f} s")
            pages(served.url, chosen.pages)
        with running("serve", Path(folder) / "lines", log_level="WARNING", reader_threads=1) as served:
            lines(served.url, chosen.seconds)


if __name__ == "__main__":
    main()
