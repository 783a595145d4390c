"""The tables of a benchmark run, as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.matching.captures import CAPTURES, GROUPS
from benchmarks.matching.measure import Check
from benchmarks.matching.pairs import ADDED_OR_REMOVED, CHANGES, ONE_CHARACTER
from benchmarks.matching.plan import COPY

PHASH_RADIUS, PDQ_RADIUS = 10, 31
MOST_LISTED = 60

_LEAST_FOUND = {"as good as unchanged": 0.99, "photographs, flat": 0.95, "half size": 0.95, "x 0.35": 0.80,
                "crops that cut no text": 0.97, "curled or creased": 0.70}


def tables(checks: Sequence[Check], proof_bytes: dict[str, list[int]]) -> str:
    """Everything that a run found."""
    copies = [check for check in checks if check.change == COPY]
    others = [check for check in checks if check.change != COPY]
    parts = [_copies(copies, others), _kinds(copies), _pairs(others), _rivals(copies, others),
             _costs(checks, proof_bytes), _goals(checks, proof_bytes), _missed(copies), _faults(checks)]
    return "\n\n".join(part for part in parts if part)


def faulty(checks: Iterable[Check]) -> list[Check]:
    """Answers with something wrong in them."""
    return [check for check in checks if check.false]


def best_ssim(others: Sequence[Check]) -> float:
    """The least threshold above which no changed document lies."""
    return max((check.ssim for check in others), default=1.0)


def best_bits(others: Sequence[Check], measure: Callable[[Check], int]) -> int:
    """The largest threshold within which no changed document lies; -1 when even equality is not enough."""
    return min((measure(check) for check in others), default=0) - 1


def _copies(copies: Sequence[Check], others: Sequence[Check]) -> str:
    if not copies:
        return ""
    threshold = best_ssim(others)
    lines = [
        "TRUE COPIES, from end to end, by capture. 'lines': share of lines read again, over all answers. 'SSIM': above",
        "the best of every changed document.",
        _row("capture", "checks", "HIT", "PARTIAL", "both", "lines", "nominated", "pHash<=10", "PDQ<=31", "SSIM"),
    ]
    groups = [(name, (name,)) for name in CAPTURES]
    groups += [(name.upper(), members) for name, members in GROUPS.items() if len(members) > 1]
    for name, members in [*groups, ("ALL", tuple(CAPTURES))]:
        rows = [check for check in copies if check.capture in members]
        if rows:
            answered = sum(row.lines for row in rows)
            lines.append(_row(
                name, len(rows), _share(row.word == "HIT" for row in rows),
                _share(row.word == "PARTIAL" for row in rows), _share(row.word != "MISS" for row in rows),
                sum(row.reread for row in rows) / answered if answered else 0.0,
                _share(row.nominated for row in rows), _share(row.phash <= PHASH_RADIUS for row in rows),
                _pdq(rows), _share(row.ssim > threshold for row in rows),
            ))
    return "\n".join(lines)


def _kinds(copies: Sequence[Check]) -> str:
    lines = ["TRUE COPIES by kind of document.", _row("kind", "checks", "HIT", "PARTIAL", "both", "nominated")]
    for kind in dict.fromkeys(check.kind for check in copies):
        rows = [check for check in copies if check.kind == kind]
        lines.append(_row(kind, len(rows), _share(row.word == "HIT" for row in rows),
                          _share(row.word == "PARTIAL" for row in rows), _share(row.word != "MISS" for row in rows),
                          _share(row.nominated for row in rows)))
    return "\n".join(lines) if copies else ""


def _pairs(others: Sequence[Check]) -> str:
    if not others:
        return ""
    lines = [
        "CHANGED DOCUMENTS. 'PARTIAL': answered with the changed lines read anew. 'as before': of these, changed lines",
        "that the reader read as recorded. 'margin': the least (largest residual / its limit) among those compared.",
        _row("change", "checks", "FALSE HIT", "FALSE PART", "PARTIAL", "as before", "margin", "pHash=0", "pHash<=10",
             "PDQ<=31"),
    ]
    groups = [(name, (name,)) for name in CHANGES]
    groups += [("ONE CHARACTER", tuple(ONE_CHARACTER)), ("ADDED, REMOVED", tuple(ADDED_OR_REMOVED))]
    for name, members in [*groups, ("ALL", tuple(CHANGES))]:
        rows = [check for check in others if check.change in members]
        if rows:
            compared = [row.margin for row in rows if row.margin >= 0]
            lines.append(_row(
                name, len(rows), sum(row.false and row.word == "HIT" for row in rows),
                sum(row.false and row.word == "PARTIAL" for row in rows), sum(row.word == "PARTIAL" for row in rows),
                sum(row.stale for row in rows), min(compared) if compared else "-",
                _share(row.phash == 0 for row in rows), _share(row.phash <= PHASH_RADIUS for row in rows), _pdq(rows),
            ))
    return "\n".join(lines)


def _rivals(copies: Sequence[Check], others: Sequence[Check]) -> str:
    if not copies or not others:
        return ""
    lines = ["RULES COMPARED: copies found, changed documents served as if they were the original.",
             _row("rule", "copies", "changed")]
    rules: list[tuple[str, Callable[[Check], bool]]] = [
        ("this matcher", lambda row: row.word != "MISS"),
        ("pHash = 0", lambda row: row.phash == 0),
        ("pHash <= 10", lambda row: row.phash <= PHASH_RADIUS),
    ]
    if all(check.pdq >= 0 for check in copies):
        rules.append(("PDQ <= 31", lambda row: row.pdq <= PDQ_RADIUS))
        at = best_bits(others, lambda row: row.pdq)
        rules.append((f"PDQ <= {at} *", lambda row: row.pdq <= at))
    threshold = best_ssim(others)
    rules.append(("SSIM > .95", lambda row: row.ssim > 0.95))
    rules.append((f"SSIM > {threshold:.4f} *", lambda row: row.ssim > threshold))
    for name, accepts in rules:
        wrong = [row.false for row in others] if name == "this matcher" else [accepts(row) for row in others]
        lines.append(_row(name, _share(accepts(row) for row in copies), _share(wrong)))
    lines.append("* the threshold that serves none of them wrongly, chosen afterwards; the matcher's was fixed before")
    return "\n".join(lines)


def _missed(copies: Sequence[Check]) -> str:
    missed = [check for check in copies if check.word == "MISS"]
    counts = Counter(reason for check in copies if check.word != "HIT" for reason in _why(check))
    lines = ["WHY COPIES WERE NO HIT: " + ", ".join(f"{name} {count}" for name, count in counts.most_common())]
    lines += [f"missed: {check.name}: {', '.join(_why(check))}" for check in missed[:MOST_LISTED]]
    if len(missed) > MOST_LISTED:
        lines.append(f"missed: {len(missed) - MOST_LISTED} more")
    return "\n".join(lines) if counts else ""


def _why(check: Check) -> list[str]:
    return check.reasons if check.nominated else ["not-nominated"]


def _costs(checks: Sequence[Check], proof_bytes: dict[str, list[int]]) -> str:
    rows = [
        ("fingerprint", [check.fingerprint_ms for check in checks]),
        ("decision, all nominees", [check.decision_ms for check in checks]),
        ("... of a copy", [check.decision_ms for check in checks if check.change == COPY]),
        ("a nominee of another page", [spent for check in checks for spent in check.wrong_ms]),
        ("lines read again", [check.reread_ms for check in checks if check.reread_ms > 0]),
    ]
    lines = ["COST, ms of CPU (one thread)", _row("", "number", "median", "mean", "p99")]
    for name, values in rows:
        if values:
            lines.append(_row(name, len(values), float(np.median(values)), float(np.mean(values)),
                              float(np.percentile(values, 99))))
    everything = [size for sizes in proof_bytes.values() for size in sizes]
    by_kind = ", ".join(f"{kind} {np.mean(sizes) / 1024:.0f}" for kind, sizes in proof_bytes.items())
    lines.append(f"PROOF, KiB: mean {np.mean(everything) / 1024:.1f}, largest {max(everything) / 1024:.1f} ({by_kind})")
    return "\n".join(lines)


def _goals(checks: Sequence[Check], proof_bytes: dict[str, list[int]]) -> str:
    """The promises, and what was found."""
    copies = [check for check in checks if check.change == COPY]
    rows: list[tuple[str, str, float | int | None, bool]] = []

    def goal(name: str, limit: float, found: float | int | None, *, least: bool = False) -> None:
        if found is not None:
            sign = ">=" if least else "<="
            rows.append((name, f"{sign} {limit:g}", found, found >= limit if least else found <= limit))

    goal("false answers", 0, sum(check.false for check in checks))
    marked = [check for check in checks if check.change in ADDED_OR_REMOVED]
    goal("added or removed, accepted as before", 0, sum(check.false or check.stale > 0 for check in marked))
    for group, least in _LEAST_FOUND.items():
        found = [check.word != "MISS" for check in copies if check.capture in GROUPS[group]]
        goal(group, least, _share(found) if found else None, least=True)
    spent = [check.decision_ms for check in checks]
    goal("decision, ms of CPU, median", 60, float(np.median(spent)) if spent else None)
    goal("decision, ms of CPU, p99", 150, float(np.percentile(spent, 99)) if spent else None)
    goal("proof, KiB, mean", 35, float(np.mean([size for sizes in proof_bytes.values() for size in sizes])) / 1024)
    lines = ["GOALS", *(_row(name, limit, found, "reached" if reached else "MISSED", width=42)
                        for name, limit, found, reached in rows)]
    return "\n".join(lines)


def _faults(checks: Sequence[Check]) -> str:
    lines = [
        f"FALSE {check.word}: {check.name}: {check.what} (wrong lines {check.wrong_lines}, unseen {check.unseen})"
        for check in faulty(checks)
    ]
    lines += [f"read as before: {check.name}: {check.what}" for check in checks if check.stale and not check.false]
    return "\n".join(lines)


def _pdq(rows: Sequence[Check]) -> float | str:
    return "-" if any(row.pdq < 0 for row in rows) else _share(row.pdq <= PDQ_RADIUS for row in rows)


def _share(values: Iterable[bool]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _row(name: str, *cells: str | int | float, width: int = 26) -> str:
    shown = (f"{cell:>11.3f}" if isinstance(cell, float) else f"{cell:>11}" for cell in cells)
    return f"{name:{width}s}" + "".join(shown)
