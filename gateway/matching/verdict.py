"""The verdict: is this page the document that the proof was made of?

When in doubt it is not. Whatever cannot be seen, fails or is not a finite number counts against the match.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import cv2
import numpy as np

from gateway.matching.align import Alignment, align
from gateway.matching.coarse import NotAligned
from gateway.matching.compare import Comparison, compare
from gateway.matching.paper import Paper, paper_of
from gateway.matching.photographed import photographed_sheet, shown_on
from gateway.matching.proof import Proof
from gateway.matching.query import Query
from gateway.matching.surroundings import INK_BEYOND, has_colour_only_ink, ink_beyond_frame, rows_around
from gateway.matching.suspects import boxes_of, can_be_read, legible

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a line or a page counts as different. Measured on drawn documents (``benchmarks/matching``)."""

    limit_factor: float = 1.8
    """A line without ideographs is doubtful when its residual exceeds this times the page's 75th percentile ..."""
    least_limit: float = 0.12
    """... but never below this: clean copies reach it. Lower: more lines of true copies are read again ..."""
    most_limit: float = 0.14
    """... and always above this: changed digits leave .24 and more where they can be seen at all, but 0 and O of one
    typeface as little as .15 in small photographs. Higher: more lines of poor photographs are taken from the record,
    with less of a margin."""
    ideograph_factor: float = 1.5
    least_ideograph_limit: float = 0.10
    most_ideograph_limit: float = 0.10
    """The same three for lines with ideographs: 未 and 末, 日 and 曰 leave .16 to .3, from aside now and then .11."""
    visible_share: float = 0.48
    visible_ideograph_share: float = 0.38
    """A line's limit is at most this share of what a decimal point of its size leaves in this capture, without and with
    ideographs. A point that becomes a comma leaves .58 of that and more, a short stroke of an ideograph .46."""
    least_visible_limit: float = 0.08
    """A line whose limit from what can be seen would come out below this is too blurred: noise alone exceeds it."""
    least_visible_ideograph_ink: float = 0.065
    """The same for that limit times the line's contrast, with ideographs: noise is as strong in pale print as in dark.
    In small pale print 未 and 末 leave less than the proof's codec does; digits leave four times as much."""
    least_height: float = 10.0
    """Height of a line's ink in the proof, pixels, below which its characters cannot be told apart."""
    least_query_height: float = 7.0
    least_query_ideograph_height: float = 9.0
    """Height of a line's ink in the query, pixels, below which it cannot be trusted, without and with ideographs."""
    least_contrast: float = 0.08
    """Ink range of a line relative to the page's median, below which noise hides a change."""
    most_outside: float = 0.20
    """Ink outside all lines that only one of the two pictures has, relative to the page's ink range. Higher: paler
    marks, stamps and creases are overlooked. Lower: more true copies on creased paper are refused."""
    wary_limit: float = 0.10
    wary_ideograph_limit: float = 0.08
    """What a line must stay below, without and with ideographs, to be reused on a page that turned out to be another
    document. Fixed: the noise of a page that differs says nothing about how well its lines agree."""
    alike_limit: float = 0.115
    """What a line must stay below to count as unchanged where the share of changed lines is taken."""
    doubtful_share: float = 1.0
    """With a larger share of doubtful lines, the page is another one. All may be doubtful: reading them in known places
    is still cheaper than finding them."""
    clear_difference: float = 0.35
    differing_share: float = 1 / 3
    """Stroke residual from which a line holds another text rather than a poor picture of the same, and the largest
    share of such lines: with more, the page is another filling, and lines may lie elsewhere."""
    altered_limits: float = 1.9
    altered_noise: float = 3.5
    """A line is altered when its residual exceeds this many times the page's limit and this many times its median. Poor
    pictures of a line stay below 1.4 and 2.7; strokes, dots and other characters leave 1.7 and 4.6 and more."""


DEFAULT_THRESHOLDS = Thresholds()

_KANA, _LAST_HALFWIDTH = "\u3041", "\uffdc"
_FULLWIDTH, _LAST_FULLWIDTH = "\uff00", "\uff65"  # digits, letters and signs
_EXTENSION_B = "\U00020000"


@dataclass(frozen=True, eq=False)
class Verdict:
    """
    ``kind``: ``same``: every line of the record is on the page. ``doubtful``: the page agrees, but the lines
    ``doubtful`` (indices) and the places ``suspects`` must be read. ``different``: anything else.
    ``wary``: ``doubtful`` and the lines that must be read as well once a line reads otherwise than recorded: the page
    then is another document, and only what agrees under a strict, fixed limit may be taken from the record.
    ``altered``: lines that hold something else than the record's, whatever they read as: a struck-out figure, a dot, a
    character that readers take for another.
    ``suspects``: float32 (k, 4, 2), places on the page, in its pixels, where pale marks stand like print that the
    record does not know; they must be read, and hold nothing.
    ``boxes``: float32 (n, 4, 2), the record's lines in pixels of the page; empty (0, 4, 2) when not aligned.
    ``reasons``: slugs for logs and metrics, why it is not (certainly) the same.
    ``residuals``: float32 (n,), the stroke residual of each line; ``limit``: what they were held against.
    ``figures``: further measurements by name, for logs.
    """

    kind: Literal["same", "doubtful", "different"]
    doubtful: tuple[int, ...] = ()
    wary: tuple[int, ...] = ()
    altered: tuple[int, ...] = ()
    suspects: np.ndarray = field(default_factory=lambda: np.empty((0, 4, 2), np.float32))
    boxes: np.ndarray = field(default_factory=lambda: np.empty((0, 4, 2), np.float32))
    reasons: tuple[str, ...] = ()
    residuals: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    limit: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


