"""Which results will be looked up next: recency, frequency and daily rhythm, weighed by what the log itself shows.

For every result there are counts of its look-ups that fade with half-lives from an hour to three days, the same by hour
of the day, and how often, at this hour of earlier days, results as old as it, or as long unused, were looked up next: a
nightly run over the day's documents shows there. A logistic regression, fitted on the log's own past, turns them into
the probability of a look-up in the hours to come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

DAY = 24
_HALF_LIVES = np.array([1.0, 6.0, 24.0, 72.0], np.float32)  # hours
_RHYTHM_HALF_LIFE = 3.0  # days
_SAMPLES_AN_HOUR = 3000
_SAMPLED_HOURS = 7 * DAY
_FEWEST_EXAMPLES = 50
_RIDGE = 1e-3
_GROWTH = 1024
# Ages by the hour for two days, then by six hours, to ten days.
_FINE_HOURS, _COARSE_HOURS = 48, 6
_AGES = _FINE_HOURS + 8 * DAY // _COARSE_HOURS + 1
# What a table of habits begins with, in examples; and how much of it the next day keeps.
_PRIOR = 5.0
_HABIT_KEPT = 0.8


class Predictor:
    """Learns hour by hour. ``horizon``: hours ahead; ``most``: results remembered, those asked for least go first.

    Equal logs give equal predictions.
    """

    def __init__(self, horizon: int = 1, most: int = 200_000) -> None:
        self._horizon, self._most = horizon, most
        self._rows: dict[str, int] = {}
        self._faded = np.zeros((0, len(_HALF_LIVES)), np.float32)
        self._rhythm = np.zeros((0, DAY), np.float32)
        self._first = np.zeros(0, np.int64)
        self._last = np.zeros(0, np.int64)
        # By hour of the day, and age or time since the last look-up: how many results, how many were looked up next.
        self._habits = np.zeros((2, DAY, _AGES, 2), np.float64)
        self._hour: int | None = None
        self._chance = np.random.default_rng(0)
        # Each: which rows, what was known of them, their ages, and whether they were looked up since.
        self._waiting: deque[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = deque()
        self._examples: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_SAMPLED_HOURS)
        self._weights: np.ndarray | None = None

    def advance(self, hour: int, lookups: Mapping[str, int]) -> None:
        """What was looked up in ``hour`` (counted from 1970), how often. Hours come in order; gaps count as quiet."""
        if self._hour is not None:
            for quiet in range(self._hour + 1, hour):
                self._advance(quiet, {})
        self._advance(hour, lookups)

    def fit(self) -> None:
        """Weigh the features anew by what happened so far; without enough of it, old look-ups just fade by the day."""
        if not self._examples:
            return
        known = np.concatenate([features for features, _ in self._examples])
        came = np.concatenate([labels for _, labels in self._examples]).astype(np.float64)
        if min(came.sum(), (1 - came).sum()) < _FEWEST_EXAMPLES:
            return
        known = known.astype(np.float64)

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            scores = known @ weights
            likelihood = np.logaddexp(0, scores) - came * scores
            penalty = weights.copy()
            penalty[-1] = 0.0
            slope = known.T @ (expit(scores) - came) / len(came) + _RIDGE * penalty
            return float(likelihood.mean() + _RIDGE * penalty @ penalty / 2), slope

        start = np.zeros(known.shape[1]) if self._weights is None else self._weights
        self._weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x

    def rank(self, count: int) -> list[tuple[str, float]]:
        """At most ``count`` results with their probability (0..1) to be looked up within the horizon, best first."""
        if self._hour is None or not self._rows:
            return []
        if self._weights is None:
            scores = self._faded[: len(self._rows), 2].astype(np.float64)
            scores = scores / (1 + scores)
        else:
            scores = expit(self._features(np.arange(len(self._rows)), self._hour).astype(np.float64) @ self._weights)
        best = np.argsort(-scores, kind="stable")[:count]
        names = list(self._rows)
        return [(names[row], float(scores[row])) for row in best]

    def __len__(self) -> int:
        return len(self._rows)

    def _advance(self, hour: int, lookups: Mapping[str, int]) -> None:
        self._hour = hour
        rows = self._rows_of(lookups, hour)
        counts = np.fromiter(lookups.values(), np.float32, len(lookups))
        for asked, _, _, came in self._waiting:
            came |= np.isin(asked, rows)
        self._faded *= np.exp2(-1 / _HALF_LIVES)
        self._faded[rows] += counts[:, None]
        self._rhythm[:, hour % DAY] *= np.float32(np.exp2(-1 / _RHYTHM_HALF_LIFE))
        self._rhythm[rows, hour % DAY] += counts
        self._last[rows] = hour
        if len(self._waiting) == self._horizon:
            _, features, ages, came = self._waiting.popleft()
            self._examples.append((features, came))
            self._learn_habits((hour - self._horizon) % DAY, ages, came)
        self._forget()
        sample = self._chance.choice(
            len(self._rows), min(len(self._rows), _SAMPLES_AN_HOUR), replace=False, shuffle=False
        )
        asked = np.zeros(len(sample), bool)
        self._waiting.append((sample, self._features(sample, hour), self._ages(sample, hour), asked))

    def _learn_habits(self, hour: int, ages: np.ndarray, came: np.ndarray) -> None:
        self._habits[:, hour] *= _HABIT_KEPT
        for table, each in zip(self._habits[:, hour], ages, strict=True):
            table[:, 0] += np.bincount(each, minlength=_AGES)
            table[:, 1] += np.bincount(each, came, minlength=_AGES)

    def _ages(self, rows: np.ndarray, hour: int) -> np.ndarray:
        """(2, rows): the places in the tables of habits for the time since the first and since the last look-up."""
        hours = hour - np.stack([self._first[rows], self._last[rows]])
        coarse = _FINE_HOURS + (hours - _FINE_HOURS) // _COARSE_HOURS
        return np.minimum(np.where(hours < _FINE_HOURS, hours, coarse), _AGES - 1)

    def _habit(self, rows: np.ndarray, hour: int) -> np.ndarray:
        """(rows, 2) log-odds of a look-up by the habits of this hour of the day."""
        odds = []
        for table, ages in zip(self._habits[:, hour % DAY], self._ages(rows, hour), strict=True):
            seen, came = table.sum(0)
            usual = (came + 1) / (seen + 100)
            rate = (table[:, 1] + _PRIOR * usual) / (table[:, 0] + _PRIOR)
            odds.append(logit(rate)[ages])
        return np.stack(odds, axis=1)

    def _features(self, rows: np.ndarray, hour: int) -> np.ndarray:
        """(rows, 10) float32: what is known of each row at the end of ``hour`` about the hours that follow."""
        ahead = [(hour + step) % DAY for step in range(1, min(self._horizon, DAY) + 1)]
        beside = [ahead[0] - 1, (ahead[-1] + 1) % DAY]
        rhythm = self._rhythm[rows]
        return np.column_stack(
            [
                np.log1p(self._faded[rows]),
                np.log1p(rhythm[:, ahead].sum(1)),
                np.log1p(rhythm[:, beside].sum(1)),
                np.log1p((hour - self._last[rows]).astype(np.float32)),
                self._habit(rows, hour),
                np.ones(len(rows), np.float32),
            ]
        ).astype(np.float32)

    def _rows_of(self, lookups: Mapping[str, int], hour: int) -> np.ndarray:
        known = len(self._rows)
        rows = np.fromiter((self._rows.setdefault(each, len(self._rows)) for each in lookups), np.intp, len(lookups))
        if missing := max(0, len(self._rows) - len(self._last)):
            grown = max(missing, len(self._last), _GROWTH)
            self._faded = np.concatenate([self._faded, np.zeros((grown, len(_HALF_LIVES)), np.float32)])
            self._rhythm = np.concatenate([self._rhythm, np.zeros((grown, DAY), np.float32)])
            self._first = np.concatenate([self._first, np.zeros(grown, np.int64)])
            self._last = np.concatenate([self._last, np.zeros(grown, np.int64)])
        self._first[known : len(self._rows)] = hour
        return rows

    def _forget(self) -> None:
        """When there are too many, keep half of them: those that were asked for most, lately."""
        if len(self._rows) <= self._most:
            return
        kept = np.sort(np.argsort(-self._faded[: len(self._rows), -1], kind="stable")[: self._most // 2])
        names = list(self._rows)
        self._rows = {names[row]: place for place, row in enumerate(kept)}
        self._faded, self._rhythm = self._faded[kept], self._rhythm[kept]
        self._first, self._last = self._first[kept], self._last[kept]
        self._waiting.clear()  # they name rows that have moved
