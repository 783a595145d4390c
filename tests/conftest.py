"""What every test shares: a clean environment, pages to read, and one way to look at an error."""

from __future__ import annotations

import os

import pytest

from gateway.config import ENV_PREFIX


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's own reaches a test."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX) or name == "PORT":
            monkeypatch.delenv(name)


@pytest.fixture
def assert_problem():
    """Asserts the one shape of every error (RFC 9457)."""

    def check(response, status: int, slug: str | None = None) -> dict:
        assert response.status_code == status, response.data
        assert response.headers["Content-Type"].startswith("application/problem+json")
        assert response.headers["Cache-Control"] == "no-store"
        document = response.get_json()
        assert set(document) == {"type", "title", "status", "detail", "request_id"}
        assert document["status"] == status
        assert document["detail"].endswith((".", "…"))
        if slug is not None:
            assert document["type"] == f"/docs#{slug}"
        return document

    return check
