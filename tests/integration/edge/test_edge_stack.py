"""The stack of compose.yaml, started by hand: an upload goes all the way, and everything stops together."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.servers import response_of

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 150


@dataclass
class Stack:
    """A running ``infra/stack.py``."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    port: int = 0

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None):
        with response_of(self.port, method, path, body, headers) as response:
            return response.status, dict(response.getheaders()), response.read()

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def child(self, program: bytes) -> int:
        return next(pid for pid in self.children() if program in Path(f"/proc/{pid}/cmdline").read_bytes())


@contextlib.contextmanager
def running(folder: Path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
    process = subprocess.Popen(
        [sys.executable, ROOT / "infra" / "stack.py", "--folder", folder, "--port", "0"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stack = Stack(process)
    ready = threading.Event()

    def follow() -> None:
        for line in process.stdout:
            stack.lines.append(line)
            if found := re.match(r"ready on http://127\.0\.0\.1:(\d+)", line):
                stack.port = int(found[1])
                ready.set()
        ready.set()

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        assert ready.wait(READY_SECONDS), "".join(stack.lines[-40:])
        assert stack.port, "".join(stack.lines[-40:])
        yield stack
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)
        process.stdout.close()


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def image_of(text: str) -> bytes:
    picture = Image.new("RGB", (640, 96), "white")
    ImageDraw.Draw(picture).text((20, 20), text, fill="black", font=ImageFont.load_default(48))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with running(tmp_path_factory.mktemp("stack")) as started:
        yield started


def test_an_upload_is_read_by_a_worker_kept_at_the_edge_and_deleted_everywhere(stack):
    upload = image_of("INVOICE 1280.00")
    address = f"/results/{hashlib.sha256(upload).hexdigest()}"
    kind = {"Content-Type": "image/png"}

    status, headers, body = stack.ask("POST", "/ocr", upload, kind)
    assert (status, headers["X-Cache-Status"]) == (200, "MISS"), body
    assert "1280.00" in json.loads(body)["text"]
    status, headers, again = stack.ask("POST", "/ocr", upload, kind)
    assert (status, headers["X-Cache-Status"]) == (200, "HIT")

    looked_up = [stack.ask("GET", address) for _ in range(2)]
    assert [headers["X-Cache-Status"] for _, headers, _ in looked_up] == ["MISS", "HIT"]
    assert looked_up[0][2] == looked_up[1][2]
    assert json.loads(looked_up[1][2])["lines"] == json.loads(again)["lines"]
    for clothes in ("/text", "/lines.csv", "/hocr", "/thumbnail.webp"):
        found = [stack.ask("GET", address + clothes) for _ in range(2)]
        assert [(status, headers["X-Cache-Status"]) for status, headers, _ in found] == [(200, "MISS"), (200, "HIT")]

    status, _, body = stack.ask("DELETE", address)
    assert status == 204, body
    for clothes in ("", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"):
        assert stack.ask("GET", address + clothes)[0] == 404


def test_the_page_and_the_health_of_the_gateway_pass_through(stack):
    assert stack.ask("GET", "/")[0] == 200
    status, _, body = stack.ask("GET", "/readyz")
    assert status == 200, body


def test_one_program_dying_stops_the_others_with_an_error(stack):
    programs = stack.children()
    os.kill(stack.child(b"redis-server"), signal.SIGKILL)
    assert stack.process.wait(120) == 1
    assert gone(programs)
    assert any("redis ended with status" in line for line in stack.lines)


def test_an_interrupt_stops_everything_cleanly(tmp_path):
    with running(tmp_path / "stack") as stack:
        programs = stack.children()
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(120) == 0
        assert gone(programs)
