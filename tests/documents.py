"""Drawn e-invoices with their true text, for tests and benchmarks."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
_INK, _RULE = (20, 24, 32), (150, 90, 60)
_GOODS = ("办公用纸", "打印墨盒", "会议桌椅", "网络服务", "运输服务", "电子元件", "机械配件", "印刷品")
_CITIES = ("北京", "上海", "深圳", "杭州", "成都", "武汉", "南京", "西安")
_TRADES = ("科技有限公司", "商贸有限公司", "实业有限公司", "信息技术有限公司")


@dataclass(frozen=True)
class Invoice:
    """A page with its lines; ``boxes``: ``(x1, y1, x2, y2)`` around each line's ink, pixels."""

    image: Image.Image
    texts: tuple[str, ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    number: str

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG")
        return buffer.getvalue()

    def jpeg(self, scale: float = 1.0, quality: int = 85) -> bytes:
        buffer = io.BytesIO()
        size = round(self.image.width * scale), round(self.image.height * scale)
        self.image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    @staticmethod
    def line(text: str, size: int = 40) -> bytes:
        """One text line as a picture of its own."""
        font = ImageFont.truetype(FONT, size, index=2)
        x1, y1, x2, y2 = font.getbbox(text)
        image = Image.new("RGB", (round(x2 - x1) + 20, round(y2 - y1) + 16), "white")
        ImageDraw.Draw(image).text((10 - x1, 8 - y1), text, _INK, font)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()


def draw_invoice(seed: int, rows: int = 6, number: str = "", corrections: Mapping[int, str] | None = None) -> Invoice:
    """An A4-wide e-invoice at 144 dpi (1190 × 862 pixels, more with many rows); equal seeds give equal pages.

    ``number``: its 20 digits instead of drawn ones. ``corrections``: other texts for some lines, by their number in
    ``texts``.
    """
    chance = random.Random(seed)
    image = Image.new("RGB", (1190, 598 + 44 * rows), "white")
    draw = ImageDraw.Draw(image)
    fonts = {size: ImageFont.truetype(FONT, size, index=2) for size in (20, 22, 36)}
    texts, boxes = [], []

    def put(x: int, y: int, text: str, size: int = 20) -> None:
        text = (corrections or {}).get(len(texts), text)
        draw.text((x, y), text, _INK, fonts[size])
        texts.append(text)
        boxes.append(draw.textbbox((x, y), text, fonts[size]))

    def company() -> str:
        return chance.choice(_CITIES) + chance.choice(_GOODS)[:2] + chance.choice(_TRADES)

    def tax_id() -> str:
        return "91" + "".join(chance.choices("0123456789", k=14)) + "".join(chance.choices("0123456789ABCDEFGH", k=2))

    drawn = f"{chance.randrange(10**19, 10**20)}"
    number = number or drawn
    put(400, 40, "电子发票（普通发票）", 36)
    put(840, 40, f"发票号码：{number}")
    put(840, 76, f"开票日期：2026年{chance.randrange(1, 13):02d}月{chance.randrange(1, 29):02d}日")
    draw.rectangle((40, 130, 1150, image.height - 50), outline=_RULE, width=2)
    put(60, 150, f"购买方名称：{company()}", 22)
    put(60, 190, f"统一社会信用代码：{tax_id()}")
    put(610, 150, f"销售方名称：{company()}", 22)
    put(610, 190, f"统一社会信用代码：{tax_id()}")
    draw.line((40, 236, 1150, 236), _RULE, 2)
    columns = (60, 330, 480, 620, 790, 930, 1030)
    for x, head in zip(columns, ("项目名称", "规格型号", "单位", "数量", "单价", "税率", "税额"), strict=True):
        put(x, 250, head)
    total = tax_total = 0.0
    for row in range(rows):
        count, price = chance.randrange(1, 90), chance.randrange(100, 99_999) / 100
        amount = round(count * price, 2)
        tax = round(amount * 0.13, 2)
        total, tax_total = total + amount, tax_total + tax
        y = 294 + 44 * row
        cells = (f"*{chance.choice(_GOODS)}*", f"A{chance.randrange(100, 999)}-{chance.randrange(10, 99)}", "件",
                 str(count), f"{price:.2f}", "13%", f"{tax:.2f}")  # fmt: skip
        for x, cell in zip(columns, cells, strict=True):
            put(x, y, cell)
    bottom = 310 + 44 * rows
    draw.line((40, bottom, 1150, bottom), _RULE, 2)
    put(60, bottom + 16, "合计")
    put(760, bottom + 16, f"¥{total:.2f}")
    put(1000, bottom + 16, f"¥{tax_total:.2f}")
    put(60, bottom + 66, "价税合计（小写）", 22)
    put(300, bottom + 66, f"¥{total + tax_total:.2f}", 22)
    put(60, bottom + 130, f"备注：订单 {chance.randrange(10**9, 10**10)}")
    put(60, bottom + 180, "开票人：" + chance.choice(("王芳", "李伟", "张敏", "刘洋")))
    return Invoice(image, tuple(texts), tuple(boxes), number)
