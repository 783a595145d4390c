"""``ocr-gateway purge`` beside a running gateway."""

from __future__ import annotations

import contextlib
import http.server
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from gateway.config import load_settings
from gateway.store import open_store
from tests.documents import draw_invoice
from tests.serving import Served, running

ROOT = Path(__file__).parents[2]
Purge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("purge")


@pytest.fixture(scope="module")
def served(data: Path) -> Iterator[Served]:
    with running("serve", data, log_level="WARNING") as up:
        yield up


@pytest.fixture
def purge(data: Path) -> Purge:
    def run(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway.cli", "purge", *arguments], input=answer, text=True, capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OCR_DATA_DIR": str(data)}, timeout=120,
        )  # fmt: skip

    return run


@pytest.fixture
def store(served: Served) -> Callable[[int], str]:
    """Has one line read; returns its id."""

    def read(number: int) -> str:
        line = draw_invoice(1).line(f"¥{number}.00")
        answer = requests.post(f"{served.url}/ocr", params={"layout": "line"}, data=line,
                               headers={"Content-Type": "image/png"})  # fmt: skip
        assert answer.headers["X-Cache-Status"] in ("MISS", "HIT")
        return answer.json()["id"]

    return read


def is_known(served: Served, result_id: str) -> bool:
    return requests.get(f"{served.url}/results/{result_id}").status_code == 200


def test_by_id_one_result_goes(served, store, purge):
    gone, stays = store(101), store(102)
    done = purge("--id", gone)
    assert (done.returncode, done.stdout) == (0, "1 deleted, 0 kept, 0 not there\n"), done.stderr
    assert (is_known(served, gone), is_known(served, stays)) == (False, True)


def test_a_dry_run_deletes_nothing(served, store, purge):
    result_id = store(103)
    assert "would be deleted" in purge("--all", "--dry-run").stdout
    assert is_known(served, result_id)


@pytest.mark.parametrize(("limit", "goes"), [("current", False), ("another", True), ("2020-01-01", False),
                                             ("2199-01-01", True), ("2199-01-01T08:00+08:00", True)])  # fmt: skip
def test_by_engine_or_date_the_older_readings_go(served, store, purge, limit, goes):
    result_id = store(104)
    done = purge("--engine-older-than", limit)
    assert done.returncode == 0, done.stderr
    assert is_known(served, result_id) is not goes


@pytest.mark.parametrize(
    "arguments",
    [
        ("--engine-older-than", "2020-13-45"),
        ("--engine-older-than", "a b"),
        ("--id", "short"),
        ("--all", "--yes", "--tenant", "a/b"),
        (),
        ("--all", "--id", "a" * 64),
    ],
)
def test_what_cannot_be_meant_is_refused(purge, arguments):
    done = purge(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_everything_goes_only_when_that_is_confirmed(served, store, purge):
    result_id = store(105)
    assert purge("--all", answer="all\n").returncode == 2, "nobody sits at a terminal"
    assert is_known(served, result_id)
    assert purge("--all", "--yes").returncode == 0
    assert not is_known(served, result_id)


def test_at_a_terminal_everything_goes_when_that_is_typed(served, store, data):
    for typed, goes in (("no", False), ("all", True)):
        result_id = store(108)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "purge", "--all"], stdin=theirs, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OCR_DATA_DIR": str(data)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.write(ours, typed.encode() + b"\n")
        _, errors = process.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert "Every stored result will be deleted" in errors
        assert (process.returncode, is_known(served, result_id)) == ((0, False) if goes else (2, True))


def test_what_a_tenant_has_goes_with_everything_or_by_itself(data, served, store, purge):
    stays = store(107)
    with contextlib.closing(open_store(load_settings(data_dir=data))) as opened:
        for tenant in ("acme", "closed-long-ago"):
            for number in range(3):
                opened.put(f"tenants/{tenant}/results/{number:064x}", b"{}", int(time.time()) + 60)
        assert purge("--all", "--yes", "--tenant", "acme").returncode == 0
        left = [key for key in opened.scan("tenants/") if "/results/" in key]
        assert {key.split("/")[1] for key in left} == {"closed-long-ago"}
        assert is_known(served, stays)
        assert purge("--id", f"{2:064x}").returncode == 0, "an id is found wherever it is"
        assert purge("--all", "--yes").returncode == 0
        assert [key for key in opened.scan("tenants/") if "/results/" in key] == []


def test_a_repeated_deletion_reaches_every_tenants_entries_at_the_edges(data, purge, monkeypatch):
    """The first one took the record away, so only the edges could still say whose it was."""
    asked = []

    class Edge(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.send_header("X-Cache-Status", "MISS")
            self.end_headers()

        do_HEAD = do_DELETE = answer

        def log_message(self, *arguments: object) -> None:
            pass

    result_id = f"{109:064x}"
    with contextlib.closing(open_store(load_settings(data_dir=data))) as opened:
        opened.put(f"tenants/acme/deletions/{result_id}", b"0", int(time.time()) + 60)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Edge) as edge:
        threading.Thread(target=edge.serve_forever, daemon=True).start()
        monkeypatch.setenv("OCR_EDGE_PURGE_URLS", f"http://127.0.0.1:{edge.server_address[1]}")
        done = purge("--id", result_id)
        edge.shutdown()
    assert (done.returncode, done.stdout) == (0, "0 deleted, 0 kept, 1 not there\n"), done.stderr
    assert {f"/purge/acme/{result_id}", f"/purge/{result_id}"} <= set(asked)


def test_an_edge_that_is_away_makes_it_a_failure_that_can_be_repeated(served, store, data, purge, monkeypatch):
    result_id = store(106)
    monkeypatch.setenv("OCR_EDGE_PURGE_URLS", "http://127.0.0.1:9")
    done = purge("--id", result_id)
    assert done.returncode == 1
    assert "repeat the command" in done.stderr
    monkeypatch.delenv("OCR_EDGE_PURGE_URLS")
    assert purge("--id", result_id).returncode == 0
    assert not is_known(served, result_id)
