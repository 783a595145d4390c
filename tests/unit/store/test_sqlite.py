"""What is particular to the embedded store; what it shares with the others is in the table of behaviours."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.store.base import Entry, StoreError
from gateway.store.sqlite import _SCAN, _SWEEP, _SWEEP_ROWS, DamagedStore, SQLiteStore

FAR = 4_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path)
    yield store
    store.close()


def run(code: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)


def test_only_the_owner_may_read_what_it_creates(store: SQLiteStore, path: Path) -> None:
    store.put("results/a", b"value", FAR)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.sqlite3", "store.sqlite3-shm", "store.sqlite3-wal"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_entries_outlive_the_process_that_wrote_them(store: SQLiteStore, path: Path) -> None:
    store.put("results/a", b"value", FAR)
    store.close()
    reopened = SQLiteStore(path)
    assert reopened.get("results/a") == Entry(b"value", FAR, "sqlite")
    reopened.close()


WRITER = """
import sys
from pathlib import Path
from gateway.store.sqlite import SQLiteStore
store = SQLiteStore(Path(sys.argv[1]))
number = 0
while True:
    store.put(f"results/{number}", bytes([number % 256]) * 20_000, 4_000_000_000)
    print(number, flush=True)
    number += 1
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(path: Path) -> None:
    writer = run(WRITER, path)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(200)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().splitlines()]
    writer.stdout.close()
    writer.wait(10)
    store = SQLiteStore(path)
    store.check()
    lost = [
        number for number in acknowledged
        if store.get(f"results/{number}") != Entry(bytes([number % 256]) * 20_000, FAR, "sqlite")
    ]
    store.close()
    assert lost == []


def test_threads_and_processes_may_create_it_at_the_same_time(path: Path) -> None:
    creator = (
        "import sys; from pathlib import Path; from gateway.store.sqlite import SQLiteStore;"
        "store = SQLiteStore(Path(sys.argv[1])); store.put('results/a', b'value', 4_000_000_000); store.close()"
    )
    processes = [run(creator, path) for _ in range(3)]
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: SQLiteStore(path), range(8)))
    for process in processes:
        process.communicate(timeout=30)
        assert process.returncode == 0
    for store in stores:
        assert store.get("results/a") is not None
        store.close()


def test_other_processes_see_what_was_written(store: SQLiteStore, path: Path) -> None:
    store.put("results/a", b"value", FAR)
    reader = (
        "import sys; from pathlib import Path; from gateway.store.sqlite import SQLiteStore;"
        "print(SQLiteStore(Path(sys.argv[1])).get('results/a').value.decode())"
    )
    assert run(reader, path).communicate(timeout=30)[0] == "value\n"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(store: SQLiteStore) -> None:
    store.put("results/parent", b"value", FAR)
    inherited = list(store._idle)
    child = os.fork()
    if child == 0:
        try:
            store.put("results/child", b"value", FAR)
            os._exit(0 if store.get("results/parent") and not set(inherited) & set(store._idle) else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.get("results/child") is not None


def test_there_are_as_many_connections_as_threads_overlapped_and_no_threads_of_its_own(store: SQLiteStore) -> None:
    threads = threading.active_count()
    for number in range(50):
        thread = threading.Thread(target=store.put, args=(f"results/{number}", b"value", FAR))
        thread.start()
        thread.join()
    assert len(store._idle) == 1
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to look like one" * 100, bytes(8192)], ids=["text", "zeros"]
)
def test_a_file_that_is_no_database_is_named(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(DamagedStore, match=r"store\.sqlite3 is damaged"):
        SQLiteStore(path)


def test_a_damaged_database_is_found_by_the_check_and_never_an_answer(path: Path) -> None:
    store = SQLiteStore(path)
    for number in range(300):
        store.put(f"results/{number:03d}", b"v" * 3000, FAR)
    store.close()
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096, 2):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    store = SQLiteStore(path)
    with pytest.raises(DamagedStore):
        store.check()
    answers = set()
    for number in range(300):
        try:
            entry = store.get(f"results/{number:03d}")
            answers.add(entry.value if entry else None)
        except DamagedStore:
            answers.add("damaged")
    assert answers <= {b"v" * 3000, None, "damaged"}
    assert "damaged" in answers
    store.close()


