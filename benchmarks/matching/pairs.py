"""Hard pairs: a document, and another one that differs from it in one small thing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.matching.documents import KINDS, words
from benchmarks.matching.documents.page import BLUE, RED, Document, Run, Shape, font, ink_box

_LOOK_ALIKE = ("天夭", "士土", "日曰", "未末", "人入", "己已", "千干", "大太", "王玉", "今令", "元无", "申甲", "白自",
               "名各", "合含")
_PARTNERS = {a: pair.replace(a, "") for pair in _LOOK_ALIKE for a in pair}
_LETTERS = dict(zip("01258", "OlZSB", strict=True))
_DIGIT_PARTNERS = dict(zip("0123456789", ("68", "74", "7", "8", "1", "6", "508", "1", "30", "08"), strict=True))
_LEAST_CONTRAST = 24  # grey levels
FIRST_UNKNOWN = 1_000_000
"""Fillings from this number on are in no index."""


@dataclass(frozen=True)
class Changed:
    """``document``: the other one. ``what``: what was changed, for people."""

    document: Document
    what: str


Order = Sequence[int]
"""Indices of a document's lines, in the order in which they are tried."""
Change = Callable[[Document, random.Random, Order], Changed | None]
"""``None`` when the document has nothing of that kind to change."""


# --- one line's text --------------------------------------------------------------------------------------------
def _edited(document: Document, order: Order, edit: Callable[[str], str | None]) -> Changed | None:
    for index in order:
        run = document.runs[index]
        text = edit(run.text)
        if text is not None and text != run.text:
            return Changed(_with_run(document, index, replace(run, text=text)), f"{run.text} -> {text}")
    return None


def _with_run(document: Document, index: int, run: Run) -> Document:
    return replace(document, runs=(*document.runs[:index], run, *document.runs[index + 1:]))


def _character(
    document: Document, rng: random.Random, order: Order, partners: Callable[[str], str]
) -> Changed | None:
    """One character replaced by one of its ``partners``."""
    def edit(text: str) -> str | None:
        places = [i for i, character in enumerate(text) if partners(character)]
        if not places:
            return None
        at = rng.choice(places)
        return text[:at] + rng.choice(partners(text[at])) + text[at + 1:]

    return _edited(document, order, edit)


