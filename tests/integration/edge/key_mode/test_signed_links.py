"""Signed links: checked at the edge, and answered from its cache."""

from __future__ import annotations

import time

import pytest

from gateway.purge import EdgePurger
from tests.key_mode import ACME, NEW, OLD, assert_refused, bearer, write_files

CLOTHES = ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"]


@pytest.mark.parametrize("key", [NEW, OLD], ids=["the key that signs", "one that is being replaced"])
def test_a_valid_one_is_answered_from_the_cache(keyed, origin, kept, address, result_id, link, key):
    origin.answers[address] = kept(b"the text")
    replies = [keyed.get(f"{address}?{link(key=key)}") for _ in range(3)]
    assert [(reply.status, reply.word, reply.body) for reply in replies] == [
        (200, "MISS", b"the text"),
        (200, "HIT", b"the text"),
        (200, "HIT", b"the text"),
    ]
    assert replies[1].headers["cache-control"] == "private"
    assert len(origin.seen(result_id)) == 1


def test_two_links_to_one_result_share_its_entry(keyed, origin, kept, address, link):
    origin.answers[address] = kept(b"the text")
    assert keyed.get(f"{address}?{link(ends=500)}").word == "MISS"
    assert keyed.get(f"{address}?{link(ends=600)}").word == "HIT"


@pytest.mark.parametrize("clothes", CLOTHES)
def test_it_opens_every_rendering(keyed, origin, kept, address, link, clothes):
    origin.answers[address + clothes] = kept(b"in " + clothes.encode())
    assert keyed.get(f"{address}{clothes}?{link()}").body == b"in " + clothes.encode()


def test_the_gateway_gets_the_link_and_nothing_else_of_the_query(keyed, origin, kept, address, result_id, link):
    origin.answers[address] = kept()
    query = link()
    assert keyed.get(f"{address}?x=1&{query}&y=%2e&tenant=zeta#z").status == 200
    (asked,) = origin.seen(result_id)
    assert asked.path == f"{address}?{query}"


def test_without_one_nothing_is_told_of_what_is_cached(keyed, origin, kept, address, link):
    origin.answers[address] = kept(b"the text")
    keyed.get(f"{address}?{link()}")
    for path in (address, address + "?x=1", f"/results/{'0' * 64}"):
        assert_refused(keyed.get(path))
        assert keyed.get(path, "HEAD").status == 401


def test_an_expired_one_opens_nothing_even_of_what_is_cached(keyed, origin, kept, address, link):
    origin.answers[address] = kept(b"the text")
    query = link(ends=1.2)
    assert keyed.get(f"{address}?{query}").status == 200
    deadline = time.monotonic() + 4
    while (reply := keyed.get(f"{address}?{query}")).status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert_refused(reply)
    assert keyed.get(f"{address}?{link()}").word == "HIT"


def test_a_tampered_one_opens_nothing(keyed, origin, kept, address, result_id, link):
    origin.answers[address] = kept(b"the text")
    query = link()
    keyed.get(f"{address}?{query}")
    other = "0" if query[-1] != "0" else "1"
    for wrong in (
        query[:-1] + other,
        query.replace("tenant=acme", "tenant=zeta"),
        query.replace("expires=", "expires=9"),
        query.replace("expires=", "expires=0"),
        query.replace("expires=", "expires=%31"),
        query.partition("&signature=")[0],
        query.replace("tenant=acme", "tenant=ACME"),
        query.rpartition("=")[0] + "=" + query.rpartition("=")[2].upper(),
        "signature=&" + query,
        link(key=b"x" * 32),
    ):
        reply = keyed.get(f"{address}?{wrong}")
        assert reply.status == 401, wrong
        assert_refused(reply)
    assert_refused(keyed.get(f"/results/{'0' * 64}?{query}"))
    assert_refused(keyed.get(f"{address}-0a1b2c3d?{query}"))
    assert len(origin.seen(result_id)) == 1


def test_a_result_ends_when_it_ends_however_long_links_hold(keyed, origin, kept, address, link):
    origin.answers[address] = kept(b"the text", lives=1)
    assert keyed.get(f"{address}?{link()}").status == 200
    del origin.answers[address]
    deadline = time.monotonic() + 4
    while keyed.get(f"{address}?{link()}").status == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_purged_result_is_gone_for_every_link(keyed, origin, kept, address, result_id, link):
    origin.answers[address] = kept(b"the text")
    keyed.get(f"{address}?{link()}")
    del origin.answers[address]
    EdgePurger([keyed.admin]).within("acme").purge(result_id)
    assert keyed.get(f"{address}?{link()}").status == 404


def test_a_hundred_askers_are_one_question(keyed, origin, kept, address, result_id, link, together):
    slow = kept(b"the text")
    slow.delay = 0.3
    origin.answers[address] = slow
    query = link()
    replies = together(50, lambda: keyed.get(f"{address}?{query}").body)
    assert set(replies) == {b"the text"}
    assert len(origin.seen(result_id)) == 1


def test_only_what_the_gateway_releases_for_it_is_kept(keyed, origin, live, kept, address, result_id, link):
    """`public` alone is for open mode; a mistaken gateway's does not make an edge of key mode share."""
    for number, reply in enumerate(
        (live(), kept(OCR_Edge_Cache_Control=""), kept(OCR_Edge_Cache_Control="private"), kept(Expires=""))
    ):
        origin.answers[address] = reply
        words = [keyed.get(f"{address}?{link()}").word for _ in range(2)]
        assert words == ["MISS", "MISS"], number


def test_two_levels_both_check_links_and_both_keep_the_answer(
    start_edge, keyed, origin, kept, files, address, result_id, link
):
    shielded = start_edge(f"127.0.0.1:{keyed.port}", OCR_EDGE_KEYS="edge", **files)
    origin.answers[address] = kept(b"the text")
    query = link()
    assert [shielded.get(f"{address}?{query}").word for _ in range(2)] == ["MISS", "HIT"]
    keyed.wait_until_filed(f"acme/{result_id}")
    assert keyed.get(f"{address}?{query}").word == "HIT"
    assert len(origin.seen(result_id)) == 1
    assert_refused(shielded.get(address))
    assert_refused(shielded.get(f"{address}?{query[:-1]}x"))
    assert shielded.get(address, headers=bearer(ACME)).word == "HIT"


def test_a_new_signing_key_is_taken_up_by_itself(start_edge, origin, kept, tmp_path, address, link):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **write_files(tmp_path))
    origin.answers[address] = kept(b"the text")
    newer = b"z" * 32
    assert edge.get(f"{address}?{link(key=newer)}").status == 401
    (tmp_path / "signing").write_text(f"{newer.hex()}\n{NEW.hex()}\n")
    deadline = time.monotonic() + 15
    while edge.get(f"{address}?{link(key=newer)}").status == 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert edge.get(f"{address}?{link(key=NEW)}").word == "HIT"
    assert edge.get(f"{address}?{link(key=OLD)}").status == 401