def test_a_database_of_another_version_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.execute("CREATE TABLE theirs (x)")
    database.commit()
    database.close()
    with pytest.raises(DamagedStore, match="not of this version"):
        SQLiteStore(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot create"):
        SQLiteStore(tmp_path / "file" / "store.sqlite3")


def test_a_full_disk_is_a_store_error_and_reading_goes_on(store: SQLiteStore) -> None:
    store.put("results/a", b"value", FAR)
    store._idle[0].execute("PRAGMA max_page_count=20")
    with pytest.raises(StoreError, match="SQLITE_FULL"):
        store.put("results/b", b"v" * 1_000_000, FAR)
    assert store.get("results/a") is not None
    assert store.get("results/b") is None


def test_a_lock_that_is_not_given_back_in_time_is_a_store_error(store: SQLiteStore, path: Path) -> None:
    store._idle[0].execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="SQLITE_BUSY"):
        store.put("results/a", b"value", FAR)
    other.execute("ROLLBACK")
    other.close()
    store.put("results/a", b"value", FAR)


def test_a_scan_searches_the_range_of_keys(store: SQLiteStore) -> None:
    store.put("index/a", b"", FAR)
    plan = store._idle[0].execute("EXPLAIN QUERY PLAN " + _SCAN, ("index/", "index/\x80", 0, 10)).fetchall()
    assert [row[3] for row in plan] == ["SEARCH entries USING INDEX sqlite_autoindex_entries_1 (key>? AND key<?)"]


def test_a_sweep_searches_the_expiries(store: SQLiteStore) -> None:
    plan = store._idle[0].execute("EXPLAIN QUERY PLAN " + _SWEEP, (0, 10)).fetchall()
    assert any("entries_by_expiry (expires_at<?)" in row[3] for row in plan)


def test_writes_sweep_what_has_expired_a_bounded_number_at_a_time(path: Path) -> None:
    clock = [1000.0]
    store = SQLiteStore(path, now=lambda: clock[0])
    for number in range(_SWEEP_ROWS + 10):
        store.put(f"results/{number}", b"value", 2000)
    clock[0] = 2000.0
    store._sweep_after = 0.0

    def rows() -> int:
        return store._idle[0].execute("SELECT count(*) FROM entries").fetchone()[0]

    store.put("results/new", b"value", 3000)
    assert rows() == 10 + 1
    store.put("results/newer", b"value", 3000)
    assert rows() == 2
    assert sorted(store.scan("")) == ["results/new", "results/newer"]
    store.close()


def test_opening_sweeps_too(path: Path) -> None:
    clock = [1000.0]
    store = SQLiteStore(path, now=lambda: clock[0])
    store.put("results/a", b"value", 2000)
    store.close()
    clock[0] = 2000.0
    store = SQLiteStore(path, now=lambda: clock[0])
    assert store._idle[0].execute("SELECT count(*) FROM entries").fetchone() == (0,)
    store.close()


def test_a_deletion_waits_for_the_disk_and_other_writes_do_not(store: SQLiteStore) -> None:
    statements: list[str] = []
    store._idle[0].set_trace_callback(statements.append)
    store.put("results/a", b"value", FAR)
    assert not any("synchronous" in statement for statement in statements)
    store.delete("results/a")
    assert [statement.split()[0] for statement in statements[-3:]] == ["PRAGMA", "DELETE", "PRAGMA"]
    assert "FULL" in statements[-3]
    assert store._idle[0].execute("PRAGMA synchronous").fetchone() == (1,)


def test_deleted_bytes_do_not_linger_in_the_file(store: SQLiteStore, path: Path) -> None:
    secret = b"an invoice's own words" * 500
    store.put("results/a", secret, FAR)
    store.delete("results/a")
    store.close()
    assert secret[:200] not in path.read_bytes()


def test_a_reader_is_not_held_up_by_a_writer(store: SQLiteStore, path: Path) -> None:
    store.put("results/a", b"value", FAR)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM entries")
    started = time.monotonic()
    assert store.get("results/a") is not None
    assert time.monotonic() - started < 1
    other.execute("ROLLBACK")
    other.close()
