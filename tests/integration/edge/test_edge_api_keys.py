"""Key mode: who may ask is settled at the edge, and nothing of anybody is answered to anybody else."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import json
import re
import time
from email.utils import formatdate

import pytest
from PIL import Image, ImageDraw, ImageFont

from gateway.signing import Signer
from gateway.tenants import key_digest, new_api_key
from tests.serving import running

ACME, ZETA = new_api_key(), new_api_key()
LOOKUP = {"acme": "a1" * 32, "zeta": "b2" * 32}
OLD, NEW = b"o" * 32, b"n" * 32
CLOTHES = ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The settings that name the files of keys, the same for gateway and edge."""
    folder = tmp_path_factory.mktemp("keys")
    keys = {"acme": ACME, "zeta": ZETA}
    entries = {name: {"lookup_key": LOOKUP[name], "keys": [{"sha256": key_digest(keys[name])}]} for name in keys}
    (folder / "api").write_text(json.dumps({"tenants": entries}))
    (folder / "signing").write_text(f"{NEW.hex()}\n{OLD.hex()}\n")
    for file in folder.iterdir():
        file.chmod(0o600)
    return {"OCR_API_KEYS_FILE": str(folder / "api"), "OCR_SIGNING_KEY_FILE": str(folder / "signing")}


@pytest.fixture(scope="module")
def keyed(edge_before, origin, files):
    """An edge that checks signed links, in front of the gateway double."""
    yield edge_before(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **files)


@pytest.fixture
def kept(answer):
    """The gateway's answer to a signed link: an edge that checks links may keep it, no other cache."""

    def make(body: bytes = b"{}", lives: float = 3600, **more: str):
        headers = {
            "Cache-Control": "private",
            "OCR-Edge-Cache-Control": "public",
            "Expires": formatdate(time.time() + lives, usegmt=True),
            "ETag": '"one"',
        } | {name.replace("_", "-"): value for name, value in more.items()}
        return answer(200, {name: value for name, value in headers.items() if value}, body)

    return make


@pytest.fixture
def link(result_id):
    """``link(tenant=, key=, ends=)``: the query of a signed link to ``result_id``."""

    def make(tenant: str = "acme", key: bytes = NEW, ends: float = 900) -> str:
        return Signer((key,), 900).query(tenant, result_id, time.time() + ends - 900)

    return make


def assert_refused(reply, word: str | None = "BYPASS") -> None:
    assert reply.status == 401
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"] == 'Bearer realm="ocr-gateway"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.word == word
    problem = json.loads(reply.body)
    assert (problem["status"], problem["type"]) == (401, "/docs#unauthorized")


