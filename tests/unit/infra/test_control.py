"""A changed file of keys reaches nginx, whatever gets in the way of that first: else a revoked key would go on."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from edge_config import control, settings, templates

OLD, NEW = "1" * 64, "2" * 64


class Ended(BaseException):
    """There is nothing more to look at."""


class Nginx:
    """One that takes up what it is told, or does not, as ``willing`` says for each time it is told."""

    def __init__(self, document, *willing: bool) -> None:
        self.behind = False
        self.told: list[set[str]] = []
        self._document = document
        self._willing = iter(willing)

    def reload(self) -> bool:
        self.told.append(set(json.loads(self._document.read_text())["digests"]))
        self.behind = not next(self._willing)
        return not self.behind


@pytest.fixture
def api_keys(tmp_path):
    return tmp_path / "api"


@pytest.fixture
def write(api_keys):
    def to(digest: str) -> None:
        api_keys.write_text(json.dumps({"tenants": {"acme": {"keys": [{"sha256": digest}]}}}))

    return to


@pytest.fixture
def conf(tmp_path, api_keys, write):
    """A rendered configuration that knows the key ``OLD``."""
    write(OLD)
    (tmp_path / "signing").write_text("ab" * 32)
    (tmp_path / "module.so").touch()
    module = str(tmp_path / "module.so")
    values = settings.load(
        {
            "OCR_EDGE_PURGE_MODULE": module,
            "OCR_EDGE_JS_MODULE": module,
            "OCR_EDGE_DIR": str(tmp_path / "state"),
            "OCR_EDGE_KEYS": "edge",
            "OCR_SIGNING_KEY_FILE": str(tmp_path / "signing"),
            "OCR_API_KEYS_FILE": str(api_keys),
        }
    )
    templates.render(tmp_path / "conf", values)
    return tmp_path / "conf"


@pytest.fixture
def watch(conf, monkeypatch, capsys):
    """``watch(nginx, *steps)``: a look after each of ``steps``; what was said."""

    def run(nginx: Nginx, *steps) -> str:
        left = iter(steps)

        def sleep(seconds: float) -> None:
            step = next(left, None)
            if step is None:
                raise Ended
            step()

        monkeypatch.setattr(control, "time", SimpleNamespace(sleep=sleep))
        with pytest.raises(Ended):
            control.watch_keys(conf, nginx, threading.Lock())
        return capsys.readouterr().err

    return run


def nothing() -> None:
    """Nothing happens."""


def test_nginx_is_told_of_a_change_once(conf, watch, write):
    nginx = Nginx(conf / "edge-keys.json", True)
    said = watch(nginx, nothing, lambda: write(NEW), nothing, nothing)
    assert nginx.told == [{NEW}]
    assert "read again" in said


def test_an_nginx_that_did_not_take_it_up_is_told_again(conf, watch, write):
    nginx = Nginx(conf / "edge-keys.json", False, False, True)
    said = watch(nginx, nothing, lambda: write(NEW), nothing, nothing, nothing)
    assert nginx.told == [{NEW}] * 3
    assert (said.count("the keys from before hold"), said.count("read again")) == (2, 1)


def test_what_could_not_be_written_is_written_when_it_can_be(conf, watch, write):
    nginx = Nginx(conf / "edge-keys.json", True)
    in_the_way = conf / f".edge-keys.json.{os.getpid()}"

    def fail() -> None:
        write(NEW)
        in_the_way.mkdir()

    said = watch(nginx, nothing, fail, nothing, in_the_way.rmdir, nothing)
    assert nginx.told == [{NEW}]
    assert "the keys from before hold: [Errno" in said


def test_what_could_not_be_read_is_read_when_it_can_be(conf, watch, write, api_keys, monkeypatch):
    nginx = Nginx(conf / "edge-keys.json", True)
    read = Path.read_bytes
    readable = True

    def read_bytes(path: Path) -> bytes:
        if path == api_keys and not readable:
            raise PermissionError(13, "Permission denied")
        return read(path)

    def replace(allowed: bool) -> None:
        nonlocal readable
        readable = allowed
        if allowed:
            api_keys.chmod(0o640)
        else:
            write(NEW)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    said = watch(nginx, nothing, lambda: replace(False), nothing, lambda: replace(True), nothing)
    assert nginx.told == [{NEW}]
    assert said.count("the keys from before hold: OCR_API_KEYS_FILE: cannot be read") == 1
