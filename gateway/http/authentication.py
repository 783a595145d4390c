"""Key mode: who asks (RFC 6750), what a signed link opens, and that nothing of it is shared by a cache unasked.

Every address needs an API key but those in :data:`OPEN`; a new one does without anybody's doing. Where there is no key
and no valid signature the refusal is the same for every address, so it says nothing of what is stored.
"""

from __future__ import annotations

import time
from datetime import timedelta

from flask import Flask, Request, Response, g, request

from gateway.errors import BadRequest, Forbidden, Unauthorized
from gateway.identity import is_result_id
from gateway.signing import QUERY_NAMES, Signer
from gateway.tenants import Operator, Tenant, Tenants

# The page and its files, the description, health: nothing of anybody.
OPEN = frozenset(
    {
        "page.page",
        "page.asset",
        "page.lasting_asset",
        "page.openapi",
        "page.docs",
        "health.alive",
        "health.ready",
    }
)
# Figures over all tenants: who may see them is no tenant.
OPERATORS = frozenset({"health.exposition", "health.stats"})

EDGE_CACHE_CONTROL = "OCR-Edge-Cache-Control"
"""A targeted cache control (RFC 9213) of this product's own edge, which checks the signature; others ignore it."""

_CHALLENGE = 'Bearer realm="ocr-gateway"'
_NO_KEY = "Send an API key: `Authorization: Bearer <key>`, or `X-API-Key: <key>`."
_WRONG_KEY = "This API key is not valid."
_LONGEST_KEY = 512


def tenant() -> Tenant | None:
    """Whose documents the request being served is about; ``None`` in open mode."""
    return g.get("tenant")


def tenant_name() -> str:
    """The name of :func:`tenant`; ``""`` in open mode."""
    asking = tenant()
    return asking.name if asking else ""


def require_keys(app: Flask, tenants: Tenants, signer: Signer | None) -> None:
    """Let nobody in without an API key of ``tenants``, or a link signed by ``signer``."""

    @app.before_request
    def authenticate() -> None:
        # What has no address has no owner (404, 405); a preflight never carries credentials (Fetch standard).
        if request.url_rule is None or request.method == "OPTIONS" or request.endpoint in OPEN:
            return
        key = api_key(request)
        if key is None:
            g.tenant = _signed_for(request, tenants, signer)
            g.signed = True
            return
        caller = tenants.caller(key)
        if caller is None:
            raise Unauthorized(_WRONG_KEY, challenge=f'{_CHALLENGE}, error="invalid_token"')
        if isinstance(caller, Operator) != (request.endpoint in OPERATORS):
            raise Forbidden("This API key does not open this address.")
        if isinstance(caller, Tenant):
            g.tenant = caller

    @app.after_request
    def keep_private(response: Response) -> Response:
        if "tenant" not in g:
            if response.status_code >= 400:
                _never_shared(response)
            return response
        if not g.get("signed"):
            _never_shared(response)
            _offer_link(response, signer)
        elif response.status_code in (200, 304):
            _shared_by_own_edges(response)
        return response


def api_key(request: Request) -> str | None:
    """The API key in a request; ``""`` for a credential that is none.

    Raises :class:`BadRequest` for two of them (RFC 6750, 2): whoever reads the other one would see another asker.
    """
    offered = [*request.headers.getlist("Authorization"), *request.headers.getlist("X-API-Key")]
    if not offered:
        return None
    if len(offered) > 1:
        raise BadRequest("Send one API key only, in `Authorization` or in `X-API-Key`.")
    credential = offered[0].strip()
    if "Authorization" in request.headers:
        scheme, _, credential = credential.partition(" ")
        credential = credential.strip() if scheme.lower() == "bearer" else ""
    return credential if len(credential) <= _LONGEST_KEY else ""


def _signed_for(request: Request, tenants: Tenants, signer: Signer | None) -> Tenant:
    """Whose result a signed link opens. Raises :class:`Unauthorized`."""
    wanted = (request.view_args or {}).get("result_id", "")
    if signer is not None and request.method in ("GET", "HEAD") and is_result_id(wanted):
        values = [request.args.getlist(name) for name in QUERY_NAMES]
        if all(len(each) == 1 for each in values):
            name, expires, signature = (each[0] for each in values)
            accepted = signer.accepts(name, wanted, expires, signature, time.time())
            owner = tenants.named(name)
            if accepted and owner is not None:
                return owner
    raise Unauthorized(_NO_KEY, challenge=_CHALLENGE)


def _never_shared(response: Response) -> None:
    # nginx believes this header over Cache-Control, and reads the first of the two.
    response.headers["X-Accel-Expires"] = "0"
    if "no-store" not in response.headers.get("Cache-Control", ""):
        response.headers["Cache-Control"] = "private"
    # A browser's own cache must not answer one key with what another opened.
    response.vary.update(("Authorization", "X-API-Key"))


def _shared_by_own_edges(response: Response) -> None:
    """A cache that does not check signatures would answer after the link has expired: so the word is for those alone
    that do."""
    response.headers.pop("X-Accel-Expires", None)
    response.headers["Cache-Control"] = "private"
    response.headers[EDGE_CACHE_CONTROL] = "public"
    if response.expires is not None:
        # nginx answers through the second it is given; at that second the result is gone.
        response.expires = response.expires - timedelta(seconds=1)


def _offer_link(response: Response, signer: Signer | None) -> None:
    """A signed link to the same result (``duplicate``, RFC 6249), for who has no key or wants the edge's answer."""
    where = response.headers.get("Content-Location", "")
    if signer is not None and response.status_code == 200 and where.startswith("/results/"):
        query = signer.query(tenant_name(), where.removeprefix("/results/"), time.time())
        response.headers["Link"] = f'<{where}?{query}>; rel="duplicate"'
