"""Summaries of a stream in bounded memory, with bounds on their errors."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

_ACCURACY = 0.01
_LEAST, _MOST = 1e-6, 1e6


class Quantiles:
    """Quantiles of values from 0 to a million, each within 1 % of its value: buckets that grow geometrically.

    At most about 1,400 counters. Masson, Rim, Lee: DDSketch, VLDB 2019 (https://arxiv.org/abs/1908.10693).
    """

    _GROWTH = (1 + _ACCURACY) / (1 - _ACCURACY)
    _SCALE = 1 / math.log(_GROWTH)

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._zeros = 0
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """One more value; below a millionth it counts as 0, above a million as a million."""
        self.count += 1
        if not value >= _LEAST:  # not a number counts as 0, too
            self._zeros += 1
            return
        value = min(value, _MOST)
        self.total += value
        bucket = math.ceil(math.log(value) * self._SCALE)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def quantile(self, share: float) -> float | None:
        """The value that ``share`` (0..1) of all values do not exceed; ``None`` without values."""
        if not self.count:
            return None
        rank = share * (self.count - 1)
        seen = self._zeros
        if rank < seen:
            return 0.0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if rank < seen:
                return 2 * self._GROWTH**bucket / (self._GROWTH + 1)
        raise AssertionError("the buckets hold all values")

    @property
    def mean(self) -> float | None:
        """The arithmetic mean; ``None`` without values."""
        return self.total / self.count if self.count else None


class Frequent(Generic[Item]):
    """The most frequent items of a stream, at most ``2 * size`` of them in memory.

    Counts are too low by ``error`` at most, which is below (stream length) / ``size`` and 0 while no more than
    ``2 * size`` different items came. Misra and Gries 1982, pruned in batches: Agarwal et al., Mergeable Summaries,
    PODS 2012.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: dict[Item, int] = {}
        self.error = 0

    def add(self, item: Item) -> None:
        """One more of ``item``."""
        counts = self._counts
        counts[item] = counts.get(item, 0) + 1
        if len(counts) > 2 * self._size:
            taken = sorted(counts.values(), reverse=True)[self._size]
            self._counts = {each: count - taken for each, count in counts.items() if count > taken}
            self.error += taken

    def top(self, count: int) -> list[tuple[Item, int]]:
        """The ``count`` most frequent items with their counts, the most frequent first; ties in item order."""
        return sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))[:count]

    def __len__(self) -> int:
        return len(self._counts)
