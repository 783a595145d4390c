"""What the generated lines say: invoices, receipts, addresses, prose, codes and every character of the set.

A text is a pure function of the random generator handed in. Words come from jieba's dictionary (Chinese, with
frequencies), wordfreq (English) and OpenCC (Traditional forms).
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable
from functools import cache
from random import Random

from worker.charset import ENCLOSED, FULL_WIDTH, SYMBOLS, Charset, big5_frequent_hanzi, gb2312_hanzi
from worker.training import vocabulary as v

MARKS = ("，", "。", "、", "；", "：", "", "", "！", "？", "（", "）", "“", "”", "《", "》", ",", " ")
AMOUNTS = ("{:.2f}", "{:,.2f}", "{:.2f}", "{:.0f}", "{:.1f}", "-{:.2f}", "{:.4f}")
CURRENCIES = ("", "", "", "¥", "￥", "RM", "RM ", "$", "￥ ", "¥ ")
ALPHABETS = {
    "d": v.DIGITS,
    "u": v.UPPER,
    "tax": v.TAX_CODE,
    "cipher": v.CIPHER,
    "plate": v.PLATE_CODE,
    "alnum": v.DIGITS + v.UPPER,
    "Alnum": v.DIGITS + v.UPPER + v.UPPER.lower(),
}
LONGEST = 48


class Texts:
    """Draws texts of known characters. ``fresh`` characters (those still to be learned) are drawn more often."""

    def __init__(self, charset: Charset, fresh: str = "") -> None:
        self.charset = charset
        hanzi = gb2312_hanzi()
        symbols = FULL_WIDTH + SYMBOLS + ENCLOSED
        letters = v.DIGITS + v.UPPER + v.UPPER.lower()
        everything = "".join(charset.characters)
        fresh = fresh or hanzi
        self._pools = (fresh, fresh, fresh, hanzi[:3755], hanzi, big5_frequent_hanzi(), everything, symbols, letters)
        self._rules = {name: rule.split("|") for name, rule in v.GRAMMAR.items()}
        self._draws: dict[str, Callable[[Random], str]] = {
            "amount": self._amount,
            "zh": lambda random: self._chinese_words(random, 2)[:4],
            "en": self._english_word,
            "EN": lambda random: " ".join(self._english_word(random).upper() for _ in range(random.randint(1, 3))),
            "province": lambda random: random.choice(v.PROVINCES),
        }
        self._kinds: tuple[tuple[str, Callable[[Random], str], int], ...] = (
            ("invoice", lambda random: self.expand(random, "invoice"), 20),
            ("receipt", lambda random: self.expand(random, "receipt"), 20),
            ("prose", self.prose, 11),
            ("english", self.english, 11),
            ("words", self.words, 9),
            ("rare", self.rare, 14),
            ("traditional", lambda random: self._to_traditional()(self.prose(random)), 5),
            ("code", lambda random: self.expand(random, "code"), 6),
            ("plate", lambda random: self.expand(random, "plate"), 3),
            ("lookalikes", self.lookalikes, 4),
        )

    def draw(self, random: Random) -> tuple[str, str]:
        """(kind, text): 1 to 48 characters, all of the character set, no space at the ends."""
        weights = [weight for *_, weight in self._kinds]
        while True:
            kind, function, _ = random.choices(self._kinds, weights)[0]
            text = " ".join(self.charset.known(function(random)).split())[:LONGEST].strip()
            if text:
                return kind, text

    def expand(self, random: Random, name: str) -> str:
        """An expansion of the grammar's rule (or draw, or alphabet with a count) ``name``. ``KeyError`` without one."""
        if name in self._rules:
            return re.sub(r"<(\w+)>", lambda match: self.expand(random, match[1]), random.choice(self._rules[name]))
        if name in self._draws:
            return self._draws[name](random)
        alphabet, count = re.fullmatch(r"([A-Za-z]+)(\d+)", name).groups() if name[-1].isdigit() else (name, "")
        if alphabet == "n":
            return str(random.randint(1, int(count)))
        return "".join(random.choices(ALPHABETS[alphabet], k=int(count)))

    # -- words -------------------------------------------------------------------------------------------------------
    @staticmethod
    @cache
    def _chinese() -> tuple[list[str], list[int]]:
        import jieba

        with jieba.get_dict_file() as file:
            rows = [line.decode("utf-8").split(" ") for line in file]
        words = [row[0] for row in rows if len(row[0]) <= 6]
        # The square root flattens the frequencies: common words stay common, rare ones occur.
        weights = [int(int(row[1]) ** 0.5) + 1 for row in rows if len(row[0]) <= 6]
        return words, list(itertools.accumulate(weights))

    @staticmethod
    @cache
    def _english() -> tuple[list[str], list[int]]:
        import wordfreq

        words = [word for word in wordfreq.top_n_list("en", 30_000) if word.isascii()]
        return words, list(itertools.accumulate(int(10_000 / (rank + 50) ** 0.6) + 1 for rank in range(len(words))))

    @staticmethod
    @cache
    def _to_traditional() -> Callable[[str], str]:
        import opencc

        return opencc.OpenCC("s2t").convert

    @staticmethod
    def _word(random: Random, table: tuple[list[str], list[int]]) -> str:
        words, totals = table
        return words[bisect.bisect_right(totals, random.randrange(totals[-1]))]

    def _chinese_words(self, random: Random, least: int) -> str:
        text = ""
        while len(text) < least:
            text += self._word(random, self._chinese())
        return text

    def _english_word(self, random: Random) -> str:
        word = self._word(random, self._english())
        return random.choice((word, word.capitalize(), word.upper()))

    @staticmethod
    def _amount(random: Random) -> str:
        value = round(10 ** random.uniform(-1, 7), 2)
        return random.choice(CURRENCIES) + random.choice(AMOUNTS).format(value)

    # -- kinds -------------------------------------------------------------------------------------------------------
    def prose(self, random: Random) -> str:
        """Chinese words with punctuation, now and then a number or an English word."""
        text = ""
        for _ in range(random.randint(1, 5)):
            text += self._chinese_words(random, random.randint(1, 7)) + random.choice(MARKS)
            if random.random() < 0.12:
                text += self.expand(random, random.choice(("d2", "d4", "en", "amount")))
        return text[: random.randint(2, 40)]

    def english(self, random: Random) -> str:
        """Words of English with punctuation."""
        words = [self._word(random, self._english()) for _ in range(random.randint(1, 7))]
        style = random.random()
        if style < 0.6:
            marks = random.choices(("", "", "", "", ",", ".", ";", "'s", "?", "!", ":"), k=len(words))
            text = " ".join(map("".join, zip(words, marks, strict=True))).capitalize()
        else:
            text = " ".join(word.upper() if style < 0.8 else word.title() for word in words)
        wrapped = ("{}", "{}", "({})", '"{}"', "{} " + self.expand(random, "d2"), self.expand(random, "n99") + ". {}")
        return random.choice(wrapped).format(text)

    def words(self, random: Random) -> str:
        """A word or two, as on signs."""
        chance = random.random()
        if chance < 0.17:
            return self._chinese_words(random, 2)
        if chance < 0.34:
            return "".join(random.choices(v.DIGITS, k=random.randint(1, 5)))
        text = " ".join(self._english_word(random) for _ in range(random.choice((1, 1, 1, 2))))
        return text + (random.choice(".,!?:'-&%$") if chance > 0.83 else "")

    def rare(self, random: Random) -> str:
        """Characters at random, those still to be learned first: no language helps here."""
        text = "".join(random.choices(random.choice(self._pools), k=random.randint(2, 14)))
        if random.random() < 0.15:
            place = random.choice((0, 2, len(text)))
            text = text[:place] + random.choice(FULL_WIDTH + SYMBOLS + ENCLOSED) + text[place:]
        return text

    def lookalikes(self, random: Random) -> str:
        """Characters that are mistaken for one another, side by side."""
        groups = random.sample(v.LOOKALIKES, random.randint(1, 3))
        return "".join(random.choices("".join(groups), k=random.randint(2, 10)))
