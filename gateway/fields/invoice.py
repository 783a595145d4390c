"""Chinese VAT invoices, on paper and electronic: number, date, parties and amounts.

Labels are looked for in rows, as a detector may part a label from its value, or one label in two (名 … 称). What stands
beside a label must have the label's form, and two different values of one label are none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.fields.field import Check, Field
from gateway.fields.parties import party_fields
from gateway.fields.rows import BREAK, ENDS, Row, rows_of
from gateway.fields.values import amount_in_words, decimal_amount, has_check_digit, iso_date
from gateway.record import PageLine

_GAP = r"[|:.]*"
_MINUS_YEN = r"(?P<minus>-?)[¥Y]\|?"
_AMOUNT = r"(?P<value>-?(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*|0)\.\d\d)(?!\d)"
_YEAR = r"(?:19|20)\d\d"
# A red-letter invoice names the invoice that it takes back among its remarks.
_OF_ANOTHER = re.compile(r"(?:正数|蓝字|红冲|(?<![一-鿿])原)[^:]{0,8}$")

_SIGNS = tuple(map(re.compile, ("发票号码", "开票日期", "价税合计", "纳税人识别号|社会信用代码")))
_NUMBER_LABEL = re.compile("发票号码")
_NUMBER = re.compile(rf"发票号码{_GAP}(?P<value>\d{{20}}|\d{{8}}){ENDS}(?!\|\d)")
# Printed at the head of paper invoices; anything else that has a number may have it among the remarks.
_PRINTED_NUMBER = re.compile(rf"(?:^|\||发票)N[oO]{_GAP}(?P<value>\d{{8}}){ENDS}")
_CODE = re.compile(rf"发票代码{_GAP}(?P<value>\d{{12}}|\d{{10}}){ENDS}(?!\|\d)")
_DATE_LABEL = re.compile("开票日期")
_DATE = re.compile(
    rf"开票日期{_GAP}(?P<value>({_YEAR})年(\d{{1,2}})月(\d{{1,2}})日|({_YEAR})[-/.年]?(\d\d)[-/.月]?(\d\d))(?!\d)"
)
_TOTAL_LABEL = re.compile("价税合计")
_TOTAL = re.compile(rf"(?:价税合计.*小写|票价){_GAP}\)?{_GAP}(?:{_MINUS_YEN})?{_AMOUNT}")
_NUMERALS = "零壹贰叁肆伍陆柒捌玖拾佰仟万亿圆元角分整正"
_IN_WORDS = re.compile(
    rf"大写\|?\)?[^{_NUMERALS}小负数)]*?"
    rf"(?P<value>(?:\(?负数?\)?\|?)?[{_NUMERALS}]+(?:\|[{_NUMERALS}]+)*)(?=[|(:¥]|小写|$)"
)
_SUMS = re.compile(rf"(?<!税)合{_GAP}计{_GAP}(?=.*¥)")
_MONEY = re.compile(_MINUS_YEN + _AMOUNT)
_UNREAD_SUM = re.compile(r"[-—一_~\d]|¥(?!\|?\*)|[大小]写")
_UNTAXED = re.compile(r"\*|免税|不征税")


def invoice_fields(lines: Sequence[PageLine]) -> Mapping[str, Field]:
    """The fields of one page's lines, by name; empty when it is not an invoice, or nothing is certain.

    ``number``, ``code``: digits. ``date``: ISO 8601. ``amount``, ``tax``, ``total``, ``total_in_words``: decimals with
    two places, in yuan. ``buyer_name``, ``seller_name``, ``buyer_tax_id``, ``seller_tax_id``. Of several invoices on
    the page, what all of them say.
    """
    rows = rows_of(lines) if any("发票" in line.text for line in lines) else []
    if sum(any(sign.search(row.text) for row in rows) for sign in _SIGNS) < 2:
        return {}
    invoices = max(1, *(sum(len(label.findall(row.text)) for row in rows) for label in (_DATE_LABEL, _TOTAL_LABEL)))
    total = _only(rows, _TOTAL, invoices, _amount)
    found = {
        "number": _number(rows, invoices),
        "code": _only(rows, _CODE, invoices, _digits),
        "date": _only(rows, _DATE, invoices, _date),
        **(party_fields(rows) if invoices == 1 else {}),
        **(_sums(rows, total) if invoices == 1 else {}),
        "total": total,
        "total_in_words": _only(rows, _IN_WORDS, invoices, _words),
    }
    return _checked({name: field for name, field in found.items() if field is not None})


def _only(
    rows: Sequence[Row], pattern: re.Pattern[str], times: int, value_of: Callable[[re.Match[str]], str | None]
) -> Field | None:
    """The one value that ``pattern`` finds, ``times`` times at least, as ``value_of`` its match (``None``: malformed);
    none of several."""
    fields = [
        _field(row, match, value) for row in rows for match in pattern.finditer(row.text) if (value := value_of(match))
    ]
    return fields[0] if len(fields) >= times and len({field.value for field in fields}) == 1 else None


def _field(row: Row, match: re.Match[str], value: str) -> Field:
    return Field(value, match["value"].replace(BREAK, ""), row.at(match.start("value")).line)


def _number(rows: Sequence[Row], times: int) -> Field | None:
    if any(_NUMBER_LABEL.search(row.text) for row in rows):
        return _only(rows, _NUMBER, times, _digits)
    dated = [place for place, row in enumerate(rows, start=1) if _DATE_LABEL.search(row.text)]
    return _only(rows[: max(dated, default=0)], _PRINTED_NUMBER, times, lambda match: match["value"])


def _digits(match: re.Match[str]) -> str | None:
    return None if _OF_ANOTHER.search(match.string[: match.start()]) else match["value"]


def _date(match: re.Match[str]) -> str | None:
    return iso_date(*(match.group(2, 3, 4) if match[2] else match.group(5, 6, 7)))


def _amount(match: re.Match[str]) -> str | None:
    """A red-letter invoice has its minus before the ¥ or behind it."""
    amount = decimal_amount(match["value"])
    if match["minus"]:
        return str(-amount) if amount > 0 else None
    return str(amount)


def _words(match: re.Match[str]) -> str | None:
    amount = amount_in_words(match["value"].replace(BREAK, ""))
    return None if amount is None else f"{amount:.2f}"


def _sums(rows: Sequence[Row], total: Field | None) -> dict[str, Field | None]:
    """The last row of the table: net amount and tax, or the amount alone where nothing is taxed. Of a row in which
    anything else may be a sum, nothing is said: the tax would pass for the amount."""
    ends = [(row, match.end()) for row in rows for match in _SUMS.finditer(row.text)]
    if len(ends) != 1:
        return {}
    row, end = ends[0]
    rest = _MONEY.sub("", row.text[end:])
    sums = [_field(row, match, value) for match in _MONEY.finditer(row.text, end) if (value := _amount(match))]
    if len(sums) not in (1, 2) or _UNREAD_SUM.search(rest):
        return {}
    untaxed = _UNTAXED.search(rest) or (total and total.value == sums[0].value)
    return dict(zip(("amount", "tax"), sums, strict=False)) if len(sums) == 2 or untaxed else {}


def _checked(fields: dict[str, Field]) -> dict[str, Field]:
    """``fields`` with what they say about each other, and about themselves."""
    checks: dict[str, list[Check]] = {name: [] for name in fields}
    if {"amount", "total"} <= fields.keys():
        amount, total = (Decimal(fields[name].value) for name in ("amount", "total"))
        tax = Decimal(fields["tax"].value) if "tax" in fields else 0
        checks["total"].append(Check("amount+tax=total", amount + tax == total))
    if {"total", "total_in_words"} <= fields.keys():
        checks["total"].append(Check("words=total", fields["total_in_words"].value == fields["total"].value))
    for name in ("buyer_tax_id", "seller_tax_id"):
        if name in fields and len(fields[name].value) == 18:
            checks[name].append(Check("check-digit", has_check_digit(fields[name].value)))
    return {name: replace(field, checks=tuple(checks[name])) for name, field in fields.items()}
