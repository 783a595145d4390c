"""What `ocr-gateway warm` gains over a plain LRU cache, on a replayed log with a daily rhythm.

    python -m benchmarks.warm [--days 10] [--invoices 900] [--seed 1]

The log is generated: invoices arrive in office hours; each is looked up soon after by whoever sent it, in the night by
an accounting run, some again the next mornings by an approver; contracts and price lists are looked up on most days at
an hour of their own; some documents are popular (Zipf) at any time. Every result ends a week after its reading. The
rules are known to this generator alone; the predictor sees the log. The last three days are replayed, hour by hour,
against simulated edges; before every hour the predictor, fitted on what came before, may ask for some results.

Hit rates of look-ups at the edge; what the warming itself asks of the gateway is told beside them. "oracle" knows the
next hour: no warming could do better with as many requests.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.edge_log.predictor import Predictor

WEEK = 7 * 24
MEASURED_HOURS = 3 * 24
# Where there is no room for all, what is less probable than this pushes out something better.
LEAST = 0.2


@dataclass(frozen=True, slots=True, order=True)
class LookUp:
    """``moment``: hours since the start. ``expires``: when this result's life ends."""

    moment: float
    document: str
    expires: float


def generate(days: int, invoices: int, seed: int) -> list[LookUp]:
    """The look-ups of ``days`` days with ``invoices`` new documents on each, in order."""
    chance = random.Random(seed)
    log: list[LookUp] = []
    for day in range(-7, days):
        for number in range(invoices):
            born = 24 * day + min(19.5, max(7.0, chance.gauss(12.5, 2.8)))
            name = f"invoice-{day}-{number}"
            wanted = [born + chance.expovariate(4) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
            if chance.random() < 0.85:
                wanted.append(24 * (day + 1) + 2 + chance.random())  # the accounting run, from two to three
            for later in (1, 2, 3):
                if chance.random() < 0.25:
                    wanted.append(24 * (day + later) + 9 + chance.gauss(0.5, 0.6))  # an approver
            log += [LookUp(moment, name, born + WEEK) for moment in wanted if moment < born + WEEK]
    for number in range(invoices // 2):  # looked up on most days, at an hour of their own
        hour = chance.choice((6, 8, 9, 10, 14, 16, 22)) + chance.random()
        read = -chance.uniform(0, WEEK)
        for day in range(-7, days):
            moment = 24 * day + hour + chance.gauss(0, 0.15)
            if chance.random() < 0.8:
                if moment >= read + WEEK:
                    read = moment
                log.append(LookUp(moment, f"standing-{number}", read + WEEK))
    weights = [1 / (rank + 1) for rank in range(2000)]
    reads = [-chance.uniform(0, WEEK) for _ in weights]
    for document in chance.choices(range(2000), weights, k=(days + 7) * invoices):
        moment = chance.uniform(-WEEK, 24 * days)
        reads[document] += WEEK * max(0, int((moment - reads[document]) // WEEK))
        log.append(LookUp(moment, f"popular-{document}", reads[document] + WEEK))
    return sorted(each for each in log if 0 <= each.moment < 24 * days)


class Edge:
    """A cache of ``size`` results that drops the longest unused; nothing outlives its end."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, float] = OrderedDict()
        self.hits = self.misses = self.warmed = 0

    def ask(self, document: str, moment: float, expires: float, *, warming: bool = False) -> None:
        """A client's look-up, or the warming's."""
        there = self._entries.get(document, 0.0) > moment
        if warming:
            self.warmed += not there
        elif there:
            self.hits += 1
        else:
            self.misses += 1
        self._entries[document] = max(expires, self._entries.get(document, 0.0)) if there else expires
        self._entries.move_to_end(document)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def empty(self) -> None:
        """As after a restart with a new disk."""
        self._entries.clear()

    def reset(self) -> None:
        """Count anew."""
        self.hits = self.misses = self.warmed = 0


def replay(
    log: list[LookUp], size: int, budget: int, way: str, least: float = 0.0, restart_at: int | None = None
) -> Edge:
    """The last hours of ``log`` against one edge. ``budget``: results that are asked for before each hour.

    ``way``: ``lru`` asks for none, ``hot`` for those looked up most in the last day, ``predicted``, ``oracle``.
    ``least``: the least probability that is asked for. ``restart_at``: an hour of each day at which the edge is
    emptied; only that hour's look-ups are counted then.
    """
    last = int(log[-1].moment) + 1
    hours: list[list[LookUp]] = [[] for _ in range(last)]
    for each in log:
        hours[int(each.moment)].append(each)
    edge, predictor = Edge(size), Predictor()
    ends: dict[str, float] = {}
    total = Edge(0)
    for hour, lookups in enumerate(hours):
        measured = hour >= last - MEASURED_HOURS
        if measured and (restart_at is None or hour % 24 == restart_at):
            if restart_at is not None:
                edge.empty()
            edge.reset()
            for document in chosen(way, predictor, hours, hour, budget, least):
                if ends[document] > hour:  # the gateway has it no more: 404
                    edge.ask(document, hour, ends[document], warming=True)
            ask_all(edge, lookups)
            total.hits, total.misses = total.hits + edge.hits, total.misses + edge.misses
            total.warmed += edge.warmed
        else:
            ask_all(edge, lookups)
        ends.update((each.document, each.expires) for each in lookups)
        if way == "predicted":
            predictor.advance(hour, Counter(each.document for each in lookups))
            if hour % 24 == 0 or hour == last - MEASURED_HOURS - 1:
                predictor.fit()
    return total


def ask_all(edge: Edge, lookups: Iterable[LookUp]) -> None:
    """An hour of clients."""
    for each in lookups:
        edge.ask(each.document, each.moment, each.expires)


def chosen(
    way: str, predictor: Predictor, hours: list[list[LookUp]], hour: int, budget: int, least: float
) -> list[str]:
    """What is asked for before ``hour``."""
    if way == "hot":
        counts = Counter(each.document for past in hours[max(0, hour - 24) : hour] for each in past)
        return [document for document, _ in counts.most_common(budget)]
    if way == "predicted":
        return [document for document, share in predictor.rank(budget) if share >= least]
    if way == "oracle":
        known = {each.document for past in hours[max(0, hour - WEEK) : hour] for each in past}
        coming = Counter(each.document for each in hours[hour] if each.document in known)
        return [document for document, _ in coming.most_common(budget)]
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--invoices", type=int, default=900, help="new documents a day")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    log = generate(given.days, given.invoices, given.seed)
    live = len({each.document for each in log if each.moment >= log[-1].moment - WEEK})
    print(f"{len(log):,} look-ups in {given.days} days; {live:,} documents in the last week")
    budget = live // 10
    print(f"\nevery hour, at most {budget} results asked for      hit rate   fetched by warming")
    for share in (0.05, 0.1, 0.25, 1.0):
        size = round(live * share)
        for way in ("lru", "hot", "predicted", "oracle"):
            tell(f"room for {share:4.0%} of them, {way}", replay(log, size, min(budget, size // 2), way, LEAST))
    print(f"\nan edge that was emptied, its first hour, {budget} results asked for")
    for hour in (2, 9, 14):
        for way in ("lru", "hot", "predicted", "oracle"):
            tell(f"at {hour:02d}:00, {way}", replay(log, live, budget, way, restart_at=hour))


def tell(name: str, edge: Edge) -> None:
    """One row."""
    lookups = edge.hits + edge.misses
    print(f"  {name:42} {edge.hits / lookups:10.1%} {edge.warmed:12,} of {lookups:,} look-ups")


if __name__ == "__main__":
    main()
