"""What goes over the wire to S3, where services differ: requests are caught before they are sent."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from gateway.config import Settings
from gateway.store.base import StoreError
from gateway.store.s3 import S3Store
from gateway.store.s3_service import connect, is_aliyun

FAR = 4_000_000_000
ALIYUN = "https://oss-cn-hangzhou.aliyuncs.com"


@pytest.fixture
def sent() -> list[Any]:
    return []


@pytest.fixture
def open_s3(sent: list[Any]) -> Callable[..., S3Store]:
    """A store whose every request is answered ``status`` here and kept in ``sent``."""

    def open_it(*, status: int = 200, swaps: bool = True, body: bytes = b"", **settings: Any) -> S3Store:
        chosen = Settings(s3_bucket="papers", s3_access_key="key", s3_secret_key="secret", **settings)
        client = connect(chosen)

        def answer(request: Any, **_: Any) -> AWSResponse:
            sent.append(request)
            raw = SimpleNamespace(stream=lambda **_: iter([body]), read=lambda *_: body)
            return AWSResponse(request.url, status, {"ETag": '"e"'}, raw)

        client.meta.events.register("before-send.s3", answer)
        return S3Store(client, "papers", chosen.s3_prefix, encryption=chosen.s3_encryption, swaps=swaps)

    return open_it


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://papers.s3.amazonaws.com/ocr/results/a"),
        ({"s3_region": "eu-west-1"}, "https://papers.s3.eu-west-1.amazonaws.com/ocr/results/a"),
        ({"s3_endpoint": ALIYUN, "s3_addressing": "virtual"},
         "https://papers.oss-cn-hangzhou.aliyuncs.com/ocr/results/a"),
        ({"s3_endpoint": "http://store:8333", "s3_addressing": "path"}, "http://store:8333/papers/ocr/results/a"),
        ({"s3_addressing": "path", "s3_prefix": ""}, "https://s3.amazonaws.com/papers/results/a"),
        ({"s3_prefix": "a/b/"}, "https://papers.s3.amazonaws.com/a/b/results/a"),
    ],
)
def test_the_address_follows_the_settings(open_s3: Callable, sent: list, settings: dict, url: str) -> None:
    open_s3(**settings).put("results/a", b"value", FAR)
    assert sent[0].url == url


def test_no_checksum_is_sent_unless_it_is_asked_for(open_s3: Callable, sent: list) -> None:
    open_s3().put("results/a", b"value", FAR)
    open_s3(s3_checksums="when_supported").put("results/a", b"value", FAR)
    flexible = [[name for name in request.headers if "checksum" in name.lower()] for request in sent]
    assert flexible[0] == []
    assert flexible[1] != []
    assert sent[0].headers.get("Content-Encoding") is None


@pytest.mark.parametrize(
    ("encryption", "header"), [("none", None), ("AES256", b"AES256"), ("aws:kms", b"aws:kms")]
)
def test_encryption_is_asked_for_on_every_write(
    open_s3: Callable, sent: list, encryption: str, header: bytes | None
) -> None:
    store = open_s3(s3_encryption=encryption)
    store.put("results/a", b"value", FAR)
    store.add("results/a", b"value", FAR)
    found = [request.headers.get("x-amz-server-side-encryption") for request in sent]
    assert [value.encode() if isinstance(value, str) else value for value in found] == [header, header]


def test_an_addition_is_conditional(open_s3: Callable, sent: list) -> None:
    assert open_s3().add("results/a", b"value", FAR) is True
    assert sent[0].headers["If-None-Match"] in ("*", b"*")


def test_an_addition_to_aliyun_speaks_its_own_words(open_s3: Callable, sent: list) -> None:
    store = open_s3(s3_endpoint=ALIYUN, s3_addressing="virtual", swaps=False)
    assert store.add("results/a", b"value", FAR) is True
    store.put("results/a", b"value", FAR)
    assert "If-None-Match" not in sent[0].headers
    assert sent[0].headers["x-oss-forbid-overwrite"] in ("true", b"true")
    assert "x-oss-forbid-overwrite" in str(sent[0].headers["Authorization"])
    assert "x-oss-forbid-overwrite" not in sent[1].headers


@pytest.mark.parametrize(
    ("endpoint", "aliyun"),
    [(None, False), (ALIYUN, True), ("https://oss-cn-hangzhou-internal.aliyuncs.com", True),
     ("https://aliyuncs.com.evil.example", False), ("http://store:8333", False)],
)
def test_aliyun_is_known_by_its_host(endpoint: str | None, aliyun: bool) -> None:
    assert is_aliyun(endpoint) is aliyun


def test_a_deletion_is_one_plain_request_a_key(open_s3: Callable, sent: list) -> None:
    open_s3(status=204).delete("results/a")
    assert [(request.method, request.url) for request in sent] == [
        ("DELETE", "https://papers.s3.amazonaws.com/ocr/results/a")
    ]


def test_a_failing_service_is_asked_twice_and_then_left_alone(
    open_s3: Callable, sent: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    store = open_s3(status=503)
    for _ in range(3):
        with pytest.raises(StoreError, match=r"^s3: "):
            store.get("results/a")
    assert len(sent) == 2


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (501, "NotImplemented")])
def test_a_refusal_is_not_repeated_and_leaves_the_service_in_use(
    open_s3: Callable, sent: list, status: int, code: str
) -> None:
    store = open_s3(status=status, body=f"<Error><Code>{code}</Code></Error>".encode())
    for _ in range(2):
        with pytest.raises(StoreError, match=f"^s3: add: answered {code}$"):
            store.add("results/a", b"value", FAR)
    assert len(sent) == 2


@pytest.mark.parametrize("body", [b"<html>a proxy's own page", b"\xff\xfe"])
def test_an_answer_that_is_not_s3_s_is_a_store_error(open_s3: Callable, body: bytes) -> None:
    store = open_s3(body=body)
    assert store.get("results/a") is None
    with pytest.raises(StoreError):
        list(store.scan(""))


def test_all_waiting_of_one_call_stays_within_the_time_out() -> None:
    config = connect(Settings(s3_bucket="papers", s3_timeout=4.0)).meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) == 4.0
