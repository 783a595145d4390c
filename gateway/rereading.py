"""What reading lines again settles: whether a page is the known document, a corrected version of it, or neither.

A line that is read again takes its text from the new page, so it is as safe as in a full reading. Only the lines that
are *not* read again are taken on trust, and once one line differs the page is another document: then all lines that do
not agree under a strict limit of their own (:attr:`gateway.matching.Verdict.wary`) are read, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from gateway.record import PageLine
from worker.types import Box, LineReading

MOST_CHANGED = 1 / 3
"""With a larger share of changed lines, the page is another filling of the form: its lines may lie elsewhere."""
LEAST_SCORE = 0.5
"""A line that holds other text, read with less confidence, may not fit the box that the old text had."""

LEAST_PRINT = ((1, 0.85), (2, 0.6), (3, 0.25))
"""Characters and score from which something outside the lines is print. Folds, shadows and grain read as one or two
characters, or as several with a score of .1 to .3; print of 8 pixels in a photograph as .25 and more, if at all."""
STROKES = frozenset("1Il|丨/\\一二-—_=.,'`·。、丶+TLFHJ十丁卜工")
"""Characters that a fold, a speck, or the ends and crossings of rules read as; one alone is no print, however sure."""


@dataclass(frozen=True, slots=True)
class Settled:
    """``lines``: all lines of the page, in the record's order. ``reread`` of them were read, ``changed`` have another
    text than the record."""

    lines: tuple[PageLine, ...]
    reread: int
    changed: int


def settle(
    lines: Sequence[PageLine],
    doubtful: Sequence[int],
    wary: Sequence[int],
    altered: Collection[int],
    suspects: Sequence[Box],
    alike: Collection[int],
    read: Callable[[list[Box]], list[LineReading]],
) -> Settled | None:
    """Read the ``doubtful`` of ``lines`` (the record's texts, the new page's boxes), and when one of them has changed
    all that are ``wary``. ``None`` when only a full reading can tell what the page holds.

    ``doubtful``, ``wary``, ``altered``, ``alike`` are indices. ``altered``: lines whose pixels hold something else, not
    a poor picture of the same. One that reads as recorded all the same (a figure is struck out, a look-alike taken for
    its twin) is a contradiction, and one that reads poorly may not fit the old box. In the rest, a poor reading is that
    of a poor picture, which a full reading would make as well. ``alike``: lines whose pixels agree as far as they can
    be seen; that they read differently does not make the page another filling of the form. ``suspects``: places outside
    the lines where something stands like print; what reads as text there is text that the record does not know.

    ``read``: the text in each of some boxes, in their order. It is asked twice at most, and for no box twice.
    """
    readings: dict[int, LineReading] = {}
    for numbers, places in ((sorted(doubtful), suspects), (sorted({*wary} - {*doubtful}), ())):
        if numbers or places:
            found = read([lines[number].box for number in numbers] + [*places])
            readings.update(zip(numbers, found[:len(numbers)], strict=True))
            # Strictly: a place that was not read is not one without print.
            if any(is_print(reading) for _, reading in zip(places, found[len(numbers):], strict=True)):
                return None
        changed = [number for number, reading in readings.items() if reading.text != lines[number].text]
        other = {*changed} - {*alike}
        if len(other) > MOST_CHANGED * len(lines) or len(changed) == len(lines):
            return None
        if any(not readings[number].text.strip() for number in changed):
            return None
        if any(number not in changed or readings[number].score < LEAST_SCORE for number in {*altered} & {*readings}):
            return None
        if not changed:
            break
    return Settled(
        tuple(
            _as_read(line, readings[number]) if number in readings else line
            for number, line in enumerate(lines)
        ),
        reread=len(readings),
        changed=len(changed),
    )


def is_print(reading: LineReading) -> bool:
    """Whether this is the reading of print, however poor, rather than of a fold, a shadow's edge or grain."""
    text = reading.text.replace(" ", "")
    return text not in STROKES and any(
        len(text) >= characters and reading.score >= score for characters, score in LEAST_PRINT)


def _as_read(line: PageLine, reading: LineReading) -> PageLine:
    return replace(
        line, text=reading.text, score=reading.score, reader=reading.reader, characters=reading.characters
    )
