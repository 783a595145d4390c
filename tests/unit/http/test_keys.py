"""Key mode: nobody in without a key, nothing across tenants, nothing shared by a cache unasked."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest

from gateway.app import create_app
from gateway.http.authentication import EDGE_CACHE_CONTROL, OPEN
from gateway.identity import Options, result_id
from gateway.jobs import Jobs
from gateway.record import Match
from gateway.signing import Signer
from gateway.tenants import Tenants, key_digest
from tests.doubles import build_services, draw_invoice

ACME, ZETA, OPERATOR = "ocr_acme-key", "ocr_zeta-key", "ocr_operator-key"
LOOKUP = {"acme": "a1" * 32, "zeta": "b2" * 32}
REQUEST_ID = {"X-Request-ID": "same"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.json"
    keys = {"acme": ACME, "zeta": ZETA}
    entries = {name: {"lookup_key": LOOKUP[name], "keys": [{"sha256": key_digest(keys[name])}]} for name in keys}
    path.write_text(json.dumps({"tenants": entries, "operators": [{"sha256": key_digest(OPERATOR)}]}))
    path.chmod(0o600)
    return path


@pytest.fixture
def keyed(parts, gateway, store, keys_file):
    services = build_services(gateway, Tenants(keys_file))
    jobs = Jobs(gateway.service, store, workers=2, limit=4, lease=60, service_named=services.named)
    yield replace(parts, services=services, jobs=jobs, signer=Signer((b"s" * 32,), 900))
    jobs.close()
    services.close()


@pytest.fixture
def client(keyed):
    return create_app(keyed.settings, keyed).test_client()


@pytest.fixture
def post(client):
    """``post(key, upload)``: the answer to a recognition."""

    def send(key: str, upload: bytes, address: str = "/ocr"):
        return client.post(address, data=upload, content_type="image/png", headers=bearer(key))

    return send


@pytest.fixture
def address(post, invoice) -> str:
    """Where acme's result is."""
    return post(ACME, invoice.encoded()).headers["Content-Location"]


