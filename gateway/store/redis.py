"""The Redis store: the hot tier, or the only one.

The expiry travels in the value's envelope, which a ``GET`` returns in the same round trip; Redis gets it too
(``EXAT``, Redis 6.2 and later) and frees the memory by its own clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.config import Settings, SettingsError
from gateway.store.base import Entry, StoreError, status_of
from gateway.store.breaker import CircuitBreaker
from gateway.store.envelope import HEADER_BYTES, MAGIC, unwrap, wrap

PAUSE_SECONDS = 1.0
_SCAN_PAGE = 1000
_OLDEST_VERSION = (6, 2)

# SET NX would refuse a key whose expiry has passed by our clock but not yet by the clock of Redis.
_ADD = """
local head = redis.call('GETRANGE', KEYS[1], 0, ARGV[4] - 1)
if #head == tonumber(ARGV[4]) and string.sub(head, 1, #ARGV[5]) == ARGV[5]
    and struct.unpack('>I8', head, #ARGV[5] + 1) > tonumber(ARGV[3]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[2])
return 1
"""
_GLOB = str.maketrans({character: "\\" + character for character in "*?[]^\\"})


def connect(settings: Settings) -> redis.Redis:
    """A client for ``OCR_REDIS_URL`` with short time-outs and no retries. Connects on first use.

    Raises :class:`SettingsError` when the URL is none.
    """
    if settings.redis_url is None:
        raise SettingsError("OCR_REDIS_URL is not set")
    try:
        return redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=settings.redis_timeout,
            socket_connect_timeout=settings.redis_timeout,
            retry=Retry(NoBackoff(), 0),
            max_connections=2 * settings.web_threads + 16,
            client_name="ocr-gateway",
            protocol=2,
        )
    except ValueError:
        # The reason may quote a piece of the password.
        raise SettingsError("OCR_REDIS_URL: not a valid redis:// or rediss:// URL") from None


class RedisGuard:
    """Runs blocks of Redis commands: turns every failure into :class:`StoreError`, keeps the circuit breaker."""

    def __init__(self, name: str, pause: float = PAUSE_SECONDS) -> None:
        self._name = name
        self._breaker = CircuitBreaker(name, _is_unwell, pause)

    @contextmanager
    def operation(self, operation: str) -> Iterator[None]:
        try:
            with self._breaker.guard():
                yield
        except redis.RedisError as error:
            raise StoreError(f"{self._name}: {operation}: {_reason(error)}") from error


class RedisStore:
    """A store on a ready Redis client (``decode_responses`` off), under keys that begin with ``namespace``.

    ``alone``: there is no durable store behind it (:meth:`check` then asks more of the server).
    """

    name = "redis"

    def __init__(
        self,
        client: redis.Redis,
        *,
        namespace: str = "ocr:store:",
        alone: bool = True,
        now: Callable[[], float] = time.time,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._alone = alone
        self._now = now
        self._guard = RedisGuard(self.name, pause)
        self._add = client.register_script(_ADD)

    def get(self, key: str) -> Entry | None:
        with self._guard.operation("get"):
            blob = self._client.get(self._namespace + key)
        found = unwrap(blob) if isinstance(blob, bytes) else None
        if found is None or found[1] <= self._now():
            return None
        return Entry(value=found[0], expires_at=found[1], tier=self.name)

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        if expires_at <= self._now():
            self.delete(key)
            return
        with self._guard.operation("put"):
            self._client.set(self._namespace + key, wrap(value, expires_at), exat=expires_at)

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        now = int(self._now())
        if expires_at <= now:
            return self.get(key) is None
        with self._guard.operation("add"):
            envelope = wrap(value, expires_at)
            added = self._add(keys=[self._namespace + key], args=(envelope, expires_at, now, HEADER_BYTES, MAGIC))
        return added == 1

    def delete(self, key: str) -> None:
        with self._guard.operation("delete"):
            self._client.delete(self._namespace + key)

    def scan(self, prefix: str) -> Iterator[str]:
        """See :meth:`Store.scan`; a key may come more than once while Redis resizes its tables."""
        pattern = (self._namespace + prefix).translate(_GLOB) + "*"
        found = self._client.scan_iter(match=pattern, count=_SCAN_PAGE)
        while True:
            with self._guard.operation("scan"):
                keys = list(islice(found, _SCAN_PAGE))
            if not keys:
                return
            for key in keys:
                yield key.decode("ascii", "replace").removeprefix(self._namespace)

    def ping(self) -> None:
        with self._guard.operation("ping"):
            self._client.ping()

    def statuses(self) -> dict[str, str]:
        return {self.name: status_of(self)}

    def check(self) -> list[str]:
        """See :meth:`Store.check`."""
        with self._guard.operation("check"):
            server = self._client.info("server")
            memory = self._client.info("memory")
            persistence = self._client.info("persistence")
        version = str(server["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_VERSION:
            raise StoreError(f"{self.name}: version {version} is too old, 6.2 or later is needed")
        policy = str(memory.get("maxmemory_policy", ""))
        advice = []
        if self._alone and policy not in ("", "noeviction"):
            advice.append(f"maxmemory-policy {policy} may evict results that were answered; use noeviction")
        if not self._alone and policy.startswith("allkeys"):
            advice.append(f"maxmemory-policy {policy} may evict the queue and the journal; use volatile-lru")
        if not self._alone and policy == "noeviction" and memory.get("maxmemory"):
            advice.append("maxmemory-policy noeviction: a full Redis refuses the queue; use volatile-lru")
        if self._alone and not persistence.get("aof_enabled"):
            advice.append("appendonly is off: results since the last snapshot are lost when Redis restarts")
        return advice

    def close(self) -> None:
        self._client.close()


def _is_unwell(error: Exception) -> bool:
    return isinstance(error, (redis.ConnectionError, redis.TimeoutError))


def _reason(error: redis.RedisError) -> str:
    """What went wrong in words that name no host, key or credential."""
    if isinstance(error, redis.TimeoutError):
        return "timed out"
    if isinstance(error, (redis.AuthenticationError, redis.exceptions.AuthorizationError)):
        return "refused the credentials"
    if isinstance(error, redis.BusyLoadingError):
        return "is still loading its data"
    if isinstance(error, redis.ConnectionError):
        return "unreachable"
    return f"refused ({type(error).__name__})"
