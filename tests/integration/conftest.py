"""Real servers for the integration tests: one of each for the whole run, started when first asked for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.servers import RedisServer, S3Server
from tests.servers import redis_server as start_redis
from tests.servers import s3_server as start_s3


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis shared by all tests. A test that pauses or kills one starts its own."""
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A SeaweedFS shared by all tests; see :func:`s3_prefix`."""
    with start_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis database."""
    client = redis.Redis.from_url(redis_server.url)
    client.flushdb()
    client.close()
    return redis_server.url


@pytest.fixture
def s3_prefix(s3_server: S3Server) -> str:
    """A key prefix that nothing else uses."""
    return f"{uuid.uuid4().hex}/"


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool], float], None]:
    """``wait_until(condition, seconds)`` fails when the condition does not come true in time."""

    def wait(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait
