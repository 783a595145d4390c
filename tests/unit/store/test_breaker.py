"""The circuit breaker: one time-out now and then, not one for each request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from gateway.store.base import StoreError
from gateway.store.breaker import CircuitBreaker


class Unreachable(Exception):
    pass


class Refused(Exception):
    pass


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("redis", lambda error: isinstance(error, Unreachable), pause=1.0, clock=clock)


def call(breaker: CircuitBreaker, outcome: Callable[[], None] = lambda: None) -> None:
    with breaker.guard():
        outcome()


def fail(error: type[BaseException]) -> Callable[[], None]:
    def outcome() -> None:
        raise error

    return outcome


def test_what_works_is_let_through(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        call(breaker)


def test_a_failure_is_passed_on_and_the_next_calls_are_refused_unasked(breaker: CircuitBreaker, clock: Clock) -> None:
    with pytest.raises(Unreachable):
        call(breaker, fail(Unreachable))
    clock.now = 0.99
    asked: list[bool] = []
    with pytest.raises(StoreError):
        call(breaker, lambda: asked.append(True))
    assert asked == []


def test_after_the_pause_a_success_closes_the_circuit(breaker: CircuitBreaker, clock: Clock) -> None:
    with suppress(Unreachable):
        call(breaker, fail(Unreachable))
    clock.now = 1.0
    call(breaker)
    clock.now = 0.5
    call(breaker)


def test_after_the_pause_a_failure_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        with pytest.raises(Unreachable):
            call(breaker, fail(Unreachable))
        with pytest.raises(StoreError):
            call(breaker)
        clock.now += 1.0


def test_after_the_pause_one_call_alone_finds_out(breaker: CircuitBreaker, clock: Clock) -> None:
    with suppress(Unreachable):
        call(breaker, fail(Unreachable))
    clock.now = 1.0
    inside, leave = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        assert leave.wait(5)

    probe = threading.Thread(target=call, args=(breaker, slow))
    probe.start()
    assert inside.wait(5)
    with pytest.raises(StoreError):
        call(breaker)
    leave.set()
    probe.join(5)
    call(breaker)


def test_a_refusal_is_an_answer(breaker: CircuitBreaker, clock: Clock) -> None:
    with pytest.raises(Refused):
        call(breaker, fail(Refused))
    call(breaker)
    with suppress(Unreachable):
        call(breaker, fail(Unreachable))
    clock.now = 1.0
    with pytest.raises(Refused):
        call(breaker, fail(Refused))
    clock.now = 0.5
    call(breaker)


def test_an_interrupted_probe_lets_the_next_call_find_out(breaker: CircuitBreaker, clock: Clock) -> None:
    with suppress(Unreachable):
        call(breaker, fail(Unreachable))
    clock.now = 1.0
    with pytest.raises(KeyboardInterrupt):
        call(breaker, fail(KeyboardInterrupt))
    call(breaker)
