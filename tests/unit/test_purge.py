"""EdgePurger against doubles of an edge's admin address."""

from __future__ import annotations

import contextlib
import http.server
import time
from collections.abc import Callable

import pytest

from gateway.purge import ENTRIES, EdgePurger, PurgeFailed
from tests.servers import HttpDouble

ID = "ab" * 32


class Edge(HttpDouble):
    """Confirms everything, unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.status = 204
        self.words = ["MISS"]  # the last one stays
        self.delay = 0.0
        self.connections = 0
        self.on_request: Callable[[Edge], object] = lambda _: None
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                double.asked.append((self.command, self.path))
                double.on_request(double)
                time.sleep(double.delay)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(double.status)
                    if self.command == "HEAD" and double.words:
                        word = double.words.pop(0) if len(double.words) > 1 else double.words[0]
                        self.send_header("X-Cache-Status", word)
                    if double.status >= 300:
                        self.send_header("Location", "/elsewhere")
                    if double.status != 204:
                        self.send_header("Content-Length", "0")
                    self.end_headers()

            def setup(self) -> None:
                double.connections += 1
                super().setup()

            do_HEAD = do_DELETE = do_POST = answer

            def log_message(self, *arguments: object) -> None:
                pass

        super().__init__(Handler)


@pytest.fixture
def edges():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Edge())) for _ in range(2)]


def test_without_edges_there_is_nothing_to_do():
    EdgePurger([]).purge(ID)


def test_every_address_of_a_record_has_its_entries():
    assert set(ENTRIES) == {
        "", ".gz", "/text", "/text.gz", "/lines.csv", "/lines.csv.gz", "/hocr", "/hocr.gz", "/thumbnail.webp",
    }


@pytest.mark.parametrize(("tenant", "whole"), [("", ID), ("acme", f"acme/{ID}")])
def test_each_entry_is_waited_for_and_then_removed_on_every_edge(edges, tenant, whole):
    EdgePurger([edge.url for edge in edges]).within(tenant).purge(ID)
    for edge in edges:
        for entry in ENTRIES:
            waited = edge.asked.index(("HEAD", f"/stored/{whole}{entry}"))
            assert waited < edge.asked.index(("DELETE", f"/purge/{whole}{entry}"))
        assert len(edge.asked) == 2 * len(ENTRIES)


def test_shields_are_done_before_the_edges_that_fill_from_them_are_asked(edges):
    shield, edge = edges
    order = []
    shield.delay = 0.05
    shield.on_request = edge.on_request = lambda double: order.append("shield" if double is shield else "edge")
    EdgePurger([edge.url], shields=[shield.url]).purge(ID)
    assert order == ["shield"] * 2 * len(ENTRIES) + ["edge"] * 2 * len(ENTRIES)


def test_a_failing_shield_is_named_and_the_edges_are_purged_all_the_same(edges):
    shield, edge = edges
    shield.status = 500
    with pytest.raises(PurgeFailed) as failure:
        EdgePurger([edge.url], shields=[shield.url]).purge(ID)
    assert failure.value.edges == (shield.url,)
    assert len(edge.asked) == 2 * len(ENTRIES)


class Cdn:
    """A remote cache that confirms or does not."""

    name = "https://cdn.example"

    def __init__(self, edge: Edge, confirms: bool = True) -> None:
        self.edge, self.confirms, self.told = edge, confirms, []

    def purge(self, result_id: str, timeout: float) -> bool:
        self.told.append((result_id, len(self.edge.asked)))
        return self.confirms

    def purge_all(self, timeout: float) -> bool:
        self.told.append(("all", len(self.edge.asked)))
        return self.confirms

    def close(self) -> None:
        self.told.append(("closed", 0))


def test_a_cdn_is_told_when_what_is_behind_it_has_forgotten(edges):
    cdn = Cdn(edges[0])
    EdgePurger([edges[0].url], cdn=cdn).purge(ID)
    assert cdn.told == [(ID, 2 * len(ENTRIES))]


def test_a_cdn_that_does_not_confirm_is_named(edges):
    for purge in (lambda purger: purger.purge(ID), lambda purger: purger.purge_all()):
        edges[0].status = 200
        with pytest.raises(PurgeFailed, match=r"not confirmed by https://cdn\.example$"):
            purge(EdgePurger([edges[0].url], cdn=Cdn(edges[0], confirms=False)))


def test_everything_is_forgotten_by_one_request_to_each_edge(edges):
    for edge in edges:
        edge.status = 200
    EdgePurger([edges[1].url], shields=[edges[0].url]).purge_all()
    assert edges[0].asked == edges[1].asked == [("POST", "/epoch")]


@pytest.mark.parametrize("status", [204, 404, 405, 502])
def test_an_edge_that_cannot_start_a_new_epoch_is_named(edges, status):
    edges[0].status = status
    with pytest.raises(PurgeFailed) as failure:
        EdgePurger([edges[0].url]).purge_all()
    assert failure.value.edges == (edges[0].url,)


@pytest.mark.parametrize("status", [200, 204])
def test_there_and_not_there_both_confirm(edges, status):
    edges[0].status = status
    EdgePurger([edges[0].url]).purge(ID)


@pytest.mark.parametrize("word", ["HIT", "MISS", "EXPIRED"])
def test_nothing_under_way_is_settled(edges, word):
    edges[0].words = [word]
    EdgePurger([edges[0].url]).purge(ID)


def test_an_answer_under_way_is_waited_for(edges):
    edges[0].words = ["UPDATING", "UPDATING", "HIT"]
    EdgePurger([edges[0].url]).purge(ID)
    assert len([method for method, _ in edges[0].asked if method == "HEAD"]) == len(ENTRIES) + 2


@pytest.mark.parametrize("words", [[], ["BYPASS"], ["UPDATING"]])
def test_what_never_settles_is_no_confirmation(edges, words):
    edges[0].words = words
    with pytest.raises(PurgeFailed):
        EdgePurger([edges[0].url], timeout=0.2).purge(ID)


@pytest.mark.parametrize("status", [301, 403, 404, 405, 500, 503])
def test_any_other_answer_is_no_confirmation_and_names_the_edge(edges, status):
    edges[1].status = status
    with pytest.raises(PurgeFailed, match=edges[1].url) as failure:
        EdgePurger([edge.url for edge in edges]).purge(ID)
    assert failure.value.edges == (edges[1].url,)


def test_a_silent_edge_costs_its_timeout_and_no_more(edges):
    edges[0].delay = 3
    began = time.monotonic()
    with pytest.raises(PurgeFailed):
        EdgePurger([edges[0].url], timeout=0.3).purge(ID)
    assert time.monotonic() - began < 1.5


def test_a_slow_edge_has_one_deadline_for_all_renderings(edges):
    edges[0].delay = 0.3
    began = time.monotonic()
    with pytest.raises(PurgeFailed):
        EdgePurger([edges[0].url], timeout=0.5).purge(ID)
    assert time.monotonic() - began < 1.0


def test_edges_are_asked_at_the_same_time(edges):
    for edge in edges:
        edge.delay = 0.1
    began = time.monotonic()
    EdgePurger([edge.url for edge in edges], timeout=5).purge(ID)
    assert time.monotonic() - began < 1.5  # one after the other: 3.6


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:0", "http://[::broken"])
def test_an_edge_that_cannot_be_reached_is_named(url):
    with pytest.raises(PurgeFailed) as failure:
        EdgePurger([url], timeout=1).purge(ID)
    assert failure.value.edges == (url.rstrip("/"),)


@pytest.mark.parametrize(("tenant", "whole"), [("", ID), ("acme", f"acme/{ID}")])
def test_a_miss_is_forgotten_in_the_background(edges, tenant, whole):
    edges[0].delay = 0.05
    edges[0].status = edges[1].status = 404
    purger = EdgePurger([edge.url for edge in edges])
    began = time.monotonic()
    purger.within(tenant).forget_miss(ID)
    assert time.monotonic() - began < 0.05
    expected = [
        request
        for entry in ENTRIES
        for request in (("HEAD", f"/stored/{whole}{entry}"), ("DELETE", f"/purge/{whole}{entry}"))
    ]
    deadline = time.monotonic() + 5
    while edges[1].asked != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    assert edges[0].asked == edges[1].asked == expected
    purger.close()


@pytest.mark.parametrize("status", [200, 204])
def test_what_is_no_miss_is_left_alone(edges, status):
    edges[0].status = status
    purger = EdgePurger([edges[0].url])
    purger.forget_miss(ID)
    deadline = time.monotonic() + 5
    while len(edges[0].asked) < len(ENTRIES) and time.monotonic() < deadline:
        time.sleep(0.01)
    purger.close()
    assert {method for method, _ in edges[0].asked} == {"HEAD"}


def test_forgetting_a_miss_never_fails_and_never_piles_up(edges):
    edges[1].delay = 5
    purger = EdgePurger(["http://127.0.0.1:1", edges[1].url], timeout=0.2)
    began = time.monotonic()
    for _ in range(2000):
        purger.forget_miss(ID)
    assert time.monotonic() - began < 1
    purger.close()
    assert time.monotonic() - began < 3
    purger.forget_miss(ID)
    assert len(edges[1].asked) < 300


def test_without_edges_no_miss_is_remembered_anywhere():
    purger = EdgePurger([])
    purger.forget_miss(ID)
    purger.close()


def test_what_is_no_url_is_refused_at_once():
    with pytest.raises(ValueError, match="nonsense"):
        EdgePurger(["http://edge:8081", "nonsense"])


def test_connections_are_reused(edges):
    purger = EdgePurger([edges[0].url])
    for _ in range(3):
        purger.purge(ID)
    assert len(edges[0].asked) == 6 * len(ENTRIES)
    assert edges[0].connections <= len(ENTRIES)