class TestSignedLinks:
    @pytest.mark.parametrize("key", [NEW, OLD], ids=["the key that signs", "one that is being replaced"])
    def test_a_valid_one_is_answered_from_the_cache(self, keyed, origin, kept, address, result_id, link, key):
        origin.answers[address] = kept(b"the text")
        replies = [keyed.get(f"{address}?{link(key=key)}") for _ in range(3)]
        assert [(reply.status, reply.word, reply.body) for reply in replies] == [
            (200, "MISS", b"the text"),
            (200, "HIT", b"the text"),
            (200, "HIT", b"the text"),
        ]
        assert replies[1].headers["cache-control"] == "private"
        assert len(origin.seen(result_id)) == 1

    def test_two_links_to_one_result_share_its_entry(self, keyed, origin, kept, address, link):
        origin.answers[address] = kept(b"the text")
        assert keyed.get(f"{address}?{link(ends=500)}").word == "MISS"
        assert keyed.get(f"{address}?{link(ends=600)}").word == "HIT"

    @pytest.mark.parametrize("clothes", CLOTHES)
    def test_it_opens_every_rendering(self, keyed, origin, kept, address, link, clothes):
        origin.answers[address + clothes] = kept(b"in " + clothes.encode())
        assert keyed.get(f"{address}{clothes}?{link()}").body == b"in " + clothes.encode()

    def test_the_gateway_gets_the_link_and_nothing_else_of_the_query(
        self, keyed, origin, kept, address, result_id, link
    ):
        origin.answers[address] = kept()
        query = link()
        assert keyed.get(f"{address}?x=1&{query}&y=%2e&tenant=zeta#z").status == 200
        (asked,) = origin.seen(result_id)
        assert asked.path == f"{address}?{query}"

    def test_without_one_nothing_is_told_of_what_is_cached(self, keyed, origin, kept, address, link):
        origin.answers[address] = kept(b"the text")
        keyed.get(f"{address}?{link()}")
        for path in (address, address + "?x=1", f"/results/{'0' * 64}"):
            assert_refused(keyed.get(path))
            assert keyed.get(path, "HEAD").status == 401

    def test_an_expired_one_opens_nothing_even_of_what_is_cached(self, keyed, origin, kept, address, link):
        origin.answers[address] = kept(b"the text")
        query = link(ends=1.2)
        assert keyed.get(f"{address}?{query}").status == 200
        deadline = time.monotonic() + 4
        while (reply := keyed.get(f"{address}?{query}")).status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert_refused(reply)
        assert keyed.get(f"{address}?{link()}").word == "HIT"

    def test_a_tampered_one_opens_nothing(self, keyed, origin, kept, address, result_id, link):
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

    def test_a_result_ends_when_it_ends_however_long_links_hold(self, keyed, origin, kept, address, link):
        origin.answers[address] = kept(b"the text", lives=1)
        assert keyed.get(f"{address}?{link()}").status == 200
        del origin.answers[address]
        deadline = time.monotonic() + 4
        while keyed.get(f"{address}?{link()}").status == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_a_purged_result_is_gone_for_every_link(self, keyed, origin, kept, address, result_id, link):
        from gateway.purge import EdgePurger

        origin.answers[address] = kept(b"the text")
        keyed.get(f"{address}?{link()}")
        del origin.answers[address]
        EdgePurger([keyed.admin]).purge(result_id)
        assert keyed.get(f"{address}?{link()}").status == 404

    def test_a_hundred_askers_are_one_question(self, keyed, origin, kept, address, result_id, link, together):
        slow = kept(b"the text")
        slow.delay = 0.3
        origin.answers[address] = slow
        query = link()
        replies = together(50, lambda: keyed.get(f"{address}?{query}").body)
        assert set(replies) == {b"the text"}
        assert len(origin.seen(result_id)) == 1

    def test_only_what_the_gateway_releases_for_it_is_kept(self, keyed, origin, live, kept, address, result_id, link):
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
    assert keyed.get(f"{address}?{query}").word == "HIT"
    assert len(origin.seen(result_id)) == 1
    assert_refused(shielded.get(address))
    assert_refused(shielded.get(f"{address}?{query[:-1]}x"))
    assert shielded.get(address, headers=bearer(ACME)).word == "BYPASS"


