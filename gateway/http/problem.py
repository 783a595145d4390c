"""Every error as problem details (RFC 9457), one shape, in one place."""

from __future__ import annotations

import json
import logging
import re
import uuid
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from gateway.errors import Refusal, Unauthorized

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Errors that the framework or the server raises, not the gateway: title and what to do about it. The slug is the
# title's, and both are those of the edge (infra/nginx/http/problems.conf).
_RAISED_BELOW = {
    400: ("Bad request", "The request could not be understood."),
    403: ("Forbidden", "This server does not do that."),
    404: ("Not found", "There is nothing at this address; see /docs for the addresses that exist."),
    405: ("Method not allowed", "This address does not take this method; the Allow header lists those it takes."),
    408: ("Request timeout", "The request did not arrive in time; send it again, over a faster line if there is one."),
    411: ("Length required", "Send a Content-Length."),
    412: ("Precondition failed", "The stored result is not the one that If-Match or If-Unmodified-Since asks for."),
    413: ("Too large", "The request is larger than this server accepts."),
    414: ("Address too long", "The address is too long."),
    415: ("Unsupported media type", "This content type is not accepted here."),
    417: ("Expectation failed", "This server does not do what the Expect header asks for; leave it out."),
    431: ("Headers too long", "The request's headers are too long."),
    501: ("Not implemented", "This transfer coding is not understood here; send a Content-Length, or `chunked`."),
}
_AT_THE_EDGE = {
    416: ("Range not satisfiable", "The answer is shorter than the Range asks for; leave it out."),
    421: ("Misdirected request", "The edge does not answer for that host name."),
    429: ("Too many requests", "Too many uploads or deletions from one address; wait as long as `Retry-After` says."),
    502: ("Gateway unreachable", "The edge could reach no gateway; try again in a moment."),
    503: ("Gateway unavailable", "No gateway can take this now; try again in a moment."),
    504: ("Gateway timeout", "The gateway took too long for the edge; try again."),
    505: ("HTTP version not supported", "Ask in HTTP/1.1 or HTTP/2."),
}
_INTERNAL_ERROR = (
    "internal-error",
    "Internal error",
    "Something broke here; try again, and report the request_id.",
)


def kinds() -> list[tuple[str, int, str, str]]:
    """Every kind of problem there is: slug, status, title, and what it means or what to do about it."""
    ours = [
        (kind.slug, kind.status, kind.title, (kind.__doc__ or "").split("\n")[0]) for kind in Refusal.__subclasses__()
    ]
    known = {slug for slug, *_ in ours}
    others = [
        (slug, status, title, advice)
        for table in (_RAISED_BELOW, _AT_THE_EDGE)
        for status, (title, advice) in table.items()
        if (slug := _slug(title)) not in known
    ]
    return sorted([*ours, *others, (_INTERNAL_ERROR[0], 500, *_INTERNAL_ERROR[1:])], key=lambda kind: kind[1])


def problem(status: int, slug: str, title: str, detail: str) -> dict[str, Any]:
    """The members of a problem document for the request being served."""
    return _document(status, slug, title, detail, request_id())


def early_problem(status: int) -> dict[str, Any]:
    """The members of a problem document for a request that was refused before the application saw it."""
    if status == 500:
        return _document(500, *_INTERNAL_ERROR, uuid.uuid4().hex)
    return _document(status, *_described(status), uuid.uuid4().hex)


def _document(status: int, slug: str, title: str, detail: str, request_id: str) -> dict[str, Any]:
    return {"type": f"/docs#{slug}", "title": title, "status": status, "detail": detail, "request_id": request_id}


def _described(status: int) -> tuple[str, str, str]:
    """Slug, title and detail of an error that is only known by its status."""
    name = HTTPStatus(status).phrase
    title, advice = _RAISED_BELOW.get(status, (name, f"{name}."))
    return _slug(title), title, advice


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def request_id() -> str:
    """The client's own ``X-Request-ID`` if it is harmless, else a fresh one; the same throughout a request."""
    if "request_id" not in g:
        offered = request.headers.get("X-Request-ID", "")
        g.request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
    return g.request_id


def register(app: Flask) -> None:
    """Install the handlers."""

    @app.errorhandler(Refusal)
    def refused(error: Refusal) -> Response:
        response = _response(problem(error.status, error.slug, error.title, error.detail))
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, Unauthorized):
            response.headers["WWW-Authenticate"] = error.challenge
        return response

    @app.errorhandler(HTTPException)
    def refused_by_framework(error: HTTPException) -> Response:
        status = error.code or 500
        if status < 400:
            return error.get_response()  # type: ignore[return-value]
        response = _response(problem(status, *_described(status)))
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        # The type and the place only: a message could quote a document.
        log.error("request %s failed: %s", request_id(), type(error).__name__, exc_info=app.debug or app.testing)
        _log_place(error)
        return _response(problem(500, *_INTERNAL_ERROR))


def _log_place(error: Exception) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        log.error("at %s:%d", trace.tb_frame.f_code.co_filename, trace.tb_lineno)


def _response(document: dict[str, Any]) -> Response:
    response = Response(json.dumps(document, ensure_ascii=False), document["status"], mimetype=MEDIA_TYPE)
    # nginx 1.22 lets the first of these two headers win: a burst of misses is absorbed for a second, no longer.
    response.headers["X-Accel-Expires"] = "1" if request.method in ("GET", "HEAD") else "0"
    response.headers["Cache-Control"] = "no-store"
    return response
