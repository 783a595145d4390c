"""Servers that die, hang and come back, for real: what it costs, and that nothing is lost or brought back."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.config import Settings
from gateway.store.base import Entry, StoreError
from gateway.store.redis import PAUSE_SECONDS, RedisStore
from gateway.store.redis import connect as connect_redis
from gateway.store.s3 import S3Store
from gateway.store.s3_service import connect as connect_s3
from gateway.store.s3_service import ensure_bucket
from gateway.store.tiered import TieredStore
from tests.servers import RedisServer, S3Server
from tests.servers import redis_server as start_redis

TIMEOUT = 0.25
# Two cores that others use too: a bound on what is at stake, not a measurement.
SLACK = 0.5
EXPIRES_AT = int(time.time()) + 3600


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis"), "--appendonly", "yes") as server:
        yield server


@pytest.fixture
def hot(own_redis: RedisServer) -> Iterator[RedisStore]:
    client = connect_redis(Settings(redis_url=own_redis.url, redis_timeout=TIMEOUT))
    client.flushdb()
    store = RedisStore(client)
    yield store
    own_redis.resume()
    if not own_redis.process.running():
        own_redis.start()
    store.close()


@pytest.fixture
def durable(s3_server: S3Server, s3_prefix: str) -> Iterator[S3Store]:
    settings = Settings(
        s3_bucket=s3_server.bucket, s3_endpoint=s3_server.endpoint, s3_addressing="path", s3_timeout=2,
        s3_access_key=s3_server.access_key, s3_secret_key=s3_server.secret_key,
    )
    store = S3Store(connect_s3(settings), s3_server.bucket, s3_prefix, pause=0.5)
    yield store
    s3_server.resume()
    store.close()


@pytest.fixture
def tiers(hot: RedisStore, durable: S3Store) -> TieredStore:
    return TieredStore(hot, durable, interval=0.1)


def seconds(call: Callable[[], object]) -> float:
    """How long ``call`` takes to fail."""
    started = time.monotonic()
    with pytest.raises(StoreError):
        call()
    return time.monotonic() - started


def answers(store: RedisStore | S3Store) -> Callable[[], bool]:
    return lambda: set(store.statuses().values()) == {"ok"}


def test_a_dead_redis_is_a_store_error_at_once_and_its_return_is_noticed(
    hot: RedisStore, own_redis: RedisServer, wait_until: Callable
) -> None:
    hot.put("results/a", b"value", EXPIRES_AT)
    own_redis.kill()
    assert seconds(lambda: hot.get("results/a")) < TIMEOUT + SLACK
    for _ in range(100):
        with pytest.raises(StoreError, match="not asked"):
            hot.get("results/a")
    assert hot.statuses()["redis"].startswith("down: redis: ")
    own_redis.start()
    wait_until(answers(hot), PAUSE_SECONDS + 5)
    assert hot.get("results/a") == Entry(b"value", EXPIRES_AT, "redis")


def test_a_hanging_redis_costs_its_time_out_once_and_its_return_is_noticed(
    hot: RedisStore, own_redis: RedisServer, wait_until: Callable
) -> None:
    hot.put("results/a", b"value", EXPIRES_AT)
    own_redis.pause()
    with ThreadPoolExecutor(16) as threads:
        waited = list(threads.map(lambda _: seconds(lambda: hot.get("results/a")), range(16)))
    assert max(waited) < 2 * TIMEOUT + SLACK
    started = time.monotonic()
    failures = 0
    while time.monotonic() - started < 0.8 * PAUSE_SECONDS:
        assert seconds(lambda: hot.get("results/a")) < 0.1
        failures += 1
        time.sleep(0.01)
    assert failures > 10
    own_redis.resume()
    wait_until(answers(hot), PAUSE_SECONDS + 5)
    assert hot.get("results/a") is not None


def test_nothing_that_redis_acknowledged_is_lost_when_it_is_killed(hot: RedisStore, own_redis: RedisServer) -> None:
    for number in range(200):
        hot.put(f"results/{number}", b"value", EXPIRES_AT)
    own_redis.kill()
    own_redis.start()
    assert len(list(hot.scan("results/"))) == 200
    assert hot.get("results/7") == Entry(b"value", EXPIRES_AT, "redis")


def test_scripts_are_loaded_again_into_a_redis_that_has_forgotten_them(
    hot: RedisStore, own_redis: RedisServer
) -> None:
    assert hot.add("results/a", b"value", EXPIRES_AT) is True
    own_redis.kill()
    own_redis.start()
    assert hot.add("results/a", b"value", EXPIRES_AT) is False


def test_a_redis_that_refuses_a_command_still_answers_others(hot: RedisStore) -> None:
    hot.put("results/a", b"value", EXPIRES_AT)
    hot._client.config_set("maxmemory", "1")
    hot._client.config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(StoreError, match="redis: put: refused"):
            hot.put("results/b", b"value", EXPIRES_AT)
        assert hot.get("results/a") is not None
    finally:
        hot._client.config_set("maxmemory", "0")


def test_an_error_names_no_host_key_or_password(hot: RedisStore, own_redis: RedisServer) -> None:
    hot._client.config_set("requirepass", "the right one")
    try:
        url = own_redis.url.replace("redis://", "redis://:a-wrong-one@")
        intruder = RedisStore(connect_redis(Settings(redis_url=url)))
        with pytest.raises(StoreError) as caught:
            intruder.get("results/secret-id")
        intruder.close()
    finally:
        hot._client.config_set("requirepass", "")
    assert str(caught.value) == "redis: get: refused the credentials"


def test_an_address_where_nothing_answers_costs_its_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        store = RedisStore(connect_redis(Settings(
            redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}", redis_timeout=TIMEOUT,
        )))
        assert seconds(lambda: store.get("results/a")) < 2 * TIMEOUT + SLACK
        store.close()


def test_without_redis_the_tiers_answer_from_s3(
    tiers: TieredStore, own_redis: RedisServer, wait_until: Callable
) -> None:
    tiers.put("results/a", b"value", EXPIRES_AT)
    assert tiers.get("results/a") == Entry(b"value", EXPIRES_AT, "redis")
    wait_until(lambda: not tiers._unsaved, 10)  # a busy machine's first write to S3 may have timed out
    own_redis.pause()
    started = time.monotonic()
    for _ in range(20):
        assert tiers.get("results/a") == Entry(b"value", EXPIRES_AT, "s3")
    assert time.monotonic() - started < 2 * TIMEOUT + 3 * SLACK
    assert tiers.statuses()["s3"] == "ok"
    own_redis.resume()
    wait_until(lambda: tiers.get("results/a") == Entry(b"value", EXPIRES_AT, "redis"), 5)


def test_an_old_value_that_a_hanging_redis_kept_never_comes_back(
    tiers: TieredStore, hot: RedisStore, own_redis: RedisServer, wait_until: Callable
) -> None:
    tiers.put("results/a", b"old", EXPIRES_AT)
    wait_until(lambda: not tiers._unsaved, 10)
    own_redis.pause()
    tiers.get("results/a")
    tiers.put("results/a", b"new", EXPIRES_AT)
    own_redis.resume()
    wait_until(answers(hot), PAUSE_SECONDS + 5)
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        entry = tiers.get("results/a")
        assert entry is not None
        assert entry.value == b"new"
    kept = hot.get("results/a")
    assert kept is not None
    assert kept.value == b"new"


def test_a_redis_that_comes_back_empty_is_filled_again(
    tiers: TieredStore, hot: RedisStore, own_redis: RedisServer
) -> None:
    tiers.put("results/a", b"value", EXPIRES_AT)
    hot._client.flushall()
    assert tiers.get("results/a") == Entry(b"value", EXPIRES_AT, "s3")
    assert tiers.get("results/a") == Entry(b"value", EXPIRES_AT, "redis")


def test_a_deletion_waits_for_redis(
    tiers: TieredStore, durable: S3Store, own_redis: RedisServer, wait_until: Callable
) -> None:
    tiers.put("results/a", b"value", EXPIRES_AT)
    own_redis.pause()
    with pytest.raises(StoreError):
        tiers.delete("results/a")
    own_redis.resume()

    def deleted() -> bool:
        try:
            tiers.delete("results/a")
        except StoreError:
            return False
        return True

    wait_until(deleted, PAUSE_SECONDS + 5)
    assert tiers.get("results/a") is None
    assert durable.get("results/a") is None


def test_while_s3_hangs_values_wait_in_redis_and_reach_it_later(
    tiers: TieredStore, durable: S3Store, s3_server: S3Server, wait_until: Callable
) -> None:
    s3_server.pause()
    started = time.monotonic()
    for number in range(10):
        tiers.put(f"results/{number}", b"value", EXPIRES_AT)
    # Two attempts of half the time-out each and the pause between them; after that the circuit breaker.
    assert time.monotonic() - started < 8
    assert tiers.get("results/9") == Entry(b"value", EXPIRES_AT, "redis")
    assert tiers.statuses()["s3"].startswith("down: s3: ")
    s3_server.resume()
    wait_until(lambda: not tiers._unsaved, 20)
    assert len(list(durable.scan("results/"))) == 10
    assert durable.get("results/9") == Entry(b"value", EXPIRES_AT, "s3")


def test_without_either_a_value_is_refused_and_nothing_is_called_missing(
    tiers: TieredStore, own_redis: RedisServer, s3_server: S3Server
) -> None:
    own_redis.pause()
    s3_server.pause()
    assert seconds(lambda: tiers.put("results/a", b"value", EXPIRES_AT)) < 8
    assert seconds(lambda: tiers.get("results/a")) < 8
    assert {status.split(":")[0] for status in tiers.statuses().values()} == {"down"}


@pytest.mark.parametrize(
    ("mistake", "answer"),
    [
        ({"s3_secret_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"s3_access_key": "unknown"}, "InvalidAccessKeyId"),
        ({"s3_bucket": "no-such-bucket"}, "NoSuchBucket"),
    ],
)
def test_a_wrong_key_or_bucket_is_an_error_and_no_miss(s3_server: S3Server, mistake: dict, answer: str) -> None:
    right = {
        "s3_bucket": s3_server.bucket, "s3_endpoint": s3_server.endpoint, "s3_addressing": "path",
        "s3_access_key": s3_server.access_key, "s3_secret_key": s3_server.secret_key,
    }
    settings = Settings(**(right | mistake))
    store = S3Store(connect_s3(settings), str(settings.s3_bucket))
    with pytest.raises(StoreError, match=f"^s3: get: answered {answer}$"):
        store.get("results/a")
    with pytest.raises(StoreError):
        store.ping()
    store.close()


def test_an_addition_whose_answer_was_lost_and_that_is_repeated_still_counts_as_added(durable: S3Store) -> None:
    lost = []

    def lose_the_first_answer(response: object, operation: object, **_: object) -> int | None:
        if getattr(operation, "name", "") == "PutObject" and not lost:
            lost.append(True)
            return 0
        return None

    durable._client.meta.events.register_first("needs-retry.s3.PutObject", lose_the_first_answer)
    assert durable.add("results/a", b"value", EXPIRES_AT) is True
    assert lost
    assert durable.add("results/a", b"value", EXPIRES_AT) is False


def test_a_dead_s3_is_a_store_error_and_then_costs_nothing(s3_server: S3Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        client = connect_s3(Settings(
            s3_bucket="tests", s3_endpoint=endpoint, s3_access_key="a", s3_secret_key="b", s3_timeout=1,
        ))
        attempts: list[str] = []
        client.meta.events.register("request-created.s3", lambda operation_name, **_: attempts.append(operation_name))
        store = S3Store(client, "tests", pause=60)
        with pytest.raises(StoreError):
            store.get("results/a")
        tried = len(attempts)
        assert tried > 0
        for _ in range(100):
            with pytest.raises(StoreError):
                store.get("results/a")
        assert len(attempts) == tried
        store.close()


def test_a_bucket_is_made_once_with_its_lifecycle_and_an_existing_one_is_left_alone(s3_server: S3Server) -> None:
    client = s3_server.client()
    ensure_bucket(client, "made-here", "ocr/")
    rules = client.get_bucket_lifecycle_configuration(Bucket="made-here")["Rules"]
    assert [(rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) for rule in rules] == [("ocr/", 8)]
    client.delete_bucket_lifecycle(Bucket="made-here")
    ensure_bucket(client, "made-here", "ocr/")
    with pytest.raises(client.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        client.get_bucket_lifecycle_configuration(Bucket="made-here")
    store = S3Store(client, "made-here", "ocr/")
    store.put("results/a", b"value", EXPIRES_AT)
    assert store.get("results/a") == Entry(b"value", EXPIRES_AT, "s3")
