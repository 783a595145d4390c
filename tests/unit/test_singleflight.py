"""One execution for a key, however many ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.singleflight import SingleFlight


def test_concurrent_calls_for_a_key_share_one_execution():
    flights: SingleFlight[int] = SingleFlight()
    release, calls = threading.Event(), []

    def work() -> int:
        calls.append(1)
        release.wait(5)
        return len(calls)

    with ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(flights.run, "key", work) for _ in range(8)]
        while not calls:
            pass
        release.set()
        results = [outcome.result(5) for outcome in outcomes]
    # Whoever comes after the first has finished runs again: nothing is remembered.
    assert sum(not shared for _, shared in results) == len(calls)
    assert all(value <= len(calls) for value, _ in results)


def test_keys_do_not_wait_for_each_other():
    flights: SingleFlight[str] = SingleFlight()
    outer = flights.run("a", lambda: flights.run("b", lambda: "inner")[0])
    assert outer == ("inner", False)


def test_an_exception_reaches_everybody_and_is_not_remembered():
    flights: SingleFlight[int] = SingleFlight()
    started, release = threading.Event(), threading.Event()

    def fail() -> int:
        started.set()
        release.wait(5)
        raise RuntimeError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flights.run, "key", fail)
        started.wait(5)
        second = pool.submit(flights.run, "key", lambda: 2)
        release.set()
        with pytest.raises(RuntimeError):
            first.result(5)
        assert isinstance(second.exception(5), RuntimeError) or second.result() == (2, False)
    assert flights.run("key", lambda: 3) == (3, False)
