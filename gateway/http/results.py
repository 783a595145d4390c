"""Look up and delete: ``/results/<id>`` in its clothes. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request
from werkzeug.exceptions import PreconditionFailed

from gateway.archive import Found
from gateway.cdn import tag_headers
from gateway.errors import NotFound
from gateway.http.caching import keep_until_expiry
from gateway.http.representation import set_representation, strong_etags
from gateway.identity import is_result_id
from gateway.metrics import Metrics
from gateway.renderings import MEDIA_TYPES, render
from gateway.service import Service

PICTURE = "image/webp"
_NOT_FOUND = (
    "There is no such result (ids are in lower-case hex): it was never stored, has expired or was deleted. "
    "Upload the image again."
)


def blueprint(
    service: Callable[[], Service], metrics: Metrics, stale_if_error: int = 0, tagged: bool = False
) -> Blueprint:
    """``GET``, ``HEAD`` and ``DELETE /results/<id>``, ``GET /results/<id>/<clothes>``.

    ``service`` gives the asker's. ``stale_if_error``: seconds, see :func:`gateway.http.caching.keep_until_expiry`.
    ``tagged``: say what a CDN needs to purge by tag.
    """
    routes = Blueprint("results", __name__, url_prefix="/results")

    def find(result_id: str) -> Found:
        found = service().look_up(result_id) if is_result_id(result_id) else None
        metrics.looked_up(found is not None)
        if found is None:
            raise NotFound(_NOT_FOUND)
        return found

    def respond(found: Found, body: bytes, content_type: str) -> Response:
        response = Response(content_type=content_type)
        set_representation(response, body, compressible=content_type != PICTURE)
        keep_until_expiry(response, found.record, found.tier, stale_if_error)
        if tagged:
            response.headers.update(tag_headers(found.record.id))
        response.make_conditional(request)
        if response.status_code == 412:
            raise PreconditionFailed
        return response

    @routes.get("/<result_id>")
    def look_up(result_id: str) -> Response:
        found = find(result_id)
        response = respond(found, render(found.record, "json"), MEDIA_TYPES["json"])
        response.headers["Content-Location"] = f"/results/{result_id}"
        return response

    def dressed(name: str, clothes: str):
        @routes.get(f"/<result_id>/{name}", endpoint=clothes)
        def look_up_dressed(result_id: str) -> Response:
            found = find(result_id)
            return respond(found, render(found.record, clothes), MEDIA_TYPES[clothes])

    dressed("text", "text")
    dressed("lines.csv", "csv")
    dressed("hocr", "hocr")

    @routes.get("/<result_id>/thumbnail.webp")
    def thumbnail(result_id: str) -> Response:
        found = find(result_id)
        picture = service().thumbnail(result_id)
        if picture is None:
            raise NotFound(_NOT_FOUND)
        return respond(found, picture, PICTURE)

    @routes.delete("/<result_id>")
    def delete(result_id: str) -> Response:
        if not is_result_id(result_id):
            raise NotFound(_NOT_FOUND)
        if request.if_match or request.if_unmodified_since:
            found = service().look_up(result_id)
            if found is None or not _is_as_asked(found):
                raise PreconditionFailed
        service().delete(result_id)
        response = Response(status=204, headers={"Cache-Control": "no-store"})
        response.headers.remove("Content-Type")
        return response

    return routes


def _is_as_asked(found: Found) -> bool:
    """Whether ``If-Match`` and ``If-Unmodified-Since`` (RFC 9110, 13.1) allow what changes this result."""
    if request.if_match:
        return any(request.if_match.contains(etag) for etag in strong_etags(render(found.record, "json")))
    return int(found.record.created_at) <= request.if_unmodified_since.timestamp()
