"""A page as a picture, for who cannot draw the file itself: ``POST /preview``."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from gateway.http.uploads import read_image, read_page
from gateway.service import Service


def blueprint(service: Callable[[], Service], max_upload_bytes: int, max_batch: int) -> Blueprint:
    """``POST /preview``. ``service`` gives the asker's."""
    routes = Blueprint("preview", __name__)

    @routes.post("/preview")
    def draw() -> Response:
        page = read_page(request)
        picture = service().preview(read_image(request, max_upload_bytes, max_batch), page)
        return Response(picture, mimetype="image/webp", headers={"Cache-Control": "no-store"})

    return routes
