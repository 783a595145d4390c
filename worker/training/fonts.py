"""The fonts of the generated lines, found by file name, and which characters each one has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from random import Random

from fontTools.ttLib import TTFont
from PIL import ImageFont

# (file name, face in a collection, style, weight). Debian packages: fonts-noto-cjk(-extra), fonts-wqy-*,
# fonts-lxgw-wenkai, fonts-arphic-ukai/-uming, fonts-babelstone-han, fonts-smiley-sans, fonts-liberation, fonts-dejavu,
# fonts-urw-base35, fonts-noto-mono; for signs fonts-roboto-unhinted, -lato, -open-sans, -comfortaa, -quicksand, -play,
# -bebas-neue, -cabin, -yanone-kaffeesatz, -comic-neue, -lobster, -dancingscript; the "hand" fonts are in the PyPI
# package HanziNLP 0.1.0 (OFL).
CATALOGUE: tuple[tuple[str, int, str, int], ...] = (
    *((f"NotoSansCJK-{weight}.ttc", 2, "hanzi", 3) for weight in ("Regular", "Medium", "DemiLight", "Light", "Bold")),
    *((f"NotoSansCJK-{weight}.ttc", 2, "hanzi", 1) for weight in ("Thin", "Black")),
    *((f"NotoSerifCJK-{weight}.ttc", 2, "hanzi", 3) for weight in ("Regular", "Medium", "Light", "SemiBold", "Bold")),
    *((f"NotoSerifCJK-{weight}.ttc", 2, "hanzi", 1) for weight in ("ExtraLight", "Black")),
    ("NotoSansCJK-Regular.ttc", 3, "hanzi", 1),
    ("NotoSerifCJK-Regular.ttc", 3, "hanzi", 2),
    ("wqy-zenhei.ttc", 0, "hanzi", 4),
    ("wqy-microhei.ttc", 0, "hanzi", 3),
    ("DroidSansFallbackFull.ttf", 0, "hanzi", 2),
    ("uming.ttc", 0, "hanzi", 8),
    ("uming.ttc", 2, "hanzi", 2),
    ("ukai.ttc", 0, "hanzi", 7),
    ("BabelStoneHan.ttf", 0, "hanzi", 3),
    ("SmileySans-Oblique.ttf", 0, "hanzi", 2),
    *((f"LXGWWenKai-{weight}.ttf", 0, "hanzi", 3) for weight in ("Regular", "Light", "Bold")),
    *((f"LXGWWenKaiMono-{weight}.ttf", 0, "hanzi", 1) for weight in ("Regular", "Bold")),
    ("MaShanZheng-Regular.ttf", 0, "hand", 3),
    ("LongCang-Regular.ttf", 0, "hand", 3),
    ("LiuJianMaoCao-Regular.ttf", 0, "hand", 2),
    ("ZCOOLKuaiLe-Regular.ttf", 0, "hand", 1),
    *((f"Liberation{face}.ttf", 0, "latin", 2) for face in (
        "Mono-Regular", "Mono-Bold", "Sans-Regular", "Sans-Bold", "Sans-Italic", "SansNarrow-Regular",
        "SansNarrow-Bold", "Serif-Regular", "Serif-Bold", "Serif-Italic", "Mono-Italic", "Sans-BoldItalic")),
    *((f"DejaVu{face}.ttf", 0, "latin", 1) for face in (
        "Sans", "Sans-Bold", "SansMono", "SansMono-Bold", "Serif", "Serif-Bold", "SansCondensed", "SansCondensed-Bold",
        "SerifCondensed")),
    *((f"{face}.otf", 0, "latin", 1) for face in (
        "NimbusMonoPS-Regular", "NimbusMonoPS-Bold", "NimbusSans-Regular", "NimbusSans-Bold",
        "NimbusSansNarrow-Regular", "NimbusSansNarrow-Bold", "NimbusRoman-Regular", "NimbusRoman-Bold",
        "C059-Roman", "C059-Bold", "P052-Roman", "P052-Bold", "URWBookman-Light", "URWBookman-Demi",
        "URWGothic-Book", "URWGothic-Demi", "Z003-MediumItalic")),
    *((f"NotoSansMono-{weight}.ttf", 0, "latin", 1) for weight in ("Regular", "Bold")),
    *((f"{face}.ttf", 0, "sign", 1) for face in (
        "Roboto-Black", "Roboto-Bold", "Roboto-Regular", "Roboto-Thin", "Roboto-BoldItalic", "RobotoCondensed-Bold",
        "RobotoCondensed-Regular", "Lato-Black", "Lato-Light", "Lato-Regular", "Lato-HeavyItalic", "OpenSans-ExtraBold",
        "OpenSans-Semibold", "OpenSans-CondBold", "OpenSans-Italic", "Comfortaa-Bold", "Comfortaa-Regular",
        "Quicksand-Bold", "Quicksand-Regular", "Play-Bold")),
    *((f"{face}.otf", 0, "sign", 1) for face in (
        "BebasNeue-Bold", "BebasNeue-Regular", "BebasNeue-Light", "Cabin-Bold", "Cabin-Regular", "Cabin-BoldItalic",
        "YanoneKaffeesatz-Bold", "YanoneKaffeesatz-Light", "ComicNeue-Bold", "ComicNeue-Regular", "lobster",
        "DancingScript-Bold", "DancingScript-Regular")),
)  # fmt: skip
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))


@dataclass(frozen=True)
class Face:
    """One font face: file, index in it, style (``hanzi``, ``hand``, ``latin``, ``sign``), weight, characters."""

    path: Path
    index: int
    style: str
    weight: int
    characters: frozenset[int]

    def covers(self, text: str) -> bool:
        return all(ord(character) in self.characters or character == " " for character in text)

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The face at ``size`` pixels per em."""
        return _open(self.path, self.index, size)


@lru_cache(maxsize=512)
def _open(path: Path, index: int, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size, index=index, layout_engine=ImageFont.Layout.BASIC)


@cache
def _characters(path: Path, index: int) -> frozenset[int]:
    with TTFont(path, fontNumber=index, lazy=True) as font:
        return frozenset(font.getBestCmap())


class Fonts:
    """The catalogue's faces that are installed. Raises ``FileNotFoundError`` when none of a style is.

    ``extra`` are more folders to look in. The order is the catalogue's, so a seed draws the same faces on every machine
    that has the same packages.
    """

    def __init__(self, extra: Iterable[Path] = ()) -> None:
        files = {path.name: path for folder in (*FOLDERS, *extra) for path in sorted(folder.rglob("*.[ot]t[fc]"))}
        self.missing = sorted({name for name, *_ in CATALOGUE if name not in files})
        self.faces: list[Face] = []
        for name, index, style, weight in CATALOGUE:
            if name in files:
                self.faces.append(Face(files[name], index, style, weight, _characters(files[name], index)))
        for style in ("hanzi", "latin"):
            if not any(face.style == style for face in self.faces):
                raise FileNotFoundError(f"no {style} font of the catalogue is installed")

    def draw(self, random: Random, text: str, hand: bool = False) -> Face | None:
        """A face that has all of ``text``, mostly latin ones for texts in ASCII; ``None`` if none has."""
        style = "hand" if hand else "latin" if text.isascii() and random.random() < 0.7 else "hanzi"
        faces = [face for face in self.faces if face.style == style and face.covers(text)]
        if not faces:
            faces = [face for face in self.faces if face.style not in ("hand", "sign") and face.covers(text)]
        if not faces:
            return None
        return random.choices(faces, [face.weight for face in faces])[0]
