"""Key mode with the real gateway behind the edge: nothing of anybody is answered to anybody else."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import json
import re
import time

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.key_mode import ACME, LOOKUP, ZETA, assert_refused, bearer
from tests.serving import running

CLOTHES = ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"]


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
        deadline = time.monotonic() + 10
        while whole.get(signed).status == 404:  # from before; it is withdrawn in the background
            assert time.monotonic() < deadline

        # The 404 from before is withdrawn in the background.
        deadline = time.monotonic() + 10
        while whole.get(signed).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for clothes in CLOTHES:
            path = signed.replace("?", f"{clothes}?")
            replies = [whole.get(path) for _ in range(2)]
            assert [reply.status for reply in replies] == [200, 200], clothes
            keyed = whole.get(f"/results/{own_id}{clothes}", headers=bearer(ACME))
            assert (replies[1].word, keyed.word, keyed.body) == ("HIT", "HIT", replies[0].body)
            assert whole.get(f"/results/{own_id}{clothes}").status == 401
            packed = [whole.get(path, headers={"Accept-Encoding": "gzip"}) for _ in range(2)]
            assert packed[1].word == "HIT"
        assert whole.get(signed, headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"

        assert whole.get(f"/results/{own_id}", "DELETE", bearer(ZETA)).status == 204
        assert whole.get(signed).word == "HIT", "somebody else's deletion takes nothing away, at the edge either"
        assert whole.get(f"/results/{own_id}", "DELETE", bearer(ACME)).status == 204
        assert whole.get(signed).status == 404
        for clothes in CLOTHES:
            for coding in ("identity", "gzip"):
                headers = bearer(ACME) | {"Accept-Encoding": coding}
                assert whole.get(f"/results/{own_id}{clothes}", headers=headers).status == 404

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
