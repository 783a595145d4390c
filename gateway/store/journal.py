"""The log through which several gateways share one nomination index.

The truth is the set of ``index/`` keys in the store; the log only saves scanning them. A gateway takes a cursor,
scans, and from then on follows the log; when it has missed part of it (trimmed, or Redis came back without it) it is
told so, and scans again. For that to lose nothing, a writer changes the store first and then appends, and a reader
applies entries idempotently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["add", "remove"]


@dataclass(frozen=True, slots=True)
class Change:
    """One addition to, or removal from, the nomination index. ``entry`` is ASCII, at most 512 characters."""

    kind: Kind
    entry: str


class Journal(Protocol):
    """Every method raises :class:`StoreError` and nothing else."""

    def append(self, kind: Kind, entry: str) -> None:
        """Tell the other gateways. Call it after the store has been changed."""

    def tail(self, cursor: str | None) -> tuple[list[Change], str, bool]:
        """The changes after ``cursor`` in order, a bounded number; the next cursor; and whether there is a gap.

        ``None`` starts at the end of the log. With a gap (always so at the start) the changes are empty: the caller
        keeps the new cursor, rebuilds its index from the store, and follows the log from there. No changes and no
        gap: the caller has caught up.
        """

    def close(self) -> None:
        """Release connections."""


class NoJournal:
    """For a gateway that is alone: nobody to tell, nothing to hear; only the start asks for a rebuild."""

    def append(self, kind: Kind, entry: str) -> None:
        """Nothing to do."""

    def tail(self, cursor: str | None) -> tuple[list[Change], str, bool]:
        return [], "", cursor is None

    def close(self) -> None:
        """Nothing to release."""
