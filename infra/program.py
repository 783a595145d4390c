"""One process of a service: started with its log followed, and stopped as Docker would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# SeaweedFS tells all it does at its information level.
_CHATTER = re.compile(rb"I\d{4} \d\d:\d\d:\d\d")


@dataclass
class Program:
    """One process of a service."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    grace: float
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _follower: threading.Thread | None = field(default=None, init=False)

    def start(self, say: Callable[[str, str], None]) -> None:
        guard = shutil.which("setpriv")
        # Should this process be killed, its programs end too.
        prefix = [guard, "--pdeathsig", "TERM", "--"] if guard else []
        self.process = subprocess.Popen(
            [*prefix, *self.command],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's ^C is for this process, which stops them in order
        )
        self._follower = threading.Thread(
            target=self._follow, args=(self.process, say), name=f"log {self.name}", daemon=True
        )
        self._follower.start()

    def _follow(self, process: subprocess.Popen[bytes], say: Callable[[str, str], None]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if not _CHATTER.match(line):
                    say(self.name, line.decode("utf-8", "replace").rstrip())

    def status(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(self.grace)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self._follower is not None:
            self._follower.join(2)
