"""The model of a drawn page: runs of text, shapes under them, marks over them.

A page is data, so that one character can be changed and everything else stays where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_NOTO = Path("/usr/share/fonts/opentype/noto")
_SIMPLIFIED = 2  # index of the Simplified Chinese face in the Noto CJK collections
_FURTHER_FACES = {
    "Kai": (("/usr/share/fonts/truetype/arphic/ukai.ttc", 0), "Serif"),
    "Hei": (("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", 0), "Sans"),
}
"""Faces used where they are installed, and the Noto face that stands in for each."""

Colour = tuple[int, int, int]
BLACK: Colour = (25, 25, 25)
WHITE: Colour = (255, 255, 255)
BROWN: Colour = (120, 70, 40)
GREY: Colour = (120, 120, 120)
BLUE: Colour = (40, 60, 150)
RED: Colour = (200, 40, 40)

Face = Literal["Sans", "Serif", "Kai", "Hei"]


@dataclass(frozen=True)
class Run:
    """One line of text: its top-left corner and size in pixels."""

    text: str
    x: int
    y: int
    size: int
    face: Face = "Sans"
    weight: str = "Regular"
    ink: Colour = BLACK


@dataclass(frozen=True)
class Shape:
    """A ``line`` through ``points``, or a ``rectangle`` (corners rounded by ``width``) or ``ellipse`` between two.

    Without ``fill`` it is an outline of ``width`` pixels in ``ink``.
    """

    kind: Literal["line", "rectangle", "ellipse"]
    points: tuple[tuple[float, float], ...]
    ink: Colour = BLACK
    width: int = 2
    fill: Colour | None = None


@dataclass(frozen=True)
class Document:
    """``shapes`` lie under the text, ``marks`` over it."""

    kind: str
    width: int
    height: int
    runs: tuple[Run, ...]
    shapes: tuple[Shape, ...] = ()
    marks: tuple[Shape, ...] = ()
    paper: Colour = WHITE

    @property
    def texts(self) -> list[str]:
        """The text of each run, in order."""
        return [run.text for run in self.runs]


def rule(x0: float, y0: float, x1: float, y1: float, ink: Colour = BLACK, width: int = 2) -> Shape:
    """A straight line."""
    return Shape("line", ((x0, y0), (x1, y1)), ink, width)


def block(x0: float, y0: float, x1: float, y1: float, fill: Colour, radius: int = 0) -> Shape:
    """A filled rectangle, its corners rounded by ``radius`` pixels."""
    return Shape("rectangle", ((x0, y0), (x1, y1)), width=radius, fill=fill)


def missing_fonts() -> str:
    """What must be installed before anything can be drawn; empty when all is there."""
    return "" if (_NOTO / "NotoSerifCJK-Regular.ttc").exists() else "fonts-noto-cjk (Debian, Ubuntu) is not installed"


def faces() -> list[str]:
    """The faces that pages are set in here."""
    return ["Noto Sans", "Noto Serif", *(name for name, (file, _) in _FURTHER_FACES.items() if Path(file[0]).exists())]


@lru_cache(maxsize=128)
def font(face: Face, weight: str, size: int) -> ImageFont.FreeTypeFont:
    """The font of a run."""
    if face in _FURTHER_FACES:
        (path, index), substitute = _FURTHER_FACES[face]
        if Path(path).exists():
            return ImageFont.truetype(path, size, index=index)
        face = substitute
    return ImageFont.truetype(_NOTO / f"Noto{face}CJK-{weight}.ttc", size, index=_SIMPLIFIED)


@lru_cache(maxsize=1 << 15)
def ink_box(run: Run) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a run's line. It is as high as its letters are, even when it only holds a dash."""
    face = font(run.face, run.weight, run.size)
    x0, y0, x1, y1 = face.getbbox(run.text)
    top, bottom = min(run.y + y0, run.y + 0.30 * run.size), max(run.y + y1, run.y + 1.1 * run.size)
    return run.x + x0, top, run.x + x1, bottom


def line_boxes(document: Document, padding: float = 0.12) -> np.ndarray:
    """float32 (n, 4, 2): where the lines are. ``padding`` is what a text detector leaves around the ink, as a share of
    the line's height."""
    boxes = []
    for run in document.runs:
        x0, y0, x1, y1 = ink_box(run)
        pad = padding * (y1 - y0)
        boxes.append([[x0 - pad, y0 - pad], [x1 + pad, y0 - pad], [x1 + pad, y1 + pad], [x0 - pad, y1 + pad]])
    return np.asarray(boxes, np.float32).reshape(-1, 4, 2)


def render(document: Document) -> np.ndarray:
    """The page: uint8 RGB (h, w, 3)."""
    page = Image.new("RGB", (document.width, document.height), document.paper)
    draw = ImageDraw.Draw(page)
    for shape in document.shapes:
        _draw(draw, shape)
    for run in document.runs:
        draw.text((run.x, run.y), run.text, font=font(run.face, run.weight, run.size), fill=run.ink)
    for mark in document.marks:
        _draw(draw, mark)
    return np.array(page)


def marks_mask(document: Document) -> np.ndarray:
    """bool (h, w): the pixels that marks cover."""
    mask = Image.new("L", (document.width, document.height), 0)
    draw = ImageDraw.Draw(mask)
    for mark in document.marks:
        _draw(draw, mark, 255)
    return np.asarray(mask) > 0


def _draw(draw: ImageDraw.ImageDraw, shape: Shape, level: int | None = None) -> None:
    """Draw ``shape`` in its own colours, or all of it in ``level``."""
    ink = shape.ink if level is None else level
    fill = shape.fill if level is None or shape.fill is None else level
    if shape.kind == "line":
        draw.line(shape.points, fill=ink, width=shape.width, joint="curve")
    elif shape.kind == "ellipse":
        draw.ellipse(shape.points, outline=None if fill else ink, width=shape.width, fill=fill)
    elif fill is None:
        draw.rectangle(shape.points, outline=ink, width=shape.width)
    else:
        draw.rounded_rectangle(shape.points, radius=shape.width, fill=fill)
