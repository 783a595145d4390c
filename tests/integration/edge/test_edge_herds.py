"""Many askers at once, and gateways that fail."""

from __future__ import annotations

import time

import pytest


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


def test_an_expired_result_is_not_served_stale_while_no_gateway_is_there(start_edge, start_origin, live, address):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}")
    origin.answers[address] = live(lives=1)
    edge.get(address)
    origin.close()
    time.sleep(2.1)
    assert edge.get(address).status == 502


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
