"""The Flask application: parts wired into blueprints, and what holds for every request."""

from __future__ import annotations

import json
import logging
import time

from flask import Flask, Response, g, request

from gateway.config import Settings, load_settings
from gateway.http import account, authentication, health, jobs, ocr, page, preview, problem, results
from gateway.service import Service
from gateway.wiring import Parts, assemble

log = logging.getLogger("gateway.access")

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})


def create_app(settings: Settings | None = None, parts: Parts | None = None) -> Flask:
    """The web application over ``parts``, which are assembled from ``settings`` (the environment's) when not given."""
    settings = settings or load_settings()
    parts = parts or assemble(settings)
    app = Flask("gateway.http", static_folder=None)
    # A redirect to the one-slash address would carry the client's own Host and a body of HTML.
    app.url_map.merge_slashes = False
    app.extensions["parts"] = parts
    problem.register(app)

    def service() -> Service:
        return parts.services.of(authentication.tenant())

    app.register_blueprint(
        ocr.blueprint(
            service, parts.jobs, settings.max_upload_bytes, settings.max_batch, settings.read_timeout
        )
    )
    app.register_blueprint(preview.blueprint(service, settings.max_upload_bytes, settings.max_batch))
    tagged = settings.cdn_purge_url is not None and settings.cdn_purge_by == "tag"
    app.register_blueprint(results.blueprint(service, parts.metrics, settings.stale_if_error, tagged))
    app.register_blueprint(jobs.blueprint(parts.jobs))
    app.register_blueprint(health.blueprint(parts.report, parts.metrics))
    app.register_blueprint(page.blueprint())
    app.register_blueprint(account.blueprint())
    _observe(app, parts)
    if parts.services.tenants is not None:
        authentication.require_keys(app, parts.services.tenants, parts.signer)
    _allow_origins(app, settings.cors_origins)
    return app


def _observe(app: Flask, parts: Parts) -> None:
    """Time, count and log every request; the log never holds a full id, a query or anything of a document."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def finish(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        route = request.url_rule.rule if request.url_rule else "(none)"
        response.headers["X-Request-ID"] = problem.request_id()
        response.headers["X-Content-Type-Options"] = "nosniff"
        # Anybody can invent methods, and every label value is kept for ever.
        method = request.method if request.method in METHODS else "other"
        parts.metrics.requested(route, method, response.status_code, seconds)
        quiet = route in ("/healthz", "/readyz", "/metrics") and response.status_code < 400
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            json.dumps(
                {
                    "request_id": problem.request_id(),
                    "method": method,
                    "route": route,
                    "status": response.status_code,
                    "cache": response.headers.get("X-Cache-Status", ""),
                    "ms": round(seconds * 1000, 1),
                }
            ),
        )
        return response


def _allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Cross-origin calls (Fetch standard) from the configured origins, without credentials."""
    if not origins:
        return

    @app.after_request
    def allow(response: Response) -> Response:
        origin = request.headers.get("Origin", "")
        if "*" in origins or origin in origins:
            response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
            response.headers["Access-Control-Expose-Headers"] = (
                "X-Cache-Status, Cache-Status, Content-Location, ETag, Location, Link, Retry-After, "
                "Preference-Applied, X-Request-ID, WWW-Authenticate"
            )
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, DELETE"
                response.headers["Access-Control-Allow-Headers"] = (
                    "Content-Type, Prefer, Accept, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, "
                    "Authorization, X-API-Key, X-Request-ID"
                )
                response.headers["Access-Control-Max-Age"] = "600"
        if "*" not in origins:
            response.vary.add("Origin")
        return response
