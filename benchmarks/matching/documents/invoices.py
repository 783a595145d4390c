"""Documents about money: a VAT invoice, a till receipt, a bank's transfer slip."""

from __future__ import annotations

import random

from benchmarks.matching.documents import words
from benchmarks.matching.documents.page import BROWN, RED, Document, Run, Shape, rule

_TILL_INK = (50, 50, 50)
_SLIP_INK = (30, 60, 50)
_PALE = (175, 185, 180)


def vat_invoice(seed: int) -> Document:
    """A VAT invoice, landscape: labels in brown, values in black, a ruled table, a round stamp."""
    rng = random.Random(f"vat {seed}")
    runs: list[Run] = []

    def label(text: str, x: int, y: int, size: int = 22) -> None:
        runs.append(Run(text, x, y, size, "Kai" if seed % 2 else "Sans", ink=BROWN))

    def value(text: str, x: int, y: int, size: int = 22) -> None:
        runs.append(Run(text, x, y, size, "Serif"))

    runs.append(Run("电子发票（增值税专用发票）", 500, 40, 40, "Serif", ink=BROWN))
    for row, (name, text) in enumerate((("发票号码：", words.digits(rng, 20)), ("开票日期：", words.date(rng)))):
        label(name, 1080, 50 + 40 * row)
        value(text, 1200, 50 + 40 * row)
    for side, x in (("购买方", 60), ("销售方", 780)):
        label(f"{side}名称：", x, 160)
        value(words.company(rng), x + 150, 160)
        label("统一社会信用代码：", x, 210)
        value(words.tax_id(rng), x + 220, 210)
    columns = (60, 360, 520, 640, 800, 980, 1160, 1300)
    for name, x in zip(("项目名称", "规格型号", "单位", "数量", "单价", "金额", "税率", "税额"), columns, strict=True):
        label(name, x, 290)
    total = tax_total = 0.0
    for row in range(rng.randint(3, 7)):
        y = 345 + 46 * row
        count, price = rng.randint(1, 60), rng.randint(100, 99999) / 100
        amount = round(count * price, 2)
        tax = round(amount * 0.13, 2)
        total, tax_total = total + amount, tax_total + tax
        good, model = rng.choice(words.GOODS), rng.choice("ABCDXY") + words.digits(rng, 3)
        cells = (f"*{good}*", model, rng.choice("个件箱套台"), str(count), f"{price:.2f}", f"{amount:.2f}", "13%",
                 f"{tax:.2f}")
        for text, x in zip(cells, columns, strict=True):
            value(text, x, y)
    label("合计", 100, 710)
    value(f"¥{total:.2f}", columns[5], 710)
    value(f"¥{tax_total:.2f}", columns[7], 710)
    label("价税合计（小写）", 60, 770)
    value(f"¥{total + tax_total:.2f}", 300, 768, 26)
    label("备注", 60, 830)
    value(f"订单号{words.digits(rng, 12)}", 140, 830, 20)
    label("开票人：", 60, 910)
    value(rng.choice(words.PEOPLE), 160, 910)
    rules = [rule(40, y, 1460, y, BROWN) for y in (140, 260, 330, 690, 755, 815, 890)]
    rules += [rule(x, 140, x, bottom, BROWN) for x, bottom in ((40, 890), (1460, 890), (750, 260))]
    seal = Shape("ellipse", ((840, 28), (1040, 126)), RED, 3)
    return Document("invoice", 1500, 980, tuple(runs), (*rules, seal))


