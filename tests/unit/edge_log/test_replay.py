"""The replay of ``benchmarks/warm.py``: the simulated edge is an LRU cache, and warming it gains what it should."""

from __future__ import annotations

import pytest

from benchmarks.warm import Edge, generate, replay


def test_the_simulated_edge_drops_the_longest_unused_and_what_has_ended():
    edge = Edge(2)
    for document, moment in (("a", 0), ("b", 1), ("a", 2), ("c", 3), ("a", 4), ("b", 5)):
        edge.ask(document, moment, expires=100)
    assert (edge.hits, edge.misses) == (2, 4), "b went when c came"
    edge.ask("a", 99, expires=100)
    edge.ask("a", 100, expires=200)
    assert (edge.hits, edge.misses) == (3, 5)


@pytest.fixture(scope="module")
def log():
    return generate(days=8, invoices=60, seed=3)


def test_equal_seeds_give_equal_logs_in_order(log):
    assert log == generate(days=8, invoices=60, seed=3)
    assert [each.moment for each in log] == sorted(each.moment for each in log)
    assert all(each.moment < each.expires for each in log)


def test_an_emptied_edge_gains_most_from_what_is_predicted(log):
    hits = {way: replay(log, 2000, 100, way, restart_at=2).hits for way in ("lru", "hot", "predicted", "oracle")}
    assert hits["lru"] < hits["hot"] < hits["predicted"] < hits["oracle"]


def test_an_edge_with_room_for_everything_gains_nothing(log):
    assert replay(log, 10_000, 100, "predicted").hits == replay(log, 10_000, 100, "lru").hits
