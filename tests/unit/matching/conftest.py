"""A small drawn page that the matcher's tests share, and the means to change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from gateway.matching.proof import Proof, make_proof

FONTS = {face: f"/usr/share/fonts/opentype/noto/Noto{face}CJK-Regular.ttc" for face in ("Sans", "Serif")}


@dataclass(frozen=True)
class Slip:
    """A page of text lines: (text, x, y), all of one size, with a rule under the first."""

    lines: tuple[tuple[str, int, int], ...]
    size: int = 28
    face: str = "Sans"
    width: int = 700
    height: int = 520

    @property
    def texts(self) -> list[str]:
        return [text for text, _, _ in self.lines]

    def font(self) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(FONTS[self.face], self.size, index=2)

    def draw(self) -> np.ndarray:
        """uint8 RGB (h, w, 3)."""
        page = Image.new("RGB", (self.width, self.height), "white")
        draw = ImageDraw.Draw(page)
        draw.line((30, 80, self.width - 30, 80), fill=(60, 60, 60), width=2)
        for text, x, y in self.lines:
            draw.text((x, y), text, font=self.font(), fill=(20, 20, 20))
        return np.array(page)

    def boxes(self) -> np.ndarray:
        """float32 (n, 4, 2)."""
        found = []
        for text, x, y in self.lines:
            x0, y0, x1, y1 = self.font().getbbox(text)
            left, top, right, bottom = x + x0 - 3, y + y0 - 3, x + x1 + 3, y + y1 + 3
            found.append([[left, top], [right, top], [right, bottom], [left, bottom]])
        return np.float32(found)

    def with_text(self, line: int, text: str) -> Slip:
        lines = list(self.lines)
        lines[line] = (text, *lines[line][1:])
        return replace(self, lines=tuple(lines))


CORNERS = np.float32([[0.07, 0.09], [0.92, 0.06], [0.95, 0.94], [0.05, 0.91]])
"""Where a photograph shows the corners of its page, in shares of its width and height."""


def _photographed(page: np.ndarray, factor: float = 1.5, shadow: float = 1.0) -> np.ndarray:
    """``page`` (uint8 RGB (h, w, 3)) on a dark, grained table, seen from aside at about ``factor`` of its size; what is
    left of a line across it gets only ``shadow`` of the light."""
    height, width = page.shape[:2]
    frame = round(1.15 * factor * width), round(1.15 * factor * height)
    corners = CORNERS * np.float32(frame)
    sheet = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    rng = np.random.default_rng(1)
    table = cv2.GaussianBlur(rng.normal(0, 30, (frame[1], frame[0])).astype(np.float32), (0, 0), sigmaX=8, sigmaY=1)
    picture = np.repeat((70 + table)[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)
    cv2.warpPerspective(page, cv2.getPerspectiveTransform(sheet, corners), frame, picture, flags=cv2.INTER_AREA,
                        borderMode=cv2.BORDER_TRANSPARENT)
    ys, xs = np.mgrid[:frame[1], :frame[0]].astype(np.float32)
    light = 1 - (1 - shadow) / (1 + np.exp((xs / frame[0] + 0.4 * ys / frame[1] - 0.7) / 0.02))
    lit = cv2.GaussianBlur(picture, (0, 0), 0.6) * light[..., None] + rng.normal(0, 2, picture.shape)
    return lit.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photographed() -> Callable[..., np.ndarray]:
    """``photographed(page, factor, shadow)``: its picture; see :func:`_photographed`."""
    return _photographed


@pytest.fixture(scope="session")
def seen_corners() -> Callable[[np.ndarray], np.ndarray]:
    """float32 (4, 2): where a picture shows the corners of its page, in pixels."""
    return lambda picture: CORNERS * np.float32(picture.shape[1::-1])


@pytest.fixture(scope="session")
def slip() -> Slip:
    return Slip((
        ("增值税电子发票", 240, 24), ("发票号码：24312000000083515577", 40, 110), ("开票日期：2026年03月18日", 40, 160),
        ("购买方：上海华信科技有限公司", 40, 210), ("打印纸", 40, 270), ("12", 260, 270), ("35.80", 360, 270),
        ("429.60", 520, 270), ("运输服务费", 40, 320), ("3", 260, 320), ("180.00", 360, 320), ("540.00", 520, 320),
        ("价税合计：¥1095.65", 40, 400), ("开票人：王伟", 40, 450),
    ))


@pytest.fixture(scope="session")
def page(slip: Slip) -> np.ndarray:
    return slip.draw()


@pytest.fixture(scope="session")
def proof(page: np.ndarray, slip: Slip) -> Proof:
    return make_proof(page, slip.boxes())
