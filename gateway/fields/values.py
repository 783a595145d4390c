"""Standard forms of what stands on Chinese invoices, and the checks that they carry in themselves."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

_DIGITS = {character: value for value, character in enumerate("零壹贰叁肆伍陆柒捌玖")}
_TENS = {"拾": 10, "佰": 100, "仟": 1000}
_IN_WORDS = re.compile(
    r"(?P<minus>\(?负数?\)?)?(?:(?P<whole>[零壹贰叁肆伍陆柒捌玖拾佰仟万亿]+)[圆元])?零?"
    r"(?:(?P<tenths>[壹贰叁肆伍陆柒捌玖])角)?零?(?:(?P<cents>[壹贰叁肆伍陆柒捌玖])分)?(?P<end>[整正])?"
)

# GB 32100-2015: the code's characters in the order of their values, and the weights of the first 17.
_CREDIT_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))


def decimal_amount(text: str) -> Decimal:
    """``1,280.00`` as a number; ``text`` has two decimals and commas at most."""
    return Decimal(text.replace(",", ""))


def amount_in_words(text: str) -> Decimal | None:
    """An amount in financial numerals (``壹仟贰佰捌拾圆整``, ``(负数)壹佰圆整``); ``None`` when it is badly formed."""
    match = _IN_WORDS.fullmatch(text)
    # Whole yuan are followed by 整: without it, the rest of the words is missing.
    if not match or not any(match.group("whole", "tenths", "cents")) or not any(match.group("tenths", "cents", "end")):
        return None
    cents = 10 * _DIGITS[match["tenths"] or "零"] + _DIGITS[match["cents"] or "零"]
    whole = _whole(match["whole"] or "零")
    if whole is None:
        return None
    amount = whole + Decimal(cents) / 100
    return -amount if match["minus"] else amount


def _whole(numerals: str) -> int | None:
    """Sections of four places, each ended by 亿 or 万."""
    for name, unit in (("亿", 10**8), ("万", 10**4)):
        if name in numerals:
            high, _, low = numerals.partition(name)
            over, under = _whole(high), _whole(low) if low else 0
            return None if not over or under is None or under >= unit else over * unit + under
    if len(numerals) > 1 and numerals.endswith("零"):
        return None
    total, digit, last = 0, None, 10**4
    for character in numerals:
        if character in _TENS:
            unit = _TENS[character]
            if not digit or unit >= last:
                return None
            total, digit, last = total + digit * unit, None, unit
        elif digit:  # two digits in a row
            return None
        else:
            digit = _DIGITS[character]
    return total + (digit or 0)


def iso_date(year: str, month: str, day: str) -> str | None:
    """ISO 8601; ``None`` for a day that the calendar does not have."""
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def has_check_digit(code: str) -> bool:
    """Whether an 18-character unified social credit code ends in its own check character (GB 32100-2015)."""
    try:
        values = [_CREDIT_CODE.index(character) for character in code]
    except ValueError:
        return False
    return -sum(value * weight for value, weight in zip(values, _CREDIT_WEIGHTS, strict=False)) % 31 == values[17]
