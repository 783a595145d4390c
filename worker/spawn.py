"""One reader process: a fresh interpreter that runs :mod:`worker.child`, and the channel to it."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Protocol

from worker.channel import Channel, ChannelClosed
from worker.errors import ReaderFailed

if TYPE_CHECKING:
    from worker.page import PageReader

START_TIMEOUT = 60.0

_BOOT = "import sys; fd, sys.path[:] = int(sys.argv[1]), sys.argv[2:]; from worker.child import main; main(fd)"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Spec(Protocol):
    """What a pool needs to know of a reader: how to build it, in another process, and how many threads it uses."""

    @property
    def threads(self) -> int: ...

    def build(self) -> PageReader: ...


class ReaderProcess:
    """A reader process; it is not warm before :meth:`start` has returned.

    ``readings`` and ``resident`` (bytes) are what its owner last heard of it.
    """

    def __init__(self, spec: Spec) -> None:
        self.readings = 0
        self.resident = self.resident_at_start = 0
        self.replaced = False
        """Another keeper looks after its successor."""
        self.retired = False
        """Its successor is warm: it ends as soon as it is idle."""
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        with theirs:
            try:
                self._popen = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, str(theirs.fileno()), *map(str, sys.path)],
                    stdin=subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    env=os.environ | dict.fromkeys(_THREAD_VARIABLES, str(spec.threads)),
                    # Out of the terminal's reach: a Ctrl-C is for the process that started this one.
                    process_group=0,
                )
            except OSError:
                self.channel.close()
                raise
        self.pid = self._popen.pid

    def start(self, spec: Spec) -> None:
        """Waits until it is warm. Raises :class:`ReaderFailed`."""
        deadline = time.monotonic() + START_TIMEOUT
        try:
            self.channel.send({"spec": pickle.dumps(spec).hex()}, deadline=deadline)
            answer, _ = self.channel.receive(deadline)
        except (ChannelClosed, TimeoutError) as error:
            raise ReaderFailed(f"the reader does not start: {type(error).__name__}") from None
        if "error" in answer:
            raise ReaderFailed(f"the reader does not start: {answer['error']}")
        self.resident = self.resident_at_start = answer["resident"]

    def kill(self) -> None:
        self._popen.kill()

    def dismiss(self) -> None:
        """Lets it end by itself, at once, whatever it is doing."""
        self._popen.stdin.close()

    def wait(self) -> int:
        """Waits for its end and frees what belongs to it; returns the exit status."""
        status = self._popen.wait()
        self._popen.stdin.close()
        self.channel.close()
        return status
