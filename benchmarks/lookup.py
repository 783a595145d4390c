"""What a look-up without uploading saves: bytes that leave the device, for the page, the command line and the client.

    python -m benchmarks.lookup [--photos 3]

Each asks a real gateway through a proxy that counts, first for documents that are unknown, then for the same ones from
a new browser, process or client. The documents are drawn invoices as a phone photographs them (JPEG, .6 MB).
The page needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gateway.client import Client
from tests.documents import draw_invoice
from tests.serving import running

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


class CountingProxy:
    """Passes TCP connections on to ``port`` and counts the bytes that clients send."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._port = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, count: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if count:
                    with self._lock:
                        self.sent += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def photograph(seed: int) -> bytes:
    """A drawn invoice with a sensor's noise, 2,000 pixels wide."""
    page = draw_invoice(seed).image
    page = page.resize((2000, round(page.height * 2000 / page.width)), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(seed).normal(0, 6, (page.height, page.width, 3))
    noisy = np.clip(np.asarray(page, np.float32) * 0.94 + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


@contextlib.contextmanager
def page(url: str) -> Iterator[Callable[[Path], None]]:
    """The web page in a browser of its own; what it yields takes a document in and waits for its result."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(url)
        tab.wait_for_load_state("networkidle")

        def take(path: Path) -> None:
            cards = tab.locator(".card.done")
            before = cards.count()
            tab.set_input_files("#files", path)
            cards.nth(before).wait_for(timeout=120_000)

        yield take
        browser.close()


@contextlib.contextmanager
def command(url: str) -> Iterator[Callable[[Path], None]]:
    """``ocr-gateway lookup --upload``."""

    def take(path: Path) -> None:
        arguments = [sys.executable, "-m", "gateway.cli", "lookup", "--upload", "--url", url, str(path)]
        subprocess.run(arguments, check=True, capture_output=True)

    yield take


@contextlib.contextmanager
def client(url: str) -> Iterator[Callable[[Path], None]]:
    """The Python client."""
    with Client(url) as opened:
        yield lambda path: opened.recognise(path) and None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=3, help="documents for each way")
    chosen = parser.parse_args()
    print(f"{'bytes sent for a document':28} {'file':>11} {'unknown':>11} {'known':>9} {'saved':>8} {'known, ms':>10}")
    with (
        tempfile.TemporaryDirectory() as folder,
        running("serve", Path(folder) / "data", log_level="WARNING") as served,
    ):
        proxy = CountingProxy(int(served.url.rpartition(":")[2]))
        for number, (name, way) in enumerate({"web page": page, "command line": command, "client": client}.items()):
            files = [Path(folder) / f"{name}-{each}.jpg" for each in range(chosen.photos)]
            for each, file in enumerate(files):
                file.write_bytes(photograph(100 * number + each))
            sent, seconds = [], []
            for _ in ("unknown", "known"):
                with way(proxy.url) as take:
                    before = proxy.sent
                    for file in files:
                        started = time.perf_counter()
                        take(file)
                        seconds.append(time.perf_counter() - started)
                    sent.append((proxy.sent - before) / len(files))
            size = sum(file.stat().st_size for file in files) / len(files)
            known = 1000 * min(seconds[len(files) :])
            print(f"{name:28} {size:11,.0f} {sent[0]:11,.0f} {sent[1]:9,.0f} {1 - sent[1] / size:8.2%} {known:10.1f}")
        proxy.close()


if __name__ == "__main__":
    main()
