"""The service behind the S3 store: a client for it, its bucket, and what its errors mean."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from gateway.config import Settings, SettingsError
from gateway.store.base import StoreError

_ATTEMPTS = 2
# The SDK lets some failures of a half-read or unreadable answer through as they are.
FAILURES = (BotoCoreError, ClientError, ResponseParserError, HTTPError, OSError)
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "FileAlreadyExists"})


def connect(settings: Settings) -> Any:
    """A boto3 client for the ``OCR_S3_*`` settings. Connects on first use.

    All attempts of one call together wait ``OCR_S3_TIMEOUT`` at most for connecting and for silence, plus a short
    pause between them. Raises :class:`SettingsError` when the endpoint is no URL.
    """
    patience = settings.s3_timeout / (2 * _ATTEMPTS)
    session = boto3.session.Session(
        aws_access_key_id=_secret(settings.s3_access_key),
        aws_secret_access_key=_secret(settings.s3_secret_key),
        region_name=settings.s3_region,
    )
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.s3_addressing},
        request_checksum_calculation=settings.s3_checksums,
        response_checksum_validation=settings.s3_checksums,
        connect_timeout=patience,
        read_timeout=patience,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        max_pool_connections=2 * settings.web_threads + 16,
    )
    try:
        client = session.client("s3", endpoint_url=settings.s3_endpoint, config=config)
    except ValueError:
        raise SettingsError("OCR_S3_ENDPOINT: not a valid http:// or https:// URL") from None
    if is_aliyun(settings.s3_endpoint):
        client.meta.events.register("before-call.s3.PutObject", _forbid_overwrite)
    return client


def is_aliyun(endpoint: str | None) -> bool:
    """Whether ``endpoint`` is Aliyun OSS, whose conditional writes differ from S3's."""
    host = urlsplit(endpoint or "").hostname or ""
    return host.endswith((".aliyuncs.com", ".aliyuncs-internal.com"))


def ensure_bucket(client: Any, bucket: str, prefix: str, *, region: str = "us-east-1", days: int = 8) -> None:
    """Create ``bucket`` if there is none, with a rule that removes objects under ``prefix`` after ``days`` days.

    A bucket that exists already is left as it is. Raises :class:`StoreError`.
    """
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    rule = {"ID": "expired", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}}
    try:
        try:
            client.head_bucket(Bucket=bucket)
            return
        except ClientError as error:
            if code(error) not in MISSING | {"NoSuchBucket"}:
                raise
        try:
            client.create_bucket(Bucket=bucket, **place)
        except ClientError as error:
            if code(error) != "BucketAlreadyOwnedByYou":
                raise
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    except FAILURES as error:
        raise StoreError(f"s3: bucket: {reason(error)}") from error


def _forbid_overwrite(params: dict[str, Any], **_: Any) -> None:
    """Say ``If-None-Match: *`` in the words of Aliyun OSS."""
    if params["headers"].pop("If-None-Match", None) == "*":
        params["headers"]["x-oss-forbid-overwrite"] = "true"


def _secret(value: Any) -> str | None:
    return None if value is None else value.get_secret_value()


def code(error: ClientError) -> str:
    """The service's own name for the error, such as ``NoSuchKey``; ``""`` when it gave none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_unwell(error: Exception) -> bool:
    """Whether the error says that the service cannot serve, rather than that it will not do this."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # 501 is how a service says that it has no conditional writes.
        return status >= 500 and status != 501
    # To the SDK a connection that was never there is no failure of the HTTP client.
    return isinstance(error, (NoConnectionError, HTTPClientError, IncompleteReadError, HTTPError, OSError))


def reason(error: Exception) -> str:
    """What went wrong in words that name no host, key or credential."""
    if isinstance(error, ClientError):
        return f"answered {code(error)}"
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
        return "timed out"
    if isinstance(error, (NoConnectionError, HTTPClientError)):
        return "unreachable"
    return type(error).__name__
