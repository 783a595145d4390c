"""Who buys and who sells: the names and tax numbers of an invoice's two parties."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from gateway.fields.field import Field
from gateway.fields.rows import BREAK, ENDS, Placed, Row

# Of 项目名称: and 工程名称: among the remarks neither is a party's name.
_NAME = re.compile(
    r"(?:(?<![一-鿿])|(?<=[购买销售方位人息]))名[|:.]*称[|]?:[|]?"
    rf"(?P<value>[^{BREAK}:]{{2,}}?)(?=[{BREAK}]|统一社会信用|纳税人识别|$)"
)
# A character that is lost or doubled in one of 18 makes 17 or 19; what the next line goes on with is not whole.
_TAX_ID = re.compile(
    r"(?:统一社会信用代码.{0,2}纳税人识别号|统一社会信用代码|纳税人识别号)[|:.]*"
    rf"(?P<value>(?:[0-9A-Z]{{20}}|[0-9A-Z]{{18}}|[0-9A-Z]{{15}}){ENDS}(?!\|[0-9A-Za-z]+(?:\||$)))?"
)
_CIPHER = re.compile(r"[<>*]")
_SPACE = re.compile(r"(?P<between>(?<=[!-~])\s+(?=[!-~]))|\s+")
_FARTHEST = 8
"""How far a label's value may begin behind it, in heights of the line: farther away stands another label's."""
_NEXT_LINE = 1.7
"""How far apart the middles of two lines of one name are at most, in heights of the line."""

Found = tuple[Row, re.Match[str]]


def party_fields(rows: Sequence[Row]) -> Mapping[str, Field]:
    """``buyer_name``, ``seller_name``, ``buyer_tax_id``, ``seller_tax_id`` of one invoice.

    The buyer stands left of the seller or above it; of one party alone nobody can tell which it is.
    """
    fields: dict[str, Field] = {}
    for name, pattern in (("name", _NAME), ("tax_id", _TAX_ID)):
        found = [(row, match) for row in rows for match in pattern.finditer(row.text)]
        if len(found) == 2:
            for party, (row, match) in zip(("buyer", "seller"), _in_order(found), strict=False):
                if _is_beside_its_label(row, match) and (name != "name" or _is_whole_name(row, match, rows)):
                    line = _value_line(row, match).line
                    value = _spaced(match["value"], line.text) if name == "name" else match["value"]
                    fields[f"{party}_{name}"] = Field(value, value, line)
    return fields


def _in_order(found: Sequence[Found]) -> Sequence[Found]:
    """Two labels, the buyer's first; none when they stand neither side by side nor one above the other."""
    one, other = (row.at(match.start()) for row, match in found)
    across, down = other.left - one.left, other.middle - one.middle
    if abs(across) < 2 * abs(down) and abs(down) < 2 * abs(across) and across * down < 0:
        return ()
    first = across if abs(across) > abs(down) else down
    return found if first >= 0 else found[::-1]


def _value_line(row: Row, match: re.Match[str]) -> Placed:
    return row.at(match.start("value"))


def _spaced(name: str, text: str) -> str:
    """``name`` with the spaces that it has in ``text`` between its words in Latin letters."""
    found = re.search(r"\s*".join(map(re.escape, name)), unicodedata.normalize("NFKC", text))
    return _SPACE.sub(lambda space: " " if space["between"] else "", found[0]) if found else name


def _is_beside_its_label(row: Row, match: re.Match[str]) -> bool:
    if not match["value"]:
        return False
    value = _value_line(row, match)
    before = row.text[match.start() : match.start("value")].rstrip(BREAK)
    label = row.at(match.start() + len(before) - 1)
    return value.left - label.right <= _FARTHEST * value.height


def _is_whole_name(row: Row, match: re.Match[str], rows: Sequence[Row]) -> bool:
    """Whether it can be a name, and does not go on in a line close behind it, nor in one above or below: that would be
    a row without a label, whose line begins behind where the label does."""
    name = match["value"]
    if _CIPHER.search(name) or not any(character.isalpha() for character in name):
        return False
    label, value = row.at(match.start()), _value_line(row, match)
    if match.end() < len(row.text) and row.text[match.end()] == BREAK:
        following = row.at(match.end() + len(BREAK))
        if following.left - value.right < value.height:
            return False
    return not any(
        label.left + value.height < placed.left < value.right
        and abs(placed.middle - value.middle) < _NEXT_LINE * value.height
        for other in rows
        if other is not row and ":" not in other.text
        for placed in other.lines
        if placed.line.text.strip()
    )