def digit(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A digit by one that looks like it: 3 and 8, 1 and 7, 0 and 6, 5 and 6."""
    return _character(document, rng, order, lambda c: _DIGIT_PARTNERS.get(c, ""))


def any_digit(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A digit by any other."""
    return _character(document, rng, order, lambda c: "0123456789".replace(c, "") if c in "0123456789" else "")


def look_alike(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A character by its look-alike: 未 and 末, 日 and 曰, 土 and 士."""
    return _character(document, rng, order, lambda c: _PARTNERS.get(c, ""))


def letter(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A digit by the letter that looks like it: 0 and O, 1 and l, 5 and S."""
    return _character(document, rng, order, lambda c: _LETTERS.get(c, ""))


def character(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """An ideograph by any other."""
    return _character(document, rng, order, lambda c: words.PROSE.replace(c, "") if c >= "一" else "")


def point(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A decimal point moved by one place."""
    def edit(text: str) -> str | None:
        at = text.find(".")
        if at < 1 or at + 1 >= len(text) or not (text[at - 1].isdigit() and text[at + 1].isdigit()):
            return None
        return text[:at] + text[at + 1] + "." + text[at + 2:]

    return _edited(document, order, edit)


def name(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A person's, a firm's or a place's name by another of the same length."""
    def edit(text: str) -> str | None:
        for known in rng.sample([words.PEOPLE, words.FIRMS, words.PLACES], 3):
            for one in known:
                others = [other for other in known if len(other) == len(one) and other != one]
                if one in text and others:
                    return text.replace(one, rng.choice(others), 1)
        return None

    return _edited(document, order, edit)


def appended(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """One more digit at the end of a number."""
    return _edited(document, order, lambda text: text + rng.choice("0123456789") if text[-1:].isdigit() else None)


def corrected(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """Digits in three lines: an amount, what follows from it, a date."""
    return _several(document, rng, [(digit, order)] * 3)


def covert(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A change that shows, and a second one in the smallest or palest print, where it shows least."""
    hardest = sorted(order, key=lambda index: _prominence(document, document.runs[index]))
    return _several(document, rng, [(any_digit, order), (rng.choice([look_alike, digit]), hardest)])


def _several(document: Document, rng: random.Random, changes: Sequence[tuple[Change, Order]]) -> Changed | None:
    """One change after the other, each in a line that the others left alone."""
    made, whats = document, []
    for change, order in changes:
        left = [index for index in order if made.runs[index] == document.runs[index]]
        one = change(made, rng, left)
        if one is None:
            return None
        made = one.document
        whats.append(one.what)
    return Changed(made, "; ".join(whats))


# --- whole lines ------------------------------------------------------------------------------------------------
def removed(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A line that is gone."""
    index = order[0]
    runs = document.runs[:index] + document.runs[index + 1:]
    return Changed(replace(document, runs=runs), f"-{document.runs[index].text}") if runs else None


def added(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """A line of four digits where there was none, in the type of a line whose ink shows on the paper: that of a table's
    head is as white as the paper is."""
    model = rng.choice([run for run in document.runs if _contrast(document, run) >= _LEAST_CONTRAST])
    text, size = words.digits(rng, 4), min(22, model.size)
    width = int(font(model.face, model.weight, size).getlength(text)) + 12
    for _ in range(200):
        x, y = rng.randint(8, document.width - width - 8), rng.randint(8, document.height - 2 * size)
        if all(x + width < x0 or x > x1 + 6 or y + 1.5 * size < y0 or y > y1
               for x0, y0, x1, y1 in map(ink_box, document.runs)):
            line = replace(model, text=text, size=size, x=x, y=y)
            return Changed(replace(document, runs=(*document.runs, line)), f"+{text} at {x}, {y}")
    return None


def swapped(document: Document, rng: random.Random, order: Order) -> Changed | None:
    """The texts of two lines of like size, exchanged."""
    runs = document.runs
    for a in order:
        for b in order:
            one, other = runs[a], runs[b]
            if one.text != other.text and (one.size, len(one.text)) == (other.size, len(other.text)):
                first = _with_run(document, a, replace(one, text=other.text))
                return Changed(_with_run(first, b, replace(other, text=one.text)), f"{one.text} <> {other.text}")
    return None


# --- marks ------------------------------------------------------------------------------------------------------
def _marked(document: Document, what: str, *marks: Shape) -> Changed:
    return Changed(replace(document, marks=(*document.marks, *marks)), what)


def _figure(document: Document, order: Order) -> Run:
    """The first line with a number in it, where there is one."""
    runs = [document.runs[index] for index in order]
    return next((run for run in runs if any(character in "0123456789" for character in run.text)), runs[0])


def stamp(document: Document, rng: random.Random, order: Order) -> Changed:
    """A round red stamp over a figure."""
    run = _figure(document, order)
    x0, y0, x1, y1 = ink_box(run)
    radius = rng.uniform(1.0, 1.8) * run.size
    x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
    rings = [Shape("ellipse", ((x - r, y - r), (x + r, y + r)), RED, max(2, run.size // 9))
             for r in (radius, 0.45 * radius)]
    return _marked(document, f"stamp on {run.text}", *rings)


def struck(document: Document, rng: random.Random, order: Order) -> Changed:
    """A line's text struck out."""
    run = _figure(document, order)
    x0, y0, x1, y1 = ink_box(run)
    middle = (y0 + y1) / 2 + rng.uniform(-0.1, 0.1) * run.size
    stroke = Shape("line", ((x0 - 3, middle), (x1 + 3, middle + rng.uniform(-2, 2))), run.ink, max(2, run.size // 10))
    return _marked(document, f"struck out: {run.text}", stroke)


def pen(document: Document, rng: random.Random, order: Order) -> Changed:
    """A stroke of a pen, anywhere on the page."""
    size = sorted(run.size for run in document.runs)[len(document.runs) // 2]
    x, y = rng.uniform(0.1, 0.75) * document.width, rng.uniform(0.1, 0.9) * document.height
    points = [(x, y)]
    for _ in range(rng.randint(2, 4)):
        x, y = x + rng.uniform(0.4, 1.6) * size, y + rng.uniform(-1, 1) * size
        points.append((min(x, document.width - 8), min(max(y, 8), document.height - 8)))
    ink = BLUE if sum(document.paper) > 380 else (120, 150, 255)
    return _marked(document, f"pen at {points[0][0]:.0f}, {points[0][1]:.0f}",
                   Shape("line", tuple(points), ink, max(2, round(size / 9))))


def dot(document: Document, rng: random.Random, order: Order) -> Changed:
    """A dot as large as the line's own decimal point, between or beside its characters."""
    run = _figure(document, order)
    at = rng.randint(1, len(run.text))
    x = run.x + font(run.face, run.weight, run.size).getlength(run.text[:at])
    y = ink_box(run)[3] - 0.16 * run.size
    radius = max(1.2, 0.065 * run.size)
    return _marked(document, f"dot after {run.text[:at]!r}",
                   Shape("ellipse", ((x - radius, y - radius), (x + radius, y + radius)), fill=run.ink))


def filling(document: Document, rng: random.Random, order: Order) -> Changed:
    """Another filling of the same form, one that nobody has seen."""
    seed = FIRST_UNKNOWN + rng.randrange(100_000)
    return Changed(KINDS[document.kind](seed), f"filling {seed}")


ONE_CHARACTER: dict[str, Change] = {
    "digit": digit, "any digit": any_digit, "look-alike": look_alike, "letter": letter, "character": character,
    "point": point,
}
ADDED_OR_REMOVED: dict[str, Change] = {
    "appended": appended, "removed": removed, "added": added, "stamp": stamp, "struck": struck, "pen": pen, "dot": dot,
}
CHANGES: dict[str, Change] = {
    **ONE_CHARACTER, "name": name, "swapped": swapped, "corrected": corrected, "covert": covert, **ADDED_OR_REMOVED,
    "filling": filling,
}


def changed(document: Document, change: str, number: int, seed: int) -> Changed | None:
    """The ``number``-th pair of ``document`` (the filling ``seed`` of its kind) by ``change``.

    Every second one is made where it is hardest to see: in the smallest or the palest line that it can be made in.
    """
    rng = random.Random(f"{document.kind} {seed} {change} {number}")
    order = rng.sample(range(len(document.runs)), len(document.runs))
    if number % 2:
        order.sort(key=lambda index: _prominence(document, document.runs[index]))
    return CHANGES[change](document, rng, order)


def _prominence(document: Document, run: Run) -> float:
    """The height of a line's type times the contrast of its ink."""
    return run.size * _contrast(document, run)


def _contrast(document: Document, run: Run) -> float:
    """Grey levels between a line's ink and the page's paper."""
    return sum(abs(a - b) for a, b in zip(run.ink, document.paper, strict=True)) / 3
