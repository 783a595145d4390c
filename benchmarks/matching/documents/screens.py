"""What screens show: a chat in light or dark colours, and a small panel of figures."""

from __future__ import annotations

import random

from benchmarks.matching.documents import words
from benchmarks.matching.documents.page import Colour, Document, Run, Shape, block


def chat(seed: int) -> Document:
    """A phone's screenshot of a chat: a bar with the time, bubbles left and right, avatars."""
    rng = random.Random(f"chat {seed}")
    dark = seed % 3 == 2
    paper: Colour = (17, 17, 17) if dark else (237, 237, 237)
    text_ink: Colour = (225, 225, 225) if dark else (25, 25, 25)
    bubbles: tuple[Colour, Colour] = ((44, 44, 44), (38, 110, 70)) if dark else ((255, 255, 255), (149, 236, 105))
    width = 750
    shapes = [block(0, 0, width, 128, (30, 30, 30) if dark else (246, 246, 246))]
    runs = [Run(words.clock(rng), 40, 16, 28, weight="Medium", ink=text_ink),
            Run(rng.choice(words.PEOPLE), 330, 68, 34, weight="Medium", ink=text_ink)]
    y = 160
    for _ in range(rng.randint(5, 8)):
        mine = rng.random() < 0.5
        lines = _message(rng)
        longest = max(len(line.encode("gbk")) for line in lines) * 15
        height = 44 * len(lines) + 36
        left = width - 120 - longest - 48 if mine else 120
        shapes.append(block(left, y, left + longest + 48, y + height, bubbles[mine], 10))
        x = width - 100 if mine else 20
        face = tuple(rng.randint(60, 200) for _ in range(3))
        shapes.append(block(x, y, x + 80, y + 80, face, 8))
        shapes.append(Shape("ellipse", ((x + 22, y + 14), (x + 58, y + 50)), fill=paper))
        for row, line in enumerate(lines):
            runs.append(Run(line, left + 24, y + 14 + 44 * row, 30, ink=text_ink if dark or not mine else (25, 25, 25)))
        y += height + 36
    return Document("chat", width, y + 60, tuple(runs), tuple(shapes), paper=paper)


def _message(rng: random.Random) -> list[str]:
    """The lines of one message."""
    return rng.choice((
        [f"转账{rng.randint(10, 9999)}.{rng.randint(0, 99):02d}元，请查收"],
        [f"我的账号是{words.digits(rng, 10)}", f"户名{rng.choice(words.PEOPLE)}"],
        [f"{rng.choice(words.GOODS)}还有{rng.randint(2, 99)}件"],
        [f"明天{words.clock(rng)}到{rng.choice(words.PLACES)}站"],
        [words.sentence(rng, 13), words.sentence(rng, rng.randint(4, 12))],
        [f"快递单号{words.digits(rng, 12)}"],
    ))


def panel(seed: int) -> Document:
    """A small panel of an application: light figures on a dark, framed ground, text of about 15 pixels."""
    rng = random.Random(f"panel {seed}")
    runs = [Run(f"{rng.choice(words.FIRMS)}账户", 24, 16, 18, weight="Medium", ink=(240, 220, 160))]
    names = ("余额", "今日", "本周", "等级", "积分", "编号")
    y = 54
    for name in names[:rng.randint(3, 6)]:
        figure = rng.choice((f"{rng.randint(100, 99999)}", f"{rng.randint(1, 999)}.{rng.randint(0, 99):02d}",
                             f"{rng.randint(1, 99)}/{rng.randint(100, 999)}", words.clock(rng)))
        runs += [Run(name, 24, y, 15, ink=(170, 180, 200)), Run(figure, 150, y, 16, ink=(235, 235, 235))]
        y += 28
    frame = Shape("rectangle", ((6, 6), (334, y + 12)), (90, 110, 150), 2)
    return Document("panel", 340, y + 20, tuple(runs), (block(10, 44, 330, 46, (60, 75, 105)), frame),
                    paper=(28, 34, 48))
