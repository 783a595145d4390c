"""What lines that were read again settle: pure policy, over any reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.record import PageLine
from gateway.rereading import LEAST_SCORE, is_print, settle
from worker.types import LineReading


def page(*texts: str) -> list[PageLine]:
    """Lines whose boxes tell them apart."""
    return [PageLine(text, 0.97, ((0, n), (9, n), (9, n + 1), (0, n + 1))) for n, text in enumerate(texts)]


class Reader:
    """Reads the lines of a true page by their boxes, and remembers what it was asked for."""

    def __init__(self, *texts: str, score: float = 0.9) -> None:
        self.texts, self.score, self.asked = texts, score, []

    def __call__(self, boxes) -> list[LineReading]:
        numbers = [int(box[0][1]) for box in boxes]
        self.asked.append(numbers)
        return [LineReading(self.texts[number], self.score) for number in numbers]


def settled_texts(settled) -> list[str]:
    return [line.text for line in settled.lines]


KNOWN = ("Invoice 12", "Paper", "Ink", "Total 80.00", "Due today", "Thank you")


def test_lines_that_read_as_recorded_confirm_the_record():
    read = Reader(*KNOWN)
    settled = settle(page(*KNOWN), [1, 3], [1, 2, 3], [], [], [], read)
    assert (settled_texts(settled), settled.reread, settled.changed) == ([*KNOWN], 2, 0)
    assert read.asked == [[1, 3]], "nothing but the doubtful lines is read"
    assert [line.score for line in settled.lines] == [0.97, 0.9, 0.97, 0.9, 0.97, 0.97]


def test_a_changed_line_has_the_wary_lines_read_too():
    read = Reader("Invoice 13", "Paper", "Ink", "Total 90.00", "Due today", "Thank you")
    settled = settle(page(*KNOWN), [3], [0, 3, 5], [], [], [], read)
    assert settled_texts(settled) == [*read.texts]
    assert (settled.reread, settled.changed) == (3, 2)
    assert read.asked == [[3], [0, 5]]


def test_a_changed_line_without_further_wary_ones_is_read_once():
    read = Reader(*KNOWN[:3], "Total 90.00", *KNOWN[4:])
    assert settle(page(*KNOWN), [3], [3], [], [], [], read).changed == 1
    assert read.asked == [[3]]


def test_a_page_with_most_lines_changed_must_be_read():
    read = Reader("Invoice 13", "Pens", "Ink", "Total 90.00", *KNOWN[4:])
    assert settle(page(*KNOWN), [0, 1, 3], [0, 1, 3], [], [], [], read) is None
    assert settle(page(*KNOWN), [0], [0, 1, 3], [], [], [], read) is None, "however they were found"


def test_lines_that_look_alike_may_read_differently_in_a_poor_picture():
    read = Reader("lnvoice 12", "Paper", "lnk", "Tota1 80.00", *KNOWN[4:])
    assert settle(page(*KNOWN), [0, 2, 3], [0, 2, 3], [], [], [0], read).changed == 3
    assert settle(page(*KNOWN), [0, 2, 3], [0, 2, 3], [], [], [], read) is None
    nothing_left = settle(page("a", "b"), [0, 1], [0, 1], [], [], [0, 1], Reader("c", "d"))
    assert nothing_left is None


MARKS = ((0, 50), (9, 50), (9, 51), (0, 51))


def test_marks_outside_the_lines_that_are_no_print_leave_the_record_as_it_is():
    asked = []

    def read(boxes):
        asked.append(boxes)
        return [LineReading("R", 0.7)]

    settled = settle(page(*KNOWN), [], [], [], [MARKS], [], read)
    assert (settled_texts(settled), settled.reread, settled.changed, asked) == ([*KNOWN], 0, 0, [[MARKS]])


@pytest.mark.parametrize("answered", [0, 1])
def test_a_reader_that_leaves_a_place_out_has_not_found_it_empty(answered):
    with pytest.raises(ValueError):
        settle(page(*KNOWN), [3], [3], [], [MARKS], [], lambda boxes: [LineReading(KNOWN[3], 0.9)] * answered)


@pytest.mark.parametrize("changed", [[], [3]])
def test_print_outside_the_lines_is_text_that_the_record_does_not_know(changed):
    def read(boxes):
        return [LineReading("VOID 12", 0.4) if box == MARKS else LineReading("Total 90.00", 0.9) for box in boxes]

    assert settle(page(*KNOWN), changed, changed, [], [MARKS], [], read) is None


@pytest.mark.parametrize(("text", "score", "is_so"), [
    ("作废", 0.95, True), ("No. 8642", 0.3, True), ("2023-11-05", 0.99, True),
    ("废", 0.9, True), ("8", 0.9, True), ("2", 0.79, False),
    ("", 0.0, False), ("一", 0.9, False), (" 1 ", 0.99, False), ("T", 0.94, False), ("N", 0.7, False),
    ("TT", 0.5, False), ("— —", 0.4, False), ("06NSRRH", 0.14, False),
])
def test_print_is_told_from_folds_and_grain_by_how_it_reads(text, score, is_so):
    assert is_print(LineReading(text, score)) is is_so


@pytest.mark.parametrize("text", ["", "  "])
def test_a_line_that_is_gone_must_be_looked_for(text):
    assert settle(page(*KNOWN), [2], [2], [], [], [], Reader("", "", text, "", "", "")) is None


def test_other_text_that_is_hardly_legible_in_the_old_place_must_be_found_anew():
    changed = (*KNOWN[:3], "Total 90.0", *KNOWN[4:])
    unsure = Reader(*changed, score=LEAST_SCORE - 0.01)
    assert settle(page(*KNOWN), [3], [3], [3], [], [], unsure) is None
    assert settle(page(*KNOWN), [3], [3], [], [], [], Reader(*KNOWN, score=LEAST_SCORE - 0.01)).changed == 0


def test_an_altered_line_that_reads_as_recorded_is_a_contradiction():
    assert settle(page(*KNOWN), [1, 3], [1, 3], [3], [], [], Reader(*KNOWN)) is None, "a figure is struck out, perhaps"
    settled = settle(page(*KNOWN), [1], [1, 3], [3], [], [], Reader(*KNOWN))
    assert settled.changed == 0, "what nobody read contradicts nothing"


def test_a_poor_picture_of_much_the_same_line_is_read_as_well_as_can_be():
    unsure = Reader(*KNOWN[:3], "Total 80,00", *KNOWN[4:], score=LEAST_SCORE - 0.01)
    settled = settle(page(*KNOWN), [3], [3], [], [], [], unsure)
    assert (settled.lines[3].text, settled.lines[3].score) == ("Total 80,00", unsure.score)


@given(data=st.data())
def test_every_line_that_was_not_reused_has_the_new_pages_text(data):
    count = data.draw(st.integers(1, 12))
    known = data.draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=count, max_size=count))
    true = data.draw(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=count, max_size=count))
    numbers = st.sets(st.integers(0, count - 1))
    doubtful = data.draw(numbers)
    wary = doubtful | data.draw(numbers)
    read = Reader(*true)
    altered, alike = data.draw(numbers), data.draw(numbers)
    settled = settle(page(*known), sorted(doubtful), sorted(wary), altered, [], alike, read)
    asked = [number for numbers in read.asked for number in numbers]
    assert len(asked) == len(set(asked)) <= len(wary), "no line is read twice"
    if settled is None:
        assert any(true[number] != known[number] or number in altered for number in asked)
        return
    assert len(settled.lines) == count
    found = settled_texts(settled)
    assert all(found[number] == true[number] for number in asked)
    if any(true[number] != known[number] for number in doubtful):
        assert set(asked) == wary
    assert settled.changed == sum(one != other for one, other in zip(found, known, strict=True))
    assert settled.changed < count
    clear = [number for number in range(count) if found[number] != known[number] and number not in alike]
    assert len(clear) <= count / 3
    assert [line.box for line in settled.lines] == [line.box for line in page(*known)]
