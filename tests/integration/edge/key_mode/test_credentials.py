"""However a credential is spelt, and whatever comes with it, it opens its own tenant's results, and no others."""

from __future__ import annotations

import gzip

import pytest

from tests.key_mode import ACME, ZETA, bearer

CLOTHES = ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"]


def request(target: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", "Connection: close", *headers, "", ""]).encode("latin-1")


@pytest.fixture
def held(keyed, origin, packed, kept, answer, address, link):
    """An address of which the edge holds acme's result; zeta has none there."""

    def gateway(seen):
        if "tenant=acme" not in seen.path:
            return answer(404)
        coded = {"Content-Encoding": "gzip", "ETag": '"one-gzip"'} if seen.header("Accept-Encoding") else {}
        return kept(gzip.compress(b"of acme", mtime=0) if coded else b"of acme", **coded)

    for clothes in CLOTHES:
        origin.answers[address + clothes] = gateway
    assert [keyed.get(address, headers=bearer(ACME)).word for _ in range(2)] == ["MISS", "HIT"]
    return address


# {acme} and {zeta} are links, the two in capitals keys.
OPENS = {
    "a scheme in other letters": ("", "authorization: bEARER ACME"),
    "spaces around a key": ("", "Authorization: Bearer   ACME  "),
    "a link in other letters": ("?{acme}".replace("tenant", "Tenant"),),
    "a link twice": ("?{acme}&{acme}",),
    "a link in a query of other things": ("?a=b&{acme}&tenant=zeta",),
    "a link and its tenant's key": ("?{acme}", "X-API-Key: ACME"),
    "another tenant's link and a key": ("?{zeta}", "X-API-Key: ACME"),
    "empty headers beside a key": ("", "Authorization:", "Cookie:", "X-API-Key: ACME"),
}
OPENS_NOTHING = {
    "somebody else's key": (404, "", "X-API-Key: ZETA"),
    "somebody else's key that names a tenant": (404, "?tenant=acme", "X-API-Key: ZETA"),
    "somebody else's key and a link": (404, "?{acme}", "X-API-Key: ZETA"),
    "somebody else's key with the edge's own words": (404, "", "X-API-Key: ZETA", "OCR-Edge-Cache-Control: public"),
    "somebody else's key and another address": (404, "", "X-API-Key: ZETA", "X-Original-URL: /results/acme/"),
    "somebody else's link": (404, "?{zeta}",),
    "a key twice": (400, "", "Authorization: Bearer ACME", "Authorization: Bearer ACME"),
    "a key over two lines": (400, "", "X-API-Key:", " ACME"),
    "a key and a NUL": (400, "", "X-API-Key: ACME\0"),
    "a key that is longer than a header may be": (431, "", "X-API-Key: " + "a" * 9000),
    "a long key": (401, "", "X-API-Key: " + "a" * 5000),
    "no scheme": (401, "", "Authorization: ACME"),
    "another scheme": (401, "", "Authorization: Token ACME"),
    "another scheme beside a key": (401, "", "Authorization: Basic eDp4", "X-API-Key: ACME"),
    "a tab after the scheme": (401, "", "Authorization: Bearer\tACME"),
    "a quoted key": (401, "", 'X-API-Key: "ACME"'),
    "two keys in one header": (401, "", "X-API-Key: ACME, ZETA"),
    "two credentials in one header": (401, "", "Authorization: Bearer ACME, Bearer ZETA"),
    "what the edge's own words are joined with": (401, "", "X-API-Key: ACME;;"),
    "letters beyond ASCII": (401, "", "X-API-Key: ACME\xa0"),
    "an underscore": (401, "", "X_API_Key: ACME"),
    "a key as a cookie": (401, "", "Cookie: X-API-Key=ACME"),
    "a key as a query": (401, "?api_key=ACME&access_token=ACME&Authorization=Bearer%20ACME"),
    "a wrong key and a link": (401, "?{acme}", "X-API-Key: x"),
    "a link with an escape": (401, "?%74{acme}"),
    "a link with other separators": (401, "?;{acme}"),
    "a tenant before a link": (401, "?tenant=zeta&{acme}"),
    "a link behind a fragment": (401, "#?{acme}"),
    "nothing, of a key that has just been used": (401, ""),
}  # fmt: skip


def filled(parts: tuple[str, ...], link) -> list[str]:
    """The query and the headers, with keys and links."""
    query = parts[0].replace("{acme}", link("acme")).replace("{zeta}", link("zeta"))
    return [text.replace("ACME", ACME).replace("ZETA", ZETA) for text in (query, *parts[1:])]


@pytest.mark.parametrize("name", OPENS)
def test_it_opens_what_the_edge_holds_of_its_tenant(keyed, held, link, name):
    query, *headers = filled(OPENS[name], link)
    reply = keyed.send(request(held + query, *headers))
    assert (reply.status, reply.word, reply.body) == (200, "HIT", b"of acme")


@pytest.mark.parametrize("name", OPENS_NOTHING)
def test_it_opens_nothing(keyed, held, link, name):
    status, *parts = OPENS_NOTHING[name]
    query, *headers = filled(tuple(parts), link)
    reply = keyed.send(request(held + query, *headers))
    assert (reply.status, b"of acme" in reply.body) == (status, False)
    assert "etag" not in reply.headers


@pytest.mark.parametrize(
    "target", ["//results/{}", "/results/acme/{}", "/results/{}/", "/results/{}.gz", "/results/{}%00", "/results/{}/..",
               "/results/{}-0a1b2c3d", "http://acme/results/{}", "/results/{}%0a"],
)  # fmt: skip
def test_another_spelling_of_an_address_opens_nothing(keyed, held, result_id, target):
    reply = keyed.send(request(target.format(result_id), f"X-API-Key: {ZETA}"))
    assert (reply.status in (400, 404), b"of acme" in reply.body) == (True, False)


@pytest.mark.parametrize("clothes", CLOTHES)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_key_opens_every_rendering_in_every_coding(keyed, held, clothes, coding):
    headers = {"X-API-Key": ACME, "Accept-Encoding": coding}
    head = keyed.get(held + clothes, "HEAD", headers)
    replies = [keyed.get(held + clothes, headers=headers) for _ in range(2)]
    assert (head.status, head.body) == (200, b"")
    for reply in replies:
        text = gzip.decompress(reply.body) if reply.headers.get("content-encoding") == "gzip" else reply.body
        assert (reply.status, reply.word, text) == (200, "HIT", b"of acme")


@pytest.mark.parametrize(
    ("condition", "status"),
    [({"If-None-Match": '"one"'}, 304), ({"If-None-Match": '"other"'}, 200), ({"If-Match": '"other"'}, 412),
     ({"Range": "bytes=0-1"}, 200)],
)  # fmt: skip
def test_conditions_are_answered_to_the_tenant_alone(keyed, held, condition, status):
    assert keyed.get(held, headers=bearer(ACME) | condition).status == status
    theirs = keyed.get(held, headers=bearer(ZETA) | condition)
    assert (theirs.status, "etag" in theirs.headers) == (404, False)
    nobodys = keyed.get(held, headers=condition)
    assert (nobodys.status, "etag" in nobodys.headers) == (401, False)
