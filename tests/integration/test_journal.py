"""The journal of the nomination index on a real Redis: nothing is missed unnoticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import Settings
from gateway.store.base import StoreError
from gateway.store.journal import Change, Journal
from gateway.store.journal_redis import RedisJournal
from gateway.store.redis import PAUSE_SECONDS, connect
from tests.servers import RedisServer
from tests.servers import redis_server as start_redis


def open_at(url: str, **options: int) -> RedisJournal:
    return RedisJournal(connect(Settings(redis_url=url, redis_timeout=2)), **options)


@pytest.fixture
def journal(redis_url: str) -> Iterator[RedisJournal]:
    journal = open_at(redis_url)
    yield journal
    journal.close()


def a_moment() -> None:
    """Ids are milliseconds: a log cannot be lost and written again within one, except by a test."""
    time.sleep(0.002)


def start(journal: Journal) -> str:
    changes, cursor, gap = journal.tail(None)
    assert (changes, gap) == ([], True)
    return cursor


def rest(journal: Journal, cursor: str) -> tuple[list[Change], str]:
    """All changes after ``cursor``, page by page."""
    everything = []
    while True:
        changes, cursor, gap = journal.tail(cursor)
        assert not gap
        if not changes:
            return everything, cursor
        everything += changes


def test_every_gateway_hears_of_every_change_in_order(journal: RedisJournal, redis_url: str) -> None:
    other = open_at(redis_url)
    mine, theirs = start(journal), start(other)
    journal.append("add", "index/1/a")
    other.append("add", "index/1/b")
    journal.append("remove", "index/1/a")
    expected = [Change("add", "index/1/a"), Change("add", "index/1/b"), Change("remove", "index/1/a")]
    assert rest(journal, mine)[0] == expected
    assert rest(other, theirs)[0] == expected
    other.close()


def test_who_has_caught_up_hears_only_what_is_new(journal: RedisJournal) -> None:
    cursor = start(journal)
    journal.append("add", "index/1/a")
    _, cursor = rest(journal, cursor)
    assert rest(journal, cursor) == ([], cursor)
    journal.append("add", "index/1/b")
    assert rest(journal, cursor)[0] == [Change("add", "index/1/b")]


def test_who_starts_hears_nothing_of_before(journal: RedisJournal) -> None:
    journal.append("add", "index/1/a")
    cursor = start(journal)
    assert rest(journal, cursor)[0] == []


def test_a_start_on_an_empty_log_misses_nothing(journal: RedisJournal, redis_url: str) -> None:
    cursor = start(journal)
    assert rest(journal, cursor)[0] == []
    journal.append("add", "index/1/a")
    assert rest(journal, cursor)[0] == [Change("add", "index/1/a")]


def test_a_long_backlog_comes_in_pages(redis_url: str) -> None:
    journal = open_at(redis_url, page=7)
    cursor = start(journal)
    for number in range(30):
        journal.append("add", f"index/1/{number}")
    changes, _, gap = journal.tail(cursor)
    assert (len(changes), gap) == (7, False)
    assert [change.entry for change in rest(journal, cursor)[0]] == [f"index/1/{number}" for number in range(30)]
    journal.close()


def test_the_log_is_bounded_and_who_was_too_slow_is_told(redis_url: str) -> None:
    journal = open_at(redis_url, length=100)
    client = connect(Settings(redis_url=redis_url))
    slow = start(journal)
    for number in range(1000):
        journal.append("add", f"index/1/{number}")
    assert client.xlen("ocr:journal") < 300
    changes, cursor, gap = journal.tail(slow)
    assert (changes, gap) == ([], True)
    journal.append("remove", "index/1/999")
    assert rest(journal, cursor)[0] == [Change("remove", "index/1/999")]
    client.close()
    journal.close()


def test_a_log_that_was_emptied_is_a_gap(journal: RedisJournal, redis_url: str) -> None:
    client = connect(Settings(redis_url=redis_url))
    cursor = start(journal)
    client.flushall()
    changes, after, gap = journal.tail(cursor)
    assert (changes, gap) == ([], True)
    client.flushall()
    a_moment()
    journal.append("add", "index/1/a")
    assert journal.tail(after)[2] is True
    client.close()


def test_changes_of_a_kind_that_is_not_known_are_passed_over(journal: RedisJournal, redis_url: str) -> None:
    client = connect(Settings(redis_url=redis_url))
    cursor = start(journal)
    client.xadd("ocr:journal", {"of a later version": "index/1/a"})
    journal.append("add", "index/1/b")
    assert rest(journal, cursor)[0] == [Change("add", "index/1/b")]
    client.close()


def test_writers_side_by_side_lose_nothing(journal: RedisJournal) -> None:
    cursor = start(journal)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: journal.append("add", f"index/1/{number}"), range(400)))
    assert {change.entry for change in rest(journal, cursor)[0]} == {f"index/1/{number}" for number in range(400)}


def test_a_redis_that_is_gone_is_a_store_error_and_one_that_came_back_empty_is_a_gap(
    tmp_path: Path, wait_until: Callable
) -> None:
    with start_redis(tmp_path) as server:
        journal = open_at(server.url)
        cursor = start(journal)
        server.kill()
        with pytest.raises(StoreError, match=r"^journal: append: unreachable$"):
            journal.append("add", "index/1/a")
        started = time.monotonic()
        with pytest.raises(StoreError):
            journal.tail(cursor)
        assert time.monotonic() - started < PAUSE_SECONDS / 2
        server.start()

        def gap() -> bool:
            try:
                return journal.tail(cursor)[2]
            except StoreError:
                return False

        wait_until(gap, PAUSE_SECONDS + 5)
        journal.close()


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


events = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "remove"]), st.sampled_from("abcd")),
        st.tuples(st.sampled_from(["follow", "lose the log", "trim"]), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=events)
def test_whatever_happens_to_the_log_a_follower_ends_with_the_truth(own_redis: RedisServer, events: list) -> None:
    client = connect(Settings(redis_url=own_redis.url, redis_timeout=2))
    client.flushall()
    journal = RedisJournal(client, page=3)
    truth: set[str] = set()
    followed: set[str] = set()
    cursor: str | None = None

    def follow() -> None:
        nonlocal cursor
        while True:
            changes, cursor, gap = journal.tail(cursor)
            if gap:
                followed.clear()
                followed.update(truth)
            for change in changes:
                (followed.add if change.kind == "add" else followed.discard)(change.entry)
            if not changes and not gap:
                return

    for event, entry in events:
        if event == "follow":
            follow()
        elif event == "lose the log":
            client.delete("ocr:journal")
            a_moment()
        elif event == "trim":
            client.xtrim("ocr:journal", maxlen=2, approximate=False)
        else:
            (truth.add if event == "add" else truth.discard)(entry)
            journal.append(event, entry)
    follow()
    assert followed == truth
    journal.close()