def verify(
    proof: Proof,
    page: np.ndarray | Query,
    texts: Sequence[str] | None = None,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Verdict:
    """Compare ``page`` (uint8 RGB (h, w, 3), or prepared once for several proofs) with ``proof``. Never raises.

    ``texts``: the record's text of each line, in the proof's order; lines with ideographs are held to a tighter limit
    than those of digits and letters. Without it all lines are.
    """
    try:
        with np.errstate(all="ignore"):
            return _verify(proof, page, texts, thresholds)
    except NotAligned as error:
        return Verdict("different", reasons=(error.reason,))
    except (cv2.error, ArithmeticError, ValueError, IndexError, MemoryError, np.linalg.LinAlgError) as error:
        # A comparison that breaks down has seen nothing. The message could quote pixels; its type says enough.
        log.warning("verification failed: %s", type(error).__name__)
        return Verdict("different", reasons=("failed",))


def _verify(proof: Proof, page: np.ndarray | Query, texts: Sequence[str] | None, thresholds: Thresholds) -> Verdict:
    if len(proof.quads) == 0:
        return Verdict("different", reasons=("no-lines",))
    if texts is not None and len(texts) != len(proof.quads):
        return Verdict("different", reasons=("inconsistent-record",))
    query = page if isinstance(page, Query) else Query(page)
    alignment = align(proof, query)
    verdict = _verdict(proof, query, alignment, paper_of(proof, alignment), texts, thresholds)
    if verdict.kind == "same" or (sheet := photographed_sheet(proof, alignment)) is None:
        return verdict
    # Another picture of the sheet shows something else around it, and the picture itself, sent again, the same.
    alone = shown_on(sheet, alignment, float(np.median(proof.text_heights)))
    return min(verdict, _verdict(proof, query, alone, sheet, texts, thresholds), key=_doubts)


def _doubts(verdict: Verdict) -> float:
    """How many boxes must be read before the page is known to be the document."""
    return float("inf") if verdict.kind == "different" else len(verdict.doubtful) + len(verdict.suspects)


def _verdict(
    proof: Proof, query: Query, alignment: Alignment, paper: Paper, texts: Sequence[str] | None, thresholds: Thresholds
) -> Verdict:
    comparison = compare(proof, alignment, paper)
    if comparison is None:
        return Verdict("different", reasons=("no-ink",))
    beyond = ink_beyond_frame(proof, query, alignment, paper, comparison.typical)
    around = rows_around(proof, query, alignment, paper, comparison.typical)
    limits = line_limits(comparison, texts, thresholds)
    boxes = boxes_in_page(proof.quads, query, alignment)
    scale = alignment.query_scale / query.scale
    within, around = legible(comparison.rows, scale), legible(around, 1 / query.scale)
    suspects = np.concatenate([boxes_in_page(boxes_of(within), query, alignment), boxes_of(around) / query.scale])
    reasons = page_reasons(comparison, beyond, has_colour_only_ink(proof, query, alignment), thresholds)
    if not can_be_read([*within, *around]):
        reasons.append("many-marks")
    numbers = (comparison.residual, comparison.contrast, comparison.visibility, limits.same, boxes, suspects)
    if not all(np.isfinite(values).all() for values in numbers):
        reasons.append("not-finite")
    doubts = line_doubts(proof, comparison, scale, limits, thresholds)
    doubtful = np.flatnonzero(np.any(list(doubts.values()), axis=0))
    wary = np.union1d(doubtful, np.flatnonzero(~(comparison.residual <= limits.strict)))
    altered = altered_lines(comparison.residual, float(limits.same.max()), thresholds)
    differing = int((comparison.residual > thresholds.clear_difference).sum())
    if not agrees_as_a_whole(len(proof.quads), len(doubtful), differing, thresholds):
        reasons.append("too-many-doubtful")
    kind: Literal["same", "doubtful", "different"] = "same"
    if reasons:
        kind = "different"
    elif len(doubtful) or len(suspects):
        kind = "doubtful"
    reasons += [reason for reason, lines in doubts.items() if lines.any()]
    reasons += ["marks-outside"] * (len(suspects) > 0)
    return Verdict(
        kind,
        tuple(doubtful.tolist()) if kind == "doubtful" else (),
        tuple(wary.tolist()) if kind == "doubtful" else (),
        tuple(altered.tolist()) if kind == "doubtful" else (),
        suspects,
        boxes,
        tuple(reasons),
        comparison.residual,
        float(limits.same.max()),
        {"agreement": alignment.agreement, "scale": alignment.query_scale, "outside": comparison.outside,
         "beyond": beyond, "doubtful": float(len(doubtful)), "visibility": float(comparison.visibility.min())},
    )


class Limits(NamedTuple):
    """Stroke residuals, float32 (n,) each. ``same``: what a line may have to be the same, from the page's own noise.
    ``strict``: what it may have to be reused on a page that is another document. ``visible``: what the smallest change
    would exceed; neither of the others is above it. ``least_visible``: what ``visible`` must reach. ``height``: pixels
    that its ink must measure in the query."""

    same: np.ndarray
    strict: np.ndarray
    visible: np.ndarray
    least_visible: np.ndarray
    height: np.ndarray


def line_limits(comparison: Comparison, texts: Sequence[str] | None, thresholds: Thresholds) -> Limits:
    """What every line is held against; ``texts`` as in :func:`verify`."""
    noise = float(np.percentile(comparison.residual, 75))
    plain = min(thresholds.most_limit, max(thresholds.least_limit, thresholds.limit_factor * noise))
    tight = min(thresholds.most_ideograph_limit,
                max(thresholds.least_ideograph_limit, thresholds.ideograph_factor * noise))
    count = len(comparison.residual)
    ideographs = np.array([True] * count if texts is None else [has_ideographs(text) for text in texts], bool)
    visible = comparison.visibility * np.where(
        ideographs, thresholds.visible_ideograph_share, thresholds.visible_share)
    same = np.minimum(np.where(ideographs, tight, plain), visible)
    strict = np.minimum(same, np.where(ideographs, thresholds.wary_ideograph_limit, thresholds.wary_limit))
    height = np.where(ideographs, thresholds.least_query_ideograph_height, thresholds.least_query_height)
    pale = thresholds.least_visible_ideograph_ink / np.maximum(comparison.contrast, thresholds.least_contrast)
    seen = np.maximum(thresholds.least_visible_limit, np.where(ideographs, pale, 0))
    return Limits(*(limits.astype(np.float32) for limits in (same, strict, visible, seen, height)))


def altered_lines(residual: np.ndarray, limit: float, thresholds: Thresholds) -> np.ndarray:
    """int (m,): the lines whose ``residual`` (n,) no poor picture explains. ``limit``: the page's largest."""
    least = thresholds.altered_limits * limit
    # The median of one or two lines is no noise: an altered line is half of it itself.
    if len(residual) > 2:
        least = max(least, thresholds.altered_noise * float(np.median(residual)))
    return np.flatnonzero(residual > least)


def has_ideographs(text: str) -> bool:
    """Whether ``text`` holds a CJK ideograph (or a kana or hangul syllable, which have twins as well)."""
    return any(
        (_KANA <= character <= _LAST_HALFWIDTH and not _FULLWIDTH <= character <= _LAST_FULLWIDTH)
        or character >= _EXTENSION_B
        for character in text
    )


def page_reasons(comparison: Comparison, beyond: float, colour_only: bool, thresholds: Thresholds) -> list[str]:
    """Slugs of what makes the whole page another one."""
    found = {
        "negative": comparison.negative,
        "cut": bool(comparison.cut.any()),
        "ink-outside": not comparison.outside <= thresholds.most_outside,
        "ink-beyond-frame": not beyond <= INK_BEYOND,
        "colour-only-ink": colour_only,
    }
    return [slug for slug, applies in found.items() if applies]


def line_doubts(
    proof: Proof, comparison: Comparison, page_scale: float, limits: Limits, thresholds: Thresholds
) -> dict[str, np.ndarray]:
    """By slug, bool (n,): the lines that it makes doubtful. ``page_scale``: page pixels per proof pixel."""
    heights = proof.text_heights
    return {
        "line-differs": ~(comparison.residual <= limits.same),
        "too-small": ~((heights >= thresholds.least_height) & (heights * page_scale >= limits.height)),
        "too-pale": ~(comparison.contrast >= thresholds.least_contrast),
        "too-blurred": ~(limits.visible >= limits.least_visible),
    }


def agrees_as_a_whole(lines: int, doubtful: int, differing: int, thresholds: Thresholds) -> bool:
    """Whether ``doubtful`` of ``lines`` lines, ``differing`` clearly, leave the page the same form in the same place,
    so that reading lines again can settle the matter."""
    return doubtful <= thresholds.doubtful_share * lines and differing <= thresholds.differing_share * lines


def boxes_in_page(boxes: np.ndarray, query: Query, alignment: Alignment) -> np.ndarray:
    """float32 (n, 4, 2): ``boxes`` (n, 4, 2) of the proof, in pixels of the query's page."""
    points = alignment.to_query(boxes.reshape(-1, 2) - 0.5) + 0.5
    return (points / query.scale).reshape(-1, 4, 2).astype(np.float32)
