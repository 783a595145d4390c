"""The characters of a line one by one: where each stands, and what else a doubtful one may be.

A CTC network says a character at one step, about its middle (the peak); where it begins and ends is between its
neighbours' peaks.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from worker.charset import BLANK, Charset
from worker.ctc import Decoded
from worker.types import Character

DOUBTFUL = 0.9
"""A character with a probability under this has alternatives, if any is likely."""
MOST_ALTERNATIVES = 3
WIDEST = 4.0
"""Time steps on each side of a peak that a character has at most; no character is wider than the line is high."""


def characters_of(
    decoded: Decoded, classes: np.ndarray, values: np.ndarray, charset: Charset, length: float
) -> tuple[Character, ...]:
    """The characters of ``decoded``.

    ``classes`` and ``values`` (T, n) are the likely classes of each step and their log-probabilities, as
    :func:`worker.ctc.likely` gives them; ``length`` is that of the line in time steps, which is fewer than ``T`` for a
    line that was padded.
    """
    peaks = [step + 0.5 for step in decoded.steps]
    edges = [(one + other) / 2 for one, other in pairwise(peaks)]
    characters = []
    for number, (index, score) in enumerate(zip(decoded.indices, decoded.probabilities, strict=True)):
        peak, step = peaks[number], decoded.steps[number]
        start = max(peak - WIDEST, edges[number - 1] if number else 0.0)
        end = min(peak + WIDEST, edges[number] if number < len(edges) else length)
        shares = (round(min(1.0, max(0.0, edge / length)), 4) for edge in (start, end))
        others = _alternatives(index, classes[step], values[step], charset) if score < DOUBTFUL else ()
        characters.append(Character(charset.decode([index]), score, *shares, others))
    return tuple(characters)


def _alternatives(
    index: int, classes: np.ndarray, values: np.ndarray, charset: Charset
) -> tuple[tuple[str, float], ...]:
    others = [
        (charset.decode([other]), math.exp(value))
        for other, value in zip(classes.tolist(), values.tolist(), strict=True)
        if value > -math.inf and other not in (BLANK, index)
    ]
    return tuple(sorted(others, key=lambda other: -other[1])[:MOST_ALTERNATIVES])
