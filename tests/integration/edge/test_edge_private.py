"""A request that says who it is goes past the shared cache, both ways."""

from __future__ import annotations

import pytest

CREDENTIALS = [("Authorization", "Bearer secret"), ("Cookie", "session=secret"), ("X-API-Key", "secret")]


@pytest.mark.parametrize(("name", "value"), CREDENTIALS)
def test_an_answer_to_a_credential_is_not_stored(edge, origin, live, address, result_id, name, value):
    origin.answers[address] = lambda seen: live(b"personal" if seen.header(name) else b"for everybody")
    personal = edge.get(address, headers={name: value})
    assert (personal.word, personal.body) == ("BYPASS", b"personal")
    public = edge.get(address)
    assert (public.word, public.body) == ("MISS", b"for everybody")
    assert origin.seen(result_id)[0].header(name) == value
    assert origin.seen(result_id)[1].header(name) is None


@pytest.mark.parametrize(("name", "value"), CREDENTIALS)
def test_a_request_with_a_credential_is_not_answered_from_the_cache(edge, origin, live, address, name, value):
    origin.answers[address] = lambda seen: live(b"personal" if seen.header(name) else b"for everybody")
    edge.get(address)
    assert edge.get(address).word == "HIT"
    personal = edge.get(address, headers={name: value})
    assert (personal.word, personal.body) == ("BYPASS", b"personal")
    assert edge.get(address).body == b"for everybody"


def test_a_refusal_to_a_credential_is_not_told_to_others(edge, origin, live, answer, address):
    origin.answers[address] = lambda seen: answer(401) if seen.header("Authorization") else live()
    assert edge.get(address, headers={"Authorization": "Bearer wrong"}).status == 401
    assert edge.get(address).status == 200


def test_an_empty_credential_hides_no_second_one(edge, origin, live, address, result_id):
    origin.answers[address] = lambda seen: live(b"personal" if seen.header("Authorization") else b"for everybody")
    sent = f"GET {address} HTTP/1.1\r\nHost: a\r\nAuthorization: \r\nAuthorization: Bearer secret\r\n\r\n"
    reply = edge.send(sent.encode())
    assert reply.status in (200, 400)
    after = edge.get(address)
    assert after.body == b"for everybody"
    assert reply.word != "HIT"
