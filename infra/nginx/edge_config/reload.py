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


class Nginx:
    """A running nginx, whose master is process ``master``. Not thread-safe."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.behind = False
        """Whether it still goes by an older configuration than :meth:`reload` was last called for."""

    def reload(self) -> bool:
        """Tell it; whether all old workers stopped taking requests in time.

        They do not where nginx refuses the configuration: a certificate that cannot be read is enough.
        """
        self.behind = True
        old = set(_workers(self._master))
        os.kill(self._master, signal.SIGHUP)
        deadline = time.monotonic() + _RELOAD_SECONDS
        while time.monotonic() < deadline:
            workers = _workers(self._master)
            if workers.keys() - old and not any(pid in old and taking for pid, taking in workers.items()):
                self.behind = False
                return True
            time.sleep(_POLL_SECONDS)
        return False


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
