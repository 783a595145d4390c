"""For operators: alive, ready, metrics, hit rates."""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.metrics import Metrics


def blueprint(report: Callable[[], tuple[bool, dict[str, object]]], metrics: Metrics) -> Blueprint:
    """``report`` says whether the gateway is ready, and each part's state by name."""
    routes = Blueprint("health", __name__)

    def plain(body: dict[str, object], status: int = 200) -> Response:
        return Response(
            json.dumps(body, ensure_ascii=False, indent=1),
            status,
            {"Cache-Control": "no-cache"},
            mimetype="application/json",
        )

    @routes.get("/healthz")
    def alive() -> Response:
        """The process answers; nothing else is asked, so that a slow store gets nobody restarted."""
        return plain({"status": "alive"})

    @routes.get("/readyz")
    def ready() -> Response:
        """Whether an unknown document could be read now. A store that is down is only named."""
        is_ready, parts = report()
        return plain({"status": "ready" if is_ready else "not ready", **parts}, 200 if is_ready else 503)

    @routes.get("/metrics")
    def exposition() -> Response:
        return Response(metrics.exposition(), headers={"Cache-Control": "no-cache"}, content_type=CONTENT_TYPE_LATEST)

    @routes.get("/stats")
    def stats() -> Response:
        return plain(metrics.summary())

    return routes
