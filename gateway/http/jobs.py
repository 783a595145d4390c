"""Ask after an asynchronous recognition: ``GET /jobs/<job>``."""

from __future__ import annotations

import json
import re

from flask import Blueprint, Response

from gateway.errors import NotFound
from gateway.http.authentication import tenant_name
from gateway.http.problem import problem
from gateway.jobs import Jobs

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def blueprint(jobs: Jobs) -> Blueprint:
    """``GET /jobs/<job>``: its progress, ``303`` to the result when it is there."""
    routes = Blueprint("jobs", __name__, url_prefix="/jobs")

    @routes.get("/<job_id>")
    def look_up(job_id: str) -> Response:
        job = jobs.find(job_id, tenant_name()) if _JOB_ID.fullmatch(job_id) else None
        if job is None:
            raise NotFound("There is no such job, or it ended long ago. Upload the image again.")
        body: dict[str, object] = {"status": job.status, "progress": {"done": job.done, "total": job.total}}
        headers = {"Cache-Control": "no-store"}
        status = 200
        if job.status == "done":
            status, headers["Location"] = 303, f"/results/{job.result_id}"
        elif job.status == "failed":
            error = job.error
            body["error"] = problem(error["status"], error["slug"], error["title"], error["detail"])
        else:
            headers["Retry-After"] = "1"
        return Response(json.dumps(body, ensure_ascii=False), status, headers, mimetype="application/json")

    return routes
