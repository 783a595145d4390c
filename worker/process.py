"""Readings in processes of their own, with deadlines: what is asked of a process, and what comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.channel import ChannelClosed
from worker.constraints import UNCONSTRAINED, Constraints
from worker.errors import ReaderBusy, ReaderError, ReaderFailed, ReaderTimeout
from worker.pool import ProcessPool
from worker.reader import ReaderSpec
from worker.types import Box, Found, Line, LineReading, characters_from

if TYPE_CHECKING:
    from worker.page import Layout

__all__ = ["ReaderBusy", "ReaderError", "ReaderFailed", "ReaderPool", "ReaderSpec", "ReaderTimeout"]


class ReaderPool(ProcessPool):
    """Reads pages in the processes of its pool."""

    def read(
        self,
        page: np.ndarray,
        layout: Layout = "auto",
        timeout: float = 60.0,
        constraints: Constraints = UNCONSTRAINED,
        found: Found | None = None,
    ) -> list[Line]:
        """The lines of a uint8 RGB page ``(h, w, 3)``, as :meth:`worker.page.PageReader.read` gives them.

        ``timeout`` is in seconds and includes waiting for a process. ``found`` is called in this thread while the
        lines are read, and again when the process ended over it; the process is kept until it returns, and it raises
        nothing. Raises :class:`ReaderBusy`, :class:`ReaderTimeout` or :class:`ReaderFailed`.
        """
        request = {"layout": layout, "boxes": None, "announce": found is not None}
        answer = self._call(request, page, timeout, constraints, found)
        return [
            Line(text, score, _box(corners), reader, characters_from(characters))
            for text, score, reader, characters, corners in answer["lines"]
        ]

    def read_lines(
        self,
        page: np.ndarray,
        boxes: Sequence[Box],
        timeout: float = 60.0,
        constraints: Constraints = UNCONSTRAINED,
    ) -> list[LineReading]:
        """Readings of just these boxes of a page, in their order; raises as :meth:`read`."""
        plain = [[(float(x), float(y)) for x, y in box] for box in boxes]
        answer = self._call({"boxes": plain}, page, timeout, constraints)
        return [LineReading(*said, characters_from(characters)) for *said, characters in answer["lines"]]

    def _call(
        self,
        request: dict[str, Any],
        page: np.ndarray,
        timeout: float,
        constraints: Constraints,
        found: Found | None = None,
    ) -> dict[str, Any]:
        if page.ndim != 3 or page.shape[2] != 3 or page.dtype != np.uint8 or not page.size:
            raise ValueError("a page is a uint8 array (height, width, 3) of at least one pixel")
        request |= asdict(constraints)
        deadline = time.monotonic() + timeout
        crashes = 0
        again = False
        while crashes < 2:
            process = self.take(deadline, again)
            again = True
            begun = False
            started = time.monotonic()
            try:
                process.channel.send(request, page, deadline)
                process.channel.receive(deadline)
                begun = True
                answer, _ = process.channel.receive(deadline)
                if found and "found" in answer:
                    found([_box(corners) for corners in answer["found"]])
                    answer, _ = process.channel.receive(deadline)
            except TimeoutError:
                self.leave(process, started + timeout)
                raise ReaderTimeout("the reading ran over its deadline") from None
            except ChannelClosed:
                # A process that was dead before it had this page is not this page's fault.
                process.kill()
                crashes += begun
            except BaseException:
                # Whoever comes next must not get this call's answer.
                process.kill()
                raise
            else:
                self.give_back(process, answer["resident"])
                if "error" in answer:
                    raise ReaderFailed(f"the reading failed: {answer['error']}")
                return answer
        raise ReaderFailed("the reader process ended twice")


def _box(corners: list[list[float]]) -> Box:
    return tuple((x, y) for x, y in corners)
