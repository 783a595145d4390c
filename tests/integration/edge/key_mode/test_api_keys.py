"""API keys: checked at the edge, and answered from what it holds of their tenant."""

from __future__ import annotations

import json
import random
import secrets
import time
from urllib.parse import parse_qsl

import pytest

from benchmarks.poisoning import poisonings, released
from gateway.purge import EdgePurger
from gateway.signing import Signer
from gateway.tenants import key_digest, new_api_key
from tests.key_mode import (
    ACME,
    KEYS,
    LOOKUP,
    NEW,
    OLD,
    ZETA,
    assert_refused,
    bearer,
    write_api_keys,
    write_files,
)


@pytest.mark.parametrize("headers", [bearer(ACME), {"X-API-Key": ACME}], ids=["bearer", "header"])
def test_a_key_is_answered_from_the_cache(keyed, origin, kept, address, result_id, headers):
    origin.answers[address] = kept(b"the text")
    replies = [keyed.get(address, headers=headers) for _ in range(3)]
    assert [(reply.status, reply.word, reply.body) for reply in replies] == [
        (200, "MISS", b"the text"),
        (200, "HIT", b"the text"),
        (200, "HIT", b"the text"),
    ]
    assert replies[1].headers["cache-control"] == "private"
    assert "Authorization, X-API-Key" in replies[1].headers["vary"]
    assert len(origin.seen(result_id)) == 1


def test_the_gateway_is_asked_with_a_link_and_not_with_the_key(keyed, origin, kept, address, result_id):
    origin.answers[address] = kept()
    keyed.get(f"{address}?x=1", headers=bearer(ACME))
    (asked,) = origin.seen(result_id)
    assert asked.header("Authorization") is asked.header("X-API-Key") is None
    path, _, query = asked.path.partition("?")
    values = dict(parse_qsl(query, strict_parsing=True))
    assert path == address
    # With the key that is being replaced, which every gateway knows, whatever order they are restarted in.
    assert Signer((OLD,), 1).accepts(values["tenant"], result_id, values["expires"], values["signature"], time.time())
    assert values["tenant"] == "acme"
    assert 60 < int(values["expires"]) - time.time() <= 120


def test_a_tenants_keys_and_links_share_an_entry(keyed, origin, kept, address, result_id, link):
    origin.answers[address] = kept(b"the text")
    assert keyed.get(address, headers=bearer(ACME)).word == "MISS"
    assert keyed.get(f"{address}?{link()}").word == "HIT"
    assert keyed.get(f"{address}?{link()}", headers=bearer(ACME)).word == "HIT"
    assert len(origin.seen(result_id)) == 1


def test_what_is_held_for_one_tenant_is_not_there_for_another(keyed, origin, kept, answer, address, result_id):
    origin.answers[address] = lambda seen: kept(b"of acme") if "tenant=acme" in seen.path else answer(404)
    assert [keyed.get(address, headers=bearer(ACME)).word for _ in range(2)] == ["MISS", "HIT"]
    theirs = keyed.get(address, headers=bearer(ZETA))
    assert (theirs.status, theirs.word) == (404, "MISS")
    assert keyed.get(address, headers=bearer(ACME)).body == b"of acme"
    assert len(origin.seen(result_id)) == 2


def test_a_purge_takes_only_its_tenants_entry(keyed, origin, kept, address, result_id):
    origin.answers[address] = kept(b"the text")
    for key in (ACME, ZETA):
        assert [keyed.get(address, headers=bearer(key)).word for _ in range(2)] == ["MISS", "HIT"]
    EdgePurger([keyed.admin]).within("zeta").purge(result_id)
    assert keyed.get(address, headers=bearer(ACME)).word == "HIT"
    assert keyed.get(address, headers=bearer(ZETA)).word == "MISS"