CLOTHES = ["", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"]


class TestGettingIn:
    def test_every_address_but_the_open_ones_needs_a_key(self, client, assert_problem):
        refused = set()
        for rule in client.application.url_map.iter_rules():
            path = rule.rule.replace("<result_id>", "0" * 64).replace("<job_id>", "j" * 22)
            path = path.replace("<path:name>", "app.js")
            for method in rule.methods - {"OPTIONS"}:
                with client.open(path, method=method) as answer:
                    if rule.endpoint in OPEN:
                        assert answer.status_code != 401
                    else:
                        assert answer.status_code == 401
                        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="ocr-gateway"'
                        refused.add(path)
        assert len(refused) >= 11
        assert_problem(client.get("/account"), 401, "unauthorized")

    def test_the_page_and_all_that_it_names_need_none(self, client):
        """It is where a key is typed in."""
        named = {match for path in ("/", "/docs") for match in re.findall(r'"(/static/[^"]+)"', client.get(path).text)}
        assert len(named) >= 3
        assert {path: client.get(path).status_code for path in named} == dict.fromkeys(named, 200)

    @pytest.mark.parametrize("headers", [bearer(ACME), {"X-API-Key": ACME}, {"Authorization": f"bearer  {ACME}"}])
    def test_a_key_is_taken_from_either_header(self, client, headers):
        assert client.get("/account", headers=headers).json == {"tenant": "acme", "lookup_key": LOOKUP["acme"]}

    @pytest.mark.parametrize(
        "headers",
        [
            bearer("wrong"),
            bearer(""),
            bearer(ACME + "x"),
            bearer(ACME[:-1]),
            bearer(ACME.upper()),
            bearer(key_digest(ACME)),
            bearer("x" * 5000),
            {"Authorization": f"Basic {ACME}"},
            {"Authorization": ACME},
            {"X-API-Key": ""},
            {"X-API-Key": f"Bearer {ACME}"},
            {"X-API-Key": "\xe9"},
        ],
    )
    def test_a_wrong_key_is_refused(self, client, assert_problem, headers):
        answer = client.get("/account", headers=headers)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')
        assert answer.headers["X-Accel-Expires"] == "0"

    def test_two_keys_are_one_too_many(self, client, assert_problem):
        assert_problem(client.get("/account", headers=bearer(ACME) | {"X-API-Key": ZETA}), 400)
        assert_problem(client.get("/account", headers=[("X-API-Key", ACME), ("X-API-Key", ZETA)]), 401)

    @pytest.mark.parametrize("path", ["/metrics", "/stats"])
    def test_figures_over_all_tenants_are_the_operators(self, client, assert_problem, path):
        assert client.get(path, headers=bearer(OPERATOR)).status_code == 200
        assert_problem(client.get(path, headers=bearer(ACME)), 403, "forbidden")

    @pytest.mark.parametrize("path", ["/account", "/results/" + "0" * 64, "/jobs/" + "j" * 22])
    def test_an_operator_sees_no_documents(self, client, assert_problem, path):
        assert_problem(client.get(path, headers=bearer(OPERATOR)), 403, "forbidden")

    def test_health_does_not_count_anybodys_documents(self, client, address):
        assert client.get("/readyz").json["index"] == {"loaded": True}
        text = client.get("/metrics", headers=bearer(OPERATOR)).text
        assert "ocr_index_entries 1.0" in text
        assert "acme" not in text

    def test_without_a_file_nobody_needs_a_key(self, parts):
        client = create_app(parts.settings, parts).test_client()
        assert client.get("/account").json == {"tenant": None, "lookup_key": None}
        assert client.get("/account", headers=bearer("any")).status_code == 200

    def test_a_refused_upload_is_not_read(self, client, gateway, invoice):
        assert client.post("/ocr", data=invoice.encoded(), content_type="image/png").status_code == 401
        assert gateway.reader.reads == 0

    def test_no_key_is_logged(self, client, post, invoice, caplog):
        caplog.set_level("DEBUG")
        post(ACME, invoice.encoded())
        post("ocr_not-a-key", invoice.encoded())
        client.get(f"/results/{'0' * 64}?tenant=acme&expires=1&signature=5ec2e7")
        for secret in (ACME, "ocr_not-a-key", LOOKUP["acme"], key_digest(ACME), "5ec2e7"):
            assert secret not in caplog.text


class TestApart:
    def test_an_id_is_what_the_device_computes(self, post, invoice):
        digest = hashlib.sha256(invoice.encoded()).digest()
        for key, tenant in ((ACME, "acme"), (ZETA, "zeta")):
            expected = hmac.new(bytes.fromhex(LOOKUP[tenant]), digest, hashlib.sha256).hexdigest()
            assert post(key, invoice.encoded()).json["id"] == expected

    def test_the_same_file_is_read_for_each_tenant(self, gateway, post, invoice):
        words = [post(key, invoice.encoded()).headers["X-Cache-Status"] for key in (ACME, ZETA, ACME, ZETA)]
        assert words == ["MISS", "MISS", "HIT", "HIT"]
        assert gateway.reader.reads == 2

    @pytest.mark.parametrize(
        ("file_format", "options", "kind"),
        [("PNG", {"compress_level": 1}, "pixels"), ("WEBP", {"quality": 90}, "near")],
    )
    def test_a_look_alike_is_a_hit_for_its_own_tenant_only(self, post, invoice, gateway, file_format, options, kind):
        alike = invoice.encoded(file_format, **options)
        post(ACME, invoice.encoded())
        own = post(ACME, alike)
        assert (own.headers["X-Cache-Status"], own.json["match"]["kind"]) == ("HIT", kind)
        other = post(ZETA, alike)
        assert (other.headers["X-Cache-Status"], other.json["match"]["kind"]) == ("MISS", "none")

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("clothes", CLOTHES)
    def test_anothers_id_is_answered_like_an_unknown_one(self, client, address, method, clothes):
        headers = bearer(ZETA) | REQUEST_ID
        theirs = client.open(address + clothes, method=method, headers=headers)
        unknown = client.open(f"/results/{'0' * 64}{clothes}", method=method, headers=headers)
        assert theirs.status_code == unknown.status_code == 404
        assert theirs.data == unknown.data
        assert list(theirs.headers) == list(unknown.headers)
        assert client.get(address + clothes, headers=bearer(ACME)).status_code == 200

    def test_no_address_that_names_a_result_answers_another_tenant(self, client, address):
        """Whatever is added to the map of addresses later, too."""
        rules = [rule for rule in client.application.url_map.iter_rules() if "<result_id>" in rule.rule]
        assert len(rules) >= len(CLOTHES) + 1
        for rule in rules:
            path = rule.rule.replace("<result_id>", address.removeprefix("/results/"))
            for method in rule.methods & {"GET", "HEAD", "POST", "PUT", "PATCH"}:
                assert client.open(path, method=method, headers=bearer(ZETA)).status_code == 404, (method, path)
                assert client.open(path, method=method, headers=bearer(ACME)).status_code == 200, (method, path)

    def test_anothers_id_asks_the_store_what_an_unknown_one_asks(self, client, address, store, monkeypatch):
        """The same time, because it is the same work: one look for a key that is not there."""
        asked = []
        get = store.get
        monkeypatch.setattr(store, "get", lambda key: asked.append(key) or get(key))
        for path in (address, "/results/" + "0" * 64):
            assert client.get(path, headers=bearer(ZETA)).status_code == 404
        assert asked == [f"tenants/zeta{path}" for path in (address, "/results/" + "0" * 64)]

    def test_nobody_deletes_anothers_result(self, client, address):
        theirs = client.delete(address, headers=bearer(ZETA) | REQUEST_ID)
        unknown = client.delete("/results/" + "0" * 64, headers=bearer(ZETA) | REQUEST_ID)
        assert (theirs.status_code, theirs.data) == (unknown.status_code, unknown.data) == (204, b"")
        assert list(theirs.headers) == list(unknown.headers)
        assert client.get(address, headers=bearer(ACME)).status_code == 200
        assert client.delete(address, headers=bearer(ACME)).status_code == 204
        assert client.get(address, headers=bearer(ACME)).status_code == 404

    def test_anothers_deletion_does_not_keep_a_reading_from_being_stored(self, client, gateway, post, invoice):
        wanted = result_id(invoice.encoded(), Options(), bytes.fromhex(LOOKUP["acme"]))
        gateway.reader.on_read = lambda: client.delete(f"/results/{wanted}", headers=bearer(ZETA))
        assert "stored" in post(ACME, invoice.encoded()).headers["Cache-Status"]
        assert client.get(f"/results/{wanted}", headers=bearer(ACME)).status_code == 200

    def test_anothers_job_is_answered_like_an_unknown_one(self, client, invoice):
        accepted = client.post(
            "/ocr",
            data=invoice.encoded(),
            content_type="image/png",
            headers=bearer(ACME) | {"Prefer": "respond-async"},
        )
        where = accepted.headers["Location"]
        assert "acme" not in where
        theirs = client.get(where, headers=bearer(ZETA) | REQUEST_ID)
        unknown = client.get("/jobs/" + "j" * 22, headers=bearer(ZETA) | REQUEST_ID)
        assert (theirs.status_code, theirs.data) == (unknown.status_code, unknown.data)
        assert theirs.status_code == 404
        deadline = time.monotonic() + 10
        while (answer := client.get(where, headers=bearer(ACME))).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answer.status_code == 303
        assert client.get(answer.headers["Location"], headers=bearer(ACME)).json["text"]
        assert client.get(answer.headers["Location"], headers=bearer(ZETA)).status_code == 404

    def test_what_is_stored_has_its_tenants_name_on_every_key(self, store, address, post):
        keys = list(store.scan(""))
        assert {key.split("/")[2] for key in keys} == {"results", "proofs", "thumbnails", "pixels", "index"}
        assert all(key.startswith("tenants/acme/") for key in keys)

    def test_what_open_mode_stored_is_out_of_reach(self, client, gateway, invoice):
        outcome = gateway.service.recognise(invoice.encoded(), Options())
        assert client.get(f"/results/{outcome.record.id}", headers=bearer(ACME)).status_code == 404

    def test_a_copys_source_is_its_own_tenants(self, post, invoice, keyed):
        for key in (ZETA, ACME):
            post(key, invoice.encoded())
        copy = post(ACME, invoice.encoded(compress_level=1)).json
        assert copy["match"]["source"] == result_id(invoice.encoded(), Options(), bytes.fromhex(LOOKUP["acme"]))

    def test_a_new_lookup_key_takes_force_without_a_restart(self, keyed, keys_file, invoice):
        services = keyed.services
        before = services.of(services.tenants.named("acme")).identify(invoice.encoded(), Options())
        contents = json.loads(keys_file.read_text())
        contents["tenants"]["acme"]["lookup_key"] = "c3" * 32
        keys_file.write_text(json.dumps(contents))
        services.tenants._look_after = 0.0
        after = services.of(services.tenants.named("acme")).identify(invoice.encoded(), Options())
        assert before != after == result_id(invoice.encoded(), Options(), bytes.fromhex("c3" * 32))

    def test_no_two_tenants_share_a_reading_under_way(self, gateway, keyed, invoice):
        seen = []
        services = {name: keyed.services.named(name) for name in LOOKUP}

        def while_reading() -> None:
            gateway.reader.on_read = lambda: None
            seen.append(services["zeta"].recognise(invoice.encoded(), Options()))

        gateway.reader.on_read = while_reading
        first = services["acme"].recognise(invoice.encoded(), Options())
        assert not first.collapsed and not seen[0].collapsed
        assert (first.word, seen[0].word) == ("MISS", "MISS")
        assert first.match == Match("none", first.record.id)


class TestCaching:
    @pytest.mark.parametrize("clothes", CLOTHES)
    def test_an_answer_to_a_key_is_private(self, client, address, clothes):
        answer = client.get(address + clothes, headers=bearer(ACME))
        assert answer.headers["Cache-Control"] == "private"
        assert answer.headers["X-Accel-Expires"] == "0", "nginx believes it over Cache-Control"
        assert EDGE_CACHE_CONTROL not in answer.headers
        assert {"Authorization", "X-API-Key"} <= set(answer.vary)

    def test_a_known_entity_tag_says_so_too(self, client, address):
        tag = client.get(address, headers=bearer(ACME)).headers["ETag"]
        again = client.get(address, headers=bearer(ACME) | {"If-None-Match": tag})
        assert (again.status_code, again.headers["Cache-Control"]) == (304, "private")

    def test_uploads_are_still_not_stored_anywhere(self, post, invoice):
        assert post(ACME, invoice.encoded()).headers["Cache-Control"] == "no-store"

    def test_open_mode_is_as_it_was(self, parts, invoice):
        client = create_app(parts.settings, parts).test_client()
        where = client.post("/ocr", data=invoice.encoded(), content_type="image/png").headers["Content-Location"]
        answer = client.get(where, headers=bearer("any"))
        assert answer.headers["Cache-Control"].startswith("public")
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "Link" not in answer.headers


class TestSignedLinks:
    @pytest.fixture
    def link(self, post, invoice) -> str:
        return self.of(post(ACME, invoice.encoded()))

    @staticmethod
    def of(answer) -> str:
        where, relation = answer.headers["Link"].split("; ")
        assert relation == 'rel="duplicate"'
        return where.removeprefix("<").removesuffix(">")

    @pytest.mark.parametrize("clothes", CLOTHES)
    def test_it_opens_every_rendering_without_a_key(self, client, address, link, clothes):
        by_key = client.get(address + clothes, headers=bearer(ACME))
        by_link = client.get(link.replace("?", f"{clothes}?"))
        assert (by_link.status_code, by_link.data) == (200, by_key.data)
        assert by_link.headers["ETag"] == by_key.headers["ETag"]

    def test_a_look_up_offers_one_too_and_a_link_does_not_renew_itself(self, client, address, link):
        assert self.of(client.get(address, headers=bearer(ACME))).startswith(address)
        assert "Link" not in client.get(link).headers

    def test_it_may_be_kept_by_an_edge_that_checks_it_and_by_no_other_cache(self, client, address, link):
        answer = client.get(link)
        assert answer.headers["Cache-Control"] == "private"
        assert answer.headers[EDGE_CACHE_CONTROL] == "public"
        assert "X-Accel-Expires" not in answer.headers
        ends = [
            parsedate_to_datetime(each.headers["Expires"])
            for each in (answer, client.get(address, headers=bearer(ACME)))
        ]
        assert (ends[1] - ends[0]).total_seconds() == 1, "nginx answers through the second it is given"

    @pytest.mark.parametrize(
        "broken",
        [
            lambda link: link.replace("tenant=acme", "tenant=zeta"),
            lambda link: link.replace("expires=1", "expires=2"),
            lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"),
            lambda link: link.upper().replace("/RESULTS", "/results").replace("?TENANT", "?tenant"),
            lambda link: link + "&tenant=acme",
            lambda link: link.partition("&")[0],
            lambda link: link.replace(link[9:73], "0" * 64),
            lambda link: link.replace("?", "-0a1b2c3d?"),
        ],
    )
    def test_nothing_else_does(self, client, assert_problem, link, broken):
        assert_problem(client.get(broken(link)), 401, "unauthorized")

    def test_it_ends(self, client, link, monkeypatch, assert_problem):
        later = time.time() + 901
        monkeypatch.setattr("gateway.http.authentication.time.time", lambda: later)
        assert_problem(client.get(link), 401, "unauthorized")

    def test_it_deletes_nothing(self, client, link, assert_problem):
        assert_problem(client.delete(link), 401, "unauthorized")
        assert client.get(link).status_code == 200

    def test_a_wrong_key_is_not_made_good_by_it(self, client, link):
        assert client.get(link, headers=bearer("wrong")).status_code == 401

    def test_a_deleted_result_is_gone_for_it(self, client, address, link):
        client.delete(address, headers=bearer(ACME))
        assert client.get(link).status_code == 404

    def test_without_a_signing_key_there_is_none(self, keyed, invoice, link, assert_problem):
        plain = replace(keyed, signer=None)
        client = create_app(plain.settings, plain).test_client()
        answer = client.post("/ocr", data=invoice.encoded(), content_type="image/png", headers=bearer(ACME))
        assert (answer.status_code, "Link" in answer.headers) == (200, False)
        assert_problem(client.get(link), 401, "unauthorized")


def test_pages_of_other_origins_may_send_a_key(keyed):
    settings = keyed.settings.model_copy(update={"cors_origins": ("https://erp.example",)})
    client = create_app(settings, keyed).test_client()
    origin = {"Origin": "https://erp.example"}
    preflight = client.options(
        "/results/" + "0" * 64, headers=origin | {"Access-Control-Request-Headers": "authorization"}
    )
    assert preflight.status_code == 200
    assert {"Authorization", "X-API-Key"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    refused = client.get("/account", headers=origin)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "https://erp.example"
    assert "WWW-Authenticate" in refused.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in refused.headers


def test_the_description_names_the_schemes(client):
    document = client.get("/openapi.json").json
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["api_key"]["in"], schemes["api_key"]["name"]) == ("header", "X-API-Key")
    assert {"bearer": []} in document["security"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters" and path not in ("/healthz", "/readyz"):
                assert "401" in operation["responses"], (method, path)


def test_an_unknown_document_is_read_for_a_tenant(post, gateway):
    drawing = gateway.reader.knows(draw_invoice(7))
    assert post(ZETA, drawing.encoded()).json["text"]
