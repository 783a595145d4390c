"""What happens to a line between ink and array: printing faults, paper, light, lens, sensor, compression.

Each function takes and returns uint8 arrays of the shape (h, w) and draws its strength from the random generator. Ink
masks are 255 where there is full ink.
"""

from __future__ import annotations

from random import Random

import cv2
import numpy as np


def smooth_noise(random: Random, shape: tuple[int, int], cell: float) -> np.ndarray:
    """float32 noise in 0..1 that varies over about ``cell`` pixels."""
    rows, columns = max(2, int(shape[0] / cell) + 2), max(2, int(shape[1] / cell) + 2)
    coarse = np.random.default_rng(random.getrandbits(32)).random((rows, columns), np.float32)
    return np.clip(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), 0, 1)


def white_noise(random: Random, shape: tuple[int, int]) -> np.ndarray:
    """float32 normal noise of unit variance."""
    return np.random.default_rng(random.getrandbits(32)).standard_normal(shape, np.float32)


# -- ink -------------------------------------------------------------------------------------------------------------
def dot_matrix(random: Random, mask: np.ndarray) -> np.ndarray:
    """Only the needles' dots remain of the strokes."""
    pitch = max(2.2, mask.shape[0] / random.uniform(16, 30))
    small = cv2.resize(
        mask, (max(1, round(mask.shape[1] / pitch)), max(1, round(mask.shape[0] / pitch))), interpolation=cv2.INTER_AREA
    )
    dots = cv2.resize(
        (small > random.uniform(70, 120)).astype(np.uint8) * 255, mask.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    lattice = np.cos(2 * np.pi * (y / pitch - 0.5)) + np.cos(2 * np.pi * (x / pitch - 0.5))
    return np.where(lattice > random.uniform(-1.6, -0.4), dots, 0).astype(np.uint8)


def faded(random: Random, mask: np.ndarray) -> np.ndarray:
    """Thermal or worn print: bands, patches and specks without ink."""
    strength = np.ones(mask.shape, np.float32)
    if random.random() < 0.5:
        strength *= 0.35 + 0.65 * smooth_noise(random, mask.shape, random.uniform(6, 60))
    if random.random() < 0.4:
        strength *= 0.4 + 0.6 * smooth_noise(random, (mask.shape[0], 1), random.uniform(2, 5))
    if random.random() < 0.6:
        strength *= smooth_noise(random, mask.shape, random.uniform(1, 2.5)) > random.uniform(0.05, 0.3)
    return (mask * strength).astype(np.uint8)


def stroke_weight(random: Random, mask: np.ndarray) -> np.ndarray:
    """Bolder or thinner by less than a pixel or so."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3) if random.random() < 0.8 else (2, 2))
    other = cv2.dilate(mask, kernel) if random.random() < 0.6 else cv2.erode(mask, kernel)
    share = random.uniform(0.2, 1.0 if other.mean() > mask.mean() else 0.6)
    return cv2.addWeighted(mask, 1 - share, other, share, 0)


def outlined(random: Random, mask: np.ndarray) -> np.ndarray:
    """Only the outline of the strokes, as on signs."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return cv2.subtract(cv2.dilate(mask, kernel), cv2.erode(mask, kernel))


def wobble(random: Random, mask: np.ndarray, strength: float) -> np.ndarray:
    """Elastic distortion by up to ``strength`` pixels, as no two written strokes are alike."""
    cell = random.uniform(0.2, 0.7) * mask.shape[0]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    x += (smooth_noise(random, mask.shape, cell) - 0.5) * 2 * strength
    y += (smooth_noise(random, mask.shape, cell) - 0.5) * 2 * strength
    return cv2.remap(mask, x, y, cv2.INTER_LINEAR)


# -- paper and light -------------------------------------------------------------------------------------------------
def background(random: Random, shape: tuple[int, int], level: float) -> np.ndarray:
    """float32 surface around ``level`` (0..255): plain, shaded, rough or busy."""
    kind = random.random()
    surface = np.full(shape, level, np.float32)
    if kind < 0.5:
        return surface
    if kind < 0.7:
        ramp = np.linspace(-1, 1, shape[1], dtype=np.float32) * random.uniform(-35, 35)
        return surface + ramp + np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None] * random.uniform(-20, 20)
    if kind < 0.9:
        return surface + (smooth_noise(random, shape, random.uniform(1.5, 40)) - 0.5) * random.uniform(8, 50)
    for cell in (60, 20, 6):
        surface += (smooth_noise(random, shape, cell) - 0.5) * random.uniform(10, 60)
    return surface


def composite(random: Random, mask: np.ndarray) -> np.ndarray:
    """Ink on a surface; light on dark in a fifth of the cases, pale in a tenth."""
    paper, ink = random.uniform(150, 255), random.uniform(0, 110)
    chance = random.random()
    if chance < 0.1:
        ink = paper - random.uniform(28, 70)
    elif chance < 0.4:
        paper, ink = random.uniform(225, 255), random.uniform(0, 60)
    if random.random() < 0.2:
        paper, ink = ink, paper
    surface = background(random, mask.shape, paper)
    alpha = mask.astype(np.float32) / 255
    if random.random() < 0.05:
        shift = random.choice((1, 2))
        shadow = np.roll(alpha, (shift, shift), (0, 1)) * random.uniform(0.3, 0.8)
        surface += (random.choice((0, 255)) - surface) * shadow
    ink_surface = ink + (smooth_noise(random, mask.shape, 20) - 0.5) * random.choice((0, 0, 30, 60))
    return np.clip(surface + (ink_surface - surface) * alpha, 0, 255).astype(np.uint8)


