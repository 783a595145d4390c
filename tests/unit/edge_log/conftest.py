"""Access logs as nginx writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

FIELDS = {
    "time": "2026-11-20T08:00:00+00:00", "request_id": "0" * 32, "client": "192.0.2.1", "method": "GET",
    "path": "/results/" + "a" * 64, "status": 200, "edge": "HIT", "gateway": "HIT", "bytes_in": 300, "bytes_out": 5000,
    "body_bytes": 4500, "seconds": 0.001, "upstream": "", "upstream_status": "", "upstream_seconds": "",
}  # fmt: skip


@pytest.fixture
def entry() -> Callable[..., str]:
    """One line, a look-up that the edge answered; ``entry(field=value)`` changes it."""
    return lambda **changed: json.dumps(FIELDS | changed, separators=(",", ":"))


@pytest.fixture
def upload(entry) -> Callable[..., str]:
    """One line, an upload that was read."""

    def line(**changed: object) -> str:
        read = {"method": "POST", "path": "/ocr", "edge": "", "gateway": "MISS", "bytes_in": 400_000, "seconds": 0.9,
                "upstream_seconds": "0.500"}  # fmt: skip
        return entry(**(read | changed))

    return line


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    """A log file of these lines."""

    def write(*lines: str, name: str = "access.log") -> Path:
        path = tmp_path / name
        path.write_text("".join(line + "\n" for line in lines))
        return path

    return write
