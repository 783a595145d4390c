"""Takes the README's picture of the page: ``python tests/browser/screenshot.py URL docs/images/page.png``.

``URL`` is a running gateway. The invoice is drawn here; its companies, numbers and people are invented.
"""

from __future__ import annotations

import argparse
import io
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

FONTS = "/usr/share/fonts/opentype/noto/NotoS{}CJK-{}.ttc"
BROWN, INK, RED = (128, 58, 32), (28, 32, 40), (196, 40, 36)
SIZE = (1500, 1000)
LEFT, RIGHT = 60, 1440

COLUMNS = [
    (78, "项目名称", "la"), (480, "规格型号", "la"), (720, "单位", "la"), (880, "数量", "ra"), (1030, "单价", "ra"),
    (1190, "金额", "ra"), (1300, "税率", "ra"), (1425, "税额", "ra"),
]  # fmt: skip
ITEMS = [
    ("*纸制品*复印纸", "A4 80g 500张", "包", "40", "18.50", "740.00", "13%", "96.20"),
    ("*文具*中性笔", "0.5mm 黑色", "盒", "25", "21.60", "540.00", "13%", "70.20"),
    ("*信息技术服务*系统维护", "2026年第四季度", "次", "1", "3600.00", "3600.00", "6%", "216.00"),
    ("*计算机配件*扫描仪", "FS-620 双面", "台", "2", "1450.00", "2900.00", "13%", "377.00"),
]


def invoice() -> Image.Image:
    """An electronic invoice, 1500 by 1000 pixels, RGB."""
    image = Image.new("RGB", SIZE, "white")
    canvas = ImageDraw.Draw(image, "RGBA")

    def put(x: int, y: int, text: str, size: int = 24, face: str = "erif", fill=INK, anchor: str = "la") -> None:
        weight = "Bold" if size > 30 else "Regular"
        canvas.text(
            (x, y), text, font=ImageFont.truetype(FONTS.format(face, weight), size, index=2), fill=fill, anchor=anchor
        )

    put(SIZE[0] // 2, 42, "电子发票（增值税专用发票）", 42, fill=BROWN, anchor="ma")
    for y, width in ((108, 3), (115, 1)):
        canvas.line((470, y, 1030, y), fill=BROWN, width=width)
    put(1085, 52, "发票号码：26317000000482915736", 22)
    put(1085, 92, "开票日期：2026年11月18日", 22)
    _code(canvas)

    rows = (165, 305, 725, 790, 925)
    canvas.rectangle((LEFT, rows[0], RIGHT, rows[-1]), outline=BROWN, width=2)
    for y in rows[1:-1]:
        canvas.line((LEFT, y, RIGHT, y), fill=BROWN, width=2)
    canvas.line((750, rows[0], 750, rows[1]), fill=BROWN, width=2)
    for x, name, code in (
        (85, "购买方名称：苏州青禾文具有限公司", "91320505MA1XQH7K2C"),
        (775, "销售方名称：上海远帆信息技术有限公司", "91310115MA1K4T9E62"),
    ):
        put(x, 186, name)
        put(x, 246, f"统一社会信用代码：{code}")

    for x, heading, anchor in COLUMNS:
        put(x, 320, heading, 22, fill=BROWN, anchor=anchor)
    for row, item in enumerate(ITEMS):
        for (x, _, anchor), text in zip(COLUMNS, item, strict=True):
            put(x, 378 + 54 * row, text, 23, "ans", anchor=anchor)
    put(260, 672, "合计", fill=BROWN)
    put(1190, 672, "¥7780.00", face="ans", anchor="ra")
    put(1425, 672, "¥759.40", face="ans", anchor="ra")
    put(120, 741, "价税合计（大写）", fill=BROWN)
    put(420, 741, "捌仟伍佰叁拾玖圆肆角整", 26)
    put(980, 741, "（小写）¥8539.40", 26, "ans")
    put(85, 812, "备注：订单号 SO-20261118-0427，货到付款。", 22)
    put(85, 866, "收款人：陈雨桐", 22)
    put(420, 866, "复核：林嘉禾", 22)
    put(85, 946, "开票人：周景行")
    canvas.ellipse((1110, 798, 1380, 958), outline=(*RED, 210), width=5)
    canvas.ellipse((1124, 812, 1366, 944), outline=(*RED, 160), width=1)
    put(1245, 862, "发票专用章", 26, fill=(*RED, 220), anchor="ma")
    return image


def _code(canvas: ImageDraw.ImageDraw) -> None:
    """Something that looks like a two-dimensional bar code."""
    cell, corner, cells = 5, (LEFT, 36), 21
    chance = random.Random(7)

    def square(x: int, y: int, size: int, fill) -> None:
        left, top = corner[0] + cell * x, corner[1] + cell * y
        canvas.rectangle((left, top, left + cell * size - 1, top + cell * size - 1), fill=fill)

    for x in range(cells):
        for y in range(cells):
            if chance.random() < 0.48:
                square(x, y, 1, INK)
    for x, y in ((0, 0), (14, 0), (0, 14)):
        for inset, fill in ((0, INK), (1, "white"), (2, INK)):
            square(x + inset, y + inset, 7 - 2 * inset, fill)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--locale", default="en-US")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    chosen = parser.parse_args()

    buffer = io.BytesIO()
    invoice().save(buffer, "PNG")
    file = {"name": "invoice.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(2):  # The second time the document is known.
            page = browser.new_page(
                viewport={"width": 1360, "height": 850}, locale=chosen.locale, color_scheme=chosen.scheme
            )
            page.goto(chosen.url)
            page.locator("#files").set_input_files(file)
            page.locator(".line").first.wait_for(timeout=60_000)
        page.locator('[data-field="total"] .value').click()
        page.wait_for_timeout(1000)  # The lines and the picture come into view smoothly.
        page.evaluate("scrollTo(0, 0)")
        screen = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    # A palette keeps the repository light.
    screen.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(chosen.picture, optimize=True)


if __name__ == "__main__":
    main()
