"""Recognise: ``POST /ocr`` and the addresses of the project's first clients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, current_app, request

from gateway.errors import BadRequest, ReadingTimedOut, Refusal
from gateway.http.authentication import tenant_name
from gateway.http.caching import cache_status, describe_batch, describe_outcome
from gateway.http.problem import problem
from gateway.http.representation import set_representation
from gateway.http.uploads import Wishes, read_image, read_images, read_wishes
from gateway.jobs import Jobs
from gateway.renderings import MEDIA_TYPES, answer, render
from gateway.service import Outcome, Service, Word


def blueprint(
    service: Callable[[], Service], jobs: Jobs, max_upload_bytes: int, max_batch: int, batch_seconds: float
) -> Blueprint:
    """``POST /ocr``, ``/api/ocr``, ``/ocr/predict``. ``service`` gives the asker's.

    ``batch_seconds``: a batch begins no further image after that.
    """
    routes = Blueprint("ocr", __name__)

    def one_upload() -> bytes:
        return read_image(request, max_upload_bytes, max_batch)

    @routes.post("/ocr")
    def recognise() -> Response:
        wishes = read_wishes(request)
        images = read_images(request, max_upload_bytes, max_batch)
        if _wants_async(request.headers.get("Prefer", "")) and len(images) == 1:
            job = jobs.submit(images[0], wishes.options, wishes.match, tenant_name())
            response = Response(
                json.dumps({"job": job, "status": f"/jobs/{job}"}),
                202,
                mimetype="application/json",
                headers={
                    "Location": f"/jobs/{job}",
                    "Preference-Applied": "respond-async",
                    "Cache-Control": "no-store",
                },
            )
            return response
        if len(images) == 1:
            return _single(service().recognise(images[0], wishes.options, wishes.match), wishes)
        deadline = time.monotonic() + batch_seconds

        def next_in_batch(image: bytes) -> Outcome:
            if time.monotonic() > deadline:
                raise ReadingTimedOut("The images before this one took too long; send it again, by itself.")
            return service().recognise(image, wishes.options, wishes.match)

        return _batch(images, next_in_batch, wishes)

    @routes.post("/api/ocr")
    def recognise_text() -> Response:
        wishes = read_wishes(request)
        return _single(service().recognise(one_upload(), wishes.options, wishes.match), wishes)

    @routes.post("/ocr/predict")
    def predict() -> Response:
        wishes = read_wishes(request)
        outcome = service().recognise(one_upload(), wishes.options, wishes.match)
        body = {
            "success": True,
            "results": [
                {"text": line.text, "confidence": round(line.score, 4)}
                for line in outcome.record.lines
                if line.score >= wishes.min_score
            ],
            "processing_time": round(outcome.record.processing_time_ms / 1000, 4),
        }
        return _described(json.dumps(body, ensure_ascii=False).encode(), "json", outcome)

    return routes


def _wants_async(prefer: str) -> bool:
    """RFC 7240: preferences are comma-separated and case-insensitive."""
    return any(part.split(";")[0].strip().lower() == "respond-async" for part in prefer.split(","))


def _single(outcome: Outcome, wishes: Wishes) -> Response:
    body = render(outcome.record, wishes.format, min_score=wishes.min_score, match=outcome.match)
    return _described(body, wishes.format, outcome)


def _described(body: bytes, clothes: str, outcome: Outcome) -> Response:
    response = Response(content_type=MEDIA_TYPES[clothes])
    set_representation(response, body)
    describe_outcome(response, outcome)
    return response


def _batch(images: list[bytes], recognise: Callable[[bytes], Outcome], wishes: Wishes) -> Response:
    """Each answer in the order sent; one image's refusal is its own and does not spoil the others'.

    The headers tell the dearest word among them; each answer has its own ``cache_status``.
    """
    if wishes.format != "json":
        raise BadRequest("Several images are answered as JSON only: ask for it (`format=json`), or send one image.")
    results: list[dict[str, Any]] = []
    words: list[Word] = []
    for image in images:
        try:
            outcome = recognise(image)
        except Refusal as error:
            current_app.logger.info("one image of a batch was refused: %s", error.slug)
            refusal = {"success": False, **problem(error.status, error.slug, error.title, error.detail)}
            results.append(refusal | ({"retry_after": error.retry_after} if error.retry_after else {}))
            words.append("MISS")
            continue
        lines = tuple(line for line in outcome.record.lines if line.score >= wishes.min_score)
        results.append(answer(outcome.record, lines, outcome.match) | {"cache_status": cache_status(outcome)})
        words.append(outcome.word)
    body = json.dumps({"results": results}, ensure_ascii=False).encode()
    response = Response(mimetype="application/json")
    set_representation(response, body)
    describe_batch(response, words)
    return response
