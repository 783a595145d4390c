"""The interface of every store: bytes in, bytes out, with an absolute expiry.

Stores move bytes and know no meaning. Keys are printable ASCII, at most 512 characters, in ``/``-separated parts of
1 to 255 characters, none of them ``.`` or ``..`` and without backslashes: what every S3 server keeps apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """A backend could not do what was asked (unreachable, timed out, refused). The cause is chained."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored value.

    ``expires_at``: absolute POSIX time in seconds, whole, exclusive: at that second the entry is gone.
    ``tier``: the name of the store that answered.
    """

    value: bytes
    expires_at: int
    tier: str


class Answering(Protocol):
    """Whatever can be asked whether it answers."""

    name: str

    def ping(self) -> None:
        """Return when it answers; raise :class:`StoreError` when it doesn't."""


def status_of(store: Answering) -> str:
    """``"ok"``, or ``"down: <reason>"`` when the store does not answer."""
    try:
        store.ping()
    except StoreError as error:
        return f"down: {error}"
    return "ok"


class Store(Protocol):
    """What the gateway needs of a store. Every method raises :class:`StoreError` and nothing else."""

    name: str

    def get(self, key: str) -> Entry | None:
        """The live entry under ``key``; ``None`` when there is none or it has expired."""

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        """Store ``value`` under ``key`` until ``expires_at``, atomically replacing what was there.

        An ``expires_at`` that is not in the future stores nothing and removes what was there.
        """

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        """Like :meth:`put`, but only when ``key`` has no live entry; ``False`` when it had one."""

    def delete(self, key: str) -> None:
        """Remove ``key``; removing what is not there succeeds."""

    def scan(self, prefix: str) -> Iterator[str]:
        """The live keys that start with ``prefix``, in no particular order, fetched in pages.

        A :class:`StoreError` may come after some of them; without one they were all.
        """

    def ping(self) -> None:
        """Return when the store answers; raise :class:`StoreError` when it doesn't."""

    def statuses(self) -> dict[str, str]:
        """``"ok"`` or ``"down: <reason>"`` by tier name; a store without tiers is its own. Never raises."""

    def check(self) -> list[str]:
        """Try out all that is needed of the backend; advice for the operator, a sentence each.

        Takes longer than :meth:`ping`. Raises :class:`StoreError` when the backend cannot be used.
        """

    def close(self) -> None:
        """Release connections and files. The store is not used afterwards."""
