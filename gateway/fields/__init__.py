"""What the lines of a known kind of document mean: the amounts, numbers and names of an invoice.

A pure function of the lines, computed whenever an answer is written: nothing of it is stored, so a copy's fields come
from the lines that were verified or read for that copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.fields.field import Check, Field
from gateway.fields.invoice import invoice_fields
from gateway.record import PageLine

__all__ = ["Check", "Field", "fields_of"]


def fields_of(lines: Sequence[PageLine]) -> Mapping[str, Field]:
    """The fields of the first page of ``lines`` that is of a known kind, by name; empty without one.

    A field is there only when it is certain which line it is: what is ambiguous, or badly formed, is left out.
    """
    for page in sorted({line.page for line in lines}):
        if fields := invoice_fields([line for line in lines if line.page == page]):
            return fields
    return {}
