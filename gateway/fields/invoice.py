"""Chinese VAT invoices, on paper and electronic: number, date, parties and amounts.

Labels are looked for in rows, as a detector may part a label from its value, or one label in two (名 … 称). What stands
beside a label must have the label's form, and two different values of one label are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.fields.field import Check, Field
from gateway.fields.rows import BREAK, Row, rows_of
from gateway.fields.values import amount_in_words, decimal_amount, has_check_digit, iso_date
from gateway.record import PageLine

_GAP = r"[|:.]*"
_AMOUNT = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)\.\d\d(?!\d)"

_SIGNS = tuple(map(re.compile, ("发票号码", "开票日期", "价税合计", "纳税人识别号|社会信用代码")))
_NUMBER = re.compile(rf"(?:发票号码|(?<![A-Za-z])N[oO]){_GAP}(\d{{20}}|\d{{8}})(?!\d)")
_CODE = re.compile(rf"发票代码{_GAP}(\d{{12}}|\d{{10}})(?!\d)")
_DATE = re.compile(
    rf"开票日期{_GAP}((\d{{4}})年(\d{{1,2}})月(\d{{1,2}})日|(\d{{4}})[-/.年]?(\d\d)[-/.月]?(\d\d))(?!\d)"
)
_TOTAL = re.compile(rf"(?:价税合计.*小写|票价){_GAP}\)?{_GAP}[¥Y]?{_GAP}({_AMOUNT})")
_NUMERALS = "零壹贰叁肆伍陆柒捌玖拾佰仟万亿圆元角分整正"
_IN_WORDS = re.compile(rf"大写\)?[^{_NUMERALS}小]*([{_NUMERALS}]+)")
_SUMS = re.compile(rf"(?<!税)合{_GAP}计{_GAP}(?=.*¥)(.*)")
_MONEY = re.compile(rf"[¥Y]({_AMOUNT})")
_NAME = re.compile(rf"名{_GAP}称[|]?:[|]?([^{BREAK}:]{{2,}})")
_TAX_ID = re.compile(
    rf"(?:统一社会信用代码(?:/纳税人识别号)?|纳税人识别号){_GAP}([0-9A-Z]{{15,20}}(?![0-9A-Z<>*/+-]))?"
)


def invoice_fields(lines: Sequence[PageLine]) -> Mapping[str, Field]:
    """The fields of one page's lines, by name; empty when it is not an invoice, or nothing is certain.

    ``number``, ``code``: digits. ``date``: ISO 8601. ``amount``, ``tax``, ``total``, ``total_in_words``: decimals with
    two places, in yuan. ``buyer_name``, ``seller_name``, ``buyer_tax_id``, ``seller_tax_id``.
    """
    rows = rows_of(lines) if any("发票" in line.text for line in lines) else []
    if sum(any(sign.search(row.text) for row in rows) for sign in _SIGNS) < 2:
        return {}
    found = {
        "number": _only(rows, _NUMBER, lambda match: match[1]),
        "code": _only(rows, _CODE, lambda match: match[1]),
        "date": _only(rows, _DATE, _date),
        **_parties(rows),
        **_sums(rows),
        "total": _only(rows, _TOTAL, _amount),
        "total_in_words": _only(rows, _IN_WORDS, _words),
    }
    return _checked({name: field for name, field in found.items() if field is not None})


def _only(rows: Sequence[Row], pattern: re.Pattern[str], value_of) -> Field | None:
    """The one value that ``pattern`` finds, as ``value_of`` its match (``None``: malformed); none of several."""
    fields = [
        _field(row, match, value) for row in rows for match in pattern.finditer(row.text) if (value := value_of(match))
    ]
    return fields[0] if len({field.value for field in fields}) == 1 else None


def _field(row: Row, match: re.Match[str], value: str) -> Field:
    return Field(value, match[1], row.line_at(match.start(1)))


def _date(match: re.Match[str]) -> str | None:
    return iso_date(*(match.group(2, 3, 4) if match[2] else match.group(5, 6, 7)))


def _amount(match: re.Match[str]) -> str:
    return str(decimal_amount(match[1]))


def _words(match: re.Match[str]) -> str | None:
    amount = amount_in_words(match[1])
    return None if amount is None else f"{amount:.2f}"


def _parties(rows: Sequence[Row]) -> dict[str, Field | None]:
    """The buyer stands before the seller, left of it or above it; of one party alone nobody can tell which it is."""
    fields: dict[str, Field | None] = {}
    for name, pattern in (("name", _NAME), ("tax_id", _TAX_ID)):
        matches = [(row, match) for row in rows for match in pattern.finditer(row.text)]
        if len(matches) == 2:
            for party, (row, match) in zip(("buyer", "seller"), matches, strict=True):
                fields[f"{party}_{name}"] = _field(row, match, match[1]) if match[1] else None
    return fields


def _sums(rows: Sequence[Row]) -> dict[str, Field | None]:
    """The last row of the table: net amount and tax, or the amount alone where nothing is taxed."""
    ends = [(row, match) for row in rows for match in _SUMS.finditer(row.text)]
    if len(ends) != 1:
        return {}
    row, end = ends[0]
    sums = [_field(row, match, _amount(match)) for match in _MONEY.finditer(row.text, end.start(1))]
    return dict(zip(("amount", "tax"), sums, strict=False)) if len(sums) <= 2 else {}


def _checked(fields: dict[str, Field]) -> dict[str, Field]:
    """``fields`` with what they say about each other, and about themselves."""
    checks: dict[str, list[Check]] = {name: [] for name in fields}
    if {"amount", "tax", "total"} <= fields.keys():
        amount, tax, total = (Decimal(fields[name].value) for name in ("amount", "tax", "total"))
        checks["total"].append(Check("amount+tax=total", amount + tax == total))
    if {"total", "total_in_words"} <= fields.keys():
        checks["total"].append(Check("words=total", fields["total_in_words"].value == fields["total"].value))
    for name in ("buyer_tax_id", "seller_tax_id"):
        if name in fields and len(fields[name].value) == 18:
            checks[name].append(Check("check-digit", has_check_digit(fields[name].value)))
    return {name: replace(field, checks=tuple(checks[name])) for name, field in fields.items()}
