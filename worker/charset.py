"""The recogniser's characters: one place that turns text into class indices and back.

Class 0 is the CTC blank; class ``i`` is ``characters[i - 1]``. A weights file carries its own character set, so that
this module is needed only to *make* one and to interpret it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

BLANK = 0
"""Class index of the CTC blank."""

FULL_WIDTH = "．，。、：；？！…—～·（）【】《》〈〉「」『』〔〕“”‘’〃々〇"
SYMBOLS = "￥¥＄￡￠€£$№℃℉°′″‰×÷±＋－＝≈≠≤≥＜＞∞√∑∏∫∴∵∠⊥∥♀♂§¶©®™℡㎡㎝㎜㎞㎏㎎㏄㎥☆★○●◎◇◆□■△▲▽▼※→←↑↓√✓✔✕✖☑☐"
ENCLOSED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑㈠㈡㈢㈣㈤㈥㈦㈧㈨㈩ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹ"

LOOK_ALIKES = "0OoQDＯ〇○ 1lI|!iⅠＩ｜丨 2Zz 5Ss$ 6bG 8B 9gq Xx× .。·, ¥￥Y -—–－一_~"
"""Characters that a line on its own hardly tells apart, a group a word."""


def ascii_printable() -> str:
    """The 95 printable ASCII characters, the space included."""
    return "".join(map(chr, range(0x20, 0x7F)))


@cache
def gb2312_hanzi() -> str:
    """The 6,763 hanzi of GB/T 2312-1980, level 1 (3,755) before level 2 (3,008), in the standard's order."""
    return _decodable("gb2312", range(0xB0, 0xF8), range(0xA1, 0xFF))


@cache
def big5_frequent_hanzi() -> str:
    """The 5,401 frequently used Traditional hanzi (level 1) of Big5, in the standard's order."""
    return _decodable("big5", range(0xA4, 0xC7), (*range(0x40, 0x7F), *range(0xA1, 0xFF)), last=0xC67E)


def _decodable(codec: str, leads: Iterable[int], trails: Sequence[int], last: int = 0xFFFF) -> str:
    found = []
    for lead in leads:
        for trail in trails:
            if (lead << 8 | trail) > last:
                break
            try:
                found.append(bytes((lead, trail)).decode(codec))
            except UnicodeDecodeError:  # a hole in the code table
                continue
    return "".join(found)


@cache
def look_alikes() -> dict[str, str]:
    """What a character may be taken for: those of its group in :data:`LOOK_ALIKES`, its other case, the full-width
    form of ASCII and the other way round."""
    twins: dict[str, str] = {}
    wide = [character + chr(ord(character) + 0xFEE0) for character in ascii_printable()[1:]]
    cases = [character + character.lower() for character in ascii_printable() if character.isupper()]
    for group in (*LOOK_ALIKES.split(), *cases, *wide):
        for character in group:
            others = twins.get(character, "") + group.replace(character, "")
            twins[character] = "".join(dict.fromkeys(others))
    return twins


def full_characters() -> str:
    """Everything a character set made here has to contain, without repeats."""
    parts = (ascii_printable(), FULL_WIDTH, SYMBOLS, ENCLOSED, gb2312_hanzi(), big5_frequent_hanzi())
    return "".join(dict.fromkeys("".join(parts)))


@dataclass(frozen=True)
class Charset:
    """An ordered set of single-code-point characters. Raises ``ValueError`` on repeats or longer strings."""

    characters: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(len(character) != 1 for character in self.characters):
            raise ValueError("a character set holds single code points")
        index = {character: number for number, character in enumerate(self.characters, start=1)}
        if len(index) != len(self.characters):
            raise ValueError("a character set holds each character once")
        object.__setattr__(self, "_index", index)

    @classmethod
    def extending(cls, trained: Iterable[str]) -> Charset:
        """``trained`` characters first, in their order, so that their classifier rows stay in place; then the rest."""
        return cls(tuple(dict.fromkeys((*trained, *full_characters()))))

    @classmethod
    def from_json(cls, text: str) -> Charset:
        """The inverse of :meth:`to_json`."""
        return cls(tuple(json.loads(text)))

    def to_json(self) -> str:
        """One JSON string of all characters in order."""
        return json.dumps("".join(self.characters), ensure_ascii=False)

    @property
    def classes(self) -> int:
        """Number of classes, the blank included."""
        return len(self.characters) + 1

    def __contains__(self, character: object) -> bool:
        return character in self._index

    def encode(self, text: Iterable[str]) -> list[int]:
        """Class indices (1..classes-1) of ``text``. Raises ``KeyError`` for a character outside the set."""
        return [self._index[character] for character in text]

    def decode(self, indices: Iterable[int]) -> str:
        """Text of class indices; blanks are left out. Nothing is merged: that is CTC's part."""
        return "".join(self.characters[index - 1] for index in indices if index != BLANK)

    def known(self, text: str) -> str:
        """``text`` without the characters outside the set."""
        return "".join(character for character in text if character in self._index)