class TestKeys:
    @pytest.mark.parametrize(
        "headers",
        [bearer(ACME), {"X-API-Key": ACME}, bearer(ACME) | {"Cookie": "a=b"}],
        ids=["bearer", "header", "both"],
    )
    def test_an_answer_to_a_key_is_neither_stored_nor_from_the_cache(
        self, keyed, origin, kept, live, address, result_id, link, headers
    ):
        # A gateway that says the wrong thing, even: `public` to a key.
        origin.answers[address] = lambda seen: (
            live(b"to a key", OCR_Edge_Cache_Control="public") if len(seen.path) < 80 else kept(b"to a link")
        )
        for _ in range(2):
            reply = keyed.get(address, headers=headers)
            assert (reply.status, reply.word, reply.body) == (200, "BYPASS", b"to a key")
            assert "Authorization, X-API-Key" in reply.headers["vary"]
        assert [keyed.get(f"{address}?{link()}").word for _ in range(2)] == ["MISS", "HIT"]
        assert keyed.get(address, headers=headers).body == b"to a key"
        asked = origin.seen(result_id)
        assert [seen.header("X-API-Key") or seen.header("Authorization") for seen in asked].count(None) == 1

    @pytest.mark.parametrize("headers", [bearer(ACME), {"X-API-Key": ACME}])
    def test_a_key_with_a_link_goes_past_the_cache_too(self, keyed, origin, kept, address, link, headers):
        origin.answers[address] = kept(b"the text")
        query = link()
        keyed.get(f"{address}?{query}")
        for _ in range(2):
            assert keyed.get(f"{address}?{query}", headers=headers).word == "BYPASS"

    def test_a_cookie_alone_opens_nothing(self, keyed, origin, kept, address, result_id):
        assert_refused(keyed.get(address, headers={"Cookie": "session=1"}))
        assert origin.seen(result_id) == []

    @pytest.mark.parametrize(
        "headers",
        [bearer("ocr_" + "x" * 43), bearer(""), {"Authorization": f"Basic {ACME}"}, {"X-API-Key": "\xff"}],
    )
    def test_a_wrong_key_is_refused_without_the_gateway(self, keyed, origin, kept, address, result_id, link, headers):
        assert_refused(keyed.get(address, headers=headers))
        assert_refused(keyed.get(f"{address}?{link()}", headers=headers))
        assert origin.seen(result_id) == []

    @pytest.mark.parametrize(("method", "path"), [("POST", "/ocr"), ("GET", "/jobs/x"), ("GET", "/account")])
    def test_other_calls_need_one_too(self, keyed, origin, answer, method, path):
        origin.answers[path] = answer(200, {}, b"reached")
        assert_refused(keyed.get(path, method, body=b"x" * 100), word=None)
        assert_refused(keyed.get(path, method, headers=bearer("ocr_" + "x" * 43)), word=None)
        assert keyed.get(path, method, headers=bearer(ACME)).body == b"reached"

    def test_a_deletion_needs_one(self, keyed, origin, answer, address, result_id):
        origin.answers[address] = answer(204)
        assert_refused(keyed.get(address, "DELETE"), word="BYPASS")
        assert origin.seen(result_id) == []
        assert keyed.get(address, "DELETE", headers=bearer(ACME)).status == 204

    @pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/static/app.js"])
    def test_the_page_and_health_need_none(self, keyed, origin, answer, path):
        origin.answers[path] = answer(200, {}, b"for everybody")
        assert keyed.get(path).body == b"for everybody"

    def test_a_preflight_needs_none(self, keyed, origin, answer, address):
        origin.answers[address] = origin.answers["/ocr"] = answer(
            200, {"Access-Control-Allow-Headers": "Authorization"}
        )
        for path in (address, "/ocr"):
            reply = keyed.get(path, "OPTIONS", headers={"Origin": "https://erp.example"})
            assert (reply.status, reply.headers["access-control-allow-headers"]) == (200, "Authorization")

    def test_no_key_and_no_signature_is_logged(self, keyed, origin, kept, address, link):
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

    def test_the_secrets_are_for_the_masters_eyes_only(self, keyed):
        document = keyed.folder / "conf" / "keys.json"
        assert document.stat().st_mode & 0o777 == 0o600
        others = [file for file in (keyed.folder / "conf").rglob("*") if file.is_file() and file != document]
        assert len(others) > 10
        assert not any(NEW.hex() in file.read_text() or key_digest(ACME) in file.read_text() for file in others)
        assert LOOKUP["acme"] not in document.read_text()


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


def test_deletions_are_counted_like_uploads(start_edge, origin, answer):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_UPLOAD_RATE="1", OCR_EDGE_UPLOAD_BURST="2")
    paths = [f"/results/{number:064x}" for number in range(6)]
    origin.answers |= {path: lambda seen: answer(204 if seen.method == "DELETE" else 404) for path in paths}
    replies = [edge.get(path, "DELETE") for path in paths]
    assert [reply.status for reply in replies[:3]] == [204, 204, 204]
    assert replies[-1].status == 429
    assert replies[-1].headers["retry-after"] == "1"
    assert edge.get(paths[0]).status == 404, "looking up is not counted"


@pytest.fixture(scope="module")
def whole(edge_before, unused_port, tmp_path_factory, files):
    """The gateway in key mode, and an edge of the same keys that it purges."""
    admin = f"127.0.0.1:{unused_port()}"
    settings = {name.removeprefix("OCR_").lower(): value for name, value in files.items()}
    with running("serve", tmp_path_factory.mktemp("data"), edge_purge_urls=f"http://{admin}", **settings) as gateway:
        yield edge_before(
            gateway.url.removeprefix("http://"), OCR_EDGE_KEYS="edge", OCR_EDGE_ADMIN_LISTEN=admin, **files
        )
        with contextlib.suppress(AttributeError):
            output = "".join(gateway.output)
            assert ACME not in output and LOOKUP["acme"] not in output


