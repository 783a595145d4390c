"""What an invoice's lines mean, and when nothing is said rather than something doubtful."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fields import fields_of
from gateway.record import PageLine
from tests.documents import draw_invoice


def at(x: float, y: float, text: str, width: float = 0.0, height: float = 20.0, page: int = 1) -> PageLine:
    width = width or 18.0 * len(text)
    return PageLine(text, 0.9, ((x, y), (x + width, y), (x + width, y + height), (x, y + height)), page)


# A fully digital invoice: buyer left, seller right; labels and values in lines of their own here and there.
DIGITAL = (
    at(420, 40, "电子发票（普通发票）"),
    at(970, 70, "发票号码："),
    at(1075, 71, "24112000000052340515"),
    at(970, 108, "开票日期：2024年06月02日"),
    at(70, 212, "名称：天津理工大学"),
    at(705, 213, "名称: 北京博远慧达图书有限公司"),
    at(70, 274, "统一社会信用代码/纳税人识别号：12120000777323722X"),
    at(705, 275, "统一社会信用代码/纳税人识别号:91110302562134916R"),
    PageLine("购买方信息", 0.9, ((57, 204), (57, 316), (33, 316), (33, 204))),
    at(128, 705, "合"),
    at(226, 704, "计"),
    at(897, 699, "¥1,042.35"),
    at(1240, 700, "￥62.54"),
    at(107, 748, "价税合计（大写）"),
    at(395, 744, "⊗壹仟壹佰零肆圆捌角玖分"),
    at(904, 748, "（小写）"),
    at(993, 741, "¥1,104.89"),
)
# One on paper, its buyer above its seller; the detector has parted a label.
PAPER = (
    at(416, 52, "北京增值税专用发票"),
    at(966, 28, "发票代码:011002100611"),
    at(966, 66, "No 89465988"),
    at(965, 103, "开票日期: 2022 05 11"),
    at(101, 190, "名"),
    at(204, 191, "称：测试购方企业"),
    at(800, 193, "27>850219883319*25-1>0+1*++"),
    at(107, 226, "纳税人识别号："),
    at(800, 226, "*3>16+32><<9-<9>3-77++8</41"),
    at(135, 572, "合计"),
    at(974, 580, "¥44.30"),
    at(1265, 578, "***"),
    at(134, 613, "价税合计(大写)"),
    at(392, 613, "肆拾肆圆叁角"),
    at(994, 613, "(小写)¥44.30"),
    at(106, 656, "名称:北京京东世纪信息技术有限公司"),
    at(106, 688, "纳税人识别号:91110302562134916R"),
)


def values(lines):
    return {name: field.value for name, field in fields_of(lines).items()}


def without(lines, *texts):
    return tuple(line for line in lines if not any(text in line.text for text in texts))


def replaced(lines, old, new):
    changed = tuple(
        PageLine(line.text.replace(old, new), line.score, line.box, line.page) for line in lines
    )
    assert changed != tuple(lines)
    return changed


def moved(line, across=0.0, down=0.0):
    return PageLine(line.text, line.score, tuple((x + across, y + down) for x, y in line.box), line.page)


def parted(line, share):
    """As a detector does that takes one line for two."""
    place = max(1, round(share * len(line.text)))
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = line.box
    along = place / len(line.text)
    top, bottom = (x1 + (x2 - x1) * along, y1 + (y2 - y1) * along), (x4 + (x3 - x4) * along, y4 + (y3 - y4) * along)
    return [
        PageLine(line.text[:place], line.score, ((x1, y1), top, bottom, (x4, y4))),
        PageLine(line.text[place:], line.score, (top, (x2, y2), (x3, y3), bottom)),
    ]


def turned(lines, degrees):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        PageLine(
            line.text,
            line.score,
            tuple((x * cosine - y * sine + 900, x * sine + y * cosine + 900) for x, y in line.box),
        )
        for line in lines
    ]


def test_a_digital_invoice():
    assert values(DIGITAL) == {
        "number": "24112000000052340515",
        "date": "2024-06-02",
        "buyer_name": "天津理工大学",
        "seller_name": "北京博远慧达图书有限公司",
        "buyer_tax_id": "12120000777323722X",
        "seller_tax_id": "91110302562134916R",
        "amount": "1042.35",
        "tax": "62.54",
        "total": "1104.89",
        "total_in_words": "1104.89",
    }


def test_an_invoice_on_paper():
    assert values(PAPER) == {
        "number": "89465988",
        "code": "011002100611",
        "date": "2022-05-11",
        "buyer_name": "测试购方企业",
        "seller_name": "北京京东世纪信息技术有限公司",
        "seller_tax_id": "91110302562134916R",
        "amount": "44.30",
        "total": "44.30",
        "total_in_words": "44.30",
    }


def test_a_railway_ticket_has_its_fare_as_total():
    ticket = (at(400, 40, "电子发票（铁路电子客票）"), at(50, 80, "发票号码：24112000000052340515"),
              at(700, 80, "开票日期：2024年11月01日"), at(50, 300, "票价：￥553.00"))  # fmt: skip
    assert values(ticket)["total"] == "553.00"


def test_a_field_says_which_line_it_is_and_how_that_was_read():
    total = fields_of(DIGITAL)["total"]
    assert total.text == "1,104.89"
    assert total.line is DIGITAL[-1]


@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_invoice_has_the_fields_that_were_drawn(seed):
    drawn = draw_invoice(seed)
    lines = [
        PageLine(text, 0.9, ((x1, y1), (x2, y1), (x2, y2), (x1, y2)))
        for text, (x1, y1, x2, y2) in zip(drawn.texts, drawn.boxes, strict=True)
    ]
    random.Random(seed).shuffle(lines)
    fields = fields_of(lines)
    assert fields["number"].value == drawn.number
    assert [check.ok for check in fields["total"].checks] == [True]
    assert {"date", "buyer_name", "seller_name", "buyer_tax_id", "seller_tax_id", "amount", "tax"} <= fields.keys()


@given(st.sampled_from([DIGITAL, PAPER]), st.sampled_from([0, 90, 180, 270]), st.floats(-1.0, 1.0))
def test_the_way_the_page_lies_does_not_matter(lines, quarter, slant):
    assert values(turned(lines, quarter + slant)) == values(lines)


@given(st.permutations(DIGITAL))
def test_the_order_of_the_lines_does_not_matter(lines):
    assert values(lines) == values(DIGITAL)


def test_sums_are_checked():
    checks = {check.name: check.ok for check in fields_of(DIGITAL)["total"].checks}
    assert checks == {"amount+tax=total": True, "words=total": True}
    wrong = fields_of(replaced(DIGITAL, "¥1,104.89", "¥1,104.88"))["total"]
    assert {check.name: check.ok for check in wrong.checks} == {"amount+tax=total": False, "words=total": False}


def test_tax_ids_are_checked():
    [check] = fields_of(DIGITAL)["seller_tax_id"].checks
    assert (check.name, check.ok) == ("check-digit", True)
    [check] = fields_of(replaced(DIGITAL, "56213", "56218"))["seller_tax_id"].checks
    assert not check.ok


def test_an_older_tax_id_has_no_check_digit():
    assert fields_of(replaced(DIGITAL, "91110302562134916R", "410305123456789"))["seller_tax_id"].checks == ()


@pytest.mark.parametrize(
    ("old", "new", "gone"),
    [
        ("24112000000052340515", "2411200000005234051", "number"),
        ("2024年06月02日", "2024年06月32日", "date"),
        ("¥1,104.89", "¥1,10489", "total"),
        ("¥1,104.89", "¥1,104.8O", "total"),
        ("壹仟壹佰零肆", "壹仟壹佰肆零壹", "total_in_words"),
        ("91110302562134916R", "9111030", "seller_tax_id"),
    ],
)
def test_what_is_badly_formed_is_left_out(old, new, gone):
    assert values(replaced(DIGITAL, old, new)) == {
        name: value for name, value in values(DIGITAL).items() if name != gone
    }


def test_of_two_invoices_on_one_page_only_what_they_share_is_told():
    below = [
        PageLine(line.text, line.score, tuple((x, y + 1000) for x, y in line.box))
        for line in replaced(DIGITAL, "24112000000052340515", "24112000000052340516")
    ]
    both = values([*DIGITAL, *below])
    assert "number" not in both
    assert "seller_name" not in both
    assert both["date"] == "2024-06-02"


def test_one_party_alone_could_be_either():
    found = values(without(DIGITAL, "天津理工", "12120000777323722X"))
    assert not {"buyer_name", "seller_name", "buyer_tax_id", "seller_tax_id"} & found.keys()


def test_the_fields_are_those_of_the_first_invoice_among_the_pages():
    letter = at(50, 50, "随函附上发票一份，请查收。")
    second = [PageLine(line.text, line.score, line.box, 2) for line in DIGITAL]
    assert fields_of([letter, *second])["total"].line.page == 2


@pytest.mark.parametrize("lines", [(), (at(0, 0, "发票"),), (at(0, 0, "收据"), at(0, 40, "合计 ¥12.00"))])
def test_other_documents_have_no_fields(lines):
    assert fields_of(lines) == {}


RED = (
    *(
        PageLine(
            line.text.replace("¥", "¥-").replace("￥", "￥-").replace("⊗", "⊗（负数）"), line.score, line.box, line.page
        )
        for line in DIGITAL
    ),
    at(130, 820, "被红冲蓝字数电发票号码：24112000000000000001"),
)
RED_ON_PAPER = (*PAPER, at(500, 700, "对应正数发票代码：011002100655号码：12345678"))
REMARKS = (*DIGITAL, at(130, 820, "建筑项目名称：某某小区一期工程"), at(130, 860, "合同NO.20240615"))
DOCUMENTS = st.sampled_from([DIGITAL, PAPER, RED, RED_ON_PAPER, REMARKS])


@given(DOCUMENTS, st.data())
def test_a_line_that_was_not_found_makes_no_other_field(lines, data):
    missing = data.draw(st.sets(st.sampled_from(range(len(lines))), max_size=4))
    left = [line for number, line in enumerate(lines) if number not in missing]
    assert values(left).items() <= values(lines).items()


@given(DOCUMENTS, st.data())
def test_a_line_taken_for_two_makes_no_other_field(lines, data):
    place = data.draw(st.sampled_from(range(len(lines))))
    two = [*lines[:place], *parted(lines[place], data.draw(st.floats(0.05, 0.95))), *lines[place + 1 :]]
    assert values(two).items() <= values(lines).items()


@given(DOCUMENTS, st.floats(-40, 40), st.floats(-40, 40))
def test_curved_paper_makes_no_other_field(lines, bend, slant):
    def curved(x, y):
        return x, y + bend * (x / 1400) ** 2 + slant * x * y / (1400 * 800)

    bent = [PageLine(line.text, line.score, tuple(curved(*corner) for corner in line.box)) for line in lines]
    assert values(bent).items() <= values(lines).items()


@pytest.mark.parametrize("sign", ["¥-", "-¥", "¥−", "－￥"])
def test_a_red_letter_invoice_has_negative_sums(sign):
    red = [PageLine(line.text.replace("¥-", sign).replace("￥-", sign), line.score, line.box) for line in RED]
    found = values(red)
    assert [found[name] for name in ("amount", "tax", "total", "total_in_words")] == [
        "-1042.35", "-62.54", "-1104.89", "-1104.89"
    ]  # fmt: skip
    assert all(check.ok for check in fields_of(red)["total"].checks)


def test_a_minus_that_was_not_read_fails_the_checks():
    lost = fields_of(replaced(RED, "¥-1,104.89", "¥1,104.89"))["total"]
    assert [check.ok for check in lost.checks] == [False, False]


def test_a_red_letter_invoice_is_not_the_one_it_takes_back():
    assert "number" not in values(without(RED, "24112000000052340515"))
    assert "code" not in values(without(RED_ON_PAPER, "011002100611"))


@pytest.mark.parametrize("amount", ["¥1,042.3S", "1,042.35", "¥1|042.35", "¥1,042,35", "—¥1,042.35"])
def test_the_tax_does_not_pass_for_an_amount_that_is_badly_read(amount):
    assert not {"amount", "tax"} & values(replaced(DIGITAL, "¥1,042.35", amount)).keys()


def test_an_amount_whose_sign_stands_apart():
    assert values((*replaced(DIGITAL, "¥1,042.35", "1,042.35"), at(880, 700, "¥", width=14))) == values(DIGITAL)


@pytest.mark.parametrize("mark", ["*", "免税", "不征税", "¥***"])
def test_where_nothing_is_taxed_the_amount_is_the_total(mark):
    untaxed = replaced(PAPER, "***", mark)
    assert values(untaxed)["amount"] == "44.30"
    [sums, _] = fields_of(replaced(untaxed, "(小写)¥44.30", "(小写)¥44.80"))["total"].checks
    assert (sums.name, sums.ok) == ("amount+tax=total", False)


def test_a_sum_that_includes_the_tax_is_no_net_amount():
    roll = (at(400, 40, "通用机打发票"), at(70, 80, "发票号码:89465988"), at(70, 110, "开票日期:2022-05-11"),
            at(70, 300, "合计人民币(大写)壹佰圆整"), at(700, 300, "(小写)¥100.00"))  # fmt: skip
    assert "amount" not in values(roll)


@pytest.mark.parametrize("total", ["¥|104.89", "¥:104.89", "¥,104.89", "¥0104.89"])
def test_a_total_whose_first_figure_is_doubtful_is_left_out(total):
    assert "total" not in values(replaced(DIGITAL, "¥1,104.89", total))


def test_words_that_break_off_are_no_amount():
    assert "total_in_words" not in values(replaced(DIGITAL, "圆捌角玖分", "圆八角玖分"))


def test_the_buyer_is_the_left_one_even_where_the_right_one_stands_higher():
    higher = [moved(line, down=-18) if line.box[0][0] == 705 else line for line in DIGITAL]
    assert values(higher) == values(DIGITAL)


def test_parties_that_stand_neither_side_by_side_nor_one_above_the_other_are_left_out():
    aslant = [moved(line, down=-500) if line.box[0][0] == 705 else line for line in DIGITAL]
    assert not {"buyer_name", "seller_name", "buyer_tax_id", "seller_tax_id"} & values(aslant).keys()


def test_a_buyer_without_a_tax_id_does_not_get_the_sellers():
    private = without(DIGITAL, "12120000777323722X", "91110302562134916R")
    labels = at(70, 274, "统一社会信用代码/纳税人识别号："), at(705, 288, "统一社会信用代码/纳税人识别号：")
    found = values((*private, *labels, at(1040, 282, "91110302562134916R")))
    assert "buyer_tax_id" not in found


def test_a_label_whose_slash_was_not_read_is_one_label():
    assert values(replaced(DIGITAL, "代码/纳税", "代码纳税")) == values(DIGITAL)
    alone = replaced(without(DIGITAL, "91110302562134916R"), "代码/纳税", "代码纳税")
    assert "seller_tax_id" not in values(alone)


@pytest.mark.parametrize(
    "tax_id",
    ["9110302562134916R", "911103025621349116R", "91110302562134916r", "911103025621349l6R", "9111030256213491"],
)
def test_a_tax_id_of_a_length_that_none_has_is_left_out(tax_id):
    assert "seller_tax_id" not in values(replaced(DIGITAL, "91110302562134916R", tax_id))


def test_what_was_built_is_no_party():
    assert not {"buyer_name", "seller_name"} & values(without(REMARKS, "天津理工大学")).keys()


def test_the_cipher_beside_the_buyer_is_not_its_name():
    assert "buyer_name" not in values(replaced(PAPER, "称：测试购方企业", "称："))


@pytest.mark.parametrize("place", [(140, 233), (300, 214)])
def test_a_name_that_goes_on_elsewhere_is_left_out(place):
    begun = at(70, 212, "名称：天津理工大学科技园", width=225)
    wrapped = (*without(DIGITAL, "天津理工大学"), begun, at(*place, "管理有限公司"))
    assert values(wrapped).items() < values(DIGITAL).items()


def test_a_name_in_latin_letters_keeps_its_spaces():
    assert values(replaced(DIGITAL, "天津理工大学", "JOHN SMITH"))["buyer_name"] == "JOHN SMITH"
    assert values(replaced(DIGITAL, "天津理工大学", "天津 理工大学"))["buyer_name"] == "天津理工大学"


def test_the_number_of_a_contract_is_not_the_invoices():
    assert "number" not in values(replaced(REMARKS, "24112000000052340515", "2411200000005234051"))


def test_two_invoices_on_one_page_do_not_complete_each_other():
    below = [moved(line, down=1000) for line in replaced(DIGITAL, "1,104.89", "1,304.89")]
    halves = [*without(DIGITAL, "24112000000052340515", "北京博远"), *without(below, "¥1,304.89", "北京博远")]
    assert not {"number", "total", "buyer_name", "seller_name"} & values(halves).keys()


LABELS_AND_VALUES = st.text("发票号码名称合计价税小写大:|¥0189.年月日壹圆(", max_size=30)


@given(st.lists(st.builds(at, st.floats(0, 999), st.floats(0, 999), LABELS_AND_VALUES)))
def test_no_lines_break_it(lines):
    fields_of(lines)
