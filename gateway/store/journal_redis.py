"""The journal as a Redis Stream."""

from __future__ import annotations

from typing import Any, cast, get_args

import redis

from gateway.store.journal import Change, Kind
from gateway.store.redis import PAUSE_SECONDS, RedisGuard

_KINDS = frozenset(get_args(Kind))
# Written once into an empty log, so that there is always an entry for a cursor to stand on.
_START = b"start"


class RedisJournal:
    """The log as a Redis Stream of about ``length`` entries, read at most ``page`` at a time.

    A cursor is the id of the last entry seen. Trimming takes the oldest entries first, so while that entry is there
    nothing after it was trimmed; a Redis that came back empty, or from an older snapshot, does not have it.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        stream: str = "ocr:journal",
        length: int = 10_000,
        page: int = 1000,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._client = client
        self._stream = stream
        self._length = length
        self._page = page
        self._guard = RedisGuard("journal", pause)

    def append(self, kind: Kind, entry: str) -> None:
        with self._guard.operation("append"):
            self._client.xadd(self._stream, {kind: entry}, maxlen=self._length, approximate=True)

    def tail(self, cursor: str | None) -> tuple[list[Change], str, bool]:
        if cursor is None:
            return [], self._end(), True
        with self._guard.operation("tail"):
            found = self._client.xrange(self._stream, min=cursor, count=self._page + 1)
        if not found or _text(found[0][0]) != cursor:
            return [], self._end(), True
        changes = [change for _, fields in found[1:] for change in _changes(fields)]
        return changes, _text(found[-1][0]), False

    def close(self) -> None:
        self._client.close()

    def _end(self) -> str:
        with self._guard.operation("tail"):
            last = self._client.xrevrange(self._stream, count=1)
            return _text(last[0][0] if last else self._client.xadd(self._stream, {_START: b""}))


def _changes(fields: Any) -> list[Change]:
    named = ((_text(kind), _text(entry)) for kind, entry in (fields or {}).items())
    return [Change(cast(Kind, kind), entry) for kind, entry in named if kind in _KINDS]


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
