"""What a reading is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_READER = "crnn"
"""The name of this package's own recogniser in a reading."""
SECOND_READER = "ppocr"
"""The name of the recogniser that reads doubtful lines again."""


@dataclass(frozen=True, slots=True)
class LineReading:
    """The text of one line crop.

    ``score`` is in 0..1: the minimum over the characters' probabilities, so it falls when any character is doubtful.
    An empty text has the score 0.0. ``reader`` names the recogniser whose reading this is.
    """

    text: str
    score: float
    reader: str = FIRST_READER


Box = tuple[tuple[float, float], ...]
"""Four corners ``(x, y)`` in page pixels, clockwise from the top-left of the text."""

Found = Callable[[list[Box]], None]
"""Is told where a page's lines are, in reading order, before they are read. What is read may be fewer of them, and one
may begin at another of its corners."""


@dataclass(frozen=True, slots=True)
class Line:
    """One text line of a page: its reading and where it stands."""

    text: str
    score: float
    box: Box
    reader: str = FIRST_READER
