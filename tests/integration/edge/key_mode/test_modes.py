"""Edges that do not check everything themselves, in front of a gateway with keys."""

from __future__ import annotations

from tests.key_mode import assert_refused


def test_without_the_file_of_keys_the_gateway_judges_them(start_edge, origin, answer, files, address):
    edge = start_edge(
        f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", OCR_SIGNING_KEY_FILE=files["OCR_SIGNING_KEY_FILE"]
    )
    origin.answers[address] = lambda seen: answer(200 if seen.header("X-API-Key") == "new" else 401)
    assert edge.get(address, headers={"X-API-Key": "new"}).status == 200
    assert edge.get(address, headers={"X-API-Key": "wrong"}).status == 401
    assert_refused(edge.get(address))


def test_without_the_module_the_gateway_judges_everything_and_nothing_is_kept(
    start_edge, origin, kept, live, address, result_id, link
):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="gateway", OCR_EDGE_JS_MODULE="/nowhere")
    query = link()
    for reply in (live(), kept()):
        origin.answers[address] = reply
        replies = [edge.get(f"{address}?x=1&{query}") for _ in range(2)]
        assert [reply.word for reply in replies] == ["BYPASS", "BYPASS"]
        assert "Authorization, X-API-Key" in replies[0].headers["vary"]
    assert {seen.path for seen in origin.seen(result_id)} == {f"{address}?{query}"}


def test_in_open_mode_a_link_is_no_more_than_its_address(edge, origin, live, address, result_id, link):
    origin.answers[address] = live()
    assert [edge.get(f"{address}?{link()}").word for _ in range(2)] == ["MISS", "HIT"]
    assert [seen.path for seen in origin.seen(result_id)] == [address]


def test_an_edge_in_open_mode_keeps_nothing_of_a_gateway_with_keys(edge, origin, kept, answer, address):
    for reply in (kept(), kept(X_Accel_Expires="0"), answer(401, {"X-Accel-Expires": "0"})):
        origin.answers[address] = reply
        assert [edge.get(address).word for _ in range(2)] == ["MISS", "MISS"]
