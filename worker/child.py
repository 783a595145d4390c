"""Inside a reader process: builds the reader, warms it, then answers one request after the other.

It lives as long as its standard input stays open: the other end is held by the process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from worker import memory
from worker.channel import Channel, ChannelClosed
from worker.constraints import Constraints
from worker.types import Found, Line, LineReading

if TYPE_CHECKING:
    from worker.page import PageReader

NAME = b"ocr-reader"


def main(descriptor: int) -> None:
    """Serves the channel on the socket ``descriptor`` until its other end or standard input closes."""
    # Whoever started this process decides about its end; a Ctrl-C or a service manager's SIGTERM reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _take_name()
    threading.Thread(target=_follow_parent, name="lifeline", daemon=True).start()
    channel = Channel(socket.socket(fileno=descriptor))
    with contextlib.suppress(ChannelClosed):
        serve(channel)


def serve(channel: Channel) -> None:
    """Builds the reader that the first message describes, then answers requests. Raises :class:`ChannelClosed`."""
    first, _ = channel.receive()
    try:
        # The pickle comes from the process that started this one, through a socket that has no address.
        reader = pickle.loads(bytes.fromhex(first["spec"])).build()
        warm_up(reader)
    except Exception as error:
        channel.send({"error": type(error).__name__})
        return
    memory.release()
    channel.send({"resident": memory.resident()})
    while True:
        request, page = channel.receive()
        channel.send({"begun": True})
        answer = _answer(reader, request, page, lambda boxes: channel.send({"found": boxes}))
        del page
        memory.release()
        channel.send(answer | {"resident": memory.resident()})


def _answer(reader: PageReader, request: dict[str, Any], page: np.ndarray, found: Found) -> dict[str, Any]:
    try:
        wishes = {name: request[name] for name in ("charset", "pattern", "characters")}
        constraints = Constraints(lexicon=tuple(request["lexicon"]), **wishes)
        if request["boxes"] is None:
            lines = reader.read(page, request["layout"], constraints, found if request["announce"] else None)
            return {"lines": [(*_said(line), line.box) for line in lines]}
        readings = reader.read_lines(page, request["boxes"], constraints)
        return {"lines": [_said(reading) for reading in readings]}
    except Exception as error:
        # Only the name: a message could quote the document.
        return {"error": type(error).__name__}


def _said(reading: LineReading | Line) -> tuple[Any, ...]:
    return reading.text, float(reading.score), reading.reader, reading.characters


def warm_up(reader: PageReader) -> None:
    """One page and one line, so that the first real request finds every buffer, plan and code path in use already."""
    page = np.full((680, 960, 3), 255, np.uint8)
    # Bars with gaps look enough like words to be detected, and need no font.
    for top in range(40, 640, 40):
        for left in range(40, 480 + top % 400, 24):
            page[top : top + 18, left : left + 5] = page[top : top + 4, left : left + 14] = 40
    reader.read(page)
    reader.read(page[30:68, 20:600], "line")


def _follow_parent() -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1):
            pass
    os._exit(0)


def _take_name() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(15, NAME, 0, 0, 0)  # PR_SET_NAME
