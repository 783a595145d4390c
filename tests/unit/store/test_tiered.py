"""The tiers' failures, repairs and races, each forced: two real stores whose calls can be made to fail or to pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.store.base import Entry, StoreError
from gateway.store.sqlite import SQLiteStore
from gateway.store.tiered import TieredStore

FAR = 4_000_000_000


class Unreliable:
    """A store that fails while ``down`` and runs ``before[method]``, once, ahead of that method."""

    def __init__(self, store: SQLiteStore, name: str) -> None:
        self.store = store
        self.name = name
        self.down = False
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.calls: list[str] = []

    def _call(self, method: str, *arguments: Any) -> Any:
        self.calls.append(method)
        self.before.pop(method, lambda: None)()
        if self.down:
            raise StoreError(f"{self.name}: {method}: unreachable")
        result = getattr(self.store, method)(*arguments)
        self.after.pop(method, lambda: None)()
        return result

    def get(self, key: str) -> Entry | None:
        found = self._call("get", key)
        return found and Entry(found.value, found.expires_at, self.name)

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        self._call("put", key, value, expires_at)

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        return self._call("add", key, value, expires_at)

    def delete(self, key: str) -> None:
        self._call("delete", key)

    def scan(self, prefix: str) -> Iterator[str]:
        yield from self._call("scan", prefix)

    def ping(self) -> None:
        self._call("ping")

    def statuses(self) -> dict[str, str]:
        return {self.name: "ok"}

    def close(self) -> None:
        self.store.close()


@pytest.fixture
def hot(tmp_path: Path) -> Unreliable:
    return Unreliable(SQLiteStore(tmp_path / "hot.sqlite3"), "redis")


@pytest.fixture
def durable(tmp_path: Path) -> Unreliable:
    return Unreliable(SQLiteStore(tmp_path / "durable.sqlite3"), "s3")


@pytest.fixture
def degraded() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def tiers(hot: Unreliable, durable: Unreliable, degraded: list) -> Iterator[TieredStore]:
    """Tiers that are mended only when a test says so."""
    store = TieredStore(hot, durable, lambda tier, operation: degraded.append((tier, operation)), interval=3600)
    yield store
    hot.down = durable.down = False
    store.close()


def value(store: TieredStore | Unreliable, key: str = "k") -> bytes | None:
    entry = store.get(key)
    return entry.value if entry else None


def test_a_put_goes_to_the_durable_tier_first(tiers: TieredStore, hot: Unreliable, durable: Unreliable) -> None:
    durable.before["put"] = lambda: hot.calls.append("durable put")
    tiers.put("k", b"v", FAR)
    assert hot.calls == ["durable put", "put"]


def test_the_hot_tier_alone_answers_what_it_has(tiers: TieredStore, durable: Unreliable) -> None:
    tiers.put("k", b"v", FAR)
    durable.down = True
    assert tiers.get("k") == Entry(b"v", FAR, "redis")


def test_a_hit_in_the_durable_tier_refills_the_hot_one(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable
) -> None:
    durable.put("k", b"v", FAR)
    assert tiers.get("k") == Entry(b"v", FAR, "s3")
    assert hot.get("k") == Entry(b"v", FAR, "redis")


def test_while_the_hot_tier_is_down_everything_but_deleting_works(
    tiers: TieredStore, hot: Unreliable, degraded: list
) -> None:
    hot.down = True
    tiers.put("k", b"v", FAR)
    assert tiers.get("k") == Entry(b"v", FAR, "s3")
    assert tiers.add("other", b"v", FAR) is True
    assert tiers.add("other", b"w", FAR) is False
    assert sorted(tiers.scan("")) == ["k", "other"]
    tiers.ping()
    assert set(degraded) == {("redis", "put"), ("redis", "add")}


def test_a_failing_look_in_the_hot_tier_is_a_miss_and_counted(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable, degraded: list
) -> None:
    durable.put("k", b"v", FAR)
    hot.down = True
    assert tiers.get("k") == Entry(b"v", FAR, "s3")
    assert degraded == [("redis", "get")]
    assert "add" not in hot.calls


def test_a_failing_refill_costs_nothing(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable, degraded: list
) -> None:
    durable.put("k", b"v", FAR)
    hot.before["add"] = lambda: setattr(hot, "down", True)
    assert tiers.get("k") == Entry(b"v", FAR, "s3")
    assert degraded == [("redis", "refill")]


def test_what_the_durable_tier_cannot_say_is_not_called_missing(
    tiers: TieredStore, durable: Unreliable, degraded: list
) -> None:
    durable.down = True
    with pytest.raises(StoreError):
        tiers.get("k")
    assert degraded == [("s3", "get")]


def test_a_replaced_value_that_the_hot_tier_kept_is_never_an_answer(
    tiers: TieredStore, hot: Unreliable, degraded: list
) -> None:
    tiers.put("k", b"old", FAR)
    hot.down = True
    tiers.put("k", b"new", FAR)
    assert degraded == [("redis", "put")]
    hot.down = False
    assert value(hot) == b"old"
    assert value(tiers) == b"new"
    tiers._mend()
    assert value(hot) is None
    assert value(tiers) == b"new"
    assert value(hot) == b"new"


def test_while_the_durable_tier_is_down_the_hot_one_keeps_values_and_they_are_copied_later(
    tiers: TieredStore, durable: Unreliable, degraded: list
) -> None:
    durable.down = True
    tiers.put("k", b"v", FAR)
    assert tiers.get("k") == Entry(b"v", FAR, "redis")
    tiers._mend()
    durable.down = False
    assert durable.get("k") is None
    tiers._mend()
    assert durable.get("k") == Entry(b"v", FAR, "s3")
    assert tiers._unsaved == {}
    assert degraded == [("s3", "put")]


@pytest.mark.parametrize("before", [None, b"old"])
def test_what_only_the_failing_hot_tier_has_is_not_called_missing(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable, before: bytes | None
) -> None:
    if before is not None:
        tiers.put("k", before, FAR)
    durable.down = True
    tiers.put("k", b"new", FAR)
    durable.down, hot.down = False, True
    with pytest.raises(StoreError, match="redis alone has it"):
        tiers.get("k")
    hot.down = False
    assert value(tiers) == b"new"


def test_a_put_that_has_expired_already_is_a_deletion(tiers: TieredStore, durable: Unreliable) -> None:
    tiers.put("k", b"v", FAR)
    durable.down = True
    with pytest.raises(StoreError):
        tiers.put("k", b"w", 1)
    durable.down = False
    tiers.put("k", b"w", 1)
    assert tiers.get("k") is None
    assert durable.get("k") is None


def test_what_only_the_hot_tier_has_is_scanned_too(tiers: TieredStore, durable: Unreliable) -> None:
    tiers.put("index/a", b"", FAR)
    durable.down = True
    tiers.put("index/b", b"", FAR)
    durable.down = False
    assert sorted(tiers.scan("index/")) == ["index/a", "index/b"]
    assert list(tiers.scan("other/")) == []


def test_a_scan_without_the_durable_tier_gives_the_hot_one_s_keys_and_says_that_more_may_be_missing(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable, degraded: list
) -> None:
    for key in ("index/a", "index/b"):
        tiers.put(key, b"", FAR)
    hot.delete("index/b")  # evicted
    durable.down = True
    found = []
    with pytest.raises(StoreError, match="some keys may be in s3 alone"):
        found.extend(tiers.scan("index/"))
    assert (found, degraded) == (["index/a"], [("s3", "scan")])


def test_when_no_tier_takes_a_value_the_caller_is_told(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable, degraded: list
) -> None:
    hot.down = durable.down = True
    with pytest.raises(StoreError, match="no tier took it"):
        tiers.put("k", b"v", FAR)
    assert degraded == [("s3", "put"), ("redis", "put")]
    with pytest.raises(StoreError):
        tiers.get("k")
    with pytest.raises(StoreError):
        list(tiers.scan(""))
    with pytest.raises(StoreError):
        tiers.ping()


def test_additions_need_the_durable_tier(tiers: TieredStore, hot: Unreliable, durable: Unreliable) -> None:
    durable.down = True
    with pytest.raises(StoreError):
        tiers.add("k", b"v", FAR)
    assert hot.get("k") is None


def test_the_status_names_the_tier_that_is_down(tiers: TieredStore, hot: Unreliable) -> None:
    hot.down = True
    assert tiers.statuses() == {"redis": "down: redis: ping: unreachable", "s3": "ok"}


@pytest.mark.parametrize("down", ["hot", "durable"])
def test_a_deletion_that_missed_a_tier_says_so_and_can_be_repeated(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable, down: str
) -> None:
    tier = {"hot": hot, "durable": durable}[down]
    tiers.put("k", b"v", FAR)
    tier.down = True
    with pytest.raises(StoreError, match="not deleted from every tier"):
        tiers.delete("k")
    tier.down = False
    tiers.delete("k")
    assert tiers.get("k") is None
    assert durable.get("k") is None
    tiers._mend()
    assert tiers.get("k") is None


def test_a_deletion_that_missed_the_hot_tier_is_completed_by_the_repairs(
    tiers: TieredStore, hot: Unreliable
) -> None:
    tiers.put("k", b"v", FAR)
    hot.down = True
    with pytest.raises(StoreError):
        tiers.delete("k")
    hot.down = False
    assert tiers.get("k") is None
    tiers._mend()
    assert tiers._undeleted == {}
    assert value(hot) != b"v"
    assert tiers.get("k") is None


def test_a_deletion_during_a_look_is_not_undone_by_its_refill(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable
) -> None:
    durable.put("k", b"v", FAR)
    durable.after["get"] = lambda: tiers.delete("k")
    assert value(tiers) == b"v"
    assert tiers.get("k") is None
    assert value(hot) != b"v"


def test_a_put_during_a_look_is_not_undone_by_its_refill(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable
) -> None:
    durable.put("k", b"old", FAR)
    durable.after["get"] = lambda: tiers.put("k", b"new", FAR)
    assert value(tiers) == b"old"
    assert value(tiers) == b"new"
    assert value(hot) == b"new"


def test_a_deletion_while_a_value_is_copied_to_the_durable_tier_is_not_undone(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable
) -> None:
    another_gateway = TieredStore(hot, durable, interval=3600)
    durable.down = True
    tiers.put("k", b"v", FAR)
    durable.down = False
    durable.before["put"] = lambda: another_gateway.delete("k")
    tiers._mend()
    assert durable.get("k") is None
    assert tiers.get("k") is None


def test_a_newer_value_in_the_durable_tier_is_not_overwritten_by_a_late_copy(
    tiers: TieredStore, hot: Unreliable, durable: Unreliable
) -> None:
    durable.down = True
    tiers.put("k", b"early", FAR)
    durable.down = False
    durable.put("k", b"by another gateway, later", FAR + 5)
    tiers._mend()
    assert value(durable) == b"by another gateway, later"


def test_a_value_that_changed_but_not_its_expiry_is_copied(tiers: TieredStore, durable: Unreliable) -> None:
    tiers.put("jobs/k", b"queued", FAR)
    durable.down = True
    tiers.put("jobs/k", b"done", FAR)
    durable.down = False
    tiers._mend()
    assert value(durable, "jobs/k") == b"done"


def test_what_was_deleted_before_it_could_be_copied_is_not_copied(
    tiers: TieredStore, durable: Unreliable
) -> None:
    durable.down = True
    tiers.put("k", b"v", FAR)
    durable.down = False
    tiers.delete("k")
    tiers._mend()
    assert durable.get("k") is None


def test_what_was_deleted_can_be_written_again(tiers: TieredStore, hot: Unreliable) -> None:
    tiers.put("k", b"v", FAR)
    tiers.delete("k")
    tiers.put("k", b"w", FAR)
    assert tiers.get("k") == Entry(b"w", FAR, "redis")
    tiers.delete("k")
    assert tiers.add("k", b"x", FAR) is True
    assert tiers.get("k") == Entry(b"x", FAR, "redis")


def test_the_repairs_in_waiting_are_bounded_and_a_dropped_one_is_counted(
    hot: Unreliable, durable: Unreliable, degraded: list
) -> None:
    tiers = TieredStore(
        hot, durable, lambda tier, operation: degraded.append((tier, operation)), interval=3600, limit=3
    )
    durable.down = True
    for number in range(5):
        tiers.put(f"k{number}", b"v", FAR)
    assert list(tiers._unsaved) == ["k2", "k3", "k4"]
    assert degraded.count(("s3", "forgotten")) == 2
    durable.down = False
    tiers.close()


def test_repairs_are_made_by_a_thread_that_ends_when_there_are_none_left(
    hot: Unreliable, durable: Unreliable
) -> None:
    before = threading.active_count()
    tiers = TieredStore(hot, durable, interval=0.02)
    tiers.put("quiet", b"v", FAR)
    assert threading.active_count() == before
    for _ in range(2):
        durable.down = True
        for number in range(10):
            tiers.put(f"k{number}", b"v", FAR)
        assert threading.active_count() == before + 1
        time.sleep(0.05)
        durable.down = False
        deadline = time.monotonic() + 5
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() == before
        assert {value(durable, f"k{number}") for number in range(10)} == {b"v"}
    tiers.close()


def test_closing_makes_the_last_repairs(hot: Unreliable, durable: Unreliable, tmp_path: Path) -> None:
    tiers = TieredStore(hot, durable, interval=3600)
    durable.down = True
    tiers.put("k", b"v", FAR)
    durable.down = False
    tiers.close()
    kept = SQLiteStore(tmp_path / "durable.sqlite3")
    assert kept.get("k") is not None
    kept.close()


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "add"]), st.sampled_from("ab"), st.sampled_from([b"1", b"2", b"3"])),
        st.tuples(st.just("delete"), st.sampled_from("ab"), st.none()),
        st.tuples(st.just("get"), st.sampled_from("ab"), st.none()),
        st.tuples(st.sampled_from(["hot", "durable"]), st.booleans(), st.none()),
        st.tuples(st.just("mend"), st.none(), st.none()),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_whatever_fails_an_answer_is_the_latest_value_or_an_error(
    hot: Unreliable, durable: Unreliable, steps: list
) -> None:
    """One client against a plain dictionary: tiers fail and come back in any order."""
    hot.down = durable.down = False
    for key in "ab":
        hot.delete(key)
        durable.delete(key)
    tiers = TieredStore(hot, durable, interval=3600)
    # What each key may hold: an operation that failed may or may not have taken effect.
    possible: dict[str, set[bytes | None]] = {"a": {None}, "b": {None}}
    deleting: set[str] = set()
    expires_at = FAR
    for step, subject, new in steps:
        expires_at += 1
        if step == "mend":
            tiers._mend()
        elif step in ("hot", "durable"):
            (hot if step == "hot" else durable).down = subject
        elif step == "put":
            try:
                tiers.put(subject, new, expires_at)
                possible[subject] = {new}
            except StoreError:
                possible[subject] |= {new}
        elif step == "add":
            try:
                added = tiers.add(subject, new, expires_at)
            except StoreError:
                # It may have completed a deletion on the way.
                possible[subject] |= {None} if subject in deleting else set()
                continue
            assert None in possible[subject] if added else possible[subject] != {None}
            possible[subject] = {new} if added else possible[subject] - {None}
        elif step == "delete":
            deleting.add(subject)
            try:
                tiers.delete(subject)
                possible[subject] = {None}
            except StoreError:
                possible[subject] |= {None}
        else:
            try:
                found = value(tiers, subject)
            except StoreError:
                continue
            assert found in possible[subject]
    hot.down = durable.down = False
    tiers._mend()
    for key in "ab":
        assert value(tiers, key) in possible[key]
        assert tiers._stale == tiers._unsaved == tiers._undeleted == {}
    # Whatever the hot tier forgets from now on, the durable tier has.
    before = {key: value(tiers, key) for key in "ab"}
    for key in "ab":
        hot.delete(key)
    assert {key: value(tiers, key) for key in "ab"} == before
