"""Have a running nginx read its configuration again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

# nginx reads thousands of keys at a reload, and starts its workers anew.
_RELOAD_SECONDS = 12.0
_POLL_SECONDS = 0.02


def reload(nginx: int) -> bool:
    """Tell the nginx whose master is process ``nginx``; whether all old workers stopped taking requests in time."""
    old = set(_workers(nginx))
    os.kill(nginx, signal.SIGHUP)
    deadline = time.monotonic() + _RELOAD_SECONDS
    while True:
        workers = _workers(nginx)
        if workers.keys() - old and not any(pid in old and taking for pid, taking in workers.items()):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def _workers(nginx: int) -> dict[int, bool]:
    """nginx's worker processes, and whether each still takes requests."""
    found = {}
    children = Path(f"/proc/{nginx}/task/{nginx}/children").read_text(encoding="ascii")
    for pid in map(int, children.split()):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
            if title.startswith(b"nginx: worker process"):
                found[pid] = b"shutting down" not in title
    return found
