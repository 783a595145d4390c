"""How long the edge keeps an answer: exactly as long as the gateway's Expires says, errors a second, nothing else."""

from __future__ import annotations

import struct
import time
from email.utils import formatdate, parsedate_to_datetime

import pytest

WEEK = 7 * 24 * 3600

def test_the_first_look_up_is_a_miss_and_the_second_a_hit(edge, origin, live, address, result_id):
    origin.answers[address] = live(b'{"text": "first"}')
    assert edge.get(address).word == "MISS"
    origin.answers[address] = live(b'{"text": "changed behind the cache"}')
    again = edge.get(address)
    assert (again.word, again.body) == ("HIT", b'{"text": "first"}')
    assert len(origin.seen(result_id)) == 1


def test_every_rendering_is_cached_by_itself(edge, origin, live, address, result_id):
    for clothes in ("", "/thumbnail.webp", "/lines.csv", "/text", "/hocr"):
        origin.answers[address + clothes] = live(clothes.encode() or b"{}")
        assert edge.get(address + clothes).word == "MISS"
        hit = edge.get(address + clothes)
        assert (hit.word, hit.body) == ("HIT", clothes.encode() or b"{}")
    assert len(origin.seen(result_id)) == 5


def test_a_result_read_with_options_has_an_entry_of_its_own(edge, origin, live, address):
    origin.answers[address] = live(b"plain")
    origin.answers[address + "-0a1b2c3d"] = live(b"with options")
    assert edge.get(address).body == b"plain"
    assert edge.get(address + "-0a1b2c3d").body == b"with options"


def test_an_expired_result_is_asked_for_again_and_never_served_stale(edge, origin, live, address):
    origin.answers[address] = live(lives=2)
    assert edge.get(address).word == "MISS"
    assert edge.get(address).word == "HIT"
    del origin.answers[address]
    time.sleep(2.1)
    gone = edge.get(address)
    assert (gone.status, gone.word) == (404, "EXPIRED")


def test_seven_days_are_kept_to_the_second(edge, origin, live, address, result_id):
    origin.answers[address] = live(lives=WEEK)
    expires = edge.get(address).headers["expires"]
    hit = edge.get(address)
    assert hit.headers["expires"] == expires
    assert "max-age" not in hit.headers["cache-control"]
    (file,) = edge.cached_files(result_id)
    # ngx_http_file_cache_header_t: version, then valid_sec.
    (_, valid_until) = struct.unpack_from("=qq", file.read_bytes())
    assert valid_until == parsedate_to_datetime(expires).timestamp() - 1  # the last second it is answered in
    assert abs(valid_until - time.time() - WEEK) < 5


def test_the_date_of_an_answer_is_the_moment_it_was_made(edge, start_edge, origin, live, address):
    outer = start_edge(f"127.0.0.1:{edge.port}")
    made = formatdate(time.time() - 30, usegmt=True)
    origin.answers[address] = live(Date=made, Age="7")
    for _ in range(2):
        for each in (outer, edge):
            reply = each.get(address)
            assert reply.headers["date"] == made
            assert "age" not in reply.headers


def test_with_njs_a_hit_says_how_old_it_is_at_every_level(start_edge, origin, live, address):
    inner = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_AGE="on")
    outer = start_edge(f"127.0.0.1:{inner.port}", OCR_EDGE_AGE="on")
    began = int(time.time()) - 30
    origin.answers[address] = live(Date=formatdate(began, usegmt=True))
    assert "age" not in inner.get(address).headers
    outer.get(address)
    time.sleep(1.1)
    for each in (inner, outer):
        before = int(time.time())
        hit = each.get(address)
        assert hit.word == "HIT"
        assert before - began <= int(hit.headers["age"]) <= int(time.time()) - began


def test_a_relative_lifetime_counts_for_nothing(edge, origin, live, address):
    origin.answers[address] = live(lives=2, Cache_Control="public, max-age=604800, s-maxage=604800")
    edge.get(address)
    assert edge.get(address).word == "HIT"
    time.sleep(2.1)
    assert edge.get(address).word == "EXPIRED"


def test_a_relative_lifetime_alone_is_not_stored(edge, origin, live, address):
    for claim in ("public, max-age=600", "public, s-maxage=600"):
        origin.answers[address] = live(Cache_Control=claim, X_Accel_Expires="")
        assert [edge.get(address).word for _ in range(2)] == ["MISS", "MISS"], claim


def test_a_relative_lifetime_for_nginx_is_not_stored(edge, origin, live, address):
    origin.answers[address] = live(X_Accel_Expires="604800")
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "MISS"]


