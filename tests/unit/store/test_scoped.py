"""A part of a store is a store, and sees nothing beside itself."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store.journal import Change
from gateway.store.scoped import ScopedJournal, ScopedStore
from gateway.store.sqlite import SQLiteStore

UNTIL = int(time.time()) + 3600
OPERATIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["put", "add", "delete"]), st.sampled_from(["x", "x/y", "z"])),
    max_size=12,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    store = SQLiteStore(tmp_path_factory.mktemp("store") / "store.sqlite3")
    yield store
    store.close()


@given(OPERATIONS)
@settings(max_examples=30, deadline=None)
def test_two_parts_never_see_each_other(whole, operations):
    for key in whole.scan(""):
        whole.delete(key)
    parts = {name: ScopedStore(whole, f"tenants/{name}/") for name in "ab"}
    expected: dict[str, dict[str, bytes]] = {"a": {}, "b": {}}
    for number, (name, operation, key) in enumerate(operations):
        value, own = str(number).encode(), expected[name]
        if operation == "put":
            parts[name].put(key, value, UNTIL)
            own[key] = value
        elif operation == "add":
            assert parts[name].add(key, value, UNTIL) == (key not in own)
            own.setdefault(key, value)
        else:
            parts[name].delete(key)
            own.pop(key, None)
    for name, part in parts.items():
        assert set(part.scan("")) == set(expected[name])
        assert {key: part.get(key).value for key in part.scan("")} == expected[name]


def test_closing_a_part_leaves_the_rest_open(whole):
    ScopedStore(whole, "tenants/a/").close()
    whole.put("x", b"", UNTIL)
    assert whole.get("x") is not None


class Pages:
    """A journal of pages of two."""

    def __init__(self) -> None:
        self.log: list[Change] = []

    def append(self, kind, entry) -> None:
        self.log.append(Change(kind, entry))

    def tail(self, cursor):
        if cursor is None:
            return [], str(len(self.log)), True
        start = int(cursor)
        return self.log[start : start + 2], str(min(start + 2, len(self.log))), False

    def close(self) -> None:
        pass


def test_a_journals_part_tells_and_hears_its_own_changes_only():
    journal = Pages()
    a, b = (ScopedJournal(journal, f"tenants/{name}/") for name in "ab")
    assert a.tail(None) == ([], "0", True)
    for number in range(5):
        b.append("add", f"index/{number}")
    a.append("remove", "id")
    assert journal.log[-1] == Change("remove", "tenants/a/id")
    assert a.tail("0") == ([Change("remove", "id")], "6", False), "pages of others' changes are not the end"
    assert a.tail("6") == ([], "6", False)