def test_a_new_epoch_forgets_what_is_held_of_every_tenant(start_edge, origin, kept, files, address):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **files)
    origin.answers[address] = kept(b"the text")
    for key in (ACME, ZETA):
        assert [edge.get(address, headers=bearer(key)).word for _ in range(2)] == ["MISS", "HIT"]
    EdgePurger([edge.admin]).purge_all()
    deadline = time.monotonic() + 10
    while any(path.is_file() for path in (edge.folder / "state" / "cache").rglob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [edge.get(address, headers=bearer(key)).word for key in (ACME, ZETA)] == ["MISS", "MISS"]


def test_many_who_wait_are_one_question(keyed, origin, kept, address, result_id, together):
    origin.answers[address] = kept(b"the text")
    origin.answers[address].delay = 0.3
    replies = together(50, lambda: keyed.get(address, headers=bearer(ACME)).body)
    assert set(replies) == {b"the text"}
    assert len(origin.seen(result_id)) == 1


@pytest.mark.parametrize(
    "headers",
    [bearer(ACME) | {"Cookie": "a=b"}, bearer(ACME) | {"X-API-Key": ZETA}, {"X-API-Key": ACME, "Cookie": "acme/;"}],
    ids=["a key and a cookie", "two keys", "a cookie that looks like the edge's own words"],
)
def test_more_than_a_key_goes_past_the_cache_both_ways(keyed, origin, kept, live, address, result_id, link, headers):
    # A gateway that says the wrong thing, even: `public` to a key.
    origin.answers[address] = lambda seen: (
        kept(b"to a link") if "?" in seen.path else live(b"to a key", OCR_Edge_Cache_Control="public")
    )
    for _ in range(2):
        reply = keyed.get(address, headers=headers)
        assert (reply.status, reply.word, reply.body) == (200, "BYPASS", b"to a key")
    assert [keyed.get(f"{address}?{link()}").word for _ in range(2)] == ["MISS", "HIT"]
    assert keyed.get(address, headers=headers).body == b"to a key"
    asked = origin.seen(result_id)[0]
    assert {name: asked.header(name) for name in headers} == headers


def test_an_operators_key_is_the_gateways_to_judge(start_edge, origin, answer, tmp_path, address):
    settings = write_files(tmp_path)
    document = json.loads((tmp_path / "api").read_text())
    operator = new_api_key()
    (tmp_path / "api").write_text(json.dumps(document | {"operators": [{"sha256": key_digest(operator)}]}))
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **settings)
    origin.answers[address] = lambda seen: answer(403 if seen.header("Authorization") else 200)
    assert edge.get(address, headers=bearer(operator)).status == 403


def test_a_changed_file_of_keys_is_taken_up_by_itself(start_edge, origin, kept, tmp_path, address):
    settings = write_files(tmp_path)
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **settings)
    origin.answers[address] = kept(b"the text")
    assert edge.get(address, headers=bearer(ACME)).word == "MISS"
    new = new_api_key()

    def wait_for(status: int, key: str) -> None:
        deadline = time.monotonic() + 15
        while edge.get(address, headers=bearer(key)).status != status:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert edge.get(address, headers=bearer(new)).status == 401
    write_api_keys(tmp_path / "api", {"acme": new, "zeta": ZETA})
    wait_for(401, ACME)
    wait_for(200, new)  # workers of both configurations answer for a moment
    assert edge.get(address, headers=bearer(new)).word == "HIT", "what is held stays"
    (tmp_path / "api").write_text("{")  # broken: the keys from before hold
    deadline = time.monotonic() + 15
    while "the keys from before hold: OCR_API_KEYS_FILE" not in (edge.folder / "output").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert edge.get(address, headers=bearer(new)).word == "HIT"
    write_api_keys(tmp_path / "api", {"acme": ACME})
    wait_for(401, new)
    wait_for(200, ACME)
    assert edge.get(address, headers=bearer(ACME)).word == "HIT"


