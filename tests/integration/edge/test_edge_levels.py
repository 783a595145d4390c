"""Two levels: edges that spread look-ups over shields by the result's id, and what happens when a node is lost."""

from __future__ import annotations

import http.client
import secrets
import threading
import time
from dataclasses import dataclass

import pytest

from gateway.purge import EdgePurger

READERS = 6


@dataclass
class Levels:
    edges: list
    shields: list

    def wait_until_filed(self, address: str) -> None:
        """A shield may still be filing what an edge has handed on."""
        for shield in self.shields:
            shield.wait_until_filed(address.removeprefix("/results/"))

    def purger(self) -> EdgePurger:
        return EdgePurger([edge.admin for edge in self.edges], shields=[shield.admin for shield in self.shields])


@pytest.fixture
def levels(start_edge, origin):
    shields = [start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_NAME="ocr-shield") for _ in range(2)]
    upstreams = ",".join(f"127.0.0.1:{shield.port}" for shield in shields)
    return Levels([start_edge(upstreams, OCR_EDGE_BALANCE="id") for _ in range(2)], shields)


def addresses(origin, live, count: int) -> list[str]:
    made = [f"/results/{secrets.token_hex(32)}" for _ in range(count)]
    for address in made:
        origin.answers[address] = live(address.encode())
    return made


def test_however_many_edges_ask_the_gateway_is_asked_once(levels, origin, live):
    asked = addresses(origin, live, 40)
    for edge in levels.edges:
        assert {edge.get(address).word for address in asked} == {"MISS"}
        assert {edge.get(address).word for address in asked} == {"HIT"}
        for address in asked:
            levels.wait_until_filed(address)
    assert all(len(origin.seen(address)) == 1 for address in asked)


def test_each_result_has_one_shield_and_they_share_them_evenly(levels, origin, live):
    asked = addresses(origin, live, 200)
    for number, address in enumerate(asked):
        assert levels.edges[number % 2].get(address).body == address.encode()
        levels.wait_until_filed(address)
    kept = [
        {path.name for path in (shield.folder / "state" / "cache").rglob("*") if path.is_file()}
        for shield in levels.shields
    ]
    assert not kept[0] & kept[1]
    assert len(kept[0] | kept[1]) == 200
    assert min(len(each) for each in kept) > 60


def test_every_cache_on_the_way_says_what_it_did(levels, origin, live):
    (address,) = addresses(origin, live, 1)
    levels.edges[0].get(address)
    levels.wait_until_filed(address)
    reply = levels.edges[1].get(address)
    assert reply.headers["cache-status"] == ("ocr-gateway; hit; detail=redis, ocr-shield; hit, ocr-edge; fwd=uri-miss")


class Load:
    """Readers that look documents up without pause, each on a connection of its own, kept as long as it lasts."""

    def __init__(self, asked: list[str], ports: list[list[int]]) -> None:
        """``ports``: for each reader the edges it uses, in the order it tries them."""
        self._stop = threading.Event()
        self.answered = 0
        self.wrong: list[tuple[str, int]] = []
        self.lost: list[float] = []  # when a connection broke with a request on it
        self._threads = [
            threading.Thread(target=self._read, args=(asked[n:] + asked[:n], p)) for n, p in enumerate(ports)
        ]

    def _read(self, asked: list[str], ports: list[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=10)
        while not self._stop.is_set():
            for address in asked:
                try:
                    connection.request("GET", address)
                    response = connection.getresponse()
                    body = response.read()
                except (OSError, http.client.HTTPException):
                    self.lost.append(time.monotonic())
                    ports.append(ports.pop(0))
                    connection.close()
                    connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=10)
                    continue
                self.answered += 1
                if (response.status, body) != (200, address.encode()):
                    self.wrong.append((address, response.status))
        connection.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def until(condition, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_shield_lost_in_the_middle_of_load_loses_no_request(levels, origin, live):
    # Short-lived, so that the edges ask the shields all the time.
    asked = addresses(origin, live, 300)
    for address in asked:
        origin.answers[address] = lambda seen, address=address: live(address.encode(), lives=2)
    ports = [[levels.edges[number % 2].port] for number in range(READERS)]
    with Load(asked, ports) as load:
        until(lambda: load.answered > 500)
        levels.shields[0].kill()
        after = load.answered + 1500
        until(lambda: load.answered > after)
    assert load.wrong == []
    assert load.lost == []


def test_an_edge_lost_in_the_middle_of_load_loses_what_was_on_its_way_and_nothing_else(levels, origin, live):
    asked = addresses(origin, live, 50)
    first, second = (edge.port for edge in levels.edges)
    with Load(asked, [[first, second] if number % 2 else [second, first] for number in range(READERS)]) as load:
        until(lambda: load.answered > 300)
        levels.edges[0].kill()
        after = load.answered + 600
        until(lambda: load.answered > after)
    assert load.wrong == []
    assert len(load.lost) <= READERS // 2  # one on each of its connections


def test_a_purge_under_load_leaves_nothing_at_any_level(levels, origin, live):
    asked = addresses(origin, live, 20)
    with Load(asked, [[levels.edges[number % 2].port] for number in range(READERS)]) as load:
        until(lambda: load.answered > 200)
        for address in asked[:10]:
            origin.answers.pop(address)
            levels.purger().purge(address.removeprefix("/results/"))
            for edge in levels.edges:
                assert edge.get(address).status == 404
    assert {address for address, _ in load.wrong} <= set(asked[:10])


def test_all_levels_begin_a_new_epoch_together(levels, origin, live):
    asked = addresses(origin, live, 20)
    for edge in levels.edges:
        for address in asked:
            edge.get(address)
    for address in asked:
        del origin.answers[address]
    levels.purger().purge_all()
    for edge in levels.edges:
        assert {edge.get(address).status for address in asked} == {404}