def receipt(seed: int) -> Document:
    """A till receipt: narrow, one size of type, warm paper."""
    rng = random.Random(f"receipt {seed}")
    runs: list[Run] = []

    def say(text: str, x: int, y: int, size: int = 24, weight: str = "Regular") -> None:
        runs.append(Run(text, x, y, size, "Hei" if seed % 3 == 0 and weight == "Regular" else "Sans", weight,
                        _TILL_INK))

    say(f"{rng.choice(words.FIRMS)}便利店", 170, 30, 36, "Bold")
    y = 100
    day = f"{rng.randint(2019, 2026)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    for text in (f"门店：{rng.choice(words.PLACES)}{words.digits(rng, 3)}店", f"单号：{words.digits(rng, 16)}",
                 f"日期：{day} {words.clock(rng)}", f"收银员：{rng.choice(words.PEOPLE)}"):
        say(text, 30, y)
        y += 38
    y += 20
    total = 0.0
    for _ in range(rng.randint(5, 14)):
        count, price = rng.randint(1, 5), rng.randint(100, 9999) / 100
        total += count * price
        cells = ((rng.choice(words.GOODS), 30), (f"{count}", 290), (f"{price:.2f}", 350), (f"{count * price:.2f}", 455))
        for text, x in cells:
            say(text, x, y)
        y += 40
    y += 20
    line = rule(30, y, 546, y, _TILL_INK)
    y += 20
    paid = total + rng.randint(0, 100)
    for name, amount in (("合计", total), ("实收", paid), ("找零", paid - total)):
        say(name, 30, y, 28, "Bold")
        say(f"¥{amount:.2f}", 400, y, 28, "Bold")
        y += 46
    say(f"电话 0{words.digits(rng, 2)}-{words.digits(rng, 8)}", 150, y + 20, 22)
    say("谢谢惠顾 欢迎再次光临", 160, y + 58, 22)
    return Document("receipt", 576, y + 130, tuple(runs), (line,), paper=(250, 249, 246))


def bank_slip(seed: int) -> Document:
    """A bank's transfer slip: a double frame, small labels, typed values, the amount twice, a pale number below."""
    rng = random.Random(f"slip {seed}")
    amount = rng.randint(10_000, 99_999_999) / 100
    runs = [
        Run(f"{rng.choice(words.PLACES)}银行电子回单", 480, 34, 36, "Serif", "Bold", _SLIP_INK),
        Run(f"回单编号：{words.digits(rng, 16)}", 60, 98, 20, ink=_SLIP_INK),
        Run(f"{words.date(rng)} {words.clock(rng)}", 900, 98, 20),
    ]
    rows = [
        ("付款人户名", words.company(rng)), ("付款人账号", words.digits(rng, 19)),
        ("付款人开户行", f"中国银行{rng.choice(words.PLACES)}支行"),
        ("收款人户名", words.company(rng)), ("收款人账号", words.digits(rng, 19)),
        ("收款人开户行", f"工商银行{rng.choice(words.PLACES)}支行"),
        ("金额（小写）", f"CNY {amount:,.2f}"), ("金额（大写）", words.in_numerals(rng, amount)),
        ("用途", f"{rng.choice(words.GOODS)} 合同{words.digits(rng, 8)}"), ("经办人", rng.choice(words.PEOPLE)),
    ]
    shapes = [Shape("rectangle", ((40, 130), (1180, 660)), _SLIP_INK, 3), rule(260, 130, 260, 660, _SLIP_INK, 1)]
    for row, (name, text) in enumerate(rows):
        y = 136 + 53 * row
        shapes.append(rule(40, y + 48, 1180, y + 48, _SLIP_INK, 1))
        runs.append(Run(name, 60, y + 10, 20, ink=_SLIP_INK))
        runs.append(Run(text, 290, y + 8, 23, "Hei" if seed % 2 else "Serif"))
    runs.append(Run(f"验证码：{words.digits(rng, 12)}", 60, 680, 18, ink=_SLIP_INK))
    runs.append(Run(f"{words.digits(rng, 4)} {words.digits(rng, 4)}", 900, 680, 18, ink=_PALE))
    shapes.append(Shape("ellipse", ((960, 540), (1120, 648)), RED, 2))
    return Document("slip", 1220, 730, tuple(runs), tuple(shapes))
