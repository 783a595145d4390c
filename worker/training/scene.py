"""Generated words as street scenes have them: on signs, walls and packages, seen by a camera that had no time.

As in :mod:`worker.training.lines`, line number ``i`` of seed ``s`` is a pure function of ``(s, i)`` and of the
installed fonts and word lists.
"""

from __future__ import annotations

from random import Random

import cv2
import numpy as np
from PIL import Image, ImageDraw

from worker.training import capture
from worker.training.fonts import Face
from worker.training.lines import GeneratedLine, LineGenerator

STYLES = {"sign": 3, "latin": 1, "hanzi": 1}
"""Weights of the fonts' styles for words in ASCII."""


class SceneGenerator:
    """Scene lines with the texts, the fonts and the seed of ``lines``."""

    def __init__(self, lines: LineGenerator) -> None:
        self._lines = lines

    def line(self, number: int) -> GeneratedLine:
        """Scene line ``number``."""
        random = Random(f"scene/{self._lines.seed}/{number}")
        while True:
            text = self._text(random)
            face = self._face(random, text)
            if face is None:
                continue
            mask = _warped(random, _lettered(random, text, face))
            if min(mask.shape) >= 4:
                return GeneratedLine(_seen(random, mask), text, "scene")

    def _text(self, random: Random) -> str:
        texts = self._lines.texts
        kind = random.random()
        if kind < 0.72:
            text = texts.words(random)
        elif kind < 0.82:
            text = texts.english(random)
        elif kind < 0.9:
            text = texts.prose(random)[:10]
        elif kind < 0.94:
            text = texts.expand(random, "plate")
        else:
            text = texts.expand(random, random.choice(("phone", "time", "percent", "amount", "address", "company")))
        return " ".join(texts.charset.known(text).split())[:24].strip()

    def _face(self, random: Random, text: str) -> Face | None:
        if not text:
            return None
        styles = STYLES if text.isascii() else {"hanzi": 1, "hand": 0.2}
        style = random.choices(tuple(styles), tuple(styles.values()))[0]
        faces = [face for face in self._lines.fonts.faces if face.style == style and face.covers(text)]
        return random.choice(faces) if faces else None


def _lettered(random: Random, text: str, face: Face) -> np.ndarray:
    """The ink mask of a word with much room around it; the letters widely or closely set."""
    size = random.randint(30, 52)
    font = face.at(size)
    tracking = random.uniform(-0.04, 0.3) * size if random.random() < 0.4 else 0.0
    places, x = [], 1.5 * size
    for character in text:
        places.append(x)
        x += font.getlength(character) + tracking
    canvas = Image.new("L", (int(x + 1.5 * size), 3 * size))
    pen = ImageDraw.Draw(canvas)
    if tracking:
        for x, character in zip(places, text, strict=True):
            pen.text((x, size), character, 255, font)
    else:
        pen.text((places[0], size), text, 255, font)
    mask = np.asarray(canvas)
    if random.random() < 0.3:
        grown = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (random.choice((2, 3)),) * 2)
        mask = cv2.dilate(mask, grown)
    return mask


