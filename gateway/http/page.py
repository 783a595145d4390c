"""For people: the web page at ``/``, its files, and the description of the API."""

from __future__ import annotations

import json
import re
from importlib.resources import files

from flask import Blueprint, Response, render_template, send_from_directory
from markupsafe import Markup, escape

from gateway.http import problem

# Everything the page needs comes from this server; an upload is shown from a blob: URL.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def blueprint() -> Blueprint:
    """``/``, ``/static/<path>``, ``/openapi.json``, ``/docs``."""
    routes = Blueprint("page", __name__, static_folder=None, template_folder="templates")
    static = str(files("gateway.http") / "static")
    description = (files("gateway.http") / "openapi.json").read_text("utf-8")
    operations = list(_operations(json.loads(description)))
    routes.add_app_template_filter(_with_code, "with_code")

    def secured(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @routes.get("/")
    def page() -> Response:
        return secured(send_from_directory(static, "index.html", max_age=0))

    @routes.get("/static/<path:name>")
    def asset(name: str) -> Response:
        return secured(send_from_directory(static, name, max_age=0))

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(description, mimetype="application/json", headers={"Cache-Control": "max-age=300"})

    @routes.get("/docs")
    def docs() -> Response:
        return secured(Response(render_template("docs.html", operations=operations, problems=problem.kinds())))

    return routes


def _with_code(text: str) -> Markup:
    """``text`` with what stands between backticks set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


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
