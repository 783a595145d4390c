"""A decoded Pillow image of any mode → an upright RGB array.

Work goes in strips, straight into the result: beside the decoded image and the result only one strip is ever held.
ICC profiles are ignored: text is told by contrast, and one rule for all makes lossless copies give equal pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from PIL import Image, ImageCms

_STRIP_PIXELS = 1 << 20
_ORIENTATION_TAG = 0x0112


def upright(strips: Iterable[np.ndarray], width: int, height: int, orientation: int) -> np.ndarray:
    """Put strips together, from the stored top to bottom, and turn the whole upright.

    ``strips``: uint8, each (rows, ``width``, 3) or, for grey, (rows, ``width``). ``orientation``: EXIF's, 1 to 8
    (CIPA DC-008, 4.6.5). Returns a contiguous uint8 array (h, w, 3); h and w are swapped for orientations 5 to 8.
    """
    page = np.empty((width, height, 3) if orientation >= 5 else (height, width, 3), np.uint8)
    stored = _as_stored(page, orientation)
    row = 0
    for strip in strips:
        stored[row : row + len(strip)] = strip if strip.ndim == 3 else strip[..., None]
        row += len(strip)
    if row != height:
        raise EOFError("fewer rows than the header says")
    return page


def _as_stored(page: np.ndarray, orientation: int) -> np.ndarray:
    """A view of the upright ``page`` in which rows and columns run as they are stored."""
    match orientation:
        case 2:
            return page[:, ::-1]
        case 3:
            return page[::-1, ::-1]
        case 4:
            return page[::-1]
        case 5:
            return page.transpose(1, 0, 2)
        case 6:
            return np.rot90(page, 1)
        case 7:
            return page.transpose(1, 0, 2)[::-1, ::-1]
        case 8:
            return np.rot90(page, -1)
    return page


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of a *loaded* image (PNG may keep it behind the pixels); 1 if there is none or it is broken."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # hostile metadata makes Pillow raise whatever it likes, and is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def rgb_strips(image: Image.Image, *, bits: int = 16, white_is_zero: bool = False) -> Iterator[np.ndarray]:
    """The pixels of a loaded image as stored: uint8 strips (rows, w, 3) or (rows, w), for :func:`upright`.

    ``bits``: significant bits of 16-bit grey samples. ``white_is_zero``: invert grey samples wider than 8 bits
    (Pillow inverts narrower ones itself). Raises what Pillow raises.
    """
    convert = _converter(image, bits, white_is_zero)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield convert(image.crop((0, top, image.width, min(top + rows, image.height))))


def rgb_strip(strip: Image.Image) -> np.ndarray:
    """One strip alone, for images whose mode says the range of its samples (all but "I" and "F")."""
    return _converter(strip, 16, False)(strip)


def _converter(image: Image.Image, bits: int, white_is_zero: bool) -> Callable[[Image.Image], np.ndarray]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return partial(_wide_grey, to_unit=_unit_scale(image, bits), white_is_zero=white_is_zero)
    if image.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return lambda strip: np.asarray(ImageCms.applyTransform(strip, transform))
    if image.has_transparency_data:
        return _on_white
    if image.mode == "L":
        return np.asarray
    return lambda strip: np.asarray(strip.convert("L" if strip.mode == "1" else "RGB"))


def _on_white(strip: Image.Image) -> np.ndarray:
    """Alpha composited on white: black text on transparency would vanish on black."""
    if strip.mode == "La":
        strip = strip.convert("LA")
    transparency = strip.info.get("transparency")
    if strip.mode == "RGB" and isinstance(transparency, tuple) and max(transparency) > 255:
        # A 16-bit PNG: its samples were reduced to their upper bytes, its transparent colour was not.
        strip.info["transparency"] = tuple(sample >> 8 for sample in transparency)
    rgba = strip.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        rgba = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(rgba)[..., :3]


def _unit_scale(image: Image.Image, bits: int) -> tuple[float, float]:
    """The sample values (black, white) of grey wider than 8 bits.

    16-bit grey says its range; 32-bit integers and floats do not, so the smallest usual range that holds
    the samples is taken: 0..1 (floats), 0..255, 0..65535, else the samples' own.
    """
    if image.mode.startswith("I;16"):
        return 0.0, float(2**bits - 1)
    low, high = _finite_extrema(image)
    for white in (1.0, 255.0, 65535.0)[image.mode == "I" :]:
        if low >= 0 and high <= white:
            return 0.0, white
    return low, high


def _finite_extrema(image: Image.Image) -> tuple[float, float]:
    lows: list[float] = []
    highs: list[float] = []
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        samples = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        samples = samples[np.isfinite(samples)]
        if samples.size:
            lows.append(float(samples.min()))
            highs.append(float(samples.max()))
    return min(lows, default=0.0), max(highs, default=0.0)


def _wide_grey(strip: Image.Image, to_unit: tuple[float, float], white_is_zero: bool) -> np.ndarray:
    black, white = to_unit
    samples: np.ndarray = np.asarray(strip).astype(np.float64 if strip.mode == "I" else np.float32)
    grey = (samples - black) * (255.0 / max(white - black, 1e-30))
    if white_is_zero:
        grey = 255.0 - grey
    # What is no number has no ink.
    grey = np.nan_to_num(grey, nan=255.0, posinf=255.0, neginf=0.0)
    transparency = strip.info.get("transparency")
    if isinstance(transparency, int):
        grey[samples == transparency] = 255.0
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
