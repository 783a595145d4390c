"""One field of a document."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.record import PageLine


@dataclass(frozen=True, slots=True)
class Check:
    """An independent test of a field's value, such as a sum or a check digit, and whether it held."""

    name: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Field:
    """``value`` in its standard form (ISO 8601 dates, plain decimals), as ``text`` stands in ``line``."""

    value: str
    text: str
    line: PageLine
    checks: tuple[Check, ...] = ()
