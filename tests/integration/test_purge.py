"""``ocr-gateway purge`` beside a running gateway."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

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


@pytest.mark.parametrize("arguments", [("--engine-older-than", "2020-13-45"), ("--engine-older-than", "a b"),
                                       ("--id", "short"), (), ("--all", "--id", "a" * 64)])  # fmt: skip
def test_what_cannot_be_meant_is_refused(purge, arguments):
    done = purge(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_everything_goes_only_when_that_is_confirmed(served, store, purge):
    result_id = store(105)
    assert purge("--all", answer="all\n").returncode == 2, "nobody sits at a terminal"
    assert is_known(served, result_id)
    assert purge("--all", "--yes").returncode == 0
    assert not is_known(served, result_id)


def test_an_edge_that_is_away_makes_it_a_failure_that_can_be_repeated(served, store, data, purge, monkeypatch):
    result_id = store(106)
    monkeypatch.setenv("OCR_EDGE_PURGE_URLS", "http://127.0.0.1:9")
    done = purge("--id", result_id)
    assert done.returncode == 1
    assert "repeat the command" in done.stderr
    monkeypatch.delenv("OCR_EDGE_PURGE_URLS")
    assert purge("--id", result_id).returncode == 0
    assert not is_known(served, result_id)
