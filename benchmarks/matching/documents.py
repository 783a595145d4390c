"""Documents drawn for measuring: invoices, receipts, forms, articles, each in many fillings.

A :class:`Document` is a list of text runs and rules on a blank page, so that one character can be changed and
everything else stays where it was. :func:`render` draws it and returns the true boxes of its lines.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_FOLDER = Path("/usr/share/fonts/opentype/noto")
SIMPLIFIED = 2  # index of the Simplified Chinese face in the Noto CJK collections

Colour = tuple[int, int, int]
BLACK: Colour = (25, 25, 25)
BROWN: Colour = (120, 70, 40)
GREY: Colour = (120, 120, 120)
BLUE: Colour = (40, 60, 150)


@dataclass(frozen=True)
class Run:
    """One line of text: its top-left corner and size in pixels."""

    text: str
    x: int
    y: int
    size: int
    face: str = "Sans"
    weight: str = "Regular"
    ink: Colour = BLACK


@dataclass(frozen=True)
class Document:
    kind: str
    width: int
    height: int
    runs: tuple[Run, ...]
    rules: tuple[tuple[int, int, int, int], ...] = ()
    rule_ink: Colour = BLACK
    paper: Colour = (255, 255, 255)
    stamps: tuple[tuple[int, int, int], ...] = field(default=())


@lru_cache(maxsize=64)
def _font(face: str, weight: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT_FOLDER / f"Noto{face}CJK-{weight}.ttc", size, index=SIMPLIFIED)


def render(document: Document, padding: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """The page, uint8 RGB (h, w, 3), and the boxes of its runs, float32 (n, 4, 2).

    ``padding`` is what a text detector leaves around the ink, as a share of the line's height.
    """
    page = Image.new("RGB", (document.width, document.height), document.paper)
    draw = ImageDraw.Draw(page)
    for x0, y0, x1, y1 in document.rules:
        draw.line((x0, y0, x1, y1), fill=document.rule_ink, width=2)
    boxes = []
    for run in document.runs:
        font = _font(run.face, run.weight, run.size)
        draw.text((run.x, run.y), run.text, font=font, fill=run.ink)
        x0, y0, x1, y1 = draw.textbbox((run.x, run.y), run.text, font=font)
        # A line is as high as its letters are, even when it only holds a dash.
        y0, y1 = min(y0, run.y + 0.30 * run.size), max(y1, run.y + 1.1 * run.size)
        pad = padding * (y1 - y0)
        boxes.append([[x0 - pad, y0 - pad], [x1 + pad, y0 - pad], [x1 + pad, y1 + pad], [x0 - pad, y1 + pad]])
    for x, y, radius in document.stamps:
        for inset in (0, 1, 2):
            draw.ellipse((x - radius + inset, y - radius + inset, x + radius - inset, y + radius - inset),
                         outline=(200, 40, 40))
    return np.asarray(page), np.asarray(boxes, np.float32).reshape(-1, 4, 2)


# --- contents ---------------------------------------------------------------------------------------------------
def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PLACES = _words("北京 上海 广州 深圳 杭州 成都 武汉 西安 南京 苏州 天津 重庆 青岛 长沙 大连 厦门")
_NAMES = _words("华信 远大 天成 士林 日升 宏图 恒通 博雅 瑞丰 中科 东方 明珠 金桥 海川 永泰 千禧 未来 人和")
_TRADES = _words("科技 贸易 物流 信息 电子 机械 食品 医药 建材 文化 商务 纺织")
_GOODS = _words(
    "办公用品 打印纸 笔记本电脑 技术服务费 运输服务 餐饮服务 住宿费 咨询费 显示器 键盘鼠标 墨盒 硒鼓 "
    "矿泉水 绿茶 牛奶 面包 苹果 大米 食用油 洗衣液 牙膏 电池 数据线 保温杯"
)
_PEOPLE = _words("王伟 李娜 张敏 刘洋 陈静 杨帆 赵磊 黄丽 周杰 吴天 徐末 孙士杰 朱日新 马千里 胡人")
_PROSE = (
    "本合同一式两份双方各执一份自签字盖章之日起生效甲方应当在收到发票后三十个工作日内支付全部款项"
    "逾期未付的每日按照未付金额的万分之五支付违约金乙方保证所提供的货物符合国家标准以及双方约定的"
    "质量要求如有瑕疵应当无偿更换或者退货争议由双方协商解决协商不成的提交所在地人民法院诉讼解决"
    "未尽事宜可以另行签订补充协议与本合同具有同等法律效力"
)


def _company(rng: random.Random) -> str:
    return f"{rng.choice(_PLACES)}{rng.choice(_NAMES)}{rng.choice(_TRADES)}有限公司"


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _tax_id(rng: random.Random) -> str:
    return "91" + _digits(rng, 6) + "MA" + "".join(rng.choice("0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(8))


def _date(rng: random.Random) -> str:
    return f"{rng.randint(2019, 2026)}年{rng.randint(1, 12):02d}月{rng.randint(1, 28):02d}日"


def vat_invoice(seed: int) -> Document:
    """A VAT invoice, landscape: labels in brown, values in black, a ruled table, a round stamp."""
    rng = random.Random(f"vat {seed}")
    width, height = 1500, 980
    runs: list[Run] = []
    label = lambda text, x, y, size=22: runs.append(Run(text, x, y, size, ink=BROWN))  # noqa: E731
    value = lambda text, x, y, size=22: runs.append(Run(text, x, y, size, "Serif"))  # noqa: E731
    runs.append(Run("电子发票（增值税专用发票）", 500, 40, 40, "Serif", ink=BROWN))
    for row, (name, text) in enumerate((("发票号码：", _digits(rng, 20)), ("开票日期：", _date(rng)))):
        label(name, 1080, 50 + 40 * row)
        value(text, 1200, 50 + 40 * row)
    for side, x in (("购买方", 60), ("销售方", 780)):
        label(f"{side}名称：", x, 160)
        value(_company(rng), x + 140, 160)
        label("统一社会信用代码：", x, 210)
        value(_tax_id(rng), x + 220, 210)
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
        good, model, unit = rng.choice(_GOODS), rng.choice("ABCDXY") + _digits(rng, 3), rng.choice("个件箱套台")
        cells = (f"*{good}*", model, unit, str(count), f"{price:.2f}", f"{amount:.2f}", "13%", f"{tax:.2f}")
        for text, x in zip(cells, columns, strict=True):
            value(text, x, y)
    label("合计", 100, 710)
    value(f"¥{total:.2f}", columns[5], 710)
    value(f"¥{tax_total:.2f}", columns[7], 710)
    label("价税合计（小写）", 60, 770)
    value(f"¥{total + tax_total:.2f}", 300, 768, 26)
    label("备注", 60, 830)
    value(f"订单号{_digits(rng, 12)}", 140, 830, 20)
    label("开票人：", 60, 910)
    value(rng.choice(_PEOPLE), 160, 910)
    rules = [(40, y, 1460, y) for y in (140, 260, 330, 690, 755, 815, 890)]
    rules += [(40, 140, 40, 890), (1460, 140, 1460, 890), (750, 140, 750, 260)]
    return Document("vat", width, height, tuple(runs), tuple(rules), BROWN, stamps=((1250, 110, 62),))


def receipt(seed: int) -> Document:
    """A till receipt: narrow, one size of type, dashed separators written as text."""
    rng = random.Random(f"receipt {seed}")
    width = 576
    ink = (50, 50, 50)
    runs = [Run(f"{rng.choice(_NAMES)}便利店", 170, 30, 36, weight="Bold", ink=ink)]
    y = 100
    for text in (f"门店：{rng.choice(_PLACES)}{_digits(rng, 3)}店", f"单号：{_digits(rng, 16)}",
                 f"日期：{rng.randint(2019, 2026)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} "
                 f"{rng.randint(8, 22):02d}:{rng.randint(0, 59):02d}", f"收银员：{rng.choice(_PEOPLE)}"):
        runs.append(Run(text, 30, y, 24, ink=ink))
        y += 38
    y += 20
    total = 0.0
    for _ in range(rng.randint(5, 14)):
        count, price = rng.randint(1, 5), rng.randint(100, 9999) / 100
        total += count * price
        good = rng.choice(_GOODS)
        for text, x in ((good, 30), (f"{count}", 290), (f"{price:.2f}", 350), (f"{count * price:.2f}", 455)):
            runs.append(Run(text, x, y, 24, ink=ink))
        y += 40
    y += 20
    rule = y
    y += 20
    paid = total + rng.randint(0, 100)
    for name, amount in (("合计", total), ("实收", paid), ("找零", paid - total)):
        runs.append(Run(name, 30, y, 28, weight="Bold", ink=ink))
        runs.append(Run(f"¥{amount:.2f}", 400, y, 28, weight="Bold", ink=ink))
        y += 46
    runs.append(Run(f"电话 0{_digits(rng, 2)}-{_digits(rng, 8)}", 150, y + 20, 22, ink=ink))
    runs.append(Run("谢谢惠顾 欢迎再次光临", 160, y + 58, 22, ink=ink))
    return Document("receipt", width, y + 130, tuple(runs), ((30, rule, 546, rule),), ink, paper=(250, 249, 246))


def form(seed: int) -> Document:
    """An application form, portrait: grey labels, a grid, values in blue serif type."""
    rng = random.Random(f"form {seed}")
    width, height = 1130, 1500
    runs = [Run("人员信息登记表", 400, 60, 44, weight="Bold"), Run(f"编号：{_digits(rng, 10)}", 800, 140, 22, ink=GREY)]
    fields = _words(
        "姓名 性别 出生日期 身份证号 联系电话 电子邮箱 工作单位 职务 家庭住址 邮政编码 "
        "开户银行 银行账号 紧急联系人 联系人电话"
    )
    street = f"{rng.choice(_PLACES)}市{rng.choice(_NAMES)}路{rng.randint(1, 999)}号"
    values = (rng.choice(_PEOPLE), rng.choice("男女"), _date(rng), _digits(rng, 18), "1" + _digits(rng, 10),
              f"user{_digits(rng, 4)}@example.com", _company(rng), rng.choice(("经理", "主任", "工程师", "会计")),
              f"{street}{rng.randint(1, 30)}栋{rng.randint(101, 2802)}室", _digits(rng, 6),
              f"中国银行{rng.choice(_PLACES)}支行", _digits(rng, 19), rng.choice(_PEOPLE), "1" + _digits(rng, 10))
    rules = []
    for row, (name, text) in enumerate(zip(fields, values, strict=True)):
        y = 190 + row * 66
        rules.append((70, y, 1060, y))
        runs.append(Run(name, 90, y + 18, 24, ink=GREY))
        runs.append(Run(text, 300, y + 16, 26, "Serif", ink=BLUE))
    bottom = 190 + len(fields) * 66
    rules += [(70, bottom, 1060, bottom), (70, 190, 70, bottom), (1060, 190, 1060, bottom), (270, 190, 270, bottom)]
    for row in range(5):
        runs.append(Run("".join(rng.sample(_PROSE, 36)), 80, bottom + 40 + row * 40, 25, "Serif"))
    runs.append(Run(f"签字日期：{_date(rng)}", 700, bottom + 260, 24))
    return Document("form", width, height, tuple(runs), tuple(rules), GREY)


def article(seed: int) -> Document:
    """A dense page of small serif type with a few numbers in it."""
    rng = random.Random(f"article {seed}")
    width, height = 1000, 1400
    runs = [Run("".join(rng.sample(_PROSE, 12)), 240, 60, 40, "Serif", "Bold")]
    y = 150
    while y < height - 80:
        text = "".join(rng.choice(_PROSE) for _ in range(rng.choice((38, 38, 38, 22))))
        if rng.random() < 0.3:
            cut = rng.randrange(len(text) - 8)
            text = text[:cut] + f"{rng.randint(10, 9999)}.{rng.randint(0, 99):02d}" + text[cut + 4:]
        runs.append(Run(text, 70, y, 21, "Serif"))
        y += 36
    return Document("article", width, height, tuple(runs))


def ticket(seed: int) -> Document:
    """A small train ticket on tinted paper: few lines, mixed sizes."""
    rng = random.Random(f"ticket {seed}")
    start, end = rng.sample(_PLACES, 2)
    runs = (
        Run(f"{rng.choice('ABCDEFGH')}{_digits(rng, 7)}", 50, 30, 28, ink=(170, 40, 40)),
        Run(f"{start}站", 90, 90, 44), Run(f"{end}站", 560, 90, 44), Run(f"G{rng.randint(1, 9999)}", 360, 96, 38),
        Run(f"{_date(rng)}{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}开", 60, 180, 28),
        Run(f"{rng.randint(1, 16):02d}车{rng.randint(1, 20):02d}{rng.choice('ABCDF')}号", 560, 180, 28),
        Run(f"¥{rng.randint(20, 1999)}.{rng.choice('05')}元", 60, 240, 30), Run("二等座", 600, 240, 28),
        Run(f"{_digits(rng, 10)}****{_digits(rng, 4)}", 60, 320, 28), Run(rng.choice(_PEOPLE), 460, 320, 28),
        Run(_digits(rng, 14) + rng.choice(_PLACES) + "售", 60, 420, 24),
    )
    return Document("ticket", 860, 480, runs, paper=(222, 236, 246))


KINDS: dict[str, Callable[[int], Document]] = {
    "vat": vat_invoice, "receipt": receipt, "form": form, "article": article, "ticket": ticket,
}

# --- pairs that differ in one character -------------------------------------------------------------------------
_LOOK_ALIKE = ("天夭", "士土", "日曰", "未末", "人入", "己已", "千干", "大太", "王玉", "0O", "1l")
_PARTNERS = {a: pair.replace(a, "") for pair in _LOOK_ALIKE for a in pair}
_DIGIT_PARTNERS = dict(zip("0123456789", ("68", "74", "7", "8", "1", "6", "508", "1", "30", "08"), strict=True))


def changed(document: Document, rng: random.Random, kind: str) -> tuple[Document, str] | None:
    """``document`` with one small thing changed and what that was, or ``None`` when it has nothing of that kind.

    ``kind``: ``digit`` (by one that looks like it), ``any-digit``, ``look-alike`` (a CJK character), ``character``
    (any other character), ``point`` (a decimal point moved by one place), ``removed``, ``added`` (one line),
    ``swapped`` (the texts of two lines of like size).
    """
    runs = list(document.runs)
    order = rng.sample(range(len(runs)), len(runs))
    if kind == "removed":
        return replace(document, runs=tuple(runs[:order[0]] + runs[order[0] + 1:])), f"-{runs[order[0]].text}"
    if kind == "added":
        model = runs[order[0]]
        text = _digits(rng, 4)
        x, y = rng.randint(40, document.width - 140), rng.randint(20, document.height - 50)
        return replace(document, runs=(*runs, replace(model, text=text, size=22, x=x, y=y))), f"+{text}"
    if kind == "swapped":
        for a in order:
            for b in order:
                one, other = runs[a], runs[b]
                if one.text != other.text and (one.size, len(one.text)) == (other.size, len(other.text)):
                    runs[a], runs[b] = replace(one, text=other.text), replace(other, text=one.text)
                    return replace(document, runs=tuple(runs)), f"{one.text} <> {other.text}"
        return None
    for index in order:
        edited = _edit(runs[index].text, rng, kind)
        if edited is not None:
            runs[index] = replace(runs[index], text=edited)
            return replace(document, runs=tuple(runs)), f"{document.runs[index].text} -> {edited}"
    return None


def _edit(text: str, rng: random.Random, kind: str) -> str | None:
    if kind == "point":
        at = text.find(".")
        if at < 1 or at + 1 >= len(text) or not (text[at - 1].isdigit() and text[at + 1].isdigit()):
            return None
        return text[:at] + text[at + 1] + "." + text[at + 2:]
    partner: Callable[[str], str]
    if kind == "digit":
        partner = lambda c: _DIGIT_PARTNERS.get(c, "")  # noqa: E731
    elif kind == "any-digit":
        partner = lambda c: "0123456789".replace(c, "") if c.isdigit() else ""  # noqa: E731
    elif kind == "look-alike":
        partner = lambda c: _PARTNERS.get(c, "")  # noqa: E731
    else:
        partner = lambda c: _PROSE.replace(c, "") if c >= "一" else ""  # noqa: E731
    places = [i for i, character in enumerate(text) if partner(character)]
    if not places:
        return None
    at = rng.choice(places)
    return text[:at] + rng.choice(partner(text[at])) + text[at + 1:]


CHANGES = ("digit", "any-digit", "look-alike", "character", "point", "removed", "added", "swapped")
