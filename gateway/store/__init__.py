"""The stores, and the one place that chooses among them."""

from __future__ import annotations

from gateway.config import Settings
from gateway.store.base import Entry, Store, StoreError
from gateway.store.journal import Journal, NoJournal
from gateway.store.tiered import OnDegraded, TieredStore

__all__ = ["Entry", "Journal", "Store", "StoreError", "open_journal", "open_store"]

DATABASE = "store.sqlite3"


def open_store(settings: Settings, on_degraded: OnDegraded | None = None) -> Store:
    """The store that ``settings`` describe.

    Redis and S3: Redis in front of S3. One of them: that one alone. Neither: the embedded one under ``data_dir``.
    Remote stores are connected to on first use, so an unreachable one does not keep the gateway from starting.
    Raises :class:`SettingsError` for an address that is none, :class:`StoreError` when the embedded store's file
    cannot be used.
    """
    hot = _redis(settings) if settings.redis_url is not None else None
    durable = _s3(settings, settings.s3_bucket) if settings.s3_bucket is not None else None
    if hot is not None and durable is not None:
        return TieredStore(hot, durable, on_degraded)
    return hot or durable or _sqlite(settings)


def open_journal(settings: Settings) -> Journal:
    """The log through which gateways share the nomination index: in Redis where there is one, else none.

    Raises :class:`SettingsError` for an address that is none.
    """
    if settings.redis_url is None:
        return NoJournal()
    from gateway.store.journal_redis import RedisJournal
    from gateway.store.redis import connect

    return RedisJournal(connect(settings))


# Imported where they are chosen: the embedded set-up needs neither SDK, nor their memory and time.


def _redis(settings: Settings) -> Store:
    from gateway.store.redis import RedisStore, connect

    return RedisStore(connect(settings), alone=settings.s3_bucket is None)


def _s3(settings: Settings, bucket: str) -> Store:
    from gateway.store.s3 import S3Store
    from gateway.store.s3_service import connect, is_aliyun

    return S3Store(
        connect(settings),
        bucket,
        settings.s3_prefix,
        encryption=settings.s3_encryption,
        swaps=not is_aliyun(settings.s3_endpoint),
    )


def _sqlite(settings: Settings) -> Store:
    from gateway.store.sqlite import SQLiteStore

    return SQLiteStore(settings.data_dir / DATABASE)
