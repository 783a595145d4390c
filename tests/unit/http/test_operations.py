"""Health, metrics, the description of the API, and what every answer carries."""

from __future__ import annotations

import json
import logging
import re
from functools import reduce
from operator import getitem
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import logs, server
from gateway.app import create_app
from gateway.config import load_settings
from gateway.http.problem import early_problem, kinds

INFRA = Path(__file__).parents[3] / "infra"


def test_alive_asks_nobody(client, store):
    store.close()
    assert client.get("/healthz").json == {"status": "alive"}


def test_ready_names_its_parts(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json["stores"] == {"sqlite": "ok"}
    assert answer.json["degraded"] == []


def test_without_a_reader_it_is_not_ready(client, gateway, monkeypatch):
    monkeypatch.setattr(gateway.readings, "ready", lambda: False)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["reader"]) == (503, "not ready")


def test_stats_give_hit_rates_by_word_and_tier(client, invoice):
    for _ in range(4):
        client.post("/ocr", data=invoice.encoded(), content_type="image/png")
    stats = client.get("/stats").json
    assert stats["recognitions"]["by_word"] == {
        "HIT": {"count": 3, "rate": 0.75},
        "PARTIAL": {"count": 0, "rate": 0.0},
        "MISS": {"count": 1, "rate": 0.25},
    }
    assert stats["recognitions"]["by_detail"]["sqlite"]["count"] == 3
    assert stats["readings"]["count"] == 1


def test_metrics_are_in_the_prometheus_format(client, invoice):
    client.post("/ocr", data=invoice.encoded(), content_type="image/png")
    text = client.get("/metrics").text
    assert 'ocr_answers_total{detail="reading",word="MISS"} 1.0' in text
    assert re.search(r'ocr_request_seconds_count\{method="POST",route="/ocr",status="200"\} 1.0', text)


def test_invented_methods_make_no_new_metrics(client):
    for number in range(5):
        client.open("/ocr", method=f"M{number}")
    text = client.get("/metrics").text
    assert re.search(r'ocr_request_seconds_count\{method="other",route="\(none\)",status="405"\} 5.0', text)
    assert 'method="M' not in text


class _Seldom:
    """A reader that is ready when asked for the tenth time; nothing else may be asked."""

    def __init__(self) -> None:
        self.readings = self
        self.asked = 0

    def ready(self) -> bool:
        self.asked += 1
        return self.asked >= 10


def test_until_it_is_ready_only_the_reader_is_asked_and_ever_more_seldom(monkeypatch, capsys):
    pauses: list[float] = []
    monkeypatch.setattr(server, "time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setattr(server, "threading", SimpleNamespace(Thread=lambda target, **_: SimpleNamespace(start=target)))
    listener = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 80))
    application = SimpleNamespace(extensions={"parts": _Seldom()})
    server._announce_when_ready(SimpleNamespace(age=1, wsgi=application, sockets=[listener]))
    assert capsys.readouterr().out == "ready on http://127.0.0.1:80\n"
    assert pauses == sorted(pauses)
    assert len(pauses) == 9
    assert pauses[0] < 0.1
    assert pauses[-1] == 1


@pytest.mark.parametrize("level", ["DEBUG", "ERROR"])
def test_libraries_that_carry_documents_do_not_speak_of_them(level):
    carriers = ("boto3", "botocore.endpoint", "dramatiq.worker", "s3transfer", "urllib3.connectionpool", "PIL.Image")
    before = {name: logging.getLogger(name).level for name in logs.CARRIERS}
    try:
        logs.configure(level)
        for name in carriers:
            logger = logging.getLogger(name)
            assert not logger.isEnabledFor(logging.INFO)
            assert logger.isEnabledFor(logging.WARNING) == (level == "DEBUG")
    finally:
        for name, was in before.items():
            logging.getLogger(name).setLevel(was)


def test_the_description_is_valid_openapi(client):
    assert list(OpenAPIV31SpecValidator(client.get("/openapi.json").json).iter_errors()) == []


