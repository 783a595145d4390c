"""A real gateway, a real Chromium, and documents drawn for the occasion."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Page, Request, sync_playwright

FONT = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 60_000
MAX_UPLOAD_BYTES = 2 * 2**20  # a file over it is still handed to the browser quickly
UNSETTLED = '.card:not([data-state="done"], [data-state="failed"], [data-state="cancelled"])'
RESULT_ADDRESS = re.compile(r"/results/[0-9a-f]{64}(-[0-9a-f]{8})?$")


# --- documents ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A drawn page. ``lines``: the texts with their ink's bounds ``(x1, y1, x2, y2)``, pixels."""

    image: Image.Image
    lines: tuple[tuple[str, tuple[int, int, int, int]], ...]

    def file(self, name: str = "page.png", **save: Any) -> dict[str, Any]:
        """The page as a file that the browser can choose; the name's ending decides the format."""
        kind = {"png": "PNG", "jpg": "JPEG", "tiff": "TIFF", "pdf": "PDF"}[name.rpartition(".")[2]]
        buffer = io.BytesIO()
        self.image.save(buffer, kind, **save)
        media_type = "application/pdf" if kind == "PDF" else f"image/{kind.lower()}"
        return {"name": name, "mimeType": media_type, "buffer": buffer.getvalue()}


def draw(*texts: str, width: int = 900, size: int = 36) -> Drawn:
    """A white page with one text below the other, each a little further to the right."""
    font = ImageFont.truetype(FONT, size, index=2)
    image = Image.new("RGB", (width, 80 + 110 * len(texts)), "white")
    canvas = ImageDraw.Draw(image)
    lines = []
    for row, text in enumerate(texts):
        corner = (60 + 40 * row, 60 + 110 * row)
        canvas.text(corner, text, font=font, fill=(20, 24, 32))
        lines.append((text, canvas.textbbox(corner, text, font=font)))
    return Drawn(image, tuple(lines))


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Drawn]:
    return draw


# --- the gateway --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a gateway with the embedded default, an empty store and a small limit for uploads."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("gateway")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_") and name != "PORT"}
    environment |= {
        "OCR_PORT": str(port),
        "OCR_DATA_DIR": str(folder / "data"),
        "OCR_MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES),
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve"],
            cwd=Path(__file__).parents[2], env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(base, process, log)
        yield base
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(base: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the gateway ended at once:\n{log.read_text(errors='replace')}"
        try:
            if requests.get(f"{base}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the gateway was not ready in time:\n{log.read_text(errors='replace')}")


# --- the browser --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


class Desk:
    """The page as its user meets it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)
        page.goto(base)

    def _console(self, message: Any) -> None:
        # Chromium notes each refusal of the API as an error; whether they are right is for the tests to say.
        refused = message.text.startswith("Failed to load resource") and (
            RESULT_ADDRESS.search(message.location["url"]) or re.search("/ocr|/preview|/jobs/", message.location["url"])
        )
        if message.type in ("error", "warning") and not refused:
            self.complaints.append(message.text)

    def choose(self, *files: dict[str, Any]) -> None:
        self.page.locator("#files").set_input_files(list(files))

    def drop(self, *files: dict[str, Any]) -> None:
        self._hand_over("drop", files)

    def paste(self, *files: dict[str, Any]) -> None:
        self._hand_over("paste", files)

    def _hand_over(self, event: str, files: tuple[dict[str, Any], ...]) -> None:
        contents = [{**file, "buffer": base64.b64encode(file["buffer"]).decode()} for file in files]
        self.page.evaluate(
            """([event, files]) => {
                const carried = new DataTransfer();
                for (const {name, mimeType, buffer} of files) {
                    const bytes = Uint8Array.from(atob(buffer), (character) => character.charCodeAt(0));
                    carried.items.add(new File([bytes], name, {type: mimeType}));
                }
                const options = {bubbles: true, cancelable: true};
                document.body.dispatchEvent(event === "drop"
                    ? new DragEvent("drop", {...options, dataTransfer: carried})
                    : new ClipboardEvent("paste", {...options, clipboardData: carried}));
            }""",
            [event, contents],
        )

    def settled(self) -> Desk:
        """Waits until every document is done, failed or cancelled."""
        self.page.locator(".card").first.wait_for()
        self.page.locator(UNSETTLED).first.wait_for(state="detached", timeout=PATIENCE_MS)
        return self

    @property
    def word(self) -> str:
        return self.page.locator(".word").inner_text()

    @property
    def said(self) -> str:
        return self.page.locator(".said span").inner_text()

    @property
    def texts(self) -> list[str]:
        return self.page.locator(".line .text").all_inner_texts()

    def uploads(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST" and "/ocr" in request.url]

    def drawings(self) -> list[str]:
        """The pages that the gateway was asked to draw."""
        return [request.url.partition("/preview")[2] for request in self.requests if "/preview" in request.url]

    def look_ups(self) -> list[Request]:
        return [request for request in self.requests if RESULT_ADDRESS.search(request.url)]

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Bounds of the boxes on the screen, in parts of the picture's width and height."""
        return [
            tuple(bounds)
            for bounds in self.page.evaluate(
                """() => {
                    const picture = document.querySelector(".sheet img").getBoundingClientRect();
                    return [...document.querySelectorAll(".box")].map((box) => {
                        const {left, top, right, bottom} = box.getBoundingClientRect();
                        return [(left - picture.left) / picture.width, (top - picture.top) / picture.height,
                                (right - picture.left) / picture.width, (bottom - picture.top) / picture.height];
                    });
                }"""
            )
        ]


@pytest.fixture
def desk(browser: Browser, gateway: str) -> Iterator[Callable[..., Desk]]:
    """Opens the page in a fresh profile; afterwards nothing may have complained, the content policy least of all."""
    opened: list[Desk] = []

    def open_desk(*, before: Callable[[Page], None] | None = None, **options: Any) -> Desk:
        context = browser.new_context(
            **{"locale": "en-US", "viewport": {"width": 1280, "height": 800}, "timezone_id": "Asia/Shanghai", **options}
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(15_000)
        if before is not None:
            before(page)
        opened.append(Desk(page, gateway))
        return opened[-1]

    yield open_desk
    for each in opened:
        each.page.context.close()
        assert each.complaints == []