def test_two_edges_in_a_row_add_no_life(edge, start_edge, origin, live, address, result_id):
    outer = start_edge(f"127.0.0.1:{edge.port}")
    origin.answers[address] = live(lives=4)
    ends = parsedate_to_datetime(origin.answers[address].headers["Expires"]).timestamp()
    assert edge.get(address).word == "MISS"
    time.sleep(2)
    assert outer.get(address).word == "MISS"
    assert outer.get(address).word == "HIT"
    assert len(origin.seen(result_id)) == 1
    del origin.answers[address]
    time.sleep(max(0.0, ends - time.time()) + 0.1)
    assert outer.get(address).status == 404


def test_two_edges_in_a_row_absorb_misses_without_queueing(
    edge, start_edge, origin, answer, address, result_id, together
):
    outer = start_edge(f"127.0.0.1:{edge.port}")
    origin.answers[address] = answer(404, {"X-Accel-Expires": "1", "Cache-Control": "no-store"}, b"{}", delay=0.2)
    began = time.monotonic()
    assert {reply.status for reply in together(40, lambda: outer.get(address))} == {404}
    assert time.monotonic() - began < 3
    assert len(origin.seen(result_id)) <= 3


def test_a_miss_is_absorbed_for_a_second_and_no_longer(edge, origin, live, address, result_id):
    assert [edge.get(address).word for _ in range(3)] == ["MISS", "HIT", "HIT"]
    assert len(origin.seen(result_id)) == 1
    origin.answers[address] = live()
    time.sleep(2.1)  # the second it was stored in, and a whole one
    assert edge.get(address).status == 200


def test_a_failure_is_never_kept_longer_than_a_second(edge, origin, live, answer, address):
    paths = {status: f"{address}-{status:08}" for status in (500, 502, 503, 504)}
    for status, path in paths.items():
        origin.answers[path] = answer(status, {"Cache-Control": "public, max-age=604800"}, b"broken")
        failed = edge.get(path)
        assert (failed.status, failed.word, failed.body) == (status, "MISS", b"broken")
        origin.answers[path] = live()
    time.sleep(2.1)
    assert {status: edge.get(path).status for status, path in paths.items()} == dict.fromkeys(paths, 200)


@pytest.mark.parametrize("header", ["Expires", "X-Accel-Expires", "X-Accel-Expires: @", "max-age"])
def test_an_error_that_claims_a_lifetime_is_not_kept_at_all(edge, origin, live, answer, address, header):
    tomorrow = time.time() + 86400
    claim = {
        "Expires": {"Expires": formatdate(tomorrow, usegmt=True)},
        "X-Accel-Expires": {"X-Accel-Expires": "86400"},
        "X-Accel-Expires: @": {"X-Accel-Expires": f"@{int(tomorrow)}"},
        "max-age": {"Cache-Control": "public, max-age=86400"},
    }[header]
    origin.answers[address] = answer(500, {"Cache-Control": "public"} | claim, b"broken")
    assert edge.get(address).status == 500
    origin.answers[address] = live()
    assert edge.get(address).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Cache_Control": "private"}, id="private"),
        pytest.param({"Cache_Control": "public, no-store"}, id="no-store"),
        pytest.param({"Cache_Control": "no-cache, public"}, id="no-cache"),
        pytest.param({"Cache_Control": "max-age=60"}, id="not said to be public"),
        pytest.param({"Cache_Control": "publicity"}, id="a word that only starts like public"),
        pytest.param({"Set_Cookie": "session=1"}, id="sets a cookie"),
        pytest.param({"Vary": "*"}, id="varies by everything"),
        pytest.param({"Vary": "Accept-Encoding, *"}, id="varies by everything besides"),
        pytest.param({"Vary": "Accept-Encoding, Cookie"}, id="varies by the cookie"),
        pytest.param({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT", "X_Accel_Expires": ""}, id="expired already"),
        pytest.param({"Expires": "0", "X_Accel_Expires": ""}, id="no date"),
    ],
)
def test_a_result_not_meant_for_everybody_is_not_stored(edge, origin, live, address, result_id, headers):
    origin.answers[address] = live(**headers)
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "MISS"]
    assert len(origin.seen(result_id)) == 2


@pytest.mark.parametrize("vary", ["", "Accept-Encoding", "accept-encoding , Origin", "Origin,Accept-Encoding"])
def test_a_result_that_varies_as_the_edges_keys_do_is_stored(edge, origin, live, address, vary):
    origin.answers[address] = live(Vary=vary)
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "HIT"]


def test_a_result_without_an_expiry_is_not_stored(edge, origin, live, address):
    origin.answers[address] = live()
    del origin.answers[address].headers["Expires"]
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "MISS"]


@pytest.mark.parametrize("status", [206, 301, 302, 401, 403])
def test_other_answers_are_not_stored(edge, origin, live, address, status):
    origin.answers[address] = live()
    origin.answers[address].status = status
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "MISS"]
