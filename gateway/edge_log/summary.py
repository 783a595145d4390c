"""What an access log says about the cache: hits by hour, words, hottest ids, what was saved, response times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gateway.edge_log.lines import Line
from gateway.edge_log.sketches import Frequent, Quantiles

# How a request for a document ended, the cheapest first.
Ending = Literal["edge", "gateway", "copied", "partial", "read", "accepted", "unknown", "failed"]

ENDINGS: dict[Ending, str] = {
    "edge": "look-up answered by the edge",
    "gateway": "look-up answered by the gateway",
    "copied": "upload known (HIT)",
    "partial": "upload known but for some lines (PARTIAL)",
    "read": "upload read (MISS)",
    "accepted": "upload accepted as a job",
    "unknown": "look-up of an unknown document",
    "failed": "refused or failed",
}
# One of these ends every document that was asked for; "unknown" leads to an upload, which is counted itself.
ANSWERED: tuple[Ending, ...] = ("edge", "gateway", "copied", "partial", "read")
_UPLOADS = frozenset({"/ocr", "/api/ocr", "/ocr/predict"})
_FROM_EDGE = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})
_WORDS: dict[str, Ending] = {"HIT": "copied", "PARTIAL": "partial", "MISS": "read"}
_KNOWN_WORDS = _FROM_EDGE | {"MISS", "EXPIRED", "BYPASS", "PARTIAL", ""}
# Two years by the hour; a log of made-up times does not take more memory.
_MOST_HOURS = 2 * 366 * 24
_FREQUENT = 50_000


def ending(line: Line, wanted: str) -> Ending | None:
    """How this request ended; ``None`` when it asked for no document. ``wanted``: its ``result_id``."""
    if line.path in _UPLOADS and line.method == "POST":
        if line.status == 200:
            return _WORDS.get(line.gateway, "failed")
        return "accepted" if line.status == 202 else "failed"
    if wanted:
        if line.status in (200, 206, 304):
            return "edge" if line.edge in _FROM_EDGE else "gateway"
        return "unknown" if line.status == 404 else "failed"
    return None


@dataclass
class Summary:
    """The figures of a log, in bounded memory. Times are those of the edge's own clock and zone."""

    requests: int = 0
    first: str = ""
    last: str = ""
    endings: Counter[Ending] = field(default_factory=Counter)
    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    hours: dict[str, Counter[Ending]] = field(default_factory=dict)
    seconds: dict[Ending, Quantiles] = field(default_factory=lambda: {each: Quantiles() for each in ENDINGS})
    reading: Quantiles = field(default_factory=Quantiles)
    uploads: Quantiles = field(default_factory=Quantiles)
    bytes_from_edge: int = 0
    bytes_out: int = 0
    ids: Frequent[str] = field(default_factory=lambda: Frequent(_FREQUENT))

    def add(self, line: Line) -> None:
        """One more request."""
        self.requests += 1
        if not self.first or line.time < self.first:
            self.first = line.time
        if line.time > self.last:
            self.last = line.time
        if 100 <= line.status <= 599:
            self.statuses[line.status] += 1
        wanted = line.result_id
        how = ending(line, wanted)
        if how is None:
            return
        self.endings[how] += 1
        self.seconds[how].add(line.seconds)
        hour = line.time[:13]
        if hour in self.hours:
            self.hours[hour][how] += 1
        elif len(self.hours) < _MOST_HOURS:
            self.hours[hour] = Counter({how: 1})
        self.bytes_out += line.bytes_out
        if wanted:
            self.words["look-up", line.edge if line.edge in _KNOWN_WORDS else "other"] += 1
            if how in ("edge", "gateway"):
                self.ids.add(wanted)
            if how == "edge":
                self.bytes_from_edge += line.bytes_out
            return
        self.words["upload", line.gateway if line.gateway in _KNOWN_WORDS else "other"] += 1
        if how in ("copied", "partial", "read"):
            self.uploads.add(line.bytes_in)
        if how == "read":
            self.reading.add(line.waited)

    @property
    def answered(self) -> int:
        """Documents that were answered, from wherever."""
        return sum(self.endings[each] for each in ANSWERED)

    def facts(self, bad_lines: int, hottest: int, full_ids: bool) -> dict[str, Any]:
        """Everything, ready for JSON. Rates are in 0..1 and ``None`` where there is nothing to divide by."""
        lookups = sum(self.endings[each] for each in ("edge", "gateway", "unknown"))
        without_upload = self.endings["edge"] + self.endings["gateway"]
        not_read = self.answered - self.endings["read"]
        uploaded, reading = self.uploads.mean, self.reading.mean
        return {
            "requests": self.requests,
            "bad_lines": bad_lines,
            "from": self.first or None,
            "to": self.last or None,
            "documents_answered": self.answered,
            "edge_hit_rate": _ratio(self.endings["edge"], lookups),
            "answered_without_upload": _ratio(without_upload, self.answered),
            "answered_without_reading": _ratio(not_read, self.answered),
            "endings": {each: self.endings[each] for each in ENDINGS},
            "words": {
                kind: {word or "none": count for (each, word), count in sorted(self.words.items()) if each == kind}
                for kind in ("look-up", "upload")
            },
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "saved": {
                "upload_bytes": round(uploaded * without_upload) if uploaded is not None else None,
                "mean_upload_bytes": round(uploaded) if uploaded is not None else None,
                "gateway_bytes": self.bytes_from_edge,
                "reading_seconds": round(reading * not_read, 3) if reading is not None else None,
                "mean_reading_seconds": round(reading, 4) if reading is not None else None,
            },
            "seconds": {
                each: {
                    "count": taken.count,
                    "p50": _rounded(taken.quantile(0.5)),
                    "p99": _rounded(taken.quantile(0.99)),
                    "mean": _rounded(taken.mean),
                }
                for each, taken in self.seconds.items()
                if taken.count
            },
            "hours": [
                asdict(Hour(hour, _ratio(_known(count), _total(count)), dict(count)))
                for hour, count in sorted(self.hours.items())
            ],
            "hottest": [
                {"id": each if full_ids else f"{each[:8]}…", "lookups": count} for each, count in self.ids.top(hottest)
            ],
            "hottest_error": self.ids.error,
        }


@dataclass(frozen=True, slots=True)
class Hour:
    """``hour`` as ``2026-11-20T08``; ``without_reading``: share of its answered documents, in 0..1."""

    hour: str
    without_reading: float | None
    endings: dict[Ending, int]


def summarise(lines: Iterable[Line]) -> Summary:
    """The figures of all ``lines``."""
    summary = Summary()
    for line in lines:
        summary.add(line)
    return summary


def _total(count: Counter[Ending]) -> int:
    return sum(count[each] for each in ANSWERED)


def _known(count: Counter[Ending]) -> int:
    return _total(count) - count["read"]


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 5)
