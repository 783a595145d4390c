"""``ocr-gateway purge`` reaches a real edge."""

from __future__ import annotations

import contextlib
import time

import pytest

from gateway.cli import main
from gateway.config import load_settings
from gateway.store import open_store


@pytest.fixture
def result(tmp_path, monkeypatch, edge, origin, live, address, result_id) -> str:
    """The id of a result that is in the store and at the edge; the gateway has it no more when it is asked next."""
    monkeypatch.setenv("OCR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("OCR_EDGE_PURGE_URLS", edge.admin)
    with contextlib.closing(open_store(load_settings())) as store:
        store.put(f"results/{result_id}", b"{}", int(time.time()) + 600)
    origin.answers[address] = live()
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "HIT"]
    del origin.answers[address]
    assert edge.get(address).status == 200
    return result_id


@pytest.mark.parametrize("which", ["--id", "--all"])
def test_what_is_purged_is_at_no_edge(edge, address, result, which, capsys):
    assert main(["purge", "--id", result] if which == "--id" else ["purge", "--all", "--yes"]) == 0
    assert edge.get(address).status == 404


def test_everything_is_forgotten_at_the_edge_even_what_the_store_has_lost(edge, address, result, tmp_path, monkeypatch):
    monkeypatch.setenv("OCR_DATA_DIR", str(tmp_path / "empty"))
    assert main(["purge", "--all", "--yes"]) == 0
    assert edge.get(address).status == 404


def test_a_dry_run_leaves_the_edge_as_it_is(edge, address, result):
    assert main(["purge", "--all", "--dry-run"]) == 0
    assert edge.get(address).word == "HIT"


def test_an_edge_without_its_controller_is_purged_result_by_result(
    edge, address, result, monkeypatch, unused_port, capsys
):
    def refuses(self, edge_url: str) -> bool:
        return False

    monkeypatch.setattr("gateway.purge.EdgePurger._new_epoch", refuses)
    assert main(["purge", "--all", "--yes"]) == 0
    assert edge.get(address).status == 404
