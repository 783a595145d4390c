"""Documents drawn for measuring, of nine kinds in any number of fillings. ``KINDS[kind](seed)`` draws nothing yet:
it lays one out; :func:`benchmarks.matching.documents.page.render` makes pixels of it."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.matching.documents.invoices import bank_slip, receipt, vat_invoice
from benchmarks.matching.documents.page import Document
from benchmarks.matching.documents.papers import article, form, table, ticket
from benchmarks.matching.documents.screens import chat, panel

KINDS: dict[str, Callable[[int], Document]] = {
    "invoice": vat_invoice,
    "receipt": receipt,
    "ticket": ticket,
    "form": form,
    "slip": bank_slip,
    "table": table,
    "chat": chat,
    "article": article,
    "panel": panel,
}
