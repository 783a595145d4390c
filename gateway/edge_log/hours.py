"""Which results were looked up in which hour, from logs in any order, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from gateway.edge_log.lines import Line
from gateway.edge_log.sketches import Frequent

HOUR_SECONDS = 3600


class HourlyLookups:
    """Counts the look-ups of the last ``hours`` before the newest line; older ones are forgotten.

    What is counted is an address below ``/results/``: an id, or one of its renderings. Of each hour the ``most`` most
    frequent are kept (twice as many at times): about 200 MB when every hour of a week has 5,000 of its own.
    """

    def __init__(self, hours: int, most: int = 5000) -> None:
        self._hours, self._most = hours, most
        self._lookups: dict[int, Frequent[str]] = {}
        self._numbers: dict[str, int] = {}

    def add(self, line: Line) -> None:
        """Count ``line`` when it is a look-up that was answered."""
        if line.status not in (200, 304) or not line.result_id:
            return
        number = self._number(line.time)
        if number is None:
            return
        if number not in self._lookups:
            newest = max(self._lookups, default=number)
            if number <= newest - self._hours:
                return
            self._lookups[number] = Frequent(self._most)
            for old in [each for each in self._lookups if each <= number - self._hours]:
                del self._lookups[old]
        self._lookups[number].add(line.path.removeprefix("/results/"))

    def __iter__(self) -> Iterator[tuple[int, dict[str, int]]]:
        """From the first hour (counted from 1970, UTC) to the last without a gap, each with its look-ups."""
        if self._lookups:
            for number in range(min(self._lookups), max(self._lookups) + 1):
                counted = self._lookups.get(number)
                yield number, dict(counted.top(2 * self._most)) if counted else {}

    def _number(self, time: str) -> int | None:
        # One conversion an hour and zone, not one a line.
        key = time[:13] + time[19:]
        if key not in self._numbers:
            try:
                moment = datetime.fromisoformat(time)
            except ValueError:
                return None
            if moment.tzinfo is None:
                return None
            if len(self._numbers) > 10_000:
                self._numbers.clear()
            self._numbers[key] = int(moment.timestamp()) // HOUR_SECONDS
        return self._numbers[key]


def hourly(lines: Iterable[Line], hours: int) -> HourlyLookups:
    """The look-ups of all ``lines`` in the last ``hours``."""
    lookups = HourlyLookups(hours)
    for line in lines:
        lookups.add(line)
    return lookups
