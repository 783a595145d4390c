"""Refusals and failures, each with its own HTTP face (RFC 9457).

Raised anywhere below ``gateway.http``; turned into a response in one place, ``gateway.http.problem``.
``detail`` is public: it says what to do about it and never quotes a document.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """Base of every answer that is not a result. ``retry_after`` is in seconds, for 429 and 503."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class BadRequest(Refusal):
    """The request itself is wrong: no image, an empty one, bad base64, a bad query value, an unknown field."""

    status, slug, title = 400, "bad-request", "Bad request"


class Unauthorized(Refusal):
    """The request needs an API key and has none, or one that is not valid. ``challenge``: ``WWW-Authenticate``."""

    status, slug, title = 401, "unauthorized", "API key needed"

    def __init__(self, detail: str, *, retry_after: int | None = None, challenge: str = "Bearer") -> None:
        super().__init__(detail, retry_after=retry_after)
        self.challenge = challenge


class Forbidden(Refusal):
    """The API key is valid, but does not open this address."""

    status, slug, title = 403, "forbidden", "Forbidden"


class NotFound(Refusal):
    """No such result, job or page (or it expired, or was deleted: the answer is the same)."""

    status, slug, title = 404, "not-found", "Not found"


class TooLarge(Refusal):
    """Over the byte, pixel, page or batch limit. Raised before anything is decoded."""

    status, slug, title = 413, "too-large", "Too large"


class UnsupportedImage(Refusal):
    """The bytes are of no image format that is read here."""

    status, slug, title = 415, "unsupported-image", "Not a supported image"


class BrokenImage(Refusal):
    """The bytes start like a supported image but cannot be decoded: truncated or corrupt."""

    status, slug, title = 422, "broken-image", "Broken image"


class ReadingFailed(Refusal):
    """The recogniser failed on this image. Nothing is stored."""

    status, slug, title = 502, "reading-failed", "Recognition failed"


class Overloaded(Refusal):
    """The queue of readings is full. Carries ``retry_after``."""

    status, slug, title = 503, "overloaded", "Too busy"


class StoreUnavailable(Refusal):
    """What was asked for cannot be done while a store is unreachable (a deletion, say). Carries ``retry_after``."""

    status, slug, title = 503, "store-unavailable", "Store unavailable"


class ReadingTimedOut(Refusal):
    """The reading ran over its deadline. Nothing is stored."""

    status, slug, title = 504, "reading-timed-out", "Recognition timed out"
