"""Whether an answer is right: line by line, against what was drawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from benchmarks.matching.documents.page import Document, ink_box, line_boxes, marks_mask

_SAME_PLACE = 0.4  # intersection over union of two lines' boxes
_LEAST_MARKED = 3  # pixels of a line that a mark must cover to touch it


@dataclass(frozen=True)
class Faults:
    """What is wrong with taking a record's lines for a page.

    ``reused``: record lines whose text is not what the page shows there. ``unseen``: lines or marks of the page that no
    line of the record accounts for.
    """

    reused: tuple[int, ...]
    unseen: int

    def __bool__(self) -> bool:
        return bool(self.reused or self.unseen)


def faults(record: Document, page: Document, reused: Collection[int], reread: Collection[int]) -> Faults:
    """What is wrong with an answer for ``page`` that takes lines ``reused`` from ``record`` and reads ``reread`` anew.

    Both are laid out in the same coordinates. A line that is read anew counts as right: that is the reader's business.
    But a box that is read anew only shows what lies inside it.
    """
    partner = _partners(line_boxes(record), line_boxes(page))
    marked = _marked_lines(page) - _marked_lines(record)
    wrong = tuple(
        i for i in reused
        if partner[i] is None or record.runs[i].text != page.runs[partner[i]].text or partner[i] in marked
    )
    answered = {partner[i] for i in (*reused, *reread)} - {None}
    unseen = len(page.runs) - len(answered)
    for i in reread:
        number = partner[i]
        if number is not None and _reaches_beyond(ink_box(page.runs[number]), line_boxes(record)[i]):
            unseen += 1
    if page.marks != record.marks and not marked:
        unseen += 1  # on blank paper
    return Faults(wrong, unseen)


def _partners(lines: np.ndarray, others: np.ndarray) -> list[int | None]:
    """For each of ``lines`` (n, 4, 2), upright boxes, the one of ``others`` (m, 4, 2) in the same place."""
    if not len(others):
        return [None] * len(lines)
    a, b = lines[:, None, [0, 2]], others[None, :, [0, 2]]
    sides = np.clip(np.minimum(a[:, :, 1], b[:, :, 1]) - np.maximum(a[:, :, 0], b[:, :, 0]), 0, None)
    shared = sides.prod(axis=2)
    areas = [np.prod(box[..., 1, :] - box[..., 0, :], axis=-1) for box in (a, b)]
    ratio = shared / (areas[0] + areas[1] - shared)
    best = ratio.argmax(axis=1)
    return [int(j) if ratio[i, j] >= _SAME_PLACE else None for i, j in enumerate(best)]


def _marked_lines(document: Document) -> set[int]:
    """Indices of the lines that a mark touches."""
    if not document.marks:
        return set()
    mask = marks_mask(document)
    touched = set()
    for index, run in enumerate(document.runs):
        x0, y0, x1, y1 = (max(0, round(value)) for value in ink_box(run))
        if mask[y0:y1, x0:x1].sum() >= _LEAST_MARKED:
            touched.add(index)
    return touched


def _reaches_beyond(ink: tuple[float, float, float, float], box: np.ndarray) -> bool:
    """Whether a line's ``ink`` is longer than ``box`` (4, 2) shows, by more than a quarter of its height."""
    play = 0.25 * (ink[3] - ink[1])
    return ink[0] < box[0, 0] - play or ink[2] > box[2, 0] + play
