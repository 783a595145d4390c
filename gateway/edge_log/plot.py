"""The figures of a log as a picture; needs matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from gateway.edge_log.summary import ANSWERED, ENDINGS
from gateway.units import duration, size

_COLOURS = {"edge": "#2a9d8f", "gateway": "#8ab17d", "copied": "#e9c46a", "partial": "#f4a261", "read": "#e76f51"}
_MOST_BARS = 24 * 8


def save(facts: dict[str, Any], path: Path) -> None:
    """Draw ``facts`` (of :meth:`gateway.edge_log.summary.Summary.facts`) into an image file; its name tells the format.

    Raises :class:`ImportError` without matplotlib, :class:`OSError` and :class:`ValueError` for a file that cannot be
    written or has no image format's name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    (by_time, times), (words, hottest) = figure.subplots(2, 2, width_ratios=(2, 1), height_ratios=(3, 2))
    _draw_hours(by_time, facts["hours"])
    _draw_times(times, facts["seconds"])
    _draw_saved(words, facts)
    _draw_hottest(hottest, facts["hottest"])
    figure.savefig(path, dpi=110)


def _draw_hours(axes: Any, hours: list[dict[str, Any]]) -> None:
    # By the hour while that can be seen, then by the day.
    length, unit = (13, "hour") if len(hours) <= _MOST_BARS else (10, "day")
    counts: dict[str, Counter[str]] = {}
    for hour in hours:
        counts.setdefault(hour["hour"][:length], Counter()).update(hour["endings"])
    below = [0] * len(counts)
    for each in ANSWERED:
        heights = [count[each] for count in counts.values()]
        if any(heights):
            axes.bar(range(len(counts)), heights, 0.95, below, color=_COLOURS[each], label=ENDINGS[each])
            below = [under + height for under, height in zip(below, heights, strict=True)]
    axes.set_title(f"documents answered by {unit}, and the share that was not read")
    axes.set_ylim(0, max([*below, 1]) * 1.45)
    step = max(1, len(counts) // 8)
    axes.set_xticks(range(0, len(counts), step), list(counts)[::step], rotation=25, ha="right", fontsize=7)
    shares = [
        100 * (total - count["read"]) / total if total else float("nan")
        for count, total in zip(counts.values(), below, strict=True)
    ]
    rate = axes.twinx()
    rate.plot(range(len(counts)), shares, color="#264653", linewidth=1.4, label="% not read (right)")
    rate.set_ylim(0, 145)
    rate.set_yticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
    handles, labels = axes.get_legend_handles_labels()
    more, more_labels = rate.get_legend_handles_labels()
    axes.legend(handles + more, labels + more_labels, fontsize=7, loc="upper left", ncols=2)


def _draw_times(axes: Any, seconds: dict[str, dict[str, Any]]) -> None:
    shown = [each for each in ANSWERED if each in seconds]
    for name, offset, alpha in (("p50", 0.2, 1.0), ("p99", -0.2, 0.55)):
        values = [1000 * max(seconds[each][name], 0.0005) for each in shown]
        places = [len(shown) - 1 - number + offset for number in range(len(shown))]
        axes.barh(places, values, 0.38, color=[_COLOURS[each] for each in shown], alpha=alpha)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f" {name} {value:.0f}" if value >= 1 else f" {name} < 1", (value, place), va="center", fontsize=7
            )
    axes.set_yticks(range(len(shown)), [ENDINGS[each].replace(" (", "\n(") for each in reversed(shown)], fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 6)
    axes.set_title("response time, ms")


def _draw_saved(axes: Any, facts: dict[str, Any]) -> None:
    saved = facts["saved"]
    rows = [
        ("documents answered", f"{facts['documents_answered']:,}"),
        ("without reading them", _percent(facts["answered_without_reading"])),
        ("without uploading them", _percent(facts["answered_without_upload"])),
        ("edge hit rate of look-ups", _percent(facts["edge_hit_rate"])),
        ("not uploaded", "-" if saved["upload_bytes"] is None else size(saved["upload_bytes"])),
        ("not asked of the gateway", size(saved["gateway_bytes"])),
        ("reading time saved", "-" if saved["reading_seconds"] is None else duration(saved["reading_seconds"])),
    ]
    axes.axis("off")
    axes.set_title(f"{facts['from'] or '-'} to {facts['to'] or '-'}", fontsize=10)
    for number, (name, value) in enumerate(rows):
        height = 0.88 - number * 0.135
        axes.text(0.06, height, name, transform=axes.transAxes, fontsize=11)
        axes.text(0.94, height, value, transform=axes.transAxes, fontsize=11, ha="right", weight="bold")


def _draw_hottest(axes: Any, hottest: list[dict[str, Any]]) -> None:
    shown = hottest[:10][::-1]
    axes.barh(range(len(shown)), [each["lookups"] for each in shown], color=_COLOURS["edge"])
    axes.set_yticks(range(len(shown)), [each["id"][:9] for each in shown], fontsize=7, family="monospace")
    axes.set_title("hottest ids, look-ups")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
