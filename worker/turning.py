"""Which way up a page is: a few of its lines are read each way, and the scores vote.

A recogniser reads a line that stands on its head with scores of .1 to .3, the same line upright with .5 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from worker.types import LineReading

# A line this many times as long as high says which way it runs; of those the longest vote, up to LONG_ENOUGH, beyond
# which a line only takes longer to read.
ELONGATED = 2.0
LONG_ENOUGH = 10.0
VOTERS = 5
FIRST_VOTERS = 3
# A median score from which a page is the right way up beyond doubt, so that most pages cost FIRST_VOTERS lines only.
SURE = 0.5
# How much likelier a line has to be the other way round.
MARGIN = 0.2


Read = Callable[[Sequence[np.ndarray]], Sequence[LineReading]]
"""Reads the lines in quads ``(4, 2)`` of a page, one reading each, in the order given."""


def turned(quads: np.ndarray, quarters: int) -> np.ndarray:
    """Quads ``(..., 4, 2)`` whose text begins ``quarters`` corners further on, clockwise from the top-left: 1 for text
    that runs down, 2 for text on its head, 3 for text that runs up."""
    return np.roll(quads, -quarters, axis=-2)


def page_turn(quads: np.ndarray, read: Read) -> int:
    """How the text of a page stands, in quarter turns clockwise: 0 to 3, as :func:`turned` wants it.

    ``quads`` are float32 ``(n, 4, 2)``: corners clockwise from the top-left of the page. 0 where the lines disagree or
    there are none.
    """
    across = np.linalg.norm(quads[:, 1] - quads[:, 0], axis=1)
    down = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
    shape = np.maximum(across, down) / np.maximum(np.minimum(across, down), 1)
    tall = down > across
    long = shape >= ELONGATED
    mostly_tall = down[long & tall].sum() > across[long & ~tall].sum()
    voters = np.flatnonzero(long & (tall == mostly_tall))
    voters = voters[np.argsort(-np.minimum(shape[voters], LONG_ENOUGH), kind="stable")][:VOTERS]
    if not voters.size:
        return 0

    def scores(chosen: np.ndarray, quarters: int) -> np.ndarray:
        return np.array([reading.score for reading in read(list(turned(quads[chosen], quarters)))])

    if not mostly_tall and np.median(scores(voters[:FIRST_VOTERS], 0)) >= SURE:
        return 0
    ways = (0, 1, 3) if mostly_tall else (0, 2)
    ballots = np.array([scores(voters, way) for way in ways])
    ballots[0] += MARGIN
    votes = np.bincount(ballots.argmax(0), minlength=len(ways))
    elected = int(votes.argmax())
    return ways[elected] if 2 * votes[elected] > len(voters) else 0
