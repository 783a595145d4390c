"""One table of behaviours that every store has, run against SQLite, a real Redis, a real S3, and the tiers of both."""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import Settings
from gateway.store.base import Entry, Store
from gateway.store.redis import RedisStore
from gateway.store.redis import connect as connect_redis
from gateway.store.s3 import S3Store
from gateway.store.s3_service import connect as connect_s3
from gateway.store.sqlite import SQLiteStore
from gateway.store.tiered import TieredStore
from tests.servers import S3Server

WEEK = 7 * 24 * 3600
THREADS = 8


class Clock:
    """The real time, set forward at will: the servers keep their own."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    def set_to(self, moment: float) -> None:
        self.ahead = moment - time.time()


@dataclass
class Subject:
    """A store under test, its clock, and the name of the tier that answers after a write."""

    store: Store
    clock: Clock
    tier: str

    def soon(self) -> int:
        return int(self.clock()) + 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def redis_store(redis_url: str, clock: Clock) -> Iterator[RedisStore]:
    store = RedisStore(connect_redis(Settings(redis_url=redis_url, redis_timeout=2)), now=clock)
    yield store
    store.close()


@pytest.fixture(scope="module")
def s3_client(s3_server: S3Server) -> Any:
    return connect_s3(Settings(
        s3_bucket=s3_server.bucket, s3_endpoint=s3_server.endpoint, s3_addressing="path",
        s3_access_key=s3_server.access_key, s3_secret_key=s3_server.secret_key, s3_timeout=20,
    ))


@pytest.fixture
def s3_store(s3_client: Any, s3_server: S3Server, s3_prefix: str, clock: Clock) -> S3Store:
    return S3Store(s3_client, s3_server.bucket, s3_prefix, now=clock)


@pytest.fixture(params=["sqlite", "redis", "s3", "redis over s3"])
def subject(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Subject:
    store: Store
    if request.param == "sqlite":
        store = SQLiteStore(tmp_path / "data" / "store.sqlite3", now=clock)
        request.addfinalizer(store.close)
        subject = Subject(store, clock, "sqlite")
    elif request.param == "redis over s3":
        hot, durable = request.getfixturevalue("redis_store"), request.getfixturevalue("s3_store")
        subject = Subject(TieredStore(hot, durable, now=clock), clock, "redis")
    else:
        subject = Subject(request.getfixturevalue(f"{request.param}_store"), clock, request.param)
    return subject


def test_a_key_that_was_never_written_is_not_there(subject: Subject) -> None:
    assert subject.store.get("results/unknown") is None


def test_an_entry_comes_back_with_its_expiry_and_the_name_of_its_tier(subject: Subject) -> None:
    expires_at = subject.soon()
    subject.store.put("results/a", b"value", expires_at)
    assert subject.store.get("results/a") == Entry(b"value", expires_at, subject.tier)


@pytest.mark.parametrize("value", [b"", b"\x00", bytes(range(256)) * 200, b"OCR\x01" + bytes(8)])
def test_a_value_is_any_bytes(subject: Subject, value: bytes) -> None:
    subject.store.put("results/a", value, subject.soon())
    entry = subject.store.get("results/a")
    assert entry is not None
    assert entry.value == value


def test_a_value_may_have_five_megabytes(subject: Subject) -> None:
    value = bytes(range(250)) * 20_000
    subject.store.put("proofs/large", value, subject.soon())
    entry = subject.store.get("proofs/large")
    assert entry is not None
    assert entry.value == value


def test_a_key_may_have_512_characters(subject: Subject) -> None:
    key = "index/" + "f" * 250 + "/" + "f" * 255
    assert len(key) == 512
    subject.store.put(key, b"", subject.soon())
    assert subject.store.get(key) is not None
    assert list(subject.store.scan("index/")) == [key]


def test_a_put_replaces_value_and_expiry(subject: Subject) -> None:
    first, second = subject.soon(), subject.soon() - 500
    subject.store.put("results/a", b"first, the longer one", first)
    subject.store.put("results/a", b"second", second)
    assert subject.store.get("results/a") == Entry(b"second", second, subject.tier)


def test_an_entry_lives_until_its_second_and_not_in_it(subject: Subject) -> None:
    expires_at = subject.soon()
    subject.store.put("results/a", b"value", expires_at)
    subject.clock.set_to(expires_at - 0.5)
    assert subject.store.get("results/a") is not None
    subject.clock.set_to(expires_at)
    assert subject.store.get("results/a") is None
    assert subject.store.get("results/a") is None


def test_the_contract_s_seven_days_are_seven_days(subject: Subject) -> None:
    written = int(subject.clock())
    subject.store.put("results/a", b"value", written + WEEK)
    subject.clock.set_to(written + WEEK - 2)
    assert subject.store.get("results/a") == Entry(b"value", written + WEEK, subject.tier)
    subject.clock.set_to(written + WEEK)
    assert subject.store.get("results/a") is None


@pytest.mark.parametrize("age", [0, 1, WEEK])
def test_a_put_that_has_expired_already_removes_what_was_there(subject: Subject, age: int) -> None:
    subject.store.put("results/a", b"value", subject.soon())
    subject.store.put("results/a", b"expired", int(subject.clock()) - age)
    assert subject.store.get("results/a") is None
    assert list(subject.store.scan("results/")) == []


def test_add_takes_a_free_key_only(subject: Subject) -> None:
    expires_at = subject.soon()
    assert subject.store.add("results/a", b"first", expires_at) is True
    assert subject.store.add("results/a", b"second", expires_at + 5) is False
    assert subject.store.get("results/a") == Entry(b"first", expires_at, subject.tier)


def test_add_takes_a_deleted_key(subject: Subject) -> None:
    subject.store.put("results/a", b"first", subject.soon())
    subject.store.delete("results/a")
    assert subject.store.add("results/a", b"second", subject.soon()) is True
    entry = subject.store.get("results/a")
    assert entry is not None
    assert entry.value == b"second"


def test_add_takes_an_expired_key(subject: Subject) -> None:
    expires_at = subject.soon()
    subject.store.put("results/a", b"same", expires_at)
    subject.clock.set_to(expires_at)
    assert subject.store.add("results/a", b"same", expires_at + 900) is True
    assert subject.store.get("results/a") == Entry(b"same", expires_at + 900, subject.tier)


def test_an_add_that_has_expired_already_stores_nothing(subject: Subject) -> None:
    assert subject.store.add("results/a", b"value", int(subject.clock())) is True
    assert subject.store.get("results/a") is None
    subject.store.put("results/a", b"value", subject.soon())
    assert subject.store.add("results/a", b"other", int(subject.clock())) is False
    assert subject.store.get("results/a") is not None


@pytest.mark.parametrize("before", ["free", "expired"])
def test_of_many_threads_that_add_one_key_one_succeeds(subject: Subject, before: str) -> None:
    if before == "expired":
        expired = subject.soon()
        subject.store.put("results/a", b"old", expired)
        subject.clock.set_to(expired)
    expires_at = subject.soon()
    start = Barrier(THREADS)

    def add(number: int) -> bool:
        start.wait(10)
        return subject.store.add("results/a", b"%d" % number, expires_at)

    with ThreadPoolExecutor(THREADS) as threads:
        added = list(threads.map(add, range(THREADS)))
    assert added.count(True) == 1
    entry = subject.store.get("results/a")
    assert entry is not None
    assert entry.value == b"%d" % added.index(True)


def test_threads_write_and_read_side_by_side(subject: Subject) -> None:
    expires_at = subject.soon()

    def work(number: int) -> list[bytes]:
        read = []
        for turn in range(20):
            key = f"results/{number}-{turn}"
            subject.store.put(key, key.encode(), expires_at)
            entry = subject.store.get(key)
            read.append(entry.value if entry else b"")
        return read

    with ThreadPoolExecutor(THREADS) as threads:
        read = [value for values in threads.map(work, range(THREADS)) for value in values]
    assert read == [f"results/{number}-{turn}".encode() for number in range(THREADS) for turn in range(20)]


def test_a_deleted_key_is_gone(subject: Subject) -> None:
    subject.store.put("results/a", b"value", subject.soon())
    subject.store.delete("results/a")
    assert subject.store.get("results/a") is None
    assert list(subject.store.scan("")) == []


def test_deleting_what_is_not_there_succeeds(subject: Subject) -> None:
    subject.store.delete("results/never")
    subject.store.delete("results/never")


def test_what_is_written_after_a_deletion_is_there(subject: Subject) -> None:
    for value in (b"one", b"two", b"three"):
        subject.store.put("results/a", value, subject.soon())
        subject.store.delete("results/a")
    subject.store.put("results/a", b"four", subject.soon())
    entry = subject.store.get("results/a")
    assert entry is not None
    assert entry.value == b"four"


def test_scan_gives_the_keys_with_the_prefix(subject: Subject) -> None:
    keys = ["index/10/a", "index/10/b", "index/1", "index/2/a", "indexes/x", "Index/y", "results/index/z"]
    for key in keys:
        subject.store.put(key, b"", subject.soon())
    assert sorted(subject.store.scan("index/")) == ["index/1", "index/10/a", "index/10/b", "index/2/a"]
    assert sorted(subject.store.scan("index/1")) == ["index/1", "index/10/a", "index/10/b"]
    assert list(subject.store.scan("index/10/b")) == ["index/10/b"]
    assert list(subject.store.scan("nothing/")) == []
    assert sorted(subject.store.scan("")) == sorted(keys)


def test_scan_pages_through_many_keys(subject: Subject) -> None:
    expires_at = subject.soon()
    keys = {f"index/{number:05d}" for number in range(1100)}
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda key: subject.store.put(key, b"", expires_at), keys))
    found = list(subject.store.scan("index/"))
    assert len(found) == len(keys)
    assert set(found) == keys


def test_a_scan_may_be_interrupted_by_writes(subject: Subject) -> None:
    for number in range(20):
        subject.store.put(f"index/{number:02d}", b"", subject.soon())
    for key in subject.store.scan("index/"):
        subject.store.delete(key)
    assert list(subject.store.scan("index/")) == []


def test_a_working_store_says_so(subject: Subject) -> None:
    subject.store.ping()
    assert set(subject.store.statuses().values()) == {"ok"}


# What S3 servers on a file system cannot hold apart is not used: a backslash, empty parts, "." and "..".
LEGAL = string.ascii_letters + string.digits + "!\"#$%&'()*+,-.:;<=>?@[]^_`{|}~ "
parts = st.text(LEGAL, min_size=1, max_size=12).filter(lambda part: part.strip(". ") == part)
odd_keys = st.lists(parts, min_size=1, max_size=3).map("/".join).map("odd/".__add__)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=odd_keys, value=st.binary(max_size=50))
def test_keys_with_odd_but_legal_characters_are_kept_apart(subject: Subject, key: str, value: bytes) -> None:
    expires_at = subject.soon()
    subject.store.put(key, value, expires_at)
    try:
        assert subject.store.get(key) == Entry(value, expires_at, subject.tier)
        assert list(subject.store.scan(key)) == [key]
        assert subject.store.get(key.swapcase()) is None or key.swapcase() == key
    finally:
        subject.store.delete(key)
    assert list(subject.store.scan(key)) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# A minute at least: Redis expires by the real clock, and the servers may take their time.
@given(lifetime=st.integers(60, WEEK), looked_at=st.floats(0, 1, exclude_max=True))
def test_copying_between_tiers_never_moves_the_expiry(
    redis_store: RedisStore, s3_store: S3Store, clock: Clock, lifetime: int, looked_at: float,
) -> None:
    clock.ahead = 0.0
    written = clock()
    expires_at = int(written) + lifetime
    s3_store.put("results/a", b"value", expires_at)
    redis_store.delete("results/a")
    tiers = TieredStore(redis_store, s3_store, now=clock)
    clock.set_to(written + looked_at * (expires_at - written - 0.5))
    assert tiers.get("results/a") == Entry(b"value", expires_at, "s3")
    assert tiers.get("results/a") == Entry(b"value", expires_at, "redis")
    clock.set_to(expires_at)
    assert tiers.get("results/a") is None
    assert redis_store.get("results/a") is None


def test_a_scan_leaves_out_what_has_expired(tmp_path: Path, redis_store: RedisStore) -> None:
    stores: list[Store] = [SQLiteStore(tmp_path / "store.sqlite3"), redis_store]
    expires_at = int(time.time()) + 2
    for store in stores:
        store.put("index/dying", b"", expires_at)
        store.put("index/living", b"", expires_at + 1000)
        assert set(store.scan("index/")) == {"index/dying", "index/living"}
    time.sleep(max(0.0, expires_at - time.time()) + 0.01)
    for store in stores:
        assert list(store.scan("index/")) == ["index/living"]
        store.close()


def test_redis_frees_an_expired_entry_by_itself(redis_store: RedisStore, wait_until: Callable) -> None:
    client = redis_store._client
    redis_store.put("results/a", b"value", int(time.time()) + 1)
    wait_until(lambda: client.dbsize() == 0, 5)


def test_s3_removes_an_expired_object_when_it_is_read(s3_store: S3Store, clock: Clock) -> None:
    expires_at = int(clock()) + 10
    s3_store.put("results/a", b"value", expires_at)
    clock.set_to(expires_at)
    assert list(s3_store.scan("")) == ["results/a"]
    assert s3_store.get("results/a") is None
    assert list(s3_store.scan("")) == []


def test_s3_does_not_remove_an_object_that_was_replaced_while_it_was_being_read(
    s3_store: S3Store, clock: Clock
) -> None:
    expires_at = int(clock()) + 10
    s3_store.put("results/a", b"same bytes", expires_at)
    read = s3_store._read("results/a")
    clock.set_to(expires_at)
    s3_store.put("results/a", b"same bytes", expires_at + 500)
    s3_store._remove_expired("results/a", read)
    assert s3_store.get("results/a") == Entry(b"same bytes", expires_at + 500, "s3")


def test_s3_objects_tell_people_when_they_expire(
    s3_store: S3Store, s3_server: S3Server, s3_prefix: str, clock: Clock
) -> None:
    expires_at = int(clock()) + 10
    s3_store.put("results/a", b"value", expires_at)
    head = s3_server.client().head_object(Bucket=s3_server.bucket, Key=f"{s3_prefix}results/a")
    assert head["Metadata"] == {"expires-at": str(expires_at)}


@pytest.mark.parametrize("foreign", [b"", b"short", b"somebody else's object, of no format known here"])
def test_an_object_of_somebody_else_is_a_miss(
    s3_store: S3Store, redis_store: RedisStore, s3_server: S3Server, s3_prefix: str, redis_url: str, foreign: bytes
) -> None:
    s3_server.client().put_object(Bucket=s3_server.bucket, Key=f"{s3_prefix}results/a", Body=foreign)
    redis_store._client.set("ocr:store:results/a", foreign)
    for store in (s3_store, redis_store):
        assert store.get("results/a") is None
        assert store.add("results/a", b"ours", int(time.time()) + 10) is True
        assert store.get("results/a") is not None


def test_a_check_of_a_healthy_store_finds_nothing_but_advice(
    tmp_path: Path, s3_store: S3Store, redis_store: RedisStore
) -> None:
    sqlite = SQLiteStore(tmp_path / "store.sqlite3")
    assert sqlite.check() == []
    sqlite.close()
    assert s3_store.check() == []
    assert list(s3_store.scan("")) == []
    # The tests' Redis keeps nothing on disk.
    assert [advice.split()[0] for advice in redis_store.check()] == ["appendonly"]


def test_a_check_finds_an_eviction_that_would_lose_what_is_needed(redis_store: RedisStore, s3_store: S3Store) -> None:
    client = redis_store._client
    tiers = TieredStore(RedisStore(client, alone=False), s3_store)
    advised = {}
    try:
        for policy in ("noeviction", "volatile-lru", "allkeys-lru"):
            client.config_set("maxmemory-policy", policy)
            advised[policy] = ["evict" in "".join(store.check()) for store in (redis_store, tiers)]
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert advised == {"noeviction": [False, False], "volatile-lru": [True, False], "allkeys-lru": [True, True]}
