"""Deletions reach the edge: every rendering, every edge, and nothing that is on its way survives them."""

from __future__ import annotations

import threading
import time

import pytest

from gateway.purge import ENTRIES, RENDERINGS, EdgePurger, PurgeFailed


@pytest.fixture(scope="module", params=["module", "none"], ids=["by module", "by removing the file"])
def edge(request, edge_before, origin):
    """An edge that purges with nginx's module, and one without it."""
    chosen = {} if request.param == "module" else {"OCR_EDGE_PURGE_MODULE": "none"}
    return edge_before(f"127.0.0.1:{origin.port}", **chosen)


def fill(edge, origin, live, address):
    for rendering in RENDERINGS:
        origin.answers[address + rendering] = live(b"secret" + rendering.encode())
        assert [edge.get(address + rendering).word for _ in range(2)] == ["MISS", "HIT"]


def empty(origin, address):
    for rendering in RENDERINGS:
        origin.answers.pop(address + rendering, None)


def test_every_rendering_is_gone_from_the_answers_and_the_disk(edge, origin, live, address, result_id):
    fill(edge, origin, live, address)
    fill(edge, origin, live, address + "-0a1b2c3d")
    empty(origin, address)
    EdgePurger([edge.admin]).purge(result_id)
    for rendering in RENDERINGS:
        assert edge.get(address + rendering).status == 404
        assert not any(b"secret" in path.read_bytes() for path in edge.cached_files(result_id + rendering))
    assert edge.get(address + "-0a1b2c3d").word == "HIT"  # another id's


def test_every_coding_of_every_rendering_is_gone(edge, origin, packed, address, result_id):
    for rendering in RENDERINGS:
        origin.answers[address + rendering] = packed(b"secret" * 200)
        for coding in ("gzip", "identity"):
            edge.get(address + rendering, headers={"Accept-Encoding": coding})
    assert all(edge.cached_files(result_id + entry) for entry in ENTRIES)
    empty(origin, address)
    EdgePurger([edge.admin]).purge(result_id)
    assert not any(edge.cached_files(result_id + entry) for entry in ENTRIES)
    for rendering in RENDERINGS:
        for coding in ("gzip", "identity"):
            assert edge.get(address + rendering, headers={"Accept-Encoding": coding}).status == 404


def test_a_purge_is_quick_and_can_be_repeated(edge, origin, live, address, result_id):
    fill(edge, origin, live, address)
    purger = EdgePurger([edge.admin])
    purger.purge(result_id)
    began = time.monotonic()
    purger.purge(result_id)
    assert time.monotonic() - began < 0.5


def test_nothing_cached_there_counts_as_purged(edge, result_id):
    EdgePurger([edge.admin]).purge(result_id)


def test_a_replaced_result_is_answered_at_once_after_the_purge(edge, origin, live, address, result_id):
    origin.answers[address] = live(b"old")
    edge.get(address)
    origin.answers[address] = live(b"new")
    EdgePurger([edge.admin]).purge(result_id)
    assert (edge.get(address).body, edge.get(address).word) == (b"new", "HIT")


def test_every_edge_is_purged(edge, start_edge, origin, live, address, result_id):
    second = start_edge(f"127.0.0.1:{origin.port}")
    fill(edge, origin, live, address)
    fill(second, origin, live, address)
    empty(origin, address)
    EdgePurger([edge.admin, second.admin + "/"]).purge(result_id)
    assert edge.get(address).status == second.get(address).status == 404


def test_an_answer_on_its_way_into_the_cache_does_not_survive_the_purge(edge, origin, live, address, result_id):
    slow = live(b"read before the deletion")
    slow.delay = 0.8
    origin.answers[address] = slow
    late = []
    reader = threading.Thread(target=lambda: late.append(edge.get(address)))
    reader.start()
    while not origin.seen(result_id):
        time.sleep(0.01)
    del origin.answers[address]  # deleted from the store while the answer is under way
    EdgePurger([edge.admin], timeout=5).purge(result_id)
    reader.join()
    assert late[0].body == b"read before the deletion"
    assert edge.get(address).status == 404


def test_an_answer_that_replaces_an_expired_miss_does_not_survive_the_purge(edge, origin, live, address, result_id):
    assert edge.get(address).status == 404
    time.sleep(2.1)  # that miss is in the cache, and expired
    slow = live(b"read before the deletion")
    slow.delay = 0.8
    origin.answers[address] = slow
    reader = threading.Thread(target=lambda: edge.get(address))
    reader.start()
    while len(origin.seen(result_id)) < 2:
        time.sleep(0.01)
    del origin.answers[address]
    EdgePurger([edge.admin], timeout=5).purge(result_id)
    reader.join()
    assert edge.get(address).status == 404


def test_a_cached_miss_can_be_purged(edge, origin, live, address, result_id):
    assert edge.get(address).status == 404
    origin.answers[address] = live(b"uploaded since")
    EdgePurger([edge.admin]).purge(result_id)
    assert edge.get(address).body == b"uploaded since"


def test_an_edge_that_does_not_answer_is_named_in_bounded_time(edge, origin, live, address, result_id):
    fill(edge, origin, live, address)
    empty(origin, address)
    began = time.monotonic()
    with pytest.raises(PurgeFailed) as failure:
        EdgePurger([edge.admin, "http://127.0.0.1:1"], timeout=1).purge(result_id)
    assert time.monotonic() - began < 2
    assert failure.value.edges == ("http://127.0.0.1:1",)
    assert edge.get(address).status == 404  # the other one is purged all the same


def test_an_address_that_is_no_edge_is_not_taken_for_a_confirmation(edge, origin, result_id):
    for base in (f"http://127.0.0.1:{edge.port}", f"http://127.0.0.1:{origin.port}"):
        with pytest.raises(PurgeFailed):
            EdgePurger([base]).purge(result_id)


def test_who_is_not_on_the_allow_list_cannot_purge(start_edge, origin, live, address, result_id):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_PURGE_ALLOW="192.0.2.0/24")
    origin.answers[address] = live()
    edge.get(address)
    with pytest.raises(PurgeFailed):
        EdgePurger([edge.admin]).purge(result_id)
    assert edge.get(address).word == "HIT"


def test_purging_under_load_crashes_nothing(edge, origin, live, address, result_id):
    addresses = [f"{address}-{number:08x}" for number in range(8)]
    for each in addresses:
        origin.answers[each] = live(b"x" * 5000)
    workers = edge.worker_pids()
    stop = threading.Event()
    statuses: set[int] = set()

    def look_up(which: int) -> None:
        while not stop.is_set():
            statuses.add(edge.get(addresses[which]).status)

    readers = [threading.Thread(target=look_up, args=(number % 8,)) for number in range(8)]
    for reader in readers:
        reader.start()
    purger = EdgePurger([edge.admin], timeout=10)
    for _ in range(10):
        for each in addresses:
            purger.purge(each.removeprefix("/results/"))
    stop.set()
    for reader in readers:
        reader.join()
    assert statuses == {200}
    assert edge.worker_pids() == workers
