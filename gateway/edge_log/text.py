"""The figures of a log as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.edge_log.summary import ANSWERED, ENDINGS
from gateway.units import duration, size

_BAR = 30


def render(facts: dict[str, Any]) -> str:
    """``facts`` (of :meth:`gateway.edge_log.summary.Summary.facts`) in lines."""
    return "\n".join(_lines(facts))


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    saved = facts["saved"]
    yield f"{facts['requests']:,} requests, {facts['from'] or '-'} to {facts['to'] or '-'}"
    if facts["bad_lines"]:
        yield f"{facts['bad_lines']:,} lines were not of the access log and left out"
    yield ""
    yield f"documents answered        {facts['documents_answered']:,}"
    yield f"  without reading them    {_percent(facts['answered_without_reading'])}"
    yield f"  without uploading them  {_percent(facts['answered_without_upload'])}"
    yield f"edge hit rate             {_percent(facts['edge_hit_rate'])} of look-ups"
    if saved["upload_bytes"] is not None:
        mean = size(saved["mean_upload_bytes"])
        yield f"not uploaded              {size(saved['upload_bytes'])} (by the mean upload, {mean})"
    yield f"not asked of the gateway  {size(saved['gateway_bytes'])}"
    if saved["reading_seconds"] is not None:
        mean = duration(saved["mean_reading_seconds"])
        yield f"not read                  {duration(saved['reading_seconds'])} of reading (by the mean MISS, {mean})"
    yield ""
    yield f"{'how it ended':44} {'requests':>12} {'p50':>10} {'p99':>10}"
    for each, words in ENDINGS.items():
        if taken := facts["seconds"].get(each):
            yield f"{words:44} {taken['count']:12,} {_brief(taken['p50']):>10} {_brief(taken['p99']):>10}"
    yield ""
    for kind, counts in facts["words"].items():
        if counts:
            told = ", ".join(f"{word} {count:,}" for word, count in sorted(counts.items(), key=lambda pair: -pair[1]))
            yield f"X-Cache-Status, {kind}: {told}"
    if facts["statuses"]:
        yield "status: " + ", ".join(f"{status} {count:,}" for status, count in facts["statuses"].items())
    if facts["hours"]:
        yield ""
        yield f"{'hour':14} {'answered':>10}  without reading"
        for hour in facts["hours"]:
            share = hour["without_reading"]
            answered = sum(hour["endings"].get(each, 0) for each in ANSWERED)
            yield f"{hour['hour']:14} {answered:10,}  {_percent(share):>6} {'█' * round((share or 0) * _BAR)}".rstrip()
    if facts["hottest"]:
        yield ""
        yield "hottest" + (f" (counts may be {facts['hottest_error']:,} too low)" if facts["hottest_error"] else "")
        for each in facts["hottest"]:
            yield f"{each['lookups']:12,}  {each['id']}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _brief(seconds: float | None) -> str:
    # nginx measures in milliseconds.
    return "-" if seconds is None else "< 1 ms" if seconds < 0.001 else duration(seconds)
