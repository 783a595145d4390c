"""The picture of a benchmark run: copies found against changed documents served, by rule; and answers by capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.matching.captures import CAPTURES
from benchmarks.matching.measure import Check
from benchmarks.matching.plan import COPY
from benchmarks.matching.report import PDQ_RADIUS, PHASH_RADIUS

_OURS, _HASH, _PDQ, _SSIM = "#1b7f3b", "#c0392b", "#d68910", "#5b6abf"


def draw(checks: Sequence[Check], path: Path) -> None:
    """Write the plot (PNG) to ``path``."""
    copies = [check for check in checks if check.change == COPY]
    others = [check for check in checks if check.change != COPY]
    figure, (rules, captures) = plt.subplots(1, 2, figsize=(13, 7.5), width_ratios=(1, 1.15), layout="constrained")
    _rules(rules, copies, others)
    _captures(captures, copies)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _rules(axes: plt.Axes, copies: Sequence[Check], others: Sequence[Check]) -> None:
    def curve(measure: Callable[[Check], float], limits: Sequence[float], colour: str, label: str) -> None:
        found = [np.mean([measure(check) <= limit for check in copies]) for limit in limits]
        wrong = [np.mean([measure(check) <= limit for check in others]) for limit in limits]
        axes.plot(wrong, found, color=colour, lw=2, label=label)

    def mark(accepts: Callable[[Check], bool], colour: str, label: str) -> None:
        x, y = np.mean([accepts(check) for check in others]), np.mean([accepts(check) for check in copies])
        axes.plot(x, y, "o", color=colour)
        axes.annotate(label, (x, y), (6, -12), textcoords="offset points", color=colour)

    curve(lambda check: check.phash, range(65), _HASH, "pHash, all thresholds")
    mark(lambda check: check.phash == 0, _HASH, "= 0")
    mark(lambda check: check.phash <= PHASH_RADIUS, _HASH, f"≤ {PHASH_RADIUS}")
    if all(check.pdq >= 0 for check in (*copies, *others)):
        curve(lambda check: check.pdq, range(0, 257, 2), _PDQ, "PDQ, all thresholds")
        mark(lambda check: check.pdq <= PDQ_RADIUS, _PDQ, f"≤ {PDQ_RADIUS}")
    curve(lambda check: -check.ssim, [-value for value in np.linspace(1, -0.2, 400)], _SSIM, "SSIM, all thresholds")
    axes.plot(np.mean([check.false for check in others]), np.mean([check.word != "MISS" for check in copies]), "*",
              ms=20, color=_OURS, label="this matcher", clip_on=False, zorder=5)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="changed documents served as the original",
             ylabel="true copies found")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    axes.set_title(f"{len(copies)} copies, {len(others)} changed documents")


def _captures(axes: plt.Axes, copies: Sequence[Check]) -> None:
    names = [name for name in CAPTURES if any(check.capture == name for check in copies)][::-1]
    left = np.zeros(len(names))
    for word, colour in (("HIT", _OURS), ("PARTIAL", "#9bd3a8")):
        share = np.array([np.mean([check.word == word for check in copies if check.capture == name]) for name in names])
        axes.barh(names, share, left=left, color=colour, label=word)
        left += share
    axes.plot([np.mean([check.phash <= PHASH_RADIUS for check in copies if check.capture == name]) for name in names],
              names, "|", ms=11, mew=2, color=_HASH, label=f"pHash ≤ {PHASH_RADIUS}")
    axes.set(xlim=(0, 1), xlabel="share of true copies answered")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.05), ncols=3, frameon=False)
    axes.margins(y=0.01)
