"""Readers that stand in for the models where only the processes around them are tested.

A page's first pixel says what to do: ``(deed, hundredths of a second to take, anything)``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worker.constraints import UNCONSTRAINED, Constraints
from worker.types import Found, Line, LineReading

ECHO, CRASH, RAISE, HANG, CRASH_ONCE, LEAK, EXIT = range(7)


def page(deed: int = ECHO, hundredths: int = 0, mark: int = 0, shape: tuple[int, int] = (4, 5)) -> np.ndarray:
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[0, 0] = deed, hundredths, mark
    return pixels


class DoubleReader:
    """Reads a page's own description."""

    def __init__(self, marks: Path) -> None:
        self._marks = marks
        self._leaked: list[bytes] = []

    def read(
        self,
        page: np.ndarray,
        layout: str = "auto",
        constraints: Constraints = UNCONSTRAINED,
        found: Found | None = None,
    ) -> list[Line]:
        box = ((0.0, 0.5), (1.0, 0.5), (1.0, 1.5), (0.0, 1.5))
        if found:
            found([box])
        deed, hundredths, mark = page[0, 0].tolist()
        if deed == CRASH or (deed == CRASH_ONCE and not (self._marks / "crashed").exists()):
            (self._marks / "crashed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == RAISE:
            raise KeyError("a word of the document")
        elif deed == HANG:
            time.sleep(600)
        elif deed == LEAK:
            self._leaked.append(b"x" * (40 << 20))
        elif deed == EXIT:
            os._exit(0)
        elif deed == ECHO:
            time.sleep(hundredths / 100)
        wishes = [f"{constraints.charset} {constraints.lexicon} {constraints.pattern}"] if constraints else []
        facts = [str(os.getpid()), layout, str(page.shape), str(int(page.sum())), str(mark), *wishes]
        return [Line(" ".join(facts), 0.5, box)]

    def read_lines(
        self, page: np.ndarray, boxes: list, constraints: Constraints = UNCONSTRAINED
    ) -> list[LineReading]:
        wish = f" {constraints.charset}" if constraints else ""
        return [LineReading(f"{box[0]} {page.shape}{wish}", 0.25) for box in boxes]


@dataclass(frozen=True)
class DoubleSpec:
    """Builds a :class:`DoubleReader`; ``marks`` is a folder for what has to outlive a process."""

    marks: Path
    threads: int = 1

    def build(self) -> DoubleReader:
        (self.marks / f"built-{os.getpid()}").touch()
        return DoubleReader(self.marks)


@dataclass(frozen=True)
class BrokenSpec:
    """Cannot be built as long as the file ``until`` does not exist."""

    until: Path
    threads: int = 1

    def build(self) -> DoubleReader:
        if not self.until.exists():
            raise FileNotFoundError("a path of this machine")
        return DoubleReader(self.until.parent)


@dataclass(frozen=True)
class EnvironmentSpec:
    """Reads the names of loaded modules, thread settings and signal dispositions of its process."""

    threads: int = 3

    def build(self) -> EnvironmentReader:
        return EnvironmentReader()


class EnvironmentReader:
    def read(
        self,
        page: np.ndarray,
        layout: str = "auto",
        constraints: Constraints = UNCONSTRAINED,
        found: Found | None = None,
    ) -> list[Line]:
        facts = [
            os.environ["OMP_NUM_THREADS"],
            str(signal.getsignal(signal.SIGINT) == signal.SIG_IGN),
            ",".join(sorted(name for name in sys.modules if name in ("cv2", "onnxruntime", "gateway", "pytest"))),
        ]
        return [Line(fact or "none", 1.0, ()) for fact in facts]
