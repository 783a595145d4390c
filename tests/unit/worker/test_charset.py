from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.charset import (
    BLANK,
    Charset,
    ascii_printable,
    big5_frequent_hanzi,
    full_characters,
    gb2312_hanzi,
    look_alikes,
)
from worker.engine import load_engine

FULL = Charset.extending("")


def test_gb2312_has_its_two_levels():
    hanzi = gb2312_hanzi()
    assert len(hanzi) == len(set(hanzi)) == 6763
    assert (hanzi[0], hanzi[3754], hanzi[3755], hanzi[-1]) == ("啊", "座", "亍", "齄")


def test_big5_has_its_frequent_hanzi():
    hanzi = big5_frequent_hanzi()
    assert len(hanzi) == len(set(hanzi)) == 5401
    assert (hanzi[0], hanzi[-1]) == ("一", "籲")


def test_a_made_set_contains_everything_once():
    assert len(ascii_printable()) == 95
    assert len(FULL.characters) == len(set(full_characters()))
    symbols = "￥¥℃№，。：；（）【】《》“”‘’、…—·×÷±°㎡①②⑳"
    for required in (gb2312_hanzi(), big5_frequent_hanzi(), ascii_printable(), symbols):
        assert all(character in FULL for character in required)


def test_trained_characters_keep_their_classes():
    charset = Charset.extending("龘a啊")
    assert charset.encode("龘a啊") == [1, 2, 3]
    assert charset.classes == len(charset.characters) + 1


def test_the_shipped_set_contains_everything():
    shipped = load_engine().charset
    assert [character for character in full_characters() if character not in shipped] == []


@given(st.text(alphabet=st.sampled_from(full_characters()), max_size=30))
def test_encoding_is_undone_by_decoding(text):
    indices = FULL.encode(text)
    assert BLANK not in indices
    assert FULL.decode(indices) == text
    assert FULL.decode([BLANK, *indices, BLANK]) == text


def test_json_brings_the_same_set_back():
    charset = Charset(('"', "\\", "中", "　"))
    assert Charset.from_json(charset.to_json()) == charset


def test_unknown_characters():
    charset = Charset(("a",))
    assert charset.known("banana") == "aaa"
    with pytest.raises(KeyError):
        charset.encode("b")


@pytest.mark.parametrize("characters", [("a", "a"), ("ab",), ("",)])
def test_a_set_refuses_repeats_and_strings(characters):
    with pytest.raises(ValueError):
        Charset(characters)


def test_characters_are_taken_for_what_looks_like_them():
    twins = look_alikes()
    for one, other in ("O0", "l1", "S5", "aA", "Aa", "：:", ":：", "（(", "S$"):
        assert other in twins[one]
    assert all(one not in others and one in twins[other] for one, others in twins.items() for other in others)
    assert "7" not in twins.get("1", "")
