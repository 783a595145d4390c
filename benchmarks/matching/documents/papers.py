"""Printed pages: a train ticket, a form, a table of figures, an article."""

from __future__ import annotations

import random

from benchmarks.matching.documents import words
from benchmarks.matching.documents.page import BLUE, GREY, RED, Document, Run, block, rule

_FIELDS = ("姓名", "性别", "出生日期", "身份证号", "联系电话", "电子邮箱", "工作单位", "职务", "家庭住址", "邮政编码",
           "开户银行", "银行账号", "紧急联系人", "联系人电话")


def ticket(seed: int) -> Document:
    """A small train ticket on tinted paper: few lines, mixed sizes."""
    rng = random.Random(f"ticket {seed}")
    start, end = rng.sample(words.PLACES, 2)
    seat = f"{rng.randint(1, 16):02d}车{rng.randint(1, 20):02d}{rng.choice('ABCDF')}号"
    runs = (
        Run(f"{rng.choice('ABCDEFGH')}{words.digits(rng, 7)}", 50, 30, 28, ink=RED),
        Run(f"{start}站", 90, 90, 44), Run(f"{end}站", 560, 90, 44), Run(f"G{rng.randint(1, 9999)}", 360, 96, 38),
        Run(f"{words.date(rng)}{words.clock(rng)}开", 60, 180, 28), Run(seat, 560, 180, 28),
        Run(f"¥{rng.randint(20, 1999)}.{rng.choice('05')}元", 60, 240, 30), Run("二等座", 600, 240, 28),
        Run(f"{words.digits(rng, 10)}****{words.digits(rng, 4)}", 60, 320, 28),
        Run(rng.choice(words.PEOPLE), 460, 320, 28),
        Run(words.digits(rng, 14) + rng.choice(words.PLACES) + "售", 60, 420, 24),
    )
    return Document("ticket", 860, 480, runs, paper=(222, 236, 246))


def form(seed: int) -> Document:
    """An application form, portrait: grey labels, a grid, values in blue."""
    rng = random.Random(f"form {seed}")
    runs = [Run("人员信息登记表", 400, 60, 44, weight="Bold"),
            Run(f"编号：{words.digits(rng, 10)}", 800, 140, 22, ink=GREY)]
    street = f"{rng.choice(words.PLACES)}市{rng.choice(words.FIRMS)}路{rng.randint(1, 999)}号"
    values = (
        rng.choice(words.PEOPLE), rng.choice("男女"), words.date(rng), words.digits(rng, 18),
        "1" + words.digits(rng, 10), f"user{words.digits(rng, 4)}@example.com", words.company(rng),
        rng.choice(("经理", "主任", "工程师", "会计")), f"{street}{rng.randint(1, 30)}栋{rng.randint(101, 2802)}室",
        words.digits(rng, 6), f"中国银行{rng.choice(words.PLACES)}支行", words.digits(rng, 19),
        rng.choice(words.PEOPLE), "1" + words.digits(rng, 10),
    )
    rules = []
    for row, (name, text) in enumerate(zip(_FIELDS, values, strict=True)):
        y = 190 + row * 66
        rules.append(rule(70, y, 1060, y, GREY))
        runs.append(Run(name, 90, y + 18, 24, ink=GREY))
        runs.append(Run(text, 300, y + 16, 26, "Kai" if seed % 2 else "Serif", ink=BLUE))
    bottom = 190 + len(_FIELDS) * 66
    rules.append(rule(70, bottom, 1060, bottom, GREY))
    rules += [rule(x, 190, x, bottom, GREY) for x in (70, 1060, 270)]
    for row in range(5):
        runs.append(Run("".join(rng.sample(words.PROSE, 36)), 80, bottom + 40 + row * 40, 25, "Serif"))
    runs.append(Run(f"签字日期：{words.date(rng)}", 700, bottom + 260, 24))
    return Document("form", 1130, 1500, tuple(runs), tuple(rules))


def table(seed: int) -> Document:
    """A month's figures: banded rows, narrow columns, small type, a total under them."""
    rng = random.Random(f"table {seed}")
    runs = [Run(f"{rng.choice(words.PLACES)}分公司{rng.randint(2019, 2026)}年{rng.randint(1, 12)}月销售明细", 330, 40,
                32, "Serif", "Bold")]
    columns = (60, 140, 400, 560, 720, 880, 1040)
    shapes = [block(50, 108, 1190, 148, (60, 90, 140))]
    for text, x in zip(("序号", "商品", "数量", "单价", "折扣", "金额", "经办"), columns, strict=True):
        runs.append(Run(text, x, 114, 20, "Sans", "Medium", (245, 245, 245)))
    total, y = 0.0, 154
    for row in range(rng.randint(12, 18)):
        if row % 2:
            shapes.append(block(50, y - 3, 1190, y + 31, (232, 238, 246)))
        count, price, share = rng.randint(1, 900), rng.randint(100, 99999) / 100, rng.randint(50, 100)
        amount = count * price * share / 100
        total += amount
        cells = (f"{row + 1:02d}", rng.choice(words.GOODS), f"{count}", f"{price:.2f}", f"{share}%", f"{amount:,.2f}",
                 rng.choice(words.PEOPLE))
        runs += [Run(text, x, y, 19) for text, x in zip(cells, columns, strict=True)]
        y += 34
    shapes.append(rule(50, y + 4, 1190, y + 4))
    runs += [Run("总计", 140, y + 12, 22, weight="Bold"), Run(f"{total:,.2f}", 880, y + 12, 22, weight="Bold")]
    runs.append(Run(f"制表：{rng.choice(words.PEOPLE)}  复核：{rng.choice(words.PEOPLE)}", 60, y + 64, 20))
    return Document("table", 1240, y + 130, tuple(runs), tuple(shapes))


def article(seed: int) -> Document:
    """A dense page of small serif type with a few numbers in it, footnotes in smaller and paler type."""
    rng = random.Random(f"article {seed}")
    width, height = 1000, 1400
    face = "Kai" if seed % 4 == 3 else "Serif"
    runs = [Run("".join(rng.sample(words.PROSE, 12)), 240, 60, 40, "Serif", "Bold")]
    y = 150
    while y < height - 130:
        text = words.sentence(rng, rng.choice((38, 38, 38, 22)))
        if rng.random() < 0.3:
            cut = rng.randrange(len(text) - 8)
            text = text[:cut] + f"{rng.randint(10, 9999)}.{rng.randint(0, 99):02d}" + text[cut + 4:]
        runs.append(Run(text, 70, y, 21, face))
        y += 36
    for number in (1, 2):
        text = f"{number}. {words.sentence(rng, 14)}{rng.randint(10, 999)}.{rng.randint(0, 99):02d}"
        runs.append(Run(text, 70, height - 110 + 34 * number, 15, face, ink=GREY))
    return Document("article", width, height, tuple(runs), (rule(70, height - 90, 300, height - 90, GREY, 1),))
