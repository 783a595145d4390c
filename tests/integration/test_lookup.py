"""``ocr-gateway lookup`` against a real gateway: the file travels only when it must."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gateway.client import Client, ClientError
from tests.documents import draw_invoice
from tests.serving import running

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("serve", tmp_path_factory.mktemp("lookup"), log_level="WARNING") as served:
        yield served.url


@pytest.fixture
def look_up(url: str, tmp_path: Path):
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway.cli", "lookup", "--url", url, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


def test_an_unknown_file_stays_here_until_uploading_is_asked_for(look_up, tmp_path, url):
    invoice = draw_invoice(41)
    path = tmp_path / "invoice.png"
    path.write_bytes(invoice.png())
    first = look_up(path)
    assert (first.returncode, first.stdout) == (3, "")
    assert "0 known, 0 uploaded, 1 unknown" in first.stderr
    assert requests.get(f"{url}/stats").json()["recognitions"]["total"] == 0
    sent = look_up(path, "--upload")
    assert (sent.returncode, invoice.number in sent.stdout) == (0, True)
    assert "1 uploaded" in sent.stderr
    again = json.loads(look_up(path, "--upload", "--json").stdout)
    assert (again["known"], again["uploaded"], again["bytes_saved"]) == (True, False, path.stat().st_size)
    assert invoice.number in again["result"]["text"]


def test_one_file_s_trouble_is_not_the_next_one_s(look_up, tmp_path):
    good, bad = tmp_path / "line.png", tmp_path / "notes.txt"
    good.write_bytes(draw_invoice(1).line("价税合计 1280.00"))
    bad.write_text("hello")
    done = look_up(bad, tmp_path / "missing.png", good, "--upload", "--layout", "line")
    assert done.returncode == 1
    assert "1280.00" in done.stdout
    assert "missing.png: No such file" in done.stderr
    assert "notes.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_ids_can_be_printed_without_asking_anybody(look_up, tmp_path):
    path = tmp_path / "page.png"
    path.write_bytes(b"page")
    done = look_up("--id", path)
    assert done.stdout.split() == [hashlib.sha256(b"page").hexdigest(), str(path)]


def test_a_tenants_ids_are_not_printed_without_its_lookup_key(look_up, tmp_path, monkeypatch):
    path = tmp_path / "page.png"
    path.write_bytes(b"page")
    monkeypatch.setenv("OCR_CLIENT_API_KEY", "key")
    refused = look_up("--id", path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "OCR_CLIENT_LOOKUP_KEY" in refused.stderr
    monkeypatch.setenv("OCR_CLIENT_LOOKUP_KEY", "ab" * 32)
    expected = hmac.new(b"\xab" * 32, hashlib.sha256(b"page").digest(), hashlib.sha256).hexdigest()
    assert look_up("--id", path).stdout.split() == [expected, str(path)]


def test_empty_variables_are_unset_ones(look_up, tmp_path, monkeypatch):
    path = tmp_path / "page.png"
    path.write_bytes(b"page")
    monkeypatch.setenv("OCR_CLIENT_API_KEY", "")
    monkeypatch.setenv("OCR_CLIENT_LOOKUP_KEY", "")
    assert look_up("--id", path).stdout.split() == [hashlib.sha256(b"page").hexdigest(), str(path)]
    assert "1 unknown, 0 failed" in look_up(path).stderr


def test_a_file_named_in_another_encoding_is_answered_like_the_others(look_up, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as in a desktop's locale
    paths = [tmp_path / os.fsdecode("发票.png".encode("gbk")), tmp_path / "page.png"]
    for path in paths:
        path.write_bytes(b"page")
    assert [json.loads(line)["file"] for line in look_up("--json", *paths).stdout.splitlines()] == list(map(str, paths))
    named = look_up("--id", *paths)
    assert (named.returncode, len(named.stdout.splitlines())) == (0, 2)


def test_a_job_of_a_client_ends_with_its_result(url):
    invoice = draw_invoice(42)
    with Client(url) as client:
        answer = client.recognise(invoice.png(), job=True)
        assert answer.uploaded
        assert invoice.number in answer.result["text"]
        assert not client.recognise(invoice.png(), job=True).uploaded
        client.delete(answer.result["id"])
        assert client.look_up(invoice.png()) is None


def test_with_an_api_key_a_client_finds_its_own_documents_and_nobody_else_s(tmp_path):
    keys = tmp_path / "keys.json"

    def new_key(tenant: str) -> str:
        command = [sys.executable, "-m", "gateway.cli", "keys", "--file", str(keys), "new", tenant]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        return done.stdout.strip()

    acme, other = new_key("acme"), new_key("other")
    line = draw_invoice(1).line("价税合计 1280.00")
    with running("serve", tmp_path / "data", api_keys_file=keys, log_level="WARNING") as served:
        with Client(served.url, api_key=acme) as client:
            first = client.recognise(line, layout="line")
            assert first.uploaded
            assert first.result["id"] == client.fingerprint(line, layout="line").id
            assert not client.recognise(line, layout="line").uploaded
        with Client(served.url, api_key=other) as client:
            assert client.look_up(line, layout="line") is None
        with Client(served.url) as client, pytest.raises(ClientError) as caught:
            client.look_up(line, layout="line")
        assert caught.value.status == 401
