"""The Flask application over the embedded store and the scripted reader."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from gateway.app import create_app
from gateway.config import load_settings
from gateway.jobs import Jobs
from gateway.tenancy import Services
from gateway.wiring import Parts
from tests.doubles import Drawing, Gateway, draw_invoice


@pytest.fixture
def parts(gateway: Gateway, store) -> Iterator[Parts]:
    jobs = Jobs(gateway.service, store, workers=2, limit=4, lease=60)
    settings = load_settings(max_upload_bytes=300_000, max_batch=3)
    yield Parts(
        settings=settings,
        store=store,
        archive=gateway.archive,
        readings=gateway.readings,
        nominator=gateway.nominator,
        metrics=gateway.metrics,
        purger=gateway.purger,
        service=gateway.service,
        shadow=gateway.shadow,
        jobs=jobs,
        services=Services(gateway.service),
    )
    jobs.close()


@pytest.fixture
def client(parts: Parts) -> FlaskClient:
    return create_app(parts.settings, parts).test_client()


@pytest.fixture
def invoice(gateway: Gateway) -> Drawing:
    # What is on it matters little here, and half a page is stored in half the time.
    return gateway.reader.knows(draw_invoice(1, rows=5))
