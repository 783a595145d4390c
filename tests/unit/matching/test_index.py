"""The index proposes the nearest live documents, and rebuilds from its keys alone."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.matching.canonical import FINE_BYTES, FRAMED_BYTES, Fingerprint
from gateway.matching.index import LOW_BYTES, MOST_RANKED, Index, Nominee, entry_key, parse_entry_key
from gateway.tenants import TENANT_NAME

ID = "ab" * 32
words = st.integers(0, 2**64 - 1)
looks = st.builds(lambda phash, canonical, fine, framed: Fingerprint(phash, (canonical,), (fine,), (framed,)),
                  words, words, st.binary(min_size=FINE_BYTES, max_size=FINE_BYTES),
                  st.binary(min_size=FRAMED_BYTES, max_size=FRAMED_BYTES))


def look(phash: int = 0, canonical: int = 0, fine: int = 0, framed: int = 0) -> Fingerprint:
    return Fingerprint(phash, (canonical,), (fine.to_bytes(FINE_BYTES, "big"),),
                       (framed.to_bytes(FRAMED_BYTES, "big"),))


@settings(deadline=None)
@given(looks, st.integers(0, 10**11 - 1), st.from_regex(r"[0-9a-f]{64}(-[0-9a-f]{8})?", fullmatch=True))
def test_an_entry_survives_as_a_key(fingerprint, expires_at, id):
    key = entry_key(id, fingerprint, expires_at)
    longest_tenant = "a" * 48
    assert TENANT_NAME.fullmatch(longest_tenant)
    assert key.isascii() and len(f"tenants/{longest_tenant}/{key}") <= 512
    assert max(map(len, key.split("/"))) <= 255
    assert parse_entry_key(key) == (id, fingerprint, expires_at)


def test_an_entry_without_a_framed_hash_is_still_read_and_nominated():
    key = f"index/100/{5:016x}/{7:016x}/{'0f' * FINE_BYTES}/{ID}"
    entry = parse_entry_key(key)
    assert entry == (ID, Fingerprint(5, (7,), (b"\x0f" * FINE_BYTES,)), 100)
    index = Index()
    index.add(*entry)
    assert [n.id for n in index.nominate(look(phash=5, canonical=7), 0, 3)] == [ID]


@settings(deadline=None)
@given(st.text())
def test_another_key_is_no_entry(text):
    assert parse_entry_key(text) is None
    assert parse_entry_key(f"index/{text}") is None


def test_the_nearest_comes_first():
    index = Index()
    for bits in (6, 1, 9, 3):
        index.add(f"far{bits}", look(phash=2**bits - 1, canonical=2**64 - 1), 100)
    assert index.nominate(look(), 0, 3) == [Nominee("far1", 1), Nominee("far3", 3), Nominee("far6", 6)]


def test_the_fine_hash_ranks_fillings_of_one_form():
    index = Index()
    for number in range(50):
        index.add(str(number), look(fine=2**number - 1), 100)
    assert "20" in {n.id for n in index.nominate(look(fine=2**20 - 1), 0, 2)}


def test_the_framed_hash_ranks_fillings_whose_margins_end_elsewhere():
    index = Index()
    for number in range(50):
        index.add(str(number), look(fine=2**FINE_BYTES - 1 if number == 20 else 0, framed=2**number - 1), 100)
    assert [n.id for n in index.nominate(look(framed=2**20 - 1), 0, 1)] == ["20"]


def test_both_measures_nominate_in_turn():
    index = Index()
    for number in range(8):
        index.add(f"fine {number}", look(fine=2**number - 1, framed=2**900 - 1), 100)
        index.add(f"framed {number}", look(fine=2**300 - 1, framed=2 ** (number + 1) - 1), 100)
    assert [n.id for n in index.nominate(look(), 0, 4)] == ["fine 0", "framed 0", "fine 1", "framed 1"]


@pytest.mark.parametrize("turn", [0, 1, 3])
def test_the_true_one_is_first_among_more_fillings_than_are_ranked_by_all_bits(turn):
    random, index = np.random.default_rng(3), Index()
    form = np.frombuffer(random.bytes(FRAMED_BYTES), np.uint8)
    count = 2 * MOST_RANKED
    flips = np.packbits(random.random((count, 8 * FRAMED_BYTES)) < 0.1, axis=1)
    fillings = [(form ^ flip).tobytes() for flip in flips]
    for number, framed in enumerate(fillings):
        index.add(str(number), Fingerprint(2**64 - 1, (7,), (bytes(FINE_BYTES),), (framed,)), 100)
    seen = np.frombuffer(fillings[4321], np.uint8) ^ np.packbits(random.random(8 * FRAMED_BYTES) < 0.05)
    other = random.bytes(FRAMED_BYTES)
    canonical = tuple(7 if number == turn else 2**63 + number for number in range(4))
    turns = tuple(seen.tobytes() if number == turn else other for number in range(4))
    query = Fingerprint(0, canonical, (bytes(FINE_BYTES),) * 4, turns)
    assert 0 < LOW_BYTES < FRAMED_BYTES
    assert "4321" in [n.id for n in index.nominate(query, 0, 2)]


def test_either_hash_nominates_and_each_document_once():
    index = Index()
    index.add("both", look(), 100)
    index.add("phash only", look(canonical=2**64 - 1), 100)
    index.add("canonical only", look(phash=2**64 - 1), 100)
    index.add("neither", look(phash=2**64 - 1, canonical=2**64 - 1), 100)
    assert {n.id for n in index.nominate(look(), 0, 5)} == {"both", "phash only", "canonical only"}


def test_a_turned_query_is_found():
    index = Index()
    index.add("turned", look(phash=2**64 - 1, canonical=7), 100)
    query = Fingerprint(0, (2**63, 2**62, 7, 2**61), (bytes(FINE_BYTES),) * 4, (bytes(FRAMED_BYTES),) * 4)
    assert [n.id for n in index.nominate(query, 0, 1)] == ["turned"]


def test_an_expired_entry_is_not_nominated_and_is_forgotten():
    index = Index()
    index.add("old", look(), 100)
    index.add("new", look(), 101)
    assert [n.id for n in index.nominate(look(), 100, 5)] == ["new"]
    assert len(index) == 1 and "old" not in index


def test_a_removed_entry_never_comes_back():
    index = Index()
    for number in range(20):
        index.add(str(number), look(phash=number), 100)
    index.remove("3")
    index.remove("3")
    assert "3" not in {n.id for n in index.nominate(look(phash=3), 0, 50)}
    assert len(index) == 19


def test_adding_again_replaces():
    index = Index()
    index.add("a", look(), 100)
    index.add("a", look(phash=2**64 - 1, canonical=2**64 - 1), 200)
    assert len(index) == 1 and index.nominate(look(), 0, 5) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(1, 50)), max_size=60), st.integers(0, 50))
def test_it_holds_what_a_dictionary_would(changes, now):
    index, model = Index(), {}
    for added, name, expires_at in changes:
        if added:
            index.add(str(name), look(phash=name), expires_at)
            model[str(name)] = expires_at
        else:
            index.remove(str(name))
            model.pop(str(name), None)
    assert len(index) == len(model)
    assert {n.id for n in index.nominate(look(), now, 100)} == {id for id, until in model.items() if until > now}


def test_it_grows():
    index = Index()
    random = np.random.default_rng(5)
    for number in range(3000):
        index.add(str(number), look(phash=int(random.integers(2**63)), canonical=int(random.integers(2**63))), 100)
    index.add("known", look(phash=5, canonical=5), 100)
    assert index.nominate(look(phash=5, canonical=5), 0, 1) == [Nominee("known", 0)]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_no_more_than_the_limit(limit):
    index = Index()
    for number in range(10):
        index.add(str(number), look(), 100)
    assert len(index.nominate(look(), 0, limit)) == limit


def test_threads_may_add_remove_and_nominate_at_once():
    index, failures = Index(), []

    def work(number: int) -> None:
        try:
            for i in range(300):
                index.add(f"{number}-{i}", look(phash=i), 100)
                index.nominate(look(phash=i), 0, 3)
                if i % 2:
                    index.remove(f"{number}-{i}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(index) == 4 * 150
