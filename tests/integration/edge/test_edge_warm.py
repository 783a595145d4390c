"""``ocr-gateway warm`` refills a real edge, at a bounded rate, with what lives."""

from __future__ import annotations

import json
import secrets
import time

import pytest

from gateway.cli import main
from gateway.warming import EdgeAway, warm


@pytest.fixture
def log(tmp_path):
    """An access log in which these ids were looked up."""

    def write(*ids: str):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        line = {"time": moment, "method": "GET", "status": 200, "edge": "HIT"}
        path = tmp_path / "access.log"
        path.write_text("".join(json.dumps(line | {"path": f"/results/{each}"}) + "\n" for each in ids))
        return str(path)

    return write


def test_an_empty_edge_answers_what_its_log_shows_after_warming(edge, origin, live, log, capsys):
    known, gone = [secrets.token_hex(32) for _ in range(3)], secrets.token_hex(32)
    for each in known:
        origin.answers[f"/results/{each}"] = live()
    assert main(["warm", log(*known, gone), "--url", f"http://127.0.0.1:{edge.port}"]) == 0
    assert "4 results asked for" in capsys.readouterr().out
    assert all(seen.method == "GET" for seen in origin.seen(known[0])), "nginx fetches the whole"
    for each in known:
        for coding, entry in (("gzip", f"{each}.gz"), ("identity", each)):
            edge.wait_until_filed(entry)
            reply = edge.get(f"/results/{each}", headers={"Accept-Encoding": coding})
            assert (reply.status, reply.word) == (200, "HIT")
    assert edge.get(f"/results/{gone}").status == 404


def test_warming_adds_no_life(edge, origin, live, log):
    dying = secrets.token_hex(32)
    origin.answers[f"/results/{dying}"] = live(lives=2)
    main(["warm", log(dying), "--url", f"http://127.0.0.1:{edge.port}"])
    del origin.answers[f"/results/{dying}"]
    deadline = time.monotonic() + 10
    while edge.get(f"/results/{dying}").status == 200:
        assert time.monotonic() < deadline, "it outlived its end"
        time.sleep(0.1)


def test_what_is_private_is_not_kept_and_told(edge, origin, live):
    private = secrets.token_hex(32)
    origin.answers[f"/results/{private}"] = live(Cache_Control="private")
    assert warm(f"http://127.0.0.1:{edge.port}", [private], 100) == {"refused": 2}
    assert edge.get(f"/results/{private}").word != "HIT"


def test_the_rate_is_kept(edge):
    started = time.monotonic()
    tally = warm(f"http://127.0.0.1:{edge.port}", [secrets.token_hex(32) for _ in range(10)], rate=20)
    assert tally == {"gone": 20}
    assert time.monotonic() - started >= 19 / 20


def test_an_edge_that_is_away_is_given_up_soon(unused_port, log, capsys):
    url = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(EdgeAway):
        warm(url, ["a" * 64] * 1000, 1000)
    assert main(["warm", log(*(secrets.token_hex(32) for _ in range(30))), "--url", url, "--rate", "1000"]) == 1
    assert "requests in a row failed" in capsys.readouterr().err