class TestWithTheGateway:
    @pytest.fixture
    def upload(self, result_id):
        """A line of text that nobody uploaded before."""
        picture = Image.new("RGB", (640, 64), "white")
        text = f"No {int(result_id[:8], 16)}"
        ImageDraw.Draw(picture).text((16, 12), text, fill="black", font=ImageFont.load_default(36))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def post(self, edge, key, upload):
        return edge.get("/ocr", "POST", bearer(key) | {"Content-Type": "image/png"}, upload)

    def test_from_an_upload_to_the_edges_own_answer_and_its_deletion(self, whole, upload):
        account = json.loads(whole.get("/account", headers=bearer(ACME)).body)
        digest = hashlib.sha256(upload).digest()
        own_id = hmac.new(bytes.fromhex(account["lookup_key"]), digest, hashlib.sha256).hexdigest()
        assert whole.get(f"/results/{own_id}", headers=bearer(ACME)).status == 404

        answered = self.post(whole, ACME, upload)
        assert (answered.status, json.loads(answered.body)["id"]) == (200, own_id)
        signed = answered.headers["link"].split(">")[0].removeprefix("<")
        assert signed.startswith(f"/results/{own_id}?")

        for clothes in CLOTHES:
            path = signed.replace("?", f"{clothes}?")
            replies = [whole.get(path) for _ in range(2)]
            assert [(reply.status, reply.word) for reply in replies] == [(200, "MISS"), (200, "HIT")], clothes
            assert replies[0].body == whole.get(f"/results/{own_id}{clothes}", headers=bearer(ACME)).body
            assert whole.get(f"/results/{own_id}{clothes}").status == 401
        packed = [whole.get(signed, headers={"Accept-Encoding": "gzip"}) for _ in range(2)]
        assert [(reply.word, reply.headers["content-encoding"]) for reply in packed] == [
            ("MISS", "gzip"),
            ("HIT", "gzip"),
        ]

        assert whole.get(f"/results/{own_id}", "DELETE", bearer(ZETA)).status == 204
        assert whole.get(signed).status == 200, "somebody else's deletion takes nothing away"
        assert whole.get(f"/results/{own_id}", "DELETE", bearer(ACME)).status == 204
        assert whole.get(signed).status == 404

    def test_a_wrong_tenant_is_answered_byte_by_byte_like_an_unknown_id(self, whole, upload):
        where = self.post(whole, ACME, upload).headers["content-location"]
        theirs = whole.get(where, headers=bearer(ZETA))
        unknown = whole.get(f"/results/{'0' * 64}", headers=bearer(ZETA))

        def without_chance(reply):
            request_id = json.loads(reply.body)["request_id"]
            headers = {name: value for name, value in reply.headers.items() if name not in ("date", "x-request-id")}
            return reply.status, headers, reply.body.replace(request_id.encode(), b"")

        assert theirs.status == 404
        assert without_chance(theirs) == without_chance(unknown)
        assert whole.get(where, headers=bearer(ACME)).status == 200

    def test_a_tenant_gets_nothing_of_anothers_reading(self, whole, upload):
        words = [self.post(whole, key, upload).word for key in (ACME, ZETA, ACME)]
        assert words == ["MISS", "MISS", "HIT"]

    def test_the_page_and_its_files_need_no_key(self, whole):
        page = whole.get("/").body.decode()
        scripts = re.findall(r'"(/static/[^"]+[.]js)"', page)
        assert scripts
        for path in scripts:
            assert [whole.get(path).status for _ in range(2)] == [200, 200]

    def test_the_edges_refusal_reads_like_the_gateways(self, whole):
        at_edge = whole.get(f"/results/{'0' * 64}")
        at_gateway = whole.get("/results/x", headers={})
        assert_refused(at_edge)
        assert at_gateway.status == 404
        document = json.loads(at_edge.body)
        assert (document["title"], document["detail"]) == (
            "API key needed",
            "Send an API key: `Authorization: Bearer <key>`, or `X-API-Key: <key>`.",
        )
