"""All threads together decode within one bound of memory."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import Overloaded
from gateway.image import ImageLimits, budget, decode
from gateway.image.budget import Budget, room_for
from tests.hostile import valid


def test_no_more_is_taken_than_there_is() -> None:
    room, lock = Budget(), threading.Lock()
    taken: list[int] = []
    most: list[int] = []

    def decode(size: int) -> None:
        with room.reserve(size, capacity=10):
            with lock:
                taken.append(size)
                most.append(sum(taken))
            time.sleep(0.002)
            with lock:
                taken.remove(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [1, 2, 3, 4, 5, 6] * 6))
    assert max(most) <= 10
    assert max(most) > 6  # several at once


def test_what_is_larger_than_all_room_runs_alone() -> None:
    room = Budget()
    with room.reserve(1000, capacity=10):
        pass


def test_who_waits_too_long_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WAIT_SECONDS", 0.02)
    room = Budget()
    with room.reserve(8, capacity=10):
        with pytest.raises(Overloaded) as refusal, room.reserve(8, capacity=10):
            pass
        assert refusal.value.retry_after
        with room.reserve(2, capacity=10):  # the one who gave up is no longer in the way
            pass


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "HEIC"])
def test_decoding_takes_part(image_format: str, limits: ImageLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WAIT_SECONDS", 0.02)
    with room_for(limits.max_pixels, "PNG", limits), pytest.raises(Overloaded):
        decode(valid(image_format), limits)
    assert decode(valid(image_format), limits).pages


def test_a_failure_gives_its_room_back() -> None:
    room = Budget()
    with pytest.raises(KeyError), room.reserve(10, capacity=10):
        raise KeyError
    with room.reserve(10, capacity=10):
        pass


def test_a_large_image_is_not_overtaken_for_ever() -> None:
    room, order = Budget(), []
    started = threading.Event()

    def large() -> None:
        started.set()
        with room.reserve(10, capacity=10):
            order.append("large")

    def small() -> None:
        with room.reserve(1, capacity=10):
            order.append("small")

    with room.reserve(1, capacity=10):
        first = threading.Thread(target=large)
        first.start()
        started.wait()
        time.sleep(0.02)
        second = threading.Thread(target=small)
        second.start()
        time.sleep(0.02)
        assert order == []
    first.join(2)
    second.join(2)
    assert order == ["large", "small"]
