"""How a training run goes: ``curve.csv`` and ``curve.png`` in its folder, and TensorBoard's event files."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from types import TracebackType

import numpy as np
from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)


class Curve:
    """Appends rows of named figures to the records of ``folder``; a resumed run goes on with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Curve:
        self._file = (self._folder / "curve.csv").open("a", newline="")
        self._events = SummaryWriter(str(self._folder / "events"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._events.close()

    def add(self, step: int, **figures: float) -> None:
        """One row; all rows of a run have the same names."""
        rows = csv.writer(self._file)
        if self._file.tell() == 0:
            rows.writerow(("step", *figures))
        rows.writerow((step, *(f"{value:.5g}" for value in figures.values())))
        self._file.flush()
        for name, value in figures.items():
            self._events.add_scalar(name, value, step)
        log.info("step %d  %s", step, "  ".join(f"{name} {value:.4g}" for name, value in figures.items()))


def plot(folder: Path) -> None:
    """``curve.png`` from ``curve.csv``: the losses over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = np.atleast_1d(np.genfromtxt(folder / "curve.csv", delimiter=",", names=True))
    figure, axes = pyplot.subplots(figsize=(8, 4))
    for name in ("ctc", "teacher"):
        if name in rows.dtype.names:
            axes.semilogy(rows["step"], rows[name], linewidth=0.8, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("loss per character (nats)")
    axes.legend()
    figure.tight_layout()
    figure.savefig(folder / "curve.png", dpi=120)
    pyplot.close(figure)