def stamped(random: Random, image: np.ndarray) -> np.ndarray:
    """A seal's or a pen's strokes over the line."""
    height, width = image.shape
    layer = np.full_like(image, 255)
    tone, thick = random.randint(60, 190), max(1, round(height * random.uniform(0.03, 0.12)))
    centre = (random.randrange(width), random.randint(-height, 2 * height))
    axes = (round(height * random.uniform(0.8, 3)), round(height * random.uniform(0.6, 2)))
    if random.random() < 0.6:
        cv2.ellipse(layer, centre, axes, random.uniform(0, 180), 0, 360, tone, thick, cv2.LINE_AA)
    else:
        cv2.line(layer, centre, (random.randrange(width), random.randrange(height)), tone, thick, cv2.LINE_AA)
    return np.minimum(image, layer)


# -- lens, sensor, file ----------------------------------------------------------------------------------------------
def blurred(random: Random, image: np.ndarray) -> np.ndarray:
    """Out of focus or moved, in proportion to the line's height."""
    size = image.shape[0]
    if random.random() < 0.7:
        return cv2.GaussianBlur(image, (0, 0), random.uniform(0.008, 0.045) * size + 0.1)
    length = max(2, round(random.uniform(0.03, 0.14) * size))
    kernel = np.zeros((length, length), np.float32)
    end = (random.randrange(length), length - 1) if random.random() < 0.5 else (length - 1, random.randrange(length))
    cv2.line(kernel, (length - 1 - end[0], length - 1 - end[1]), end, 1.0)
    return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1))


def low_resolution(random: Random, image: np.ndarray) -> np.ndarray:
    """Fewer pixels, and often scaled up again."""
    height, width = image.shape
    small = random.triangular(10, 40, 20)
    if small >= height:
        return image
    size = (max(4, round(width * small / height)), round(small))
    image_small = cv2.resize(
        image, size, interpolation=random.choice((cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST))
    )
    if random.random() < 0.4:
        return cv2.resize(
            image_small,
            (width, height),
            interpolation=random.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)),
        )
    return image_small


def noisy(random: Random, image: np.ndarray) -> np.ndarray:
    """Sensor noise, fine or in clumps; or salt and pepper."""
    if random.random() < 0.8:
        noise = white_noise(random, image.shape) * random.uniform(2, 22)
        if random.random() < 0.4:
            noise = cv2.GaussianBlur(noise, (0, 0), random.uniform(0.5, 1.2)) * 1.8
        return np.clip(image + noise, 0, 255).astype(np.uint8)
    specks = np.random.default_rng(random.getrandbits(32)).random(image.shape, np.float32)
    share = random.uniform(0.002, 0.03)
    return np.where(specks < share, 0, np.where(specks > 1 - share, 255, image)).astype(np.uint8)


def toned(random: Random, image: np.ndarray) -> np.ndarray:
    """Gamma, contrast and level."""
    table = (np.arange(256, dtype=np.float32) / 255) ** random.uniform(0.5, 1.9)
    gain = random.uniform(0.5, 1.3)
    table = np.clip((table - 0.5) * gain + 0.5 + random.uniform(-0.2, 0.2), 0, 1) * 255
    return table.astype(np.uint8)[image]


def sharpened(random: Random, image: np.ndarray) -> np.ndarray:
    """The halo of a scanner's or phone's sharpening."""
    amount = random.uniform(0.5, 2.0)
    soft = cv2.GaussianBlur(image, (0, 0), random.uniform(0.6, 1.6))
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)


def compressed(random: Random, image: np.ndarray) -> np.ndarray:
    """JPEG of quality 15 to 85."""
    data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, random.randint(15, 85)))[1]
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def bilevel(random: Random, image: np.ndarray) -> np.ndarray:
    """A fax or a black-and-white scan."""
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    level = cv2.threshold(image, 0, 255, cv2.THRESH_OTSU)[0] + random.uniform(-15, 15)
    return ((image > level) * 255).astype(np.uint8)


INK = ((stroke_weight, 0.25), (faded, 0.15), (dot_matrix, 0.05), (outlined, 0.015))
CAPTURE = (
    (stamped, 0.04), (blurred, 0.35), (low_resolution, 0.4), (toned, 0.3), (noisy, 0.35),
    (sharpened, 0.1), (bilevel, 0.05), (compressed, 0.35),
)  # fmt: skip


def captured(random: Random, mask: np.ndarray, intensity: float = 1.0) -> np.ndarray:
    """From an ink mask to what an application would be handed. ``intensity`` 0 leaves black print on white."""
    for step, chance in INK:
        if random.random() < chance * intensity:
            mask = step(random, mask)
    image = composite(random, mask) if random.random() < intensity else 255 - mask
    for step, chance in CAPTURE:
        if random.random() < chance * intensity:
            image = step(random, image)
    return image