def test_every_address_is_described_and_every_described_address_exists(client):
    described = {
        (path, method.upper())
        for path, item in client.get("/openapi.json").json["paths"].items()
        for method in item
        if method != "parameters"
    }
    routed = {
        (
            re.sub(
                r"<(?:\w+:)?(\w+)>",
                lambda name: "{" + name[1].replace("result_id", "id").replace("job_id", "job") + "}",
                rule.rule,
            ),
            method,
        )
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    pages = ("/", "/docs", "/openapi.json", "/static/{name}", "/static/{digest}/{name}")
    for_people = {(address, "GET") for address in pages}
    assert described == routed - for_people


def test_a_real_answer_fits_its_description(client, invoice):
    document = client.get("/openapi.json").json
    answer = client.post("/ocr", data=invoice.encoded(), content_type="image/png").json
    schema = {"$ref": "#/components/schemas/Result", "components": document["components"]}
    assert list(Draft202012Validator(schema).iter_errors(answer)) == []


def test_answers_of_every_kind_are_as_described(client, invoice):
    document = client.get("/openapi.json").json

    def resolved(node):
        while "$ref" in node:
            node = reduce(getitem, node["$ref"].removeprefix("#/").split("/"), document)
        return node

    def fits(method, address, path="", **request):
        answer = client.open(address, method=method, **request)
        described = document["paths"][path or address.partition("?")[0]][method.lower()]["responses"]
        content = resolved(described[str(answer.status_code)])["content"]
        assert answer.mimetype in content, (address, answer.status_code, answer.mimetype)
        if answer.is_json:
            schema = content[answer.mimetype]["schema"] | {"components": document["components"]}
            assert list(Draft202012Validator(schema).iter_errors(answer.json)) == []
        return answer

    image = {"data": invoice.encoded(), "content_type": "image/png"}
    for address in ("/ocr", "/api/ocr", "/ocr/predict"):
        for clothes in ("json", "text", "csv", "hocr"):
            assert fits("POST", f"{address}?format={clothes}", **image).status_code == 200
        assert fits("POST", f"{address}?format=xml", **image).status_code == 400
    assert fits("POST", "/preview", **image).status_code == 200
    accepted = fits("POST", "/ocr", **image, headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202
    while (job := fits("GET", accepted.headers["Location"], "/jobs/{job}")).status_code == 200:
        assert job.json["status"] in ("queued", "running")
    for clothes in ("", "/text", "/lines.csv", "/hocr", "/thumbnail.webp"):
        assert fits("GET", job.headers["Location"] + clothes, "/results/{id}" + clothes).status_code == 200
        assert fits("GET", "/results/none" + clothes, "/results/{id}" + clothes).status_code == 404
    for address in ("/healthz", "/readyz", "/metrics", "/stats", "/account"):
        assert fits("GET", address).status_code == 200


def test_the_example_of_an_answer_fits_the_description_and_is_shown(client):
    document = client.get("/openapi.json").json
    example = document["components"]["schemas"]["Result"]["examples"][0]
    schema = {"$ref": "#/components/schemas/Result", "components": document["components"]}
    Draft202012Validator(schema).validate(example)
    assert example["lines"][0]["text"] in client.get("/docs").text


def test_the_problem_types_lead_to_their_explanations(client):
    docs = client.get("/docs").text
    for slug in ("bad-request", "broken-image", "store-unavailable", "precondition-failed", "internal-error"):
        assert f'id="{slug}"' in docs


def test_the_edge_calls_its_problems_by_names_that_are_explained():
    explained = {(slug, title) for slug, _, title, _ in kinds()}
    of_the_edge = (INFRA / "nginx" / "http" / "problems.conf").read_text("utf-8")
    slugs, titles = (
        dict(re.findall(r'^    (\w+) "?([^";]+)"?;$', block, re.MULTILINE))
        for block in re.findall(r"map \$status \$problem_(?:slug|title) \{(.*?)\}", of_the_edge, re.DOTALL)
    )
    assert len(slugs) > 15
    assert {(slugs[status], titles[status]) for status in slugs} <= explained


@pytest.mark.parametrize("status", [400, 404, 405, 413, 414, 431])
def test_gateway_and_edge_name_the_same_error_alike(status):
    of_the_edge = (INFRA / "nginx" / "http" / "problems.conf").read_text("utf-8")
    document = early_problem(status)
    assert f"    {status} {document['type'].removeprefix('/docs#')};" in of_the_edge
    assert f'    {status} "{document["title"]}";' in of_the_edge


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_run_nothing_that_is_not_their_own(client, path):
    with client.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "default-src 'none'" in policy


def test_every_answer_has_a_request_id_and_keeps_a_harmless_one(client):
    assert client.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert client.get("/healthz", headers={"X-Request-ID": "a b\x7f<"}).headers["X-Request-ID"] != "a b\x7f<"
    assert client.get("/nowhere").json["request_id"]


class TestOrigins:
    def test_none_is_allowed_by_default(self, client):
        answer = client.get("/healthz", headers={"Origin": "https://erp.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers

    def test_the_configured_ones_are(self, parts):
        settings = load_settings(cors_origins=("https://erp.example",))
        client = create_app(settings, parts).test_client()
        allowed = client.options("/ocr", headers={"Origin": "https://erp.example"})
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://erp.example"
        assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
        sent = allowed.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"Prefer", "If-Match", "If-Unmodified-Since", "X-API-Key", "X-Request-ID"} <= set(sent), "what is heeded"
        seen = allowed.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Retry-After", "Location", "X-Request-ID", "X-Cache-Status"} <= set(seen), "what a page has to act on"
        other = client.get("/healthz", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
        assert "Origin" in other.headers["Vary"]


def test_the_description_is_one_readable_file():
    from importlib.resources import files

    text = (files("gateway.http") / "openapi.json").read_text("utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=1) + "\n"
