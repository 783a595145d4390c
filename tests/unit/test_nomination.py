"""The nomination index of a process, in step with the store and the other gateways."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gateway.identity import perceptual_hash
from gateway.matching import fingerprint
from gateway.matching.index import entry_key
from gateway.nomination import Nominator
from gateway.store.base import StoreError
from gateway.store.journal import Change, NoJournal
from tests.doubles import draw_invoice

PAGE = draw_invoice(1).page
LOOK = fingerprint(PAGE, perceptual_hash(PAGE))
SOON = int(time.time()) + 1000


def key(name: str) -> str:
    return entry_key(name * 64, LOOK, SOON)


class SharedLog:
    """A journal in memory that several nominators follow; ``broken`` and ``lost`` play its failures."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.broken = self.lost = False

    def append(self, kind, entry) -> None:
        if self.broken:
            raise StoreError("down")
        self.changes.append(Change(kind, entry))

    def tail(self, cursor):
        if self.broken:
            raise StoreError("down")
        end = str(len(self.changes))
        if cursor is None or self.lost:
            self.lost = False
            return [], end, True
        return self.changes[int(cursor) :], end, False

    def close(self) -> None:
        pass


def nominees(nominator: Nominator) -> set[str]:
    return {nominee.id[0] for nominee in nominator.nominate(LOOK, 10)}


def test_it_starts_with_what_the_store_has():
    nominator = Nominator(lambda: [key("a"), key("b")], NoJournal())
    assert nominees(nominator) == set()
    assert nominator.load()
    assert nominees(nominator) == {"a", "b"}


def test_additions_and_removals_reach_the_other_gateways():
    log = SharedLog()
    one, other = Nominator(list, log), Nominator(list, log)
    assert one.load()
    assert other.load()
    one.add(key("a"))
    one.add(key("b"))
    one.remove("a" * 64)
    assert nominees(other) == nominees(one) == {"b"}


def test_what_arrives_while_it_loads_is_not_lost():
    nominator = Nominator(lambda: iter_then_add(), SharedLog())

    def iter_then_add():
        yield key("a")
        nominator.add(key("b"))
        nominator.remove("a" * 64)

    assert nominator.load()
    assert nominees(nominator) == {"b"}


def test_a_missed_part_of_the_log_is_noticed_and_the_index_rebuilt():
    log, stored = SharedLog(), [key("a")]
    nominator = Nominator(lambda: list(stored), log)
    assert nominator.load()
    stored[:] = [key("b")]
    log.lost = True
    nominees(nominator)
    deadline = time.monotonic() + 5
    while nominees(nominator) != {"b"}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_journal_that_is_down_costs_news_not_nominations():
    log = SharedLog()
    nominator = Nominator(lambda: [key("a")], log)
    assert nominator.load()
    log.broken = True
    nominator.add(key("b"))
    assert nominees(nominator) == {"a", "b"}


def test_a_store_that_is_down_is_asked_again(monkeypatch):
    monkeypatch.setattr("gateway.nomination.RETRY_SECONDS", 0.01)
    answers = [StoreError("down"), [key("a")]]

    def scan():
        answer = answers.pop(0)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    nominator = Nominator(scan, NoJournal())
    nominator.start()
    deadline = time.monotonic() + 5
    while not nominator.loaded:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert nominees(nominator) == {"a"}
    nominator.close()


def test_what_a_store_lists_before_it_fails_is_nominated_until_it_lists_everything():
    failures = [StoreError("down")]

    def scan():
        yield key("a")
        if failures:
            raise failures.pop()
        yield key("b")

    nominator = Nominator(scan, NoJournal())
    assert not nominator.load()
    assert nominees(nominator) == {"a"}
    assert nominator.load()
    assert nominees(nominator) == {"a", "b"}


def test_what_has_expired_takes_no_memory_even_if_nothing_is_ever_nominated(monkeypatch):
    monkeypatch.setattr("gateway.nomination.SWEEP_SECONDS", 0.0)
    nominator = Nominator(list, NoJournal())
    for number in range(100):
        nominator.add(entry_key(f"{number:064d}", LOOK, int(time.time()) - 1))
    nominator.add(key("a"))
    assert len(nominator) == 1


@pytest.mark.parametrize("junk", ["index/", "index/1/2/3", "results/" + "a" * 64, ""])
def test_an_unreadable_key_is_passed_over(junk):
    nominator = Nominator(lambda: [junk, key("a")], NoJournal())
    assert nominator.load()
    assert nominees(nominator) == {"a"}


def test_a_drawing_has_a_fingerprint():
    assert LOOK is not None
    assert fingerprint(np.full((200, 200, 3), 255, np.uint8), "0" * 16) is None