def _warped(random: Random, mask: np.ndarray) -> np.ndarray:
    """Bent, turned, sheared, in perspective, and cropped as a detector would crop it. Empty where there is no ink."""
    if random.random() < 0.25:
        mask = _bent(random, mask)
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return mask[:0]
    x0, x1, y0, y1 = float(columns[0]), float(columns[-1] + 1), float(rows[0]), float(rows[-1] + 1)
    height, width = y1 - y0, x1 - x0
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    loose = random.choice((0.04, 0.12, 0.3))
    corners += np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * loose * random.random() * height
    if random.random() < 0.6:
        slope = float(np.clip(np.tan(np.radians(random.gauss(0, 5))) * width / 2, -0.3 * height, 0.3 * height))
        corners[:, 1] += np.array([-slope, slope, slope, -slope], np.float32)
        corners[:, 1] += np.array([-1, -1, 1, 1], np.float32) * abs(slope) * random.uniform(0.5, 1)
    if random.random() < 0.4:
        corners[:, 0] += np.array([1, 1, -1, -1], np.float32) * random.uniform(-0.3, 0.3) * height
    if random.random() < 0.5:
        # One side nearer to the camera.
        corners[random.choice(([0, 3], [1, 2])), 1] += np.array([-1, 1], np.float32) * random.uniform(0, 0.3) * height
    corners += np.array([[random.gauss(0, 0.05) * height for _ in range(2)] for _ in range(4)], np.float32)
    squeeze = random.uniform(0.55, 1.25) if random.random() < 0.5 else 1.0
    out_height = round(corners[2:, 1].mean() - corners[:2, 1].mean())
    out_width = round((corners[1:3, 0].mean() - corners[[0, 3], 0].mean()) * squeeze)
    target = np.array([[0, 0], [out_width, 0], [out_width, out_height], [0, out_height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    return cv2.warpPerspective(mask, matrix, (max(1, out_width), max(1, out_height)), flags=cv2.INTER_LINEAR)


def _bent(random: Random, mask: np.ndarray) -> np.ndarray:
    """The baseline on an arc, up or down."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    rise = random.uniform(-0.1, 0.1) * mask.shape[0]
    return cv2.remap(mask, x, y + rise * (2 * x / mask.shape[1] - 1) ** 2, cv2.INTER_LINEAR)


def _seen(random: Random, mask: np.ndarray) -> np.ndarray:
    """From an ink mask to a photograph: letters on a surface, then the lens and the file."""
    surface = _surface(random, mask.shape)
    level = float(surface.mean())
    contrast = random.triangular(18, 200, 90)
    ink = level + contrast if level < 128 or (level < 170 and random.random() < 0.3) else level - contrast
    ink = float(np.clip(ink, 0, 255))
    alpha = mask.astype(np.float32) / 255
    if random.random() < 0.22:  # a rim or a shadow in another tone
        reach = random.choice((1, 2, 3))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
        rim = cv2.dilate(alpha, kernel)
        if random.random() < 0.5:
            rim = np.roll(alpha, (reach, random.choice((-reach, reach))), (0, 1))
        tone = random.uniform(0, 255)
        surface += (tone - surface) * rim * random.uniform(0.4, 1)
    tones = np.full(mask.shape, ink, np.float32)
    if random.random() < 0.3:
        tones += (capture.smooth_noise(random, mask.shape, random.uniform(4, 60)) - 0.5) * random.uniform(10, 80)
    image = np.clip(surface + (tones - surface) * alpha, 0, 255).astype(np.uint8)
    if random.random() < 0.2:
        image = _lit(random, image)
    for step, chance in (
        (capture.blurred, 0.45), (capture.low_resolution, 0.6), (capture.toned, 0.4), (capture.noisy, 0.35),
        (capture.sharpened, 0.15), (capture.compressed, 0.5),
    ):  # fmt: skip
        if random.random() < chance:
            image = step(random, image)
    return image


def _surface(random: Random, shape: tuple[int, int]) -> np.ndarray:
    """float32 wall, board, leaf or window: plain, rough, striped, or with pieces of other things."""
    surface = capture.background(random, shape, random.uniform(10, 245))
    height, width = shape
    if random.random() < 0.3:
        for cell in (40, 12, 3):
            surface += (capture.smooth_noise(random, shape, cell) - 0.5) * random.uniform(5, 70)
    if random.random() < 0.35:
        for _ in range(random.randint(1, 4)):
            x = [random.randint(-width // 4, width * 5 // 4) for _ in range(4)]
            y = [random.randint(-height, 2 * height) for _ in range(4)]
            corners = cv2.convexHull(np.array((x, y), np.int32).T)
            layer = cv2.fillPoly(np.zeros(shape, np.uint8), [corners], 255)
            share = layer.astype(np.float32) / 255 * random.uniform(0.1, 0.9)
            surface += (random.uniform(0, 255) - surface) * share
    if random.random() < 0.12:
        pitch, slant = random.uniform(4, 24), random.uniform(-1, 1)
        y, x = np.ogrid[:height, :width]
        surface += np.sin((x + slant * y) * 2 * np.pi / pitch).astype(np.float32) * random.uniform(5, 30)
    return np.clip(surface, 0, 255)


def _lit(random: Random, image: np.ndarray) -> np.ndarray:
    """A shadow's edge or a glare across the word."""
    height, width = image.shape
    layer = np.zeros(image.shape, np.uint8)
    x, slant = random.randint(0, width), random.randint(-height, height)
    side = 0 if random.random() < 0.5 else width
    cv2.fillPoly(layer, [np.array([(x, 0), (x + slant, height), (side, height), (side, 0)], np.int32)], 255)
    layer = cv2.GaussianBlur(layer, (0, 0), random.uniform(0.5, 8)).astype(np.float32) / 255
    factor = random.uniform(0.35, 1.7)
    return np.clip(image * (1 + (factor - 1) * layer), 0, 255).astype(np.uint8)
