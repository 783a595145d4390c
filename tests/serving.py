"""The real gateway as a process, for tests and benchmarks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

STARTUP_SECONDS = 60


@dataclass
class Served:
    """A running ``ocr-gateway`` process. ``url`` is empty for a worker; ``seconds``: from start to ready."""

    process: subprocess.Popen[str]
    url: str = ""
    seconds: float = 0.0
    output: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Send a signal and wait; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)


_WITH_CONSTANTS = """
import importlib, json, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.rpartition(".")
    assert hasattr(importlib.import_module(module), constant), name
    setattr(importlib.import_module(module), constant, value)
from gateway.cli import main
sys.exit(main())
"""


@contextmanager
def running(
    command: str, data_dir: Path, constants: Mapping[str, object] | None = None, **settings: object
) -> Iterator[Served]:
    """``ocr-gateway serve`` on a free port, or ``ocr-gateway worker``, ready to be used; killed at the end.

    ``constants``: other values for constants that no setting changes, such as how long somebody is waited for.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_") and name != "PORT"}
    environment |= {"OCR_DATA_DIR": str(data_dir), "OCR_PORT": "0", "PYTHONUNBUFFERED": "1"}
    environment |= {f"OCR_{name.upper()}": str(value) for name, value in settings.items()}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _WITH_CONSTANTS, json.dumps(dict(constants or {})), command],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )
    served = Served(process)
    ready = threading.Event()

    def follow() -> None:
        for line in process.stdout:
            served.output.append(line)
            if found := re.search(r"ready on (http://\S+)|is ready$", line.rstrip()):
                served.url = found[1] or ""
                served.seconds = time.monotonic() - started
                ready.set()
        ready.set()

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        ready.wait(STARTUP_SECONDS)
        if not served.seconds:
            raise RuntimeError(f"ocr-gateway {command} did not become ready:\n{''.join(served.output)}")
        yield served
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        reader.join(5)
        process.stdout.close()