def test_a_tenant_that_is_gone_is_gone_with_its_links(start_edge, origin, kept, tmp_path, address, link):
    """As at the gateway; and a tenant whose last key was revoked still has the links that were handed out."""
    settings = write_files(tmp_path)
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **settings)
    origin.answers[address] = kept(b"the text")
    query = link()
    assert [edge.get(f"{address}?{query}").word for _ in range(2)] == ["MISS", "HIT"]
    others = {"zeta": json.loads((tmp_path / "api").read_text())["tenants"]["zeta"]}
    keyless = {"acme": {"lookup_key": LOOKUP["acme"], "keys": []}}
    for tenants, status in ((others | keyless, 200), (others, 401)):
        (tmp_path / "api").write_text(json.dumps({"tenants": tenants}))
        deadline = time.monotonic() + 15
        while edge.get(address, headers=bearer(ACME)).status != 401 or edge.get(f"{address}?{query}").status != status:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_however_credentials_are_mixed_nobody_reads_anothers_result(keyed, origin, kept, answer):
    """Each of 400 generated requests: who is told something had the right to it, and who clearly had it is told."""
    chance = random.Random(5)
    owners = {secrets.token_hex(32): owner for owner in ("acme", "zeta", "acme", "zeta")}
    signer = Signer((NEW, OLD), 900)

    def asking(seen, result_id):
        """Whose link or key the gateway is asked with."""
        values = dict(parse_qsl(seen.path.partition("?")[2]))
        if values and signer.accepts(values["tenant"], result_id, values["expires"], values["signature"], time.time()):
            return values["tenant"]
        offered = seen.header("Authorization") or seen.header("X-API-Key") or ""
        return next((name for name, key in KEYS.items() if offered in (key, f"Bearer {key}")), None)

    def gateway(seen):
        """As one with a mistake: whatever it tells, everybody may keep."""
        path = seen.path.partition("?")[0]
        result_id = path.split("/")[2]
        name = asking(seen, result_id)
        if name is None:
            return answer(401)
        return kept(f"{name}:{path}".encode()) if owners[result_id] == name else answer(404)

    def credentials(result_id):
        """Headers, query and whose they are."""
        lines, query, whose = [], "", []
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            name, key = chance.choice([*KEYS.items(), ("nobody", new_api_key())])
            lines.append(chance.choice((f"Authorization: Bearer {key}", f"X-API-Key: {key}", f"X-API-Key: {key} x")))
            whose.append(name)
        if chance.random() < 0.3:
            name, key = chance.choice((("acme", NEW), ("zeta", NEW), ("nobody", b"x" * 32)))
            named = chance.choice(("acme", "zeta")) if name == "nobody" else name
            query = "?" + Signer((key,), 900).query(named, result_id, time.time() - chance.choice((0, 0, 2000)))
            whose.append(name)
        if chance.random() < 0.2:
            lines.append(chance.choice(("Cookie: a=b", "Cookie: acme/;", "Authorization: ", "Cookie: tenant=acme&")))
        chance.shuffle(lines)
        return lines, query, whose

    for result_id in owners:
        for clothes in ("", "/text"):
            origin.answers[f"/results/{result_id}{clothes}"] = gateway
    told = 0
    for number in range(400):
        result_id, clothes = chance.choice(list(owners)), chance.choice(("", "/text"))
        path = f"/results/{result_id}{clothes}"
        lines, query, whose = credentials(result_id)
        request = [f"GET {path}{query} HTTP/1.1", "Host: a", "Connection: close", *lines, "", ""]
        reply = keyed.send("\r\n".join(request).encode())
        if reply.status == 200:
            told += 1
            assert reply.body == f"{owners[result_id]}:{path}".encode(), (number, request)
            assert owners[result_id] in whose, (number, request)
        for name, key in KEYS.items():
            plain = keyed.get(path, headers=bearer(key))
            assert plain.status == (200 if owners[result_id] == name else 404), (number, request)
        assert_refused(keyed.get(path))
    assert told > 50


def test_no_request_with_a_key_leaves_anything_of_itself_in_the_cache(keyed, origin):
    report = poisonings(keyed.port, origin, released, 200, seed=1, key=ACME)
    assert report.poisoned == []
    assert report.reached > 50


