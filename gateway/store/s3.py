"""The S3 store: the durable tier, on AWS S3, Aliyun OSS or any S3-compatible server.

The exact expiry is in the object's envelope and checked on every read, since lifecycle rules count whole days; it is
repeated as the metadata ``expires-at`` for people and tools. Conditional writes need ``If-None-Match`` and
``If-Match`` on PUT (AWS since 2024, SeaweedFS, MinIO); Aliyun OSS has its own header for the first, nothing for the
second.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from gateway.store.base import Entry, StoreError, status_of
from gateway.store.breaker import CircuitBreaker
from gateway.store.envelope import unwrap, wrap
from gateway.store.s3_service import FAILURES, MISSING, TAKEN, code, is_unwell, reason

PAUSE_SECONDS = 2.0
_ADD_ROUNDS = 5

# Metadata that tells one addition from another.
_MARK = "added-by"

Encryption = Literal["none", "AES256", "aws:kms"]


@dataclass(frozen=True, slots=True)
class _Found:
    """What is under a key, live or not; an object that is none of ours has an ETag but no entry."""

    entry: Entry | None = None
    etag: str | None = None
    mark: str | None = None


class S3Store:
    """A store in ``bucket``, under keys that begin with ``prefix``, on a ready boto3 ``client``.

    ``swaps``: whether the service honours ``If-Match`` on PUT. Without it :meth:`add` is still atomic on a key that
    is free, but not on one whose entry has expired and not yet been removed.
    """

    name = "s3"

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str = "",
        *,
        encryption: Encryption = "none",
        swaps: bool = True,
        now: Callable[[], float] = time.time,
        pause: float = PAUSE_SECONDS,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._encryption = {} if encryption == "none" else {"ServerSideEncryption": encryption}
        self._swaps = swaps
        self._now = now
        self._breaker = CircuitBreaker(self.name, is_unwell, pause)
        self._removes_safely: bool | None = None if swaps else False

    def get(self, key: str) -> Entry | None:
        found = self._read(key)
        if found.entry is not None and found.entry.expires_at <= self._now():
            # Housekeeping must not turn a miss into a failure.
            with suppress(StoreError):
                self._remove_expired(key, found)
            return None
        return found.entry

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        if expires_at <= self._now():
            self.delete(key)
            return
        self._write("put", key, value, expires_at)

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        """See :meth:`Store.add`. Raises :class:`StoreError` too when others keep changing the key meanwhile."""
        if expires_at <= self._now():
            return self.get(key) is None
        # A write whose answer was lost is repeated by the SDK and then finds its own object: the mark tells.
        mark = uuid.uuid4().hex
        condition = {"IfNoneMatch": "*"}
        for _ in range(_ADD_ROUNDS):
            if self._write("add", key, value, expires_at, mark, **condition):
                return True
            found = self._read(key)
            if found.mark == mark:
                return True
            if found.entry is not None and found.entry.expires_at > self._now():
                return False
            condition = {"IfNoneMatch": "*"}
            if found.etag and self._swaps:
                condition = {"IfMatch": found.etag}
            elif found.etag:
                self.delete(key)
        raise StoreError(f"{self.name}: add: the key keeps changing")

    def delete(self, key: str) -> None:
        # One by one: DeleteObjects wants a Content-MD5 on some services.
        with self._operation("delete"):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def scan(self, prefix: str) -> Iterator[str]:
        """See :meth:`Store.scan`; a listing does not show expiry, so keys that have expired come too."""
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
        )
        while True:
            with self._operation("scan"):
                page = next(pages, None)
            if page is None:
                return
            for listed in page.get("Contents", ()):
                yield listed["Key"].removeprefix(self._prefix)

    def ping(self) -> None:
        with self._operation("ping"):
            self._client.head_bucket(Bucket=self._bucket)

    def statuses(self) -> dict[str, str]:
        return {self.name: status_of(self)}

    def check(self) -> list[str]:
        """See :meth:`Store.check`: writes, reads and deletes an object, and tries the conditional writes."""
        probe = f"check/{uuid.uuid4().hex}"
        expires_at = int(self._now()) + 60
        advice = []
        self.put(probe, b"check", expires_at)
        try:
            if self.get(probe) is None:
                raise StoreError(f"{self.name}: check: what was written cannot be read back")
            if self._write("check", probe, b"check", expires_at, IfNoneMatch="*"):
                advice.append("the service ignores If-None-Match on PUT: additions are not exclusive")
            if self._swaps and self._write("check", probe, b"check", expires_at, IfMatch='"0"'):
                advice.append("the service ignores If-Match on PUT: replacing an expired addition is not exclusive")
        finally:
            self.delete(probe)
        return advice

    def close(self) -> None:
        self._client.close()

    def _read(self, key: str) -> _Found:
        with self._operation("get"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                blob = answer["Body"].read()
            except ClientError as error:
                if code(error) in MISSING:
                    return _Found()
                raise
        unwrapped = unwrap(blob)
        entry = None if unwrapped is None else Entry(unwrapped[0], unwrapped[1], self.name)
        return _Found(entry, answer.get("ETag"), answer.get("Metadata", {}).get(_MARK))

    def _write(
        self, operation: str, key: str, value: bytes, expires_at: int, mark: str | None = None, **condition: str
    ) -> bool:
        """Whether it was written: ``False`` when ``condition`` did not hold."""
        metadata = {"expires-at": str(expires_at)} | ({} if mark is None else {_MARK: mark})
        with self._operation(operation):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    Body=wrap(value, expires_at),
                    ContentType="application/octet-stream",
                    Metadata=metadata,
                    **self._encryption,
                    **condition,
                )
            except ClientError as error:
                # If-Match on an object that has just gone answers 404.
                if condition and code(error) in TAKEN | MISSING:
                    return False
                raise
        return True

    def _remove_expired(self, key: str, found: _Found) -> None:
        """Delete the object unless it has been replaced since it was read, where the service can promise that."""
        if self._removes_safely is None:
            self._removes_safely = self._honours_if_match_on_delete()
        if self._removes_safely and found.etag:
            self._delete_if(key, found.etag)

    def _honours_if_match_on_delete(self) -> bool:
        probe = f"check/{uuid.uuid4().hex}"
        self._write("probe", probe, b"", int(self._now()) + 60)
        try:
            return not self._delete_if(probe, '"0"')
        finally:
            self.delete(probe)

    def _delete_if(self, key: str, etag: str) -> bool:
        with self._operation("delete"):
            try:
                self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key, IfMatch=etag)
            except ClientError as error:
                if code(error) in TAKEN | MISSING:
                    return False
                raise
        return True

    @contextmanager
    def _operation(self, operation: str) -> Iterator[None]:
        try:
            with self._breaker.guard():
                yield
        except FAILURES as error:
            raise StoreError(f"{self.name}: {operation}: {reason(error)}") from error
