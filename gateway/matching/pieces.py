"""Pieces of text lines: small templates by which two pictures of a page are laid over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from gateway.matching.proof import Proof
from gateway.matching.rules import rules_of

PIECE_AGREES = 0.6
"""Score from which a piece is where it was found."""
ASPECT = 5.0
"""Length of a piece in line heights."""
MOST_CORNERS = 120
MOST_SQUARES = 160
"""Of rules, level or upright."""
_AROUND = np.ones((5, 5), np.uint8)
_LEAST_SIDE = 6
_RULE_STEP = 3.0  # line heights
_LEAST_RANGE = 6  # grey levels between the lightest and the darkest pixel of a piece


class PieceMatches(NamedTuple):
    """Where pieces were found. ``centres``, ``shifts``: float32 (n, 2) in proof pixels; ``scores``: float32 (n,),
    the normalised correlation in -1..1. ``known``: bool (n, 2), what of the shift the piece tells: one of a rule says
    nothing of how far that slid along itself."""

    centres: np.ndarray
    shifts: np.ndarray
    scores: np.ndarray
    known: np.ndarray

    def and_(self, others: PieceMatches) -> PieceMatches:
        """These and ``others``."""
        return PieceMatches(*(np.concatenate(both) for both in zip(self, others, strict=True)))


@dataclass(frozen=True, eq=False)
class Pieces:
    """``rectangles``: int (n, 4), left, top, right, bottom in proof pixels, ``right`` and ``bottom`` exclusive."""

    rectangles: np.ndarray
    aspect: float
    proof: Proof

    @classmethod
    def of(cls, proof: Proof, aspect: float = ASPECT) -> Pieces:
        """All lines of ``proof`` cut along their longer side into pieces of about ``aspect`` line heights."""
        height, width = proof.image.shape
        found = []
        for x0, y0, x1, y1 in proof.boxes.tolist():
            along, across = x1 - x0, y1 - y0
            count = max(1, int(np.ceil(max(along, across) / (aspect * max(1.0, min(along, across))))))
            for i in range(count):
                a, b = i / count, (i + 1) / count
                left, right = (x0 + along * a, x0 + along * b) if along >= across else (x0, x1)
                top, bottom = (y0, y1) if along >= across else (y0 + across * a, y0 + across * b)
                piece = (int(max(0, left - 1)), int(max(0, top - 1)),
                         int(min(width, right + 1)), int(min(height, bottom + 1)))
                if piece[2] - piece[0] >= _LEAST_SIDE and piece[3] - piece[1] >= _LEAST_SIDE:
                    found.append(piece)
        return cls(np.array(found, np.int64).reshape(-1, 4), aspect, proof)

    def __len__(self) -> int:
        return len(self.rectangles)

    def halved(self) -> Pieces:
        """The same lines in pieces half as long."""
        return Pieces.of(self.proof, self.aspect / 2)

    def sample(self, most: int) -> np.ndarray:
        """int (m, 4): at most ``most`` rectangles, spread evenly."""
        if len(self) <= most:
            return self.rectangles
        return self.rectangles[np.linspace(0, len(self) - 1, most).astype(int)]


def corners_outside(proof: Proof) -> np.ndarray:
    """int (m, 4): squares around the corners (Shi and Tomasi, 1994) of what is drawn outside the lines of ``proof``:
    crossings and ends of rules, logos. Where there is no text, they are all that says how the paper bends."""
    height, width = proof.image.shape
    side = float(np.median(proof.text_heights))
    reach = round(max(_LEAST_SIDE, side))
    mask = np.ones((height, width), np.uint8)
    for quad in proof.quads:
        cv2.fillConvexPoly(mask, np.round(quad - 0.5).astype(np.int32), 0)
    found = cv2.goodFeaturesToTrack(proof.image, MOST_CORNERS, 0.05, 3.0 * side, mask=cv2.erode(mask, _AROUND))
    if found is None:
        return np.empty((0, 4), np.int64)
    centres = found.reshape(-1, 2).round().astype(np.int64)
    low, high = np.maximum(centres - reach, 0), np.minimum(centres + reach, [width, height])
    return np.concatenate([low, high], axis=1)


def pieces_of_rules(proof: Proof) -> tuple[np.ndarray, np.ndarray]:
    """int (m, 4) twice: squares along the level and along the upright rules of ``proof``, which show how the paper
    bends where there is no text."""
    side = float(np.median(proof.text_heights))
    rules = rules_of(proof.image, side)
    level = _squares_along(rules.level, side)
    upright = _squares_along(rules.upright.T, side)[:, [1, 0, 3, 2]]
    return level, upright


def _squares_along(rules: np.ndarray, side: float) -> np.ndarray:
    """int (m, 4): squares around points of the level ``rules`` (uint8 (h, w)), some of them apart."""
    height, width = rules.shape
    reach, step = round(max(_LEAST_SIDE, side)), round(_RULE_STEP * side)
    found = []
    for x in range(step // 2, width, max(1, step)):
        filled = np.flatnonzero(rules[:, x])
        for run in np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1) if len(filled) else ():
            found.append((x, int(run[0] + run[-1] + 1) // 2))
    centres = np.array(found, np.int64).reshape(-1, 2)
    if len(centres) > MOST_SQUARES:
        centres = centres[np.linspace(0, len(centres) - 1, MOST_SQUARES).astype(int)]
    return np.concatenate([np.maximum(centres - reach, 0), np.minimum(centres + reach, [width, height])], axis=1)


def match_pieces(
    proof: np.ndarray, seen: np.ndarray, rectangles: np.ndarray, radius: int, farther: int = 0
) -> PieceMatches:
    """Where each rectangle of ``proof`` (uint8 (h, w)) is found in ``seen`` (uint8 (h, w)) within ``radius`` pixels,
    or else within ``farther``, to a fraction of a pixel. Blank rectangles are left out; those that meet a blank place
    score 0."""
    return _match(proof, seen, rectangles, (radius, radius), (farther, farther))


def match_rules(
    proof: np.ndarray, seen: np.ndarray, rules: tuple[np.ndarray, np.ndarray], radius: int
) -> PieceMatches:
    """As :func:`match_pieces` for :func:`pieces_of_rules`, each looked for across its rule."""
    level = _match(proof, seen, rules[0], (0, radius), (0, 0))
    return level.and_(_match(proof, seen, rules[1], (radius, 0), (0, 0)))


def _match(
    proof: np.ndarray, seen: np.ndarray, rectangles: np.ndarray, radius: tuple[int, int], farther: tuple[int, int]
) -> PieceMatches:
    centres, found = [], []
    for rectangle in rectangles.tolist():
        x0, y0, x1, y1 = rectangle
        if _range(proof[y0:y1, x0:x1]) < _LEAST_RANGE:
            continue
        match = _match_piece(proof, seen, rectangle, radius)
        if match[2] <= PIECE_AGREES and farther[0] > radius[0]:
            match = max(match, _match_piece(proof, seen, rectangle, farther), key=lambda match: match[2])
        centres.append(((x0 + x1) / 2, (y0 + y1) / 2))
        found.append(match)
    shifts = np.float32(found).reshape(-1, 3)
    known = np.tile(np.array(radius) > 0, (len(shifts), 1))
    return PieceMatches(np.float32(centres).reshape(-1, 2), shifts[:, :2], shifts[:, 2], known)


def _match_piece(
    proof: np.ndarray, seen: np.ndarray, rectangle: list[int], radius: tuple[int, int]
) -> tuple[float, float, float]:
    """The shift of one piece and its score. ``radius``: pixels to either side and up and down."""
    x0, y0, x1, y1 = rectangle
    height, width = proof.shape
    left, top = max(0, x0 - radius[0]), max(0, y0 - radius[1])
    window = seen[top:min(height, y1 + radius[1]), left:min(width, x1 + radius[0])]
    # OpenCV correlates floats twice as fast as bytes.
    response = cv2.matchTemplate(np.float32(window), np.float32(proof[y0:y1, x0:x1]), cv2.TM_CCOEFF_NORMED)
    _, score, _, (mx, my) = cv2.minMaxLoc(response)
    # Where the window is constant the correlation is 0/0, which OpenCV calls 1.
    if _range(window) < _LEAST_RANGE or not np.isfinite(score):
        return 0.0, 0.0, 0.0
    return mx + _vertex(response[my], mx) + left - x0, my + _vertex(response[:, mx], my) + top - y0, score


def _range(image: np.ndarray) -> float:
    """The highest minus the lowest level."""
    low, high, _, _ = cv2.minMaxLoc(image)
    return high - low


def _vertex(values: np.ndarray, at: int) -> float:
    """Offset of the parabola's peak through three neighbours of a maximum, in -0.5..0.5."""
    if not 0 < at < len(values) - 1:
        return 0.0
    left, middle, right = float(values[at - 1]), float(values[at]), float(values[at + 1])
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < -1e-6 else 0.0
