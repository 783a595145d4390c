"""The web page's files at the edge: stored compressed, for ever; and no other bytes under their addresses."""

from __future__ import annotations

import pytest

DIGEST = "0123456789abcdef"
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "text/javascript"}


@pytest.fixture
def file(result_id):
    return f"/static/{DIGEST}/{result_id}.js"


def test_a_file_is_kept_once_for_each_of_three_codings(edge, origin, answer, file, result_id):
    origin.answers[file] = lambda seen: answer(200, IMMUTABLE, (seen.header("Accept-Encoding") or "plain").encode())
    for accepted, body in [
        ("gzip, deflate, br, zstd", b"br"),
        ("br;q=0.5, gzip", b"br"),
        ("gzip, deflate", b"gzip"),
        ("gzip, br;q=0", b"gzip"),
        ("identity", b"plain"),
        ("*", b"plain"),
    ]:
        edge.get(file, headers={"Accept-Encoding": accepted})
        again = edge.get(f"{file}?v=1", headers={"Accept-Encoding": accepted})
        assert (again.word, again.body) == ("HIT", body), accepted
        assert again.headers["cache-control"] == IMMUTABLE["Cache-Control"]
    assert len(origin.seen(result_id)) == 3


def test_nothing_of_the_request_is_in_a_stored_file(edge, origin, answer, file, result_id):
    origin.answers[file] = answer(200, IMMUTABLE, b"file")
    edge.get(file, headers={"Cookie": "a=1", "Authorization": "Bearer key", "X-Forwarded-Host": "evil"}, body=b"body")
    (seen,) = origin.seen(result_id)
    assert {name.lower() for name, _ in seen.headers} <= {
        "host",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
    }
    assert seen.body == b""


@pytest.mark.parametrize("headers", [{}, {"Cache-Control": "public, max-age=60"}, IMMUTABLE | {"Set-Cookie": "a=1"}])
def test_only_what_never_changes_is_kept(edge, origin, answer, file, headers):
    origin.answers[file] = answer(200, headers, b"file")
    assert [edge.get(file).word for _ in range(2)] == ["MISS", "MISS"]


def test_a_file_of_another_version_is_looked_for_at_the_other_gateway(start_edge, start_origin, answer, file):
    old, new = start_origin(), start_origin()
    edge = start_edge(f"127.0.0.1:{old.port},127.0.0.1:{new.port}")
    new.answers[file] = answer(200, IMMUTABLE, b"new")
    for number in range(4):
        new.answers[f"{file}{number}"] = answer(200, IMMUTABLE, b"new")
        assert edge.get(f"{file}{number}").body == b"new"


def test_a_file_is_answered_while_no_gateway_is_there(start_edge, start_origin, answer, file):
    origin = start_origin()
    edge = start_edge(f"127.0.0.1:{origin.port}")
    origin.answers[file] = answer(200, IMMUTABLE, b"file")
    edge.get(file)
    origin.close()
    assert (edge.get(file).status, edge.get(file).word) == (200, "HIT")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_file_can_only_be_read(edge, origin, file, result_id, method):
    assert edge.get(file, method).status == 405
    assert origin.seen(result_id) == []
