"""Many deletions at once: what goes, what stays, what is told when a part fails."""

from __future__ import annotations

import pytest

from gateway.deletion import Deletions
from gateway.identity import Options
from gateway.purge import PurgeFailed
from gateway.record import EngineFacts
from gateway.store.base import StoreError
from gateway.store.sqlite import SQLiteStore
from gateway.sweep import sweep
from tests.doubles import build_gateway, draw_invoice


class Edges:
    """Remembers what was purged; refuses the ids in ``refused``."""

    def __init__(self) -> None:
        self.purged: list[str] = []
        self.refused: set[str] = set()

    def purge(self, result_id: str) -> None:
        if result_id in self.refused:
            raise PurgeFailed(["http://edge:8081"])
        self.purged.append(result_id)


@pytest.fixture
def store(tmp_path):
    opened = SQLiteStore(tmp_path / "store.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def gateway(store):
    return build_gateway(store)


@pytest.fixture
def edges() -> Edges:
    return Edges()


@pytest.fixture
def deletions(gateway, edges) -> Deletions:
    return Deletions(gateway.archive, gateway.nominator, edges)


def stored(gateway, number: int) -> str:
    drawing = gateway.reader.knows(draw_invoice(number))
    return gateway.service.recognise(drawing.encoded(), Options(), "exact").record.id


def test_everything_goes_with_its_ways_in_and_at_the_edges(gateway, store, deletions, edges):
    ids = {stored(gateway, number) for number in range(5)}
    tally = sweep(gateway.archive.ids(), gateway.archive, deletions)
    assert (tally.deleted, tally.kept, tally.absent) == (5, 0, 0)
    assert [key for key in store.scan("") if not key.startswith("deletions/")] == []
    assert set(edges.purged) == ids
    assert len(gateway.nominator) == 0


def test_only_what_is_selected_goes(gateway, deletions):
    old = stored(gateway, 1)
    gateway.reader.engine = EngineFacts("scripted", "2")
    new = stored(gateway, 2)
    tally = sweep(gateway.archive.ids(), gateway.archive, deletions, lambda record: record.engine.revision != "2")
    assert (tally.deleted, tally.kept) == (1, 1)
    assert (gateway.archive.find(old), gateway.archive.find(new) is not None) == (None, True)


def test_without_deletions_it_only_counts(gateway, store, edges):
    stored(gateway, 1)
    before = sorted(store.scan(""))
    assert sweep(gateway.archive.ids(), gateway.archive, None).deleted == 1
    assert sorted(store.scan("")) == before


def test_an_id_that_is_not_stored_is_purged_at_the_edges_all_the_same(gateway, deletions, edges):
    tally = sweep(["a" * 64], gateway.archive, deletions)
    assert (tally.deleted, tally.absent) == (0, 1)
    assert edges.purged == ["a" * 64]


def test_an_edge_that_does_not_confirm_is_told_and_the_others_go_on(gateway, deletions, edges):
    first, second = stored(gateway, 1), stored(gateway, 2)
    edges.refused = {first}
    tally = sweep([first, second], gateway.archive, deletions)
    assert tally.deleted == 1
    assert tally.failures == {"not confirmed by http://edge:8081": 1}
    assert edges.purged == [second]
    edges.refused = set()
    assert sweep([first], gateway.archive, deletions).absent == 1, "repeated, it is finished"
    assert edges.purged == [second, first]


def test_a_store_that_fails_is_told_once_for_each_result(gateway, deletions, store, monkeypatch):
    def away(key):
        raise StoreError("redis: timed out")

    monkeypatch.setattr(store, "get", away)
    tally = sweep([f"{number:064x}" for number in range(40)], gateway.archive, deletions)
    assert tally.failures == {"redis: timed out": 40}
