"""Who the asker is: what a device needs, besides its API key, to compute result ids."""

from __future__ import annotations

import json

from flask import Blueprint, Response

from gateway.http.authentication import tenant


def blueprint() -> Blueprint:
    """``GET /account``: the tenant and its lookup key; nulls in open mode, where ids are plain SHA-256."""
    routes = Blueprint("account", __name__)

    @routes.get("/account")
    def account() -> Response:
        asking = tenant()
        body = {
            "tenant": asking.name if asking else None,
            "lookup_key": asking.lookup_key.hex() if asking else None,
        }
        return Response(json.dumps(body), headers={"Cache-Control": "no-store"}, mimetype="application/json")

    return routes
