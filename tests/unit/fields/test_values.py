"""Amounts in words, dates, and codes that check themselves."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fields.values import amount_in_words, has_check_digit, iso_date

CODES = ("91110302562134916R", "12120000777323722X", "91350100M000100Y43")


def in_words(cents: int) -> str:
    """As a cheque has it: 1005000 (cents) is 壹万零伍拾圆整."""
    whole, text = cents // 100, ""
    digits = str(whole).zfill(12)
    for place, unit in ((0, "亿"), (4, "万"), (8, "")):
        section, zero = "", False
        for digit, name in zip(digits[place : place + 4], ("仟", "佰", "拾", ""), strict=True):
            if digit == "0":
                zero = True
                continue
            section += ("零" if zero and (section or text) else "") + "零壹贰叁肆伍陆柒捌玖"[int(digit)] + name
            zero = False
        text += section + unit if section else ""
    tenths, rest = cents // 10 % 10, cents % 10
    text += "圆" if text else ""
    text += "零壹贰叁肆伍陆柒捌玖"[tenths] + "角" if tenths else ("零" if text and rest else "")
    text += "零壹贰叁肆伍陆柒捌玖"[rest] + "分" if rest else ""
    return text if rest else text + "整"


@given(st.integers(1, 999_999_999_999_99))
def test_an_amount_in_words_is_read_as_the_amount(cents):
    assert amount_in_words(in_words(cents)) == Decimal(cents) / 100


@pytest.mark.parametrize(
    ("words", "amount"),
    [
        ("柒仟零壹拾捌圆捌角叁分", "7018.83"),
        ("伍拾贰圆柒角", "52.70"),
        ("拾元整", None),
        ("壹佰万元整", "1000000"),
        ("壹亿零叁圆正", "100000003"),
        ("陆角整", "0.60"),
        ("零圆整", "0.00"),
        ("负壹佰圆整", "-100.00"),
        ("(负数)壹佰圆伍分", "-100.05"),
    ],
)
def test_amounts_as_invoices_have_them(words, amount):
    assert amount_in_words(words) == (amount and Decimal(amount))


NO_AMOUNTS = "整 负 圆整 拾 万圆整 壹贰圆整 壹拾佰圆整 壹圆贰 壹万贰万圆整 壹佰壹仟圆整 壹佰圆 壹佰零圆整"


@pytest.mark.parametrize("words", ["", *NO_AMOUNTS.split()])
def test_what_is_no_amount_has_none(words):
    assert amount_in_words(words) is None


@pytest.mark.parametrize("code", CODES)
def test_a_true_code_ends_in_its_check_character(code):
    assert has_check_digit(code)


@given(st.sampled_from(CODES), st.integers(0, 17), st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"))
def test_a_code_with_one_other_character_does_not(code, place, character):
    other = code[:place] + character + code[place + 1 :]
    assert has_check_digit(other) == (other == code)


def test_a_character_that_no_code_has_is_no_check_character():
    assert not has_check_digit("9111030256213491IO")


def test_dates_are_those_of_the_calendar():
    assert iso_date("2024", "2", "29") == "2024-02-29"
    assert iso_date("2023", "2", "29") is None
