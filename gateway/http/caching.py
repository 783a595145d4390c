"""The headers that tell caches, and people, where an answer came from and how long it holds."""

from __future__ import annotations

from collections.abc import Collection
from email.utils import formatdate

from flask import Response

from gateway.record import Record
from gateway.service import Outcome, Word

CACHE_NAME = "ocr-gateway"


def describe_outcome(response: Response, outcome: Outcome) -> None:
    """``X-Cache-Status``, ``Cache-Status`` (RFC 9211) and ``Content-Location`` of a recognition."""
    response.headers["X-Cache-Status"] = outcome.word
    response.headers["Cache-Status"] = cache_status(outcome)
    if outcome.stored:
        response.headers["Content-Location"] = f"/results/{outcome.record.id}"
    response.headers["Cache-Control"] = "no-store"


def cache_status(outcome: Outcome) -> str:
    """The RFC 9211 member for ``outcome``."""
    if outcome.word == "HIT":
        return f"{CACHE_NAME}; hit; detail={outcome.detail}"
    parts = [CACHE_NAME, "fwd=partial; detail=partial" if outcome.word == "PARTIAL" else "fwd=uri-miss"]
    if outcome.collapsed:
        parts.append("collapsed")
    if outcome.stored:
        parts.append("stored")
    return "; ".join(parts)


def describe_batch(response: Response, words: Collection[Word]) -> None:
    """The dearest of ``words``, of which there is at least one; each answer in the body says more of its own."""
    dearest = next(word for word in ("MISS", "PARTIAL", "HIT") if word in words)
    response.headers["X-Cache-Status"] = dearest
    how = {"MISS": "fwd=miss", "PARTIAL": "fwd=partial", "HIT": "hit"}[dearest]
    response.headers["Cache-Status"] = f"{CACHE_NAME}; {how}; detail=batch"
    response.headers["Cache-Control"] = "no-store"


def keep_until_expiry(response: Response, record: Record, tier: str, stale_if_error: int = 0) -> None:
    """Freshness of a looked-up record: it ends at ``expires_at``, through any number of caches.

    An absolute ``Expires`` without ``max-age``: a cache that replays the header adds no life.
    ``stale_if_error`` (RFC 5861): seconds after that end for which a cache may answer while no gateway can be reached.
    """
    response.headers["X-Cache-Status"] = "HIT"
    response.headers["Cache-Status"] = f"{CACHE_NAME}; hit; detail={tier}"
    # Before X-Accel-Expires: nginx 1.22 reads no Cache-Control, stale-if-error included, that comes after it.
    response.headers["Cache-Control"] = f"public, stale-if-error={stale_if_error}" if stale_if_error else "public"
    # nginx answers through the second it is given; at `expires_at` itself the result is gone.
    response.headers["X-Accel-Expires"] = f"@{record.expires_at - 1}"
    response.headers["Expires"] = formatdate(record.expires_at, usegmt=True)
    response.headers["Last-Modified"] = formatdate(int(record.created_at), usegmt=True)
