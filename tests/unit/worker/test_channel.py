"""Messages and pages over a socket pair."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from worker.channel import Channel, ChannelClosed


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = (Channel(end) for end in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def test_a_message_arrives_as_it_was_sent(ends: tuple[Channel, Channel]) -> None:
    message = {"lines": [["发票 ¥1.50", 0.25, [[0.5, 1.0]]]], "none": None}
    ends[0].send(message)
    assert ends[1].receive() == (message, None)


@pytest.mark.parametrize("shape", [(1, 1, 3), (700, 900, 3)])
def test_a_page_arrives_whole_without_anyone_reading_meanwhile(ends: tuple[Channel, Channel], shape: tuple) -> None:
    page = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    ends[0].send({"layout": "auto"}, page)
    message, received = ends[1].receive()
    assert message == {"layout": "auto"}
    assert np.array_equal(received, page)


def test_messages_do_not_run_together(ends: tuple[Channel, Channel]) -> None:
    for number in range(5):
        ends[0].send({"number": number}, np.full((2, 3, 3), number, np.uint8) if number % 2 else None)
    for number in range(5):
        message, page = ends[1].receive()
        assert message == {"number": number}
        assert (page is not None) == bool(number % 2)
        assert page is None or (page == number).all()


def test_a_received_page_is_private(ends: tuple[Channel, Channel]) -> None:
    page = np.zeros((4, 4, 3), np.uint8)
    ends[0].send({}, page)
    received = ends[1].receive()[1]
    received[:] = 9
    assert not page.any()


def test_waiting_ends_at_the_deadline_and_can_go_on_later(ends: tuple[Channel, Channel]) -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        ends[1].receive(start + 0.05)
    assert time.monotonic() - start >= 0.05
    assert not ends[1].torn
    ends[0].send({"late": True})
    assert ends[1].receive(time.monotonic() + 5) == ({"late": True}, None)


def test_half_a_message_is_known_for_it() -> None:
    raw, end = socket.socketpair()
    channel = Channel(end)
    with raw:
        raw.sendall(b"\0\0")
        with pytest.raises(TimeoutError):
            channel.receive(time.monotonic() + 0.05)
        assert channel.torn
    channel.close()


def test_the_other_sides_end_is_told(ends: tuple[Channel, Channel]) -> None:
    ends[0].close()
    with pytest.raises(ChannelClosed):
        ends[1].receive()
    with pytest.raises(ChannelClosed):
        ends[1].send({}, np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ChannelClosed):
        ends[0].receive(time.monotonic() + 1)


def test_closing_waits_for_who_uses_the_socket(ends: tuple[Channel, Channel]) -> None:
    outcome: list[type] = []

    def receive() -> None:
        try:
            ends[1].receive(time.monotonic() + 0.2)
        except Exception as error:
            outcome.append(type(error))

    thread = threading.Thread(target=receive)
    thread.start()
    time.sleep(0.05)
    ends[1].close()
    assert outcome == [TimeoutError]
    thread.join()


def test_no_descriptor_is_left_open(ends: tuple[Channel, Channel]) -> None:
    def exchange() -> None:
        ends[0].send({}, np.zeros((50, 50, 3), np.uint8))
        ends[1].receive()

    exchange()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        exchange()
    assert len(os.listdir("/proc/self/fd")) == before
