"""What may be asked of a reading, and that equal wishes are equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.constraints import (
    DOUBTFUL,
    LONGEST_WORD,
    MOST_ASKED_CHARACTERS,
    MOST_LITERALS,
    SETS,
    UNCONSTRAINED,
    Constraints,
    lexicon_words,
    parse_charset,
    parse_lexicon,
)
from worker.types import LineReading


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("digits", "digits"),
        ("upper,digits", "digits,upper"),
        ("digits:/-.", "digits:-./"),
        (":110X", ":01X"),
        ("digits:", "digits"),
        (":a:b,,", ":,:ab"),
    ],
)
def test_a_character_set_has_one_form(asked, canonical):
    assert parse_charset(asked) == canonical == parse_charset(canonical)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("", "name a character set"),
        (":", "name a character set"),
        ("digit", "behind a colon"),
        ("0123", "behind a colon"),
        ("Digits", "are amount, ascii"),
        ("digits,,upper", "comma between two"),
        ("digits,digits", "once each"),
        (",digits", "comma between two"),
        (":\n", "printable"),
        (":\ud800", "printable"),
        (":" + "".join(map(chr, range(0x4E00, 0x4E00 + MOST_LITERALS + 1))), "at most"),
    ],
)
def test_what_is_no_character_set_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        parse_charset(wrong)


@given(st.sets(st.sampled_from(sorted(SETS))), st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20))
def test_a_character_set_allows_its_characters_and_no_others(names, literals):
    if not names and not literals:
        return
    constraints = Constraints(parse_charset(",".join(names) + ":" + literals))
    everything = "".join(SETS[name] for name in names) + literals
    assert constraints.allows(everything)
    assert constraints.allows(" \u3000")
    for character in "0Aa-，元税é":
        assert constraints.allows(character) == (character in everything)


@pytest.mark.parametrize(
    ("asked", "canonical"), [("发票,INV-1", "INV-1,发票"), ("b2, a1 ,a1,", "a1,b2"), ("New York", "New York")]
)
def test_a_lexicon_has_one_form(asked, canonical):
    assert parse_lexicon(asked) == canonical == parse_lexicon(canonical)


@pytest.mark.parametrize("wrong", ["", " , ", "a", "ab\ncd", "x" * (LONGEST_WORD + 1), "ab," * MOST_ASKED_CHARACTERS])
def test_what_is_no_lexicon_is_refused(wrong):
    with pytest.raises(ValueError):
        parse_lexicon(wrong)


def test_a_lexicon_file_has_a_word_a_line():
    assert lexicon_words(["# parts\n", "PX-100\n", "\n", " 发票 \n", "PX-100\n"]) == ("PX-100", "发票")
    with pytest.raises(ValueError, match="line 2"):
        lexicon_words(["ab\n", "c\n"])


@pytest.mark.parametrize(
    ("constraints", "reading", "may"),
    [
        (UNCONSTRAINED, LineReading("名称", 0.1), False),
        (Constraints("digits"), LineReading("12 3", 0.1), False),
        (Constraints("digits"), LineReading("12.3", 0.99), True),
        (Constraints("", ("名称",)), LineReading("名", DOUBTFUL - 0.01), True),
        (Constraints("", ("名称",)), LineReading("名", DOUBTFUL), False),
        (Constraints("digits"), LineReading("", 0.0), False),
    ],
)
def test_only_some_lines_might_read_otherwise(constraints, reading, may):
    assert constraints.may_change(reading) is may


def test_defaults_hold_where_nothing_is_asked():
    defaults = Constraints("digits", ("名称",))
    assert UNCONSTRAINED.with_defaults(defaults) == defaults
    assert Constraints("ascii", ("电话",)).with_defaults(defaults) == Constraints("ascii", ("名称", "电话"))
    assert Constraints("ascii").with_defaults(UNCONSTRAINED) == Constraints("ascii")
