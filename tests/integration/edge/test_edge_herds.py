"""Many askers at once, and gateways that fail."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest

from gateway.purge import EdgePurger


def test_a_hundred_cold_look_ups_ask_the_gateway_once(edge, origin, live, address, result_id, together):
    origin.answers[address] = live(b'{"text": "once"}')
    origin.answers[address].delay = 0.3
    replies = together(100, lambda: edge.get(address))
    assert {(reply.status, reply.body) for reply in replies} == {(200, b'{"text": "once"}')}
    assert len(origin.seen(result_id)) == 1
    assert sum(reply.word == "MISS" for reply in replies) == 1


@pytest.mark.parametrize("status", [404, 500, 503])
def test_fifty_waiting_for_an_error_do_not_queue_up(edge, origin, answer, address, result_id, together, status):
    origin.answers[address] = answer(status, {"X-Accel-Expires": "1", "Cache-Control": "no-store"}, b"{}", delay=0.3)
    began = time.monotonic()
    replies = together(50, lambda: edge.get(address))
    assert {reply.status for reply in replies} == {status}
    assert time.monotonic() - began < 3  # one after the other: 15
    assert len(origin.seen(result_id)) <= 5


def test_what_is_cached_is_answered_while_no_gateway_is_there(start_edge, start_origin, live, address):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}")
    origin.answers[address] = live(b"kept")
    assert edge.get(address).body == b"kept"
    origin.close()
    hit = edge.get(address)
    assert (hit.status, hit.word, hit.body) == (200, "HIT", b"kept")


def test_an_unreachable_gateway_is_a_502_for_a_second_at_most(start_edge, start_origin, live, address, result_id):
    origin = start_origin()
    port = origin.port
    edge = start_edge(f"127.0.0.1:{port}")
    origin.close()
    failed = edge.get(address)
    assert (failed.status, failed.word) == (502, "MISS")
    assert failed.headers["cache-control"] == "no-store"
    assert failed.headers["retry-after"] == "2"
    assert edge.cached_files(result_id) == []
    start_origin(port).answers[address] = live(b"back")
    time.sleep(2.1)  # nginx remembers this failure as long as one that the gateway told
    assert edge.get(address).body == b"back"


STALE = {"Cache_Control": "public, stale-if-error=3"}


def until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def test_while_no_gateway_is_there_an_expired_result_is_served_as_stale_and_not_for_long(
    start_edge, start_origin, live, address
):
    origin = start_origin()
    inner = start_edge(f"127.0.0.1:{origin.port}")
    outer = start_edge(f"127.0.0.1:{inner.port}")
    origin.answers[address] = live(b"kept", lives=2, **STALE)
    ends = parsedate_to_datetime(origin.answers[address].headers["Expires"]).timestamp()
    assert outer.get(address).word == "MISS"
    origin.close()
    until(ends + 0.3)
    for edge in (outer, inner, outer):
        stale = edge.get(address)
        assert (stale.status, stale.word, stale.body) == (200, "STALE", b"kept")
        assert "ocr-edge; hit; detail=stale-if-error" in stale.headers["cache-status"]
        assert parsedate_to_datetime(stale.headers["expires"]).timestamp() == ends
    # Twice that bound were each level to count anew.
    until(ends + 3.2)
    assert (inner.get(address).status, outer.get(address).status) == (502, 502)


def test_without_leave_an_expired_result_is_not_served_while_no_gateway_is_there(
    start_edge, start_origin, live, address
):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}")
    origin.answers[address] = live(lives=1)
    edge.get(address)
    origin.close()
    time.sleep(2.1)
    assert edge.get(address).status == 502


def test_what_a_gateway_answers_is_never_replaced_by_something_stale(edge, origin, live, answer, address):
    statuses = (404, 410, 429, 500, 503)
    for status in statuses:
        origin.answers[f"{address}-{status:08}"] = live(lives=1, **STALE)
        edge.get(f"{address}-{status:08}")
        error = answer(status, {"X-Accel-Expires": "1", "Cache-Control": "no-store"}, b"{}")
        origin.answers[f"{address}-{status:08}"] = error
    time.sleep(1.6)
    for status in statuses:
        assert [edge.get(f"{address}-{status:08}").status for _ in range(2)] == [status, status]


def test_a_deleted_result_does_not_come_back_when_the_gateway_goes_down(
    start_edge, start_origin, live, address, result_id
):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}")
    for path in (address, f"{address}-00000000"):
        origin.answers[path] = live(lives=1, **STALE)
        edge.get(path)
    EdgePurger([edge.admin]).purge(result_id)
    origin.close()
    time.sleep(1.6)
    assert edge.get(address).status == 502
    assert edge.get(f"{address}-00000000").word == "STALE"


def test_a_slow_gateway_counts_as_none(start_edge, start_origin, live, answer, address):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_LOOKUP_TIMEOUT="1")
    origin.answers[address] = live(b"kept", lives=1, Cache_Control="public, stale-if-error=10")
    edge.get(address)
    origin.answers[address] = answer(200, delay=2)
    time.sleep(1.6)
    stale = edge.get(address)
    assert (stale.status, stale.word, stale.body) == (200, "STALE", b"kept")


def test_one_of_two_gateways_dying_costs_no_request(start_edge, start_origin, live, answer, address):
    first, second = start_origin(), start_origin()
    edge = start_edge(f"127.0.0.1:{first.port},127.0.0.1:{second.port}")
    for origin in (first, second):
        origin.answers["/ocr"] = answer(200, {"X-Cache-Status": "HIT"}, b"read")
    for number in range(16):
        path = f"{address}-{number:08x}"
        first.answers[path] = second.answers[path] = live(b"found")
    first.close()
    assert {edge.get(f"{address}-{number:08x}").status for number in range(16)} == {200}
    assert {edge.get("/ocr", "POST", body=b"image").status for _ in range(16)} == {200}


def test_look_ups_reuse_connections_to_the_gateway(start_edge, start_origin, live, address):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}")
    for number in range(40):
        origin.answers[f"{address}-{number:08x}"] = live()
        assert edge.get(f"{address}-{number:08x}").status == 200
    assert origin.connections <= 20  # about one for each nginx worker, not one for each request
