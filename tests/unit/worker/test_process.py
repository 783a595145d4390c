"""Readings in processes of their own: deadlines, queue, crashes, recycling, clean ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.unit.worker import reader_doubles as doubles
from tests.unit.worker.reader_doubles import BrokenSpec, DoubleSpec, EnvironmentSpec, page
from worker.constraints import Constraints
from worker.errors import ReaderBusy, ReaderError, ReaderFailed, ReaderTimeout
from worker.process import ReaderPool
from worker.types import LineReading


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_of(lines: list) -> int:
    return int(lines[0].text.split()[0])


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ReaderPool]:
    with ReaderPool(DoubleSpec(tmp_path), queue_limit=4) as pool:
        assert pool.wait_ready(20)
        yield pool


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[ReaderPool]:
    with ReaderPool(DoubleSpec(tmp_path), processes=2) as pool:
        assert pool.wait_ready(20)
        yield pool


def test_a_reading_runs_in_another_process_and_comes_back_as_lines(pool: ReaderPool) -> None:
    pixels = page(mark=7, shape=(40, 30))
    [line] = pool.read(pixels, "line", timeout=10)
    pid, rest = line.text.split(" ", 1)
    assert int(pid) != os.getpid()
    assert rest == f"line (40, 30, 3) {pixels.sum()} 7"
    assert (line.score, line.box) == (0.5, ((0.0, 0.5), (1.0, 0.5), (1.0, 1.5), (0.0, 1.5)))


def test_boxes_are_read_in_their_order(pool: ReaderPool) -> None:
    boxes = [((x, 1.5), (9, 1), (9, 2), (3, 2)) for x in (3.25, 1.0)]
    assert pool.read_lines(page(), boxes, timeout=10) == [
        LineReading("[3.25, 1.5] (4, 5, 3)", 0.25), LineReading("[1.0, 1.5] (4, 5, 3)", 0.25)
    ]  # fmt: skip


def test_constraints_travel_with_the_page_and_not_beyond_it(pool: ReaderPool) -> None:
    constraints = Constraints("digits:é", ("发票", "INV-1"), r"\d+")
    [line] = pool.read(page(), timeout=10, constraints=constraints)
    assert line.text.endswith(rf"0 {constraints.charset} {constraints.lexicon} \d+")
    [reading] = pool.read_lines(page(), [((0, 1), (9, 1), (9, 2), (0, 2))], 10, constraints)
    assert reading.text.endswith(" digits:é")
    assert pool.read(page(), timeout=10)[0].text.endswith("(4, 5, 3) 0 0")


def test_where_the_lines_are_is_told_before_they_are_read(pool: ReaderPool) -> None:
    told: list[tuple[float, list]] = []
    lines = pool.read(page(hundredths=50), found=lambda boxes: told.append((time.monotonic(), boxes)))
    [(moment, boxes)] = told
    assert boxes == [line.box for line in lines]
    assert time.monotonic() - moment > 0.4


def test_a_process_that_takes_over_tells_it_too(pool: ReaderPool) -> None:
    told: list[list] = []
    lines = pool.read(page(doubles.CRASH_ONCE), found=told.append)
    # What the first process said may have gone with it.
    assert told in ([boxes := [line.box for line in lines]], [boxes, boxes])


def test_a_page_that_is_no_contiguous_array_arrives_whole(pool: ReaderPool) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (60, 80, 3), np.uint8)
    pixels[0, 0] = pixels[-1, -1] = doubles.ECHO, 0, 0
    view = pixels[::-1, ::-1]
    assert f"(60, 80, 3) {view.sum()}" in pool.read(view, timeout=10)[0].text


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_only_pages_are_read(pool: ReaderPool, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a page is"):
        pool.read(wrong)


def test_many_threads_get_each_their_own_answer(tmp_path: Path) -> None:
    with ReaderPool(DoubleSpec(tmp_path), processes=2) as pool, ThreadPoolExecutor(24) as threads:
        marks = list(range(200))
        lines = threads.map(lambda mark: pool.read(page(mark=mark), timeout=20), marks)
        assert [int(line[0].text.split()[-1]) for line in lines] == marks


def test_as_many_readings_run_at_once_as_there_are_processes(pair: ReaderPool) -> None:
    with ThreadPoolExecutor(4) as threads:
        start = time.monotonic()
        pids = set(threads.map(lambda _: pid_of(pair.read(page(hundredths=30), timeout=10)), range(4)))
        assert len(pids) == 2
        assert time.monotonic() - start >= 0.6, "no more than two at once"


def test_readings_wait_in_the_order_in_which_they_came(pool: ReaderPool) -> None:
    finished: list[int] = []

    def read(mark: int) -> None:
        pool.read(page(hundredths=5, mark=mark), timeout=10)
        finished.append(mark)

    threads = []
    for mark in range(4):
        threads.append(threading.Thread(target=read, args=(mark,)))
        threads[-1].start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert finished == [0, 1, 2, 3]


def test_a_full_queue_refuses_at_once(pool: ReaderPool) -> None:
    with ThreadPoolExecutor(5) as threads:
        running = [threads.submit(pool.read, page(hundredths=20), "auto", 10) for _ in range(5)]
        assert eventually(lambda: pool.waiting() == 4)
        assert pool.idle() == 0
        start = time.monotonic()
        with pytest.raises(ReaderBusy):
            pool.read(page(), timeout=10)
        assert time.monotonic() - start < 0.4
        assert all(reading.result() for reading in running)
    assert pool.read(page(), timeout=10)
    assert pool.idle() == 1


def test_a_hanging_reading_times_out_and_its_process_is_replaced(pool: ReaderPool) -> None:
    before = pool.pids()
    start = time.monotonic()
    with pytest.raises(ReaderTimeout):
        pool.read(page(doubles.HANG), timeout=0.3)
    assert 0.3 <= time.monotonic() - start < 3
    after = pid_of(pool.read(page(), timeout=10))
    assert [after] != before
    assert not alive(before[0])


def test_who_waits_behind_a_hanging_reading_is_served(pool: ReaderPool) -> None:
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(pool.read, page(doubles.HANG), "auto", 0.3)
        time.sleep(0.1)
        waiting = threads.submit(pool.read, page(mark=3), "auto", 20)
        with pytest.raises(ReaderTimeout):
            hanging.result()
        assert waiting.result()


def test_the_deadline_includes_waiting(pool: ReaderPool) -> None:
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.read, page(hundredths=80), "auto", 10)
        time.sleep(0.1)
        start = time.monotonic()
        with pytest.raises(ReaderTimeout):
            pool.read(page(), timeout=0.2)
        assert 0.2 <= time.monotonic() - start < 0.65, "the first reading was not waited for"
        assert first.result()
    assert pool.waiting() == 0


def test_a_late_caller_that_had_to_wait_does_not_cost_a_sound_process(pool: ReaderPool) -> None:
    before = pool.pids()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(pool.read, page(hundredths=50), "auto", 10)
        time.sleep(0.1)
        with pytest.raises(ReaderTimeout):
            pool.read(page(hundredths=50, mark=1), timeout=0.8)
        assert first.result()
    [line] = pool.read(page(mark=2), timeout=10)
    assert line.text.endswith(" 2"), "the late answer belongs to nobody"
    assert pool.pids() == before


def test_without_time_nothing_is_started(pool: ReaderPool) -> None:
    before = pool.pids()
    with pytest.raises(ReaderTimeout):
        pool.read(page(doubles.CRASH), timeout=0)
    assert pool.pids() == before


def test_a_crashed_reading_is_tried_once_more_on_a_fresh_process(pool: ReaderPool) -> None:
    before = pool.pids()
    lines = pool.read(page(doubles.CRASH_ONCE, mark=9), timeout=20)
    assert lines[0].text.endswith(" 9")
    assert pool.pids() != before


def test_a_reading_that_crashes_twice_fails_and_the_next_one_works(pool: ReaderPool) -> None:
    with pytest.raises(ReaderFailed):
        pool.read(page(doubles.CRASH), timeout=20)
    assert pool.read(page(), timeout=20)


def test_a_process_that_ends_by_itself_counts_as_crashed(pool: ReaderPool) -> None:
    with pytest.raises(ReaderFailed):
        pool.read(page(doubles.EXIT), timeout=20)


def test_an_idle_process_that_is_killed_is_replaced(pool: ReaderPool) -> None:
    [before] = pool.pids()
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: pool.pids() not in ([], [before]))
    assert pool.read(page(), timeout=10)


def test_processes_killed_while_idle_cost_no_request(pair: ReaderPool) -> None:
    for pid in pair.pids():
        os.kill(pid, signal.SIGKILL)
    assert pair.read(page(), timeout=20)


def test_what_the_reader_raises_is_told_by_its_name_only(pool: ReaderPool) -> None:
    before = pool.pids()
    with pytest.raises(ReaderFailed, match="KeyError") as failure:
        pool.read(page(doubles.RAISE), timeout=10)
    assert "document" not in str(failure.value)
    assert pid_of(pool.read(page(), timeout=10)) == before[0], "an exception does not cost a process"


def test_every_error_is_a_reader_error() -> None:
    assert all(issubclass(kind, ReaderError) for kind in (ReaderBusy, ReaderTimeout, ReaderFailed))


def test_a_process_is_replaced_after_so_many_readings_without_a_gap(tmp_path: Path) -> None:
    with ReaderPool(DoubleSpec(tmp_path), recycle_after=5) as pool:
        assert pool.wait_ready(20)
        pids: list[int] = []
        assert eventually(lambda: pids.append(pid_of(pool.read(page(), timeout=10))) or len(set(pids)) == 3, 20)
        assert pids.count(pids[0]) >= 5
        assert pool.wait_ready(10)
        assert eventually(lambda: sum(alive(int(mark.name[6:])) for mark in tmp_path.glob("built-*")) <= 2)


def test_a_process_that_grows_is_replaced(tmp_path: Path) -> None:
    with ReaderPool(DoubleSpec(tmp_path), growth_limit=64 << 20) as pool:
        assert pool.wait_ready(20)
        [before] = pool.pids()
        for _ in range(3):
            pool.read(page(doubles.LEAK), timeout=10)
        assert eventually(lambda: pool.pids() not in ([], [before]))
        assert eventually(lambda: not alive(before))


def test_a_busy_process_finishes_its_reading_before_it_is_replaced(tmp_path: Path) -> None:
    with ReaderPool(DoubleSpec(tmp_path), recycle_after=1) as pool, ThreadPoolExecutor(8) as threads:
        assert pool.wait_ready(20)
        lines = threads.map(lambda mark: pool.read(page(hundredths=20, mark=mark), timeout=30), range(12))
        assert [int(line[0].text.split()[-1]) for line in lines] == list(range(12))


def test_a_pool_that_cannot_start_says_so_and_recovers(tmp_path: Path) -> None:
    until = tmp_path / "weights"
    with ReaderPool(BrokenSpec(until)) as pool:
        with pytest.raises(ReaderFailed, match="FileNotFoundError") as failure:
            pool.read(page(), timeout=20)
        assert "machine" not in str(failure.value)
        assert not pool.ready()
        assert not pool.wait_ready(0.05)
        until.touch()
        assert pool.wait_ready(20)
        assert pool.read(page(), timeout=10)


def test_ready_is_said_only_when_the_reader_is_warm(tmp_path: Path) -> None:
    pool = ReaderPool(DoubleSpec(tmp_path))
    assert not pool.ready()
    with pool:
        assert pool.wait_ready(20)
        assert pool.ready()
        assert list(tmp_path.glob("built-*"))
    assert not pool.ready()


def test_closing_ends_the_processes_and_fails_who_waits(tmp_path: Path) -> None:
    pool = ReaderPool(DoubleSpec(tmp_path), processes=2)
    pool.start()
    assert pool.wait_ready(20)
    pids = pool.pids()
    with ThreadPoolExecutor(3) as threads:
        readings = [threads.submit(pool.read, page(doubles.HANG), "auto", 60) for _ in range(3)]
        assert eventually(lambda: pool.waiting() == 1)
        start = time.monotonic()
        pool.close()
        for reading in readings:
            with pytest.raises(ReaderFailed):
                reading.result()
    assert time.monotonic() - start < 9
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(ReaderFailed):
        pool.read(page())
    pool.close()


def test_a_process_uses_its_share_of_threads_ignores_ctrl_c_and_loads_nothing_it_does_not_need() -> None:
    with ReaderPool(EnvironmentSpec()) as pool:
        threads, ignores, modules = (line.text for line in pool.read(page(), timeout=20))
    assert (threads, ignores, modules) == ("3", "True", "none")


def test_processes_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from worker.process import ReaderPool\n"
        "from tests.unit.worker.reader_doubles import DoubleSpec, page, HANG\n"
        "import threading\n"
        "pool = ReaderPool(DoubleSpec(Path(sys.argv[1])), processes=2); pool.start(); pool.wait_ready(20)\n"
        "threading.Thread(target=pool.read, args=(page(HANG),), daemon=True).start(); time.sleep(.2)\n"
        "print(*pool.pids(), flush=True); time.sleep(60)\n"
    )
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    with parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
    assert eventually(lambda: not any(map(alive, pids)))


def test_a_pool_left_open_lets_the_program_end_without_a_word(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from worker.process import ReaderPool\n"
        "from tests.unit.worker.reader_doubles import DoubleSpec, page\n"
        "pool = ReaderPool(DoubleSpec(Path(sys.argv[1]))); pool.start(); print(len(pool.read(page(), timeout=20)))\n"
        "pool.close() if sys.argv[2] == 'close' else None\n"
    )
    for last in ("close", "leave"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path), last],
            cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_the_web_process_loads_no_model_library() -> None:
    program = (
        "import sys, worker.process; worker.process.ReaderSpec()\n"
        "print([name for name in ('cv2', 'onnxruntime', 'torch', 'multiprocessing') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "[]\n", done.stderr
