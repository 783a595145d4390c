"""Messages between the web process and a reader process: a JSON object, and with it possibly one page of pixels.

Pixels travel as an anonymous file whose descriptor is passed along: nothing is pickled, nothing has a name, sending
never waits for the other side to read, and a process that dies leaves nothing behind.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_LENGTH = struct.Struct("!IB")


class ChannelClosed(ConnectionError):
    """The other side is gone."""


class Channel:
    """One end of a connected ``AF_UNIX`` stream socket.

    One thread at a time sends, receives or closes; the others wait. (A descriptor that is closed under a thread that
    waits for it may be another socket's by the time it looks again.) ``torn`` tells that a message was left half
    sent or half received: nothing sensible can follow.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._turn = threading.Lock()
        self.torn = False

    def send(self, message: dict[str, Any], page: np.ndarray | None = None, deadline: float = math.inf) -> None:
        """Sends ``message``, with a uint8 ``page`` of any shape.

        ``deadline`` is a :func:`time.monotonic` time. Raises ``TimeoutError`` after it, :class:`ChannelClosed` when
        the other side is gone.
        """
        if page is not None:
            message = message | {"shape": page.shape}
        body = json.dumps(message, separators=(",", ":")).encode()
        with self._turn, _told_as_closed():
            self._wait_until(deadline)
            self.torn = True
            self._socket.sendall(_LENGTH.pack(len(body), page is not None) + body)
            if page is not None:
                descriptor = _anonymous_file(np.ascontiguousarray(page))
                try:
                    socket.send_fds(self._socket, [b"."], [descriptor])
                finally:
                    os.close(descriptor)
            self.torn = False

    def receive(self, deadline: float = math.inf) -> tuple[dict[str, Any], np.ndarray | None]:
        """The next message and its page (a private copy-on-write view), None without one. Raises as :meth:`send`."""
        with self._turn, _told_as_closed():
            length, has_page = _LENGTH.unpack(self._exactly(_LENGTH.size, deadline))
            message = json.loads(self._exactly(length, deadline))
            page = self._page(tuple(message.pop("shape")), deadline) if has_page else None
            self.torn = False
        return message, page

    def close(self) -> None:
        """Closes this end. Waits for a thread that uses it, so close it when the other side is gone."""
        with self._turn:
            self._socket.close()

    def _page(self, shape: tuple[int, ...], deadline: float) -> np.ndarray:
        self._wait_until(deadline)
        _, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not descriptors:
            raise ChannelClosed("the page did not arrive")
        try:
            size = math.prod(shape)
            mapping = mmap.mmap(descriptors[0], size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(descriptors[0])
        return np.frombuffer(mapping, np.uint8, size).reshape(shape)

    def _exactly(self, size: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            self._wait_until(deadline)
            piece = self._socket.recv(min(size - len(received), 1 << 20))
            if not piece:
                raise ChannelClosed("end of file")
            received += piece
            self.torn = True
        return bytes(received)

    def _wait_until(self, deadline: float) -> None:
        """Lets the next call on the socket take until ``deadline``."""
        if math.isinf(deadline):
            self._socket.settimeout(None)
            return
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)


@contextmanager
def _told_as_closed() -> Iterator[None]:
    """Whatever the operating system says of a broken connection: it is closed."""
    try:
        yield
    except (TimeoutError, ChannelClosed):
        raise
    except OSError as error:
        raise ChannelClosed(type(error).__name__) from error


def _anonymous_file(page: np.ndarray) -> int:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("page", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        view = memoryview(page).cast("B")
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