def test_a_cookie_alone_opens_nothing(keyed, origin, kept, address, result_id):
    assert_refused(keyed.get(address, headers={"Cookie": "session=1"}))
    assert origin.seen(result_id) == []


@pytest.mark.parametrize(
    "headers",
    [bearer("ocr_" + "x" * 43), bearer(""), {"Authorization": f"Basic {ACME}"}, {"X-API-Key": "\xff"}],
)
def test_a_wrong_key_is_refused_without_the_gateway(keyed, origin, kept, address, result_id, link, headers):
    assert_refused(keyed.get(address, headers=headers))
    assert_refused(keyed.get(f"{address}?{link()}", headers=headers))
    assert origin.seen(result_id) == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/ocr"), ("GET", "/jobs/x"), ("GET", "/account")])
def test_other_calls_need_one_too(keyed, origin, answer, method, path):
    origin.answers[path] = answer(200, {}, b"reached")
    assert_refused(keyed.get(path, method, body=b"x" * 100), word=None)
    assert_refused(keyed.get(path, method, headers=bearer("ocr_" + "x" * 43)), word=None)
    assert keyed.get(path, method, headers=bearer(ACME)).body == b"reached"


def test_a_deletion_needs_one(keyed, origin, answer, address, result_id):
    origin.answers[address] = answer(204)
    assert_refused(keyed.get(address, "DELETE"), word="BYPASS")
    assert origin.seen(result_id) == []
    assert keyed.get(address, "DELETE", headers=bearer(ACME)).status == 204


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/static/app.js"])
def test_the_page_and_health_need_none_to_be_shown(keyed, origin, answer, path):
    origin.answers[path] = answer(200, {}, b"for everybody")
    assert keyed.get(path).body == b"for everybody"
    for method in ("POST", "PUT"):
        assert_refused(keyed.get(path, method, body=b"x" * 100), word=None)


def test_a_preflight_needs_none(keyed, origin, answer, address):
    origin.answers[address] = origin.answers["/ocr"] = answer(200, {"Access-Control-Allow-Headers": "Authorization"})
    for path in (address, "/ocr"):
        reply = keyed.get(path, "OPTIONS", headers={"Origin": "https://erp.example"})
        assert (reply.status, reply.headers["access-control-allow-headers"]) == (200, "Authorization")


def test_no_key_and_no_signature_is_logged(keyed, origin, kept, address, link):
    origin.answers[address] = kept()
    query = link()
    keyed.get(f"{address}?{query}")
    keyed.get(address, headers=bearer(ACME))
    keyed.get(address, headers=bearer("ocr_" + "leaked" * 7 + "x"))
    keyed.log()
    for name in ("access.log", "error.log", "output"):
        text = (keyed.folder / name).read_text()
        for secret in (ACME, query.rpartition("=")[2], "leaked", NEW.hex(), LOOKUP["acme"]):
            assert secret not in text, name


@pytest.mark.parametrize("mode", ["edge", "gateway"])
def test_no_signature_is_logged_where_the_gateway_fails(start_edge, files, address, link, mode):
    edge = start_edge("127.0.0.1:1", OCR_EDGE_KEYS=mode, **files)
    assert edge.get(address, headers=bearer(ACME)).status == 502
    assert edge.get(f"{address}?{link()}").status == 502
    assert edge.get("/ocr", "POST", headers=bearer(ACME), body=b"x").status == 502
    told = (edge.folder / "error.log").read_text()
    assert "POST /ocr" in told
    assert "signature" not in told
    assert "502" in [line["upstream_status"] for line in edge.log() if line["path"] == address]


def test_the_secrets_are_for_the_masters_eyes_only(keyed):
    document = keyed.folder / "conf" / "edge-keys.json"
    assert document.stat().st_mode & 0o777 == 0o600
    others = [file for file in (keyed.folder / "conf").rglob("*") if file.is_file() and file != document]
    assert len(others) > 10
    assert not any(NEW.hex() in file.read_text() or key_digest(ACME) in file.read_text() for file in others)
    assert LOOKUP["acme"] not in document.read_text()
