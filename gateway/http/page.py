"""For people: the web page at ``/``, its files, and the description of the API."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup, escape

from gateway.errors import NotFound
from gateway.http import problem
from gateway.http.assets import IMMUTABLE, Assets
from gateway.http.representation import accepted_coding, set_encoded, set_representation, strong_etag

# Everything the page needs comes from this server; an upload is shown from a blob: URL.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def blueprint() -> Blueprint:
    """``/``, ``/static/<digest>/<name>``, ``/openapi.json``, ``/docs``."""
    routes = Blueprint("page", __name__, static_folder=None, template_folder="templates")
    folder = Path(str(files("gateway.http"))) / "static"
    assets = Assets(folder)
    index = assets.addressed((folder / "index.html").read_text("utf-8")).encode()
    description = (files("gateway.http") / "openapi.json").read_text("utf-8")
    document = json.loads(description)
    operations = list(_operations(document))
    example = _one_member_a_line(document["components"]["schemas"]["Result"]["examples"][0])
    routes.add_app_template_filter(_with_code, "with_code")

    def page_of(html: bytes) -> Response:
        """Asked about anew each time (RFC 9111, 5.2.2.4), because it names the files' present addresses."""
        response = Response(mimetype="text/html")
        set_representation(response, html)
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return _secured(response)

    def asset_of(name: str, cache_control: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise NotFound("There is no such file; the page names those that there are.")
        response = Response(content_type=asset.media_type)
        coding = accepted_coding("br", "gzip") if asset.compressible else "identity"
        set_encoded(response, asset.representation(coding), coding, strong_etag(asset.body))
        response.headers["Cache-Control"] = cache_control
        response.make_conditional(request)
        return _secured(response)

    @routes.get("/")
    def page() -> Response:
        return page_of(index)

    @routes.get("/static/<digest>/<path:name>")
    def lasting_asset(digest: str, name: str) -> Response:
        if digest != assets.digest:
            # Of another version: these bytes under that address would stay wrong for a year.
            raise NotFound("This file is of another version of the page; load the page again.")
        return asset_of(name, IMMUTABLE)

    @routes.get("/static/<name>")
    def asset(name: str) -> Response:
        return asset_of(name, "no-cache")

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(description, mimetype="application/json", headers={"Cache-Control": "max-age=300"})

    @routes.get("/docs")
    def docs() -> Response:
        html = render_template("docs.html", example=example, operations=operations, problems=problem.kinds())
        return page_of(assets.addressed(html).encode())

    return routes


def _secured(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    # No other site opens, frames or embeds the page, so none shares a process with a document that is shown in it.
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Permissions-Policy"] = "geolocation=(), microphone=(), payment=(), usb=()"
    return response


def _with_code(text: str) -> Markup:
    """``text`` with what stands between backticks set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _one_member_a_line(value: dict) -> str:
    members = (f" {json.dumps(name)}: {json.dumps(member, ensure_ascii=False)}" for name, member in value.items())
    return "{\n" + ",\n".join(members) + "\n}"


def _operations(document: dict):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            yield {
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "description": operation.get("description", ""),
                "parameters": [
                    _resolved(document, parameter)
                    for parameter in (*methods.get("parameters", ()), *operation.get("parameters", ()))
                ],
                "body": sorted(operation.get("requestBody", {}).get("content", ())),
                "responses": {
                    status: _resolved(document, response) for status, response in operation["responses"].items()
                },
            }


def _resolved(document: dict, node: dict) -> dict:
    while "$ref" in node:
        target: dict = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node
