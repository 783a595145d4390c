"""The index proposes the nearest live documents, and rebuilds from its keys alone."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.matching.canonical import FINE_BYTES, Fingerprint
from gateway.matching.index import Index, Nominee, entry_key, parse_entry_key

ID = "ab" * 32
words = st.integers(0, 2**64 - 1)
looks = st.builds(lambda phash, canonical, fine: Fingerprint(phash, (canonical,), (fine,)), words, words,
                  st.binary(min_size=FINE_BYTES, max_size=FINE_BYTES))


def look(phash: int = 0, canonical: int = 0, fine: int = 0) -> Fingerprint:
    return Fingerprint(phash, (canonical,), (fine.to_bytes(FINE_BYTES, "big"),))


@settings(deadline=None)
@given(looks, st.integers(0, 10**11 - 1), st.from_regex(r"[0-9a-f]{64}(-[0-9a-f]{8})?", fullmatch=True))
def test_an_entry_survives_as_a_key(fingerprint, expires_at, id):
    key = entry_key(id, fingerprint, expires_at)
    assert key.isascii() and len(key) <= 512
    assert parse_entry_key(key) == (id, fingerprint, expires_at)


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
    assert [n.id for n in index.nominate(look(fine=2**20 - 1), 0, 1)] == ["20"]


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
    query = Fingerprint(0, (2**63, 2**62, 7, 2**61), (bytes(FINE_BYTES),) * 4)
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
