"""What operators watch: Prometheus metrics, and the same figures as plain hit rates.

Each instance owns its registry, so several applications (and tests) live in one process. With several web
processes, ``PROMETHEUS_MULTIPROC_DIR`` (set by ``ocr-gateway serve``) makes every scrape cover them all.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._entries: dict[str, int] = {}
        self._answers = Counter(
            "ocr_answers_total",
            "Recognitions answered, by cache word and by what answered.",
            ["word", "detail"],
            registry=registry,
        )
        self._lookups = Counter("ocr_lookups_total", "Look-ups by id.", ["found"], registry=registry)
        self._readings = Histogram("ocr_reading_seconds", "Time of one reading.", buckets=SECONDS, registry=registry)
        self._verdicts = Counter(
            "ocr_verdicts_total", "Verdicts on nominated documents.", ["verdict"], registry=registry
        )
        self._reasons = Counter(
            "ocr_verdict_reasons_total",
            "What kept nominees from being the same document.",
            ["reason"],
            registry=registry,
        )
        self._verifications = Histogram(
            "ocr_verification_cpu_seconds", "CPU time of one verification.", buckets=SECONDS, registry=registry
        )
        self._rereadings = Counter(
            "ocr_rereadings_total",
            "Nominees of which lines were read again: the record confirmed, lines changed, or refuted (a miss).",
            ["outcome"],
            registry=registry,
        )
        self._reread_lines = Counter(
            "ocr_reread_lines_total",
            "Lines read again for partial answers, by whether their text is the record's.",
            ["text"],
            registry=registry,
        )
        self._shadows = Counter(
            "ocr_shadow_readings_total",
            "Answers by look that were read afterwards: all agree, noise of the reader, or digits that differ.",
            ["outcome"],
            registry=registry,
        )
        self._degraded = Counter(
            "ocr_store_failures_total",
            "Store operations that failed and were worked around.",
            ["tier", "operation"],
            registry=registry,
        )
        self._requests = Histogram(
            "ocr_request_seconds",
            "Time of one HTTP request.",
            ["route", "method", "status"],
            buckets=SECONDS,
            registry=registry,
        )
        self._indexed = Gauge(
            "ocr_index_entries", "Documents that can be nominated.", registry=registry, multiprocess_mode="max"
        )

    def answered(self, word: str, detail: str) -> None:
        """One recognition was answered."""
        self._answers.labels(word, detail or "reading").inc()

    def looked_up(self, found: bool) -> None:
        """One look-up by id."""
        self._lookups.labels("yes" if found else "no").inc()

    def read(self, seconds: float) -> None:
        """One reading ran."""
        self._readings.observe(seconds)

    def verified(self, verdict: str, reasons: Iterable[str], cpu_seconds: float) -> None:
        """One nominee was compared."""
        self._verdicts.labels(verdict).inc()
        for reason in reasons:
            self._reasons.labels(reason).inc()
        self._verifications.observe(cpu_seconds)

    def reread(self, outcome: str, lines: int = 0, changed: int = 0) -> None:
        """A nominee's doubtful lines were read again: ``confirmed`` as recorded, ``changed``, or ``refuted``, so that
        the page had to be read. ``lines`` were read, ``changed`` of them took another text."""
        self._rereadings.labels(outcome).inc()
        self._reread_lines.labels("unchanged").inc(lines - changed)
        self._reread_lines.labels("changed").inc(changed)

    def shadowed(self, outcome: str) -> None:
        """An answer by look was read afterwards: ``agree``, ``noise``, ``digits``; or was not: ``dropped``,
        ``failed``."""
        self._shadows.labels(outcome).inc()

    def degraded(self, tier: str, operation: str) -> None:
        """A store failed and the request went on without it."""
        self._degraded.labels(tier, operation).inc()

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """One HTTP request was answered."""
        self._requests.labels(route, method, str(status)).observe(seconds)

    def indexed(self, entries: int, tenant: str = "") -> None:
        """How many documents of ``tenant`` this process can nominate; the metric is their sum and names nobody."""
        self._entries[tenant] = entries
        self._indexed.set(sum(tuple(self._entries.values())))

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._collector())

    def summary(self) -> dict[str, Any]:
        """Hit rates by kind and tier, in 0..1, since the start."""
        answers: dict[tuple[str, str], float] = {}
        lookups: dict[str, float] = defaultdict(float)
        readings = {"count": 0.0, "seconds": 0.0}
        verdicts: dict[str, float] = {}
        rereadings: dict[str, float] = {}
        shadows: dict[str, float] = defaultdict(float)
        for family in self._collector().collect():
            for sample in family.samples:
                if sample.name == "ocr_answers_total":
                    answers[sample.labels["word"], sample.labels["detail"]] = sample.value
                elif sample.name == "ocr_lookups_total":
                    lookups[sample.labels["found"]] = sample.value
                elif sample.name == "ocr_verdicts_total":
                    verdicts[sample.labels["verdict"]] = sample.value
                elif sample.name == "ocr_rereadings_total":
                    rereadings[sample.labels["outcome"]] = sample.value
                elif sample.name == "ocr_shadow_readings_total":
                    shadows[sample.labels["outcome"]] = sample.value
                elif sample.name == "ocr_reading_seconds_count":
                    readings["count"] = sample.value
                elif sample.name == "ocr_reading_seconds_sum":
                    readings["seconds"] = sample.value
        total = sum(answers.values())
        compared = sum(shadows[outcome] for outcome in ("agree", "noise", "digits"))
        return {
            "recognitions": {
                "total": int(total),
                "by_word": {
                    word: {"count": int(count), "rate": _ratio(count, total)}
                    for word in ("HIT", "PARTIAL", "MISS")
                    for count in [sum(value for (each, _), value in answers.items() if each == word)]
                },
                "by_detail": {
                    detail: {"count": int(count), "rate": _ratio(count, total)}
                    for detail in sorted({detail for _, detail in answers})
                    for count in [sum(value for (_, each), value in answers.items() if each == detail)]
                },
            },
            "lookups": {
                "total": int(sum(lookups.values())),
                "found": int(lookups["yes"]),
                "rate": _ratio(lookups["yes"], sum(lookups.values())),
            },
            "readings": {
                "count": int(readings["count"]),
                "mean_ms": round(1000 * readings["seconds"] / readings["count"], 1) if readings["count"] else 0.0,
            },
            "verdicts": {verdict: int(count) for verdict, count in sorted(verdicts.items())},
            "rereadings": {
                outcome: int(rereadings.get(outcome, 0)) for outcome in ("confirmed", "changed", "refuted")
            },
            "shadow_readings": {
                **{outcome: int(shadows[outcome]) for outcome in ("agree", "noise", "digits", "dropped", "failed")},
                "digits_rate": _ratio(shadows["digits"], compared),
            },
        }

    def _collector(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)
        return everyone


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0
