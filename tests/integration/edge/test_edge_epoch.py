"""One request makes an edge forget everything, whatever the size of its cache."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.purge import EdgePurger, PurgeFailed

RENDER = Path(__file__).resolve().parents[3] / "infra" / "nginx" / "render.py"


@pytest.fixture
def edge(start_edge, origin):
    return start_edge(f"127.0.0.1:{origin.port}")


def filled(edge, origin, packed, count: int) -> list[str]:
    addresses = [f"/results/{secrets.token_hex(32)}" for _ in range(count)]
    for address in addresses:
        origin.answers[address] = packed(b"secret" * 200)
        for coding in ("gzip", "identity"):
            words = [edge.get(address, headers={"Accept-Encoding": coding}).word for _ in range(2)]
            assert words == ["MISS", "HIT"]
    return addresses


def eventually(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_nothing_cached_before_is_answered_afterwards(edge, origin, packed):
    addresses = filled(edge, origin, packed, 20)
    for address in addresses:
        del origin.answers[address]
    EdgePurger([edge.admin]).purge_all()
    for address in addresses:
        for coding in ("gzip", "identity"):
            assert edge.get(address, headers={"Accept-Encoding": coding}).status == 404


def test_the_old_entries_leave_the_disk_too(edge, origin, packed):
    filled(edge, origin, packed, 20)
    cache = edge.folder / "state" / "cache"
    EdgePurger([edge.admin]).purge_all()
    assert eventually(lambda: not any(path.is_file() for path in cache.rglob("*")))


def test_a_new_entry_is_kept_and_can_be_purged_by_itself(edge, origin, packed, address, result_id):
    purger = EdgePurger([edge.admin])
    purger.purge_all()
    purger.purge_all()
    origin.answers[address] = packed(b"new" * 300)
    assert [edge.get(address).word for _ in range(2)] == ["MISS", "HIT"]
    del origin.answers[address]
    purger.purge(result_id)
    assert edge.get(address).status == 404


def test_an_answer_on_its_way_into_the_old_epoch_is_not_found_in_the_new_one(edge, origin, live, address, result_id):
    origin.answers[address] = live(b"read before")
    origin.answers[address].delay = 1.0
    late = []
    reader = threading.Thread(target=lambda: late.append(edge.get(address)))
    reader.start()
    assert eventually(lambda: origin.seen(result_id))
    del origin.answers[address]
    EdgePurger([edge.admin]).purge_all()
    reader.join()
    assert late[0].body == b"read before"
    assert edge.get(address).status == 404


def test_the_epoch_outlives_a_restart(start_edge, origin, packed, edge):
    (address,) = filled(edge, origin, packed, 1)
    EdgePurger([edge.admin]).purge_all()
    edge.process.terminate()
    edge.process.wait(10)
    state = edge.folder / "state"
    assert (state / "epoch").read_text() == "1\n"
    del origin.answers[address]
    after = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_DIR=str(state))
    assert after.get(address).status == 404


def test_settings_that_were_rendered_meanwhile_are_kept(edge, origin, answer):
    origin.answers["/ocr"] = answer(200, {}, b"read")
    kept = dict(line.split("=", 1) for line in (edge.folder / "conf" / "settings").read_text().splitlines())
    environment = kept | {"PATH": os.environ["PATH"], "OCR_EDGE_NAME": "renamed"}
    subprocess.run([sys.executable, RENDER, edge.folder / "conf"], env=environment, check=True, capture_output=True)
    EdgePurger([edge.admin]).purge_all()
    assert edge.get(f"/results/{secrets.token_hex(32)}").headers["cache-status"] == "renamed; fwd=uri-miss"


def test_look_ups_go_on_while_the_epoch_changes(edge, origin, packed):
    addresses = filled(edge, origin, packed, 4)
    stop = threading.Event()
    statuses: list[int] = []

    def look_up(which: int) -> None:
        while not stop.is_set():
            statuses.append(edge.get(addresses[which]).status)

    readers = [threading.Thread(target=look_up, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(3):
        EdgePurger([edge.admin]).purge_all()
    stop.set()
    for reader in readers:
        reader.join()
    assert set(statuses) == {200}


def test_who_is_not_on_the_allow_list_begins_no_epoch(start_edge, origin):
    edge = start_edge(f"127.0.0.1:{origin.port}", OCR_EDGE_PURGE_ALLOW="192.0.2.0/24")
    with pytest.raises(PurgeFailed):
        EdgePurger([edge.admin]).purge_all()
    assert edge.get("/epoch", "POST").status == 404  # not on the address that clients use


def test_the_control_process_ends_with_nginx(edge):
    (control,) = edge.processes(b"render.py")
    edge.process.terminate()
    edge.process.wait(10)
    assert eventually(lambda: not control.exists())
