"""Generated text lines: the only images the recogniser learns from.

Line number ``i`` of seed ``s`` is a pure function of ``(s, i)`` and of the installed fonts and word lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import cv2
import numpy as np
from PIL import Image, ImageDraw

from worker.charset import Charset
from worker.training.capture import captured, wobble
from worker.training.fonts import Face, Fonts
from worker.training.texts import Texts

HAND_SHARE = 0.14
"""Share of the lines that are drawn as if written by hand."""


@dataclass(frozen=True, slots=True)
class GeneratedLine:
    """uint8 grey ``image`` (h, w) and what it says; ``kind`` names the text's and the drawing's kind."""

    image: np.ndarray
    text: str
    kind: str


class LineGenerator:
    """Lines of a character set. ``fresh`` characters occur often; ``fonts`` are searched in ``extra`` folders too."""

    def __init__(self, charset: Charset, seed: int, fresh: str = "", extra: tuple[Path, ...] = ()) -> None:
        self.seed = seed
        self.texts = Texts(charset, fresh)
        self.fonts = Fonts(extra)

    def line(self, number: int, intensity: float | None = None) -> GeneratedLine:
        """Line ``number``; ``intensity`` 0..1 scales how often faults occur (0: a clean print; not given: mixed)."""
        random = Random(f"{self.seed}/{number}")
        drawn = random.triangular(0, 1, 0.6)
        intensity = drawn if intensity is None else intensity
        while True:
            kind, text = self.texts.draw(random)
            hand = kind in ("prose", "rare", "traditional", "words") and random.random() < HAND_SHARE / 0.39
            face = self.fonts.draw(random, text, hand)
            if face is None:
                continue
            mask, box = _inked(random, self, text, face, hand or face.style == "hand")
            if box[2] - box[0] < 3 or box[3] - box[1] < 2:  # a lone space-like character: nothing to see
                continue
            mask = _cropped(random, mask, box, intensity)
            image = captured(random, mask, intensity)
            return GeneratedLine(image, text, f"{kind}-hand" if hand else kind)

    def lines(self, start: int, count: int, intensity: float | None = None) -> Iterator[GeneratedLine]:
        """Lines ``start`` to ``start + count - 1``."""
        for number in range(start, start + count):
            yield self.line(number, intensity)


def _inked(
    random: Random, generator: LineGenerator, text: str, face: Face, hand: bool
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The ink mask of a line with room around it, and the text's box (x0, y0, x1, y1) in it."""
    size = random.randint(26, 46)
    font = face.at(size)
    room = size
    loose = hand or random.random() < 0.15
    if loose:
        places, x = [], float(room)
        tracking = random.uniform(-0.06, 0.12) * size if hand else random.uniform(-0.04, 0.5) * size
        for character in text:
            places.append((x, character))
            x += font.getlength(character) + tracking + (random.gauss(0, 0.03) * size if hand else 0)
        width = int(x) + 2 * room
    else:
        places, width = [(float(room), text)], int(font.getlength(text)) + 3 * room
    ascent, descent = font.getmetrics()
    canvas = Image.new("L", (max(width, 3 * room), ascent + descent + 2 * room))
    pen = ImageDraw.Draw(canvas)
    for x, piece in places:
        drop = random.gauss(0, 0.035) * size if hand else 0
        if hand and random.random() < 0.6:
            sized = face.at(max(12, round(size * random.uniform(0.85, 1.12))))
            pen.text((x, room + drop), piece, 255, sized)
        else:
            pen.text((x, room + drop), piece, 255, font)
    box = canvas.getbbox() or (0, 0, 0, 0)
    if random.random() < 0.5 and not hand:  # the box that a reader of the layout would draw, not the ink's own
        box = (box[0], min(box[1], room + ascent // 6), box[2], max(box[3], room + ascent))
    if random.random() < 0.22:
        _neighbours(random, generator, pen, face, size, box)
    if random.random() < 0.1:
        _rules(random, pen, box, size)
    mask = np.asarray(canvas)
    if hand:
        mask = wobble(random, mask, random.uniform(0.03, 0.11) * size)
    elif random.random() < 0.06:
        mask = wobble(random, mask, random.uniform(0.01, 0.05) * size)
    return mask, box


def _neighbours(
    random: Random,
    generator: LineGenerator,
    pen: ImageDraw.ImageDraw,
    face: Face,
    size: int,
    box: tuple[int, int, int, int],
) -> None:
    """Lines above and below, close enough to peek in."""
    height = box[3] - box[1]
    for direction in random.choice(((-1,), (1,), (-1, 1))):
        text = generator.texts.charset.known(generator.texts.draw(random)[1])
        if face.covers(text):
            pitch = direction * height * random.uniform(1.12, 1.5)
            pen.text((box[0] + random.uniform(-2, 2) * size, box[1] + pitch - 0.2 * size), text, 255, face.at(size))


def _rules(random: Random, pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], size: int) -> None:
    """Underlines and the ruling of tables."""
    thick = random.choice((1, 1, 2, 3))
    gap = random.uniform(0.03, 0.25) * size
    tone = random.randint(120, 255)
    if random.random() < 0.8:
        y = box[3] + gap
        pen.line((box[0] - size, y, box[2] + size, y), tone, thick)
    if random.random() < 0.3:
        y = box[1] - gap
        pen.line((box[0] - size, y, box[2] + size, y), tone, thick)
    for x in (box[0] - gap * 2, box[2] + gap * 2):
        if random.random() < 0.3:
            pen.line((x, 0, x, 4 * size), tone, thick)


def _cropped(random: Random, mask: np.ndarray, box: tuple[int, int, int, int], intensity: float) -> np.ndarray:
    """The crop a detector would cut: tight or loose, a little turned, sheared, in perspective, wider or narrower."""
    x0, y0, x1, y1 = map(float, box)
    height = y1 - y0
    width = x1 - x0
    slack = 0.1 if random.random() < 0.55 else 0.35
    top, bottom = (random.uniform(-0.03, slack) * height for _ in range(2))
    left, right = (random.uniform(-0.04, 0.2 if random.random() < 0.7 else 1.0) * height for _ in range(2))
    corners = np.array(
        [[x0 - left, y0 - top], [x1 + right, y0 - top], [x1 + right, y1 + bottom], [x0 - left, y1 + bottom]], np.float32
    )
    if random.random() < 0.55 * intensity:
        turn = random.gauss(0, 0.9) if width > 6 * height else random.gauss(0, 2.5)
        slope = np.tan(np.radians(np.clip(turn, -8, 8))) * (width / 2)
        slope = float(np.clip(slope, -0.35 * height, 0.35 * height))
        corners[[0, 3], 1] -= slope
        corners[[1, 2], 1] += slope
        grow = abs(slope) * random.uniform(0.3, 1.0)
        corners[:2, 1] -= grow
        corners[2:, 1] += grow
    if random.random() < 0.3 * intensity:
        shear = random.uniform(-0.3, 0.3) * height
        corners[:2, 0] += shear
        corners[[0, 3], 0] -= abs(shear) / 2
        corners[[1, 2], 0] += abs(shear) / 2
    if random.random() < 0.25 * intensity:
        corners += np.array([[random.uniform(-0.16, 0.16) * height for _ in range(2)] for _ in range(4)], np.float32)
    out_height = round(height + top + bottom)
    squeeze = random.uniform(0.72, 1.3) if random.random() < 0.4 * intensity else 1.0
    out_width = max(4, round((width + left + right) * squeeze))
    target = np.array([[0, 0], [out_width, 0], [out_width, out_height], [0, out_height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    return cv2.warpPerspective(mask, matrix, (out_width, max(4, out_height)), flags=cv2.INTER_LINEAR)
