"""Corrected documents: what is taken from the known one, what is read, and when the whole page is."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gateway.near as gateway_near
from gateway.identity import Options
from gateway.matching import Thresholds
from gateway.matching.proof import Proof
from gateway.renderings import render
from gateway.store.sqlite import SQLiteStore
from tests.doubles import ROWS, Drawing, Gateway, build_gateway, draw_page
from worker.types import Line, LineReading

PLAIN = Options()
KNOWN = tuple(row.format(number=1288) for row in ROWS)
DIGIT_ROWS = [row for row, text in enumerate(KNOWN) if any(character.isdigit() for character in text)]


def with_line(row: int, text: str, texts: tuple[str, ...] = KNOWN) -> tuple[str, ...]:
    return (*texts[:row], text, *texts[row + 1 :])


def upload(gateway: Gateway, texts: tuple[str, ...], scale: float = 1.0, quality: int = 90) -> bytes:
    """A page with these lines, as a JPEG of that size that the scripted reader can read."""
    drawing = draw_page(texts)
    height, width, _ = drawing.page.shape
    buffer = io.BytesIO()
    size = round(width * scale), round(height * scale)
    Image.fromarray(drawing.page).resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=quality)
    lines = tuple(
        Line(line.text, line.score, tuple((scale * x, scale * y) for x, y in line.box)) for line in drawing.lines
    )
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        gateway.reader.knows(Drawing(np.asarray(image), lines))
    return buffer.getvalue()


def texts_of(outcome) -> tuple[str, ...]:
    return tuple(line.text for line in outcome.record.lines)


@pytest.fixture
def known(gateway: Gateway):
    """The record of the known document."""
    return gateway.service.recognise(gateway.reader.knows(draw_page(KNOWN)).encoded(), PLAIN).record


class TestACorrectedDocument:
    @pytest.mark.parametrize("scale", [1.0, 0.85])
    def test_one_changed_digit_costs_one_line(self, gateway, known, scale):
        corrected = with_line(4, "Net amount 1,1283.00")
        outcome = gateway.service.recognise(upload(gateway, corrected, scale), PLAIN)
        assert (outcome.word, outcome.match.kind, outcome.match.source) == ("PARTIAL", "partial", known.id)
        assert texts_of(outcome) == corrected
        assert outcome.match.reread_lines == gateway.reader.rereads == 1
        assert gateway.reader.reads == 1, "of the known document"

    def test_its_boxes_are_its_own(self, gateway, known):
        outcome = gateway.service.recognise(upload(gateway, with_line(5, "VAT 13% 176.40"), 0.85), PLAIN)
        assert outcome.word == "PARTIAL"
        for line, there in zip(outcome.record.lines, known.lines, strict=True):
            assert np.abs(np.array(line.box) - 0.85 * np.array(there.box)).max() < 4

    def test_changed_lines_have_the_score_of_their_reading_and_the_others_keep_theirs(self, gateway, known):
        gateway.reader.reread_score = 0.75
        record = gateway.service.recognise(upload(gateway, with_line(4, "Net amount 1,1283.00")), PLAIN).record
        assert [line.score for line in record.lines] == [0.75 if row == 4 else 0.97 for row in range(len(KNOWN))]

    def test_whoever_has_it_does_not_learn_the_id_of_the_known_one(self, gateway, known):
        page = upload(gateway, with_line(4, "Net amount 1,1283.00"))
        for kind in ("partial", "exact"):
            outcome = gateway.service.recognise(page, PLAIN)
            shown = json.loads(render(outcome.record, "json", match=outcome.match))
            assert (shown["match"]["kind"], shown["match"]["source"]) == (kind, outcome.record.id)
        stored = gateway.service.look_up(outcome.record.id).record
        assert known.id.encode() not in render(stored, "json")

    def test_its_summary_is_made_of_its_own_lines(self, gateway, known):
        gateway.reader.reread_score = 0.6
        corrected = with_line(4, "应付金额 1,1283.00")
        gateway.reader.reread_text = lambda text: text.replace("Net amount", "应付金额")
        outcome = gateway.service.recognise(upload(gateway, with_line(4, "Net amount 1,1283.00")), PLAIN)
        shown = json.loads(render(outcome.record, "json"))
        assert outcome.word == "PARTIAL"
        assert shown["text"] == "\n".join(corrected)
        assert shown["scores"] == [line.score for line in outcome.record.lines]
        assert 0.6 < shown["confidence"] < 0.97
        assert shown["processing_time_ms"] == round(known.processing_time_ms, 1)

    def test_two_lines_that_changed_places_are_read_in_their_new_ones(self, gateway, known):
        swapped = (*KNOWN[:2], KNOWN[3], KNOWN[2], *KNOWN[4:])
        assert texts_of(gateway.service.recognise(upload(gateway, swapped), PLAIN)) == swapped

    @pytest.mark.parametrize("row", [0, 3, 7])
    def test_a_document_without_one_of_the_lines_is_read(self, gateway, known, row):
        outcome = gateway.service.recognise(upload(gateway, with_line(row, "")), PLAIN)
        assert outcome.word == "MISS"
        assert texts_of(outcome) == KNOWN[:row] + KNOWN[row + 1 :]

    def test_a_document_with_one_line_more_is_read(self, gateway):
        gateway.service.recognise(gateway.reader.knows(draw_page(with_line(3, ""))).encoded(), PLAIN)
        outcome = gateway.service.recognise(upload(gateway, KNOWN), PLAIN)
        assert (outcome.word, texts_of(outcome)) == ("MISS", KNOWN)

    def test_a_line_that_has_grown_out_of_its_place_is_read_with_the_page(self, gateway, known):
        longer = with_line(5, "VAT 13% 166.40 paid in cash")
        outcome = gateway.service.recognise(upload(gateway, longer), PLAIN)
        assert (outcome.word, texts_of(outcome)) == ("MISS", longer)

    def test_a_reading_of_its_own_is_preferred_to_a_partial(self, gateway, known):
        corrected = with_line(4, "Net amount 1,1283.00")
        own = gateway.service.recognise(upload(gateway, corrected), PLAIN, "exact").record
        rereads = gateway.reader.rereads
        copy = gateway.service.recognise(upload(gateway, corrected, 0.9), PLAIN)
        assert (copy.word, copy.match.source, texts_of(copy)) == ("HIT", own.id, corrected)
        assert gateway.reader.rereads == rereads

    def test_a_reader_that_is_unsure_of_a_changed_line_leaves_it_to_a_full_reading(self, gateway, known):
        gateway.reader.reread_score = 0.2
        corrected = with_line(4, "Net amount 1,1283.00")
        outcome = gateway.service.recognise(upload(gateway, corrected), PLAIN)
        assert (outcome.word, texts_of(outcome)) == ("MISS", corrected)

    def test_an_operator_can_have_the_page_read_instead_of_lines(self, store):
        gateway = build_gateway(store, thresholds=Thresholds(doubtful_share=0))
        gateway.service.recognise(gateway.reader.knows(draw_page(KNOWN)).encoded(), PLAIN)
        assert gateway.service.recognise(upload(gateway, with_line(5, "VAT 13% 176.40")), PLAIN).word == "MISS"
        assert gateway.service.recognise(upload(gateway, KNOWN), PLAIN).word == "HIT"

    def test_how_rereadings_ended_is_counted(self, gateway, known):
        gateway.service.recognise(upload(gateway, with_line(4, "Net amount 1,1283.00")), PLAIN)
        gateway.reader.reread_score = 0.2
        gateway.service.recognise(upload(gateway, with_line(4, "Net amount 1,1268.00")), PLAIN)
        assert gateway.metrics.summary()["rereadings"] == {"confirmed": 0, "changed": 1, "refuted": 1}
        assert b'ocr_reread_lines_total{text="changed"} 1.0' in gateway.metrics.exposition()


class TestMarksBesideTheLines:
    """Pale marks that stand like print, where the record has none."""

    PLACE = (560, 40)

    def marked(self, gateway: Gateway, reads_as: LineReading) -> bytes:
        page = draw_page(KNOWN).page.copy()
        x, y = self.PLACE
        cv2.putText(page, "VOID 8642", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (205, 205, 205), 1, cv2.LINE_AA)
        read_at = gateway.reader._read_at

        def read(lines, scale, box) -> LineReading:
            return reads_as if cv2.pointPolygonTest(np.float32(box), (x + 50, y - 6), False) >= 0 \
                else read_at(lines, scale, box)

        gateway.reader._read_at = read
        buffer = io.BytesIO()
        Image.fromarray(page).save(buffer, "PNG")
        return buffer.getvalue()

    def test_are_read_and_what_is_no_print_leaves_the_answer_as_it_is(self, gateway, known):
        outcome = gateway.service.recognise(self.marked(gateway, LineReading("", 0.0)), PLAIN)
        assert (outcome.word, outcome.match.kind, outcome.match.reread_lines) == ("HIT", "near", 0)
        assert (gateway.reader.reads, gateway.reader.rereads) == (1, 1)

    def test_that_are_print_make_it_another_document(self, gateway, known):
        outcome = gateway.service.recognise(self.marked(gateway, LineReading("VOID 8642", 0.9)), PLAIN)
        assert (outcome.word, gateway.reader.reads) == ("MISS", 2)


class TestWhatIsKeptOfIt:
    CORRECTED = with_line(4, "Net amount 1,1283.00")

    def test_it_is_stored_under_its_own_id(self, gateway, known):
        outcome = gateway.service.recognise(upload(gateway, self.CORRECTED), PLAIN)
        assert outcome.stored
        assert gateway.service.look_up(outcome.record.id).record == outcome.record
        assert gateway.service.look_up(known.id).record == known

    def test_it_expires_with_the_reading_its_lines_came_from(self, gateway, known):
        record = gateway.service.recognise(upload(gateway, self.CORRECTED), PLAIN).record
        assert (record.expires_at, record.created_at) == (known.expires_at, known.created_at)

    def test_it_never_becomes_a_proof(self, gateway, known):
        record = gateway.service.recognise(upload(gateway, self.CORRECTED), PLAIN).record
        assert (record.index_key, gateway.archive.proof(record.id)) == ("", None)
        corrected_twice = with_line(0, "INVOICE 2026-1289", self.CORRECTED)
        outcome = gateway.service.recognise(upload(gateway, corrected_twice, 0.9), PLAIN)
        assert (outcome.match.source, texts_of(outcome)) == (known.id, corrected_twice)

    def test_it_goes_when_the_document_goes_whose_lines_it_has(self, gateway, known, store):
        record = gateway.service.recognise(upload(gateway, self.CORRECTED), PLAIN).record
        gateway.service.delete(known.id)
        assert gateway.service.look_up(record.id) is None
        assert [key for key in store.scan("") if not key.startswith("deletions/")] == []

    def test_it_is_not_made_of_a_document_that_is_deleted_while_its_lines_are_read(self, gateway, known):
        reread = gateway.readings.reread

        def delete_then_reread(task, boxes):
            gateway.service.delete(known.id)
            return reread(task, boxes)

        gateway.readings.reread = delete_then_reread
        outcome = gateway.service.recognise(upload(gateway, self.CORRECTED), PLAIN)
        assert (outcome.word, texts_of(outcome)) == ("MISS", self.CORRECTED)
        assert outcome.record.match.source == outcome.record.id

    def test_it_is_not_kept_when_it_is_deleted_while_its_lines_are_read(self, gateway, known):
        reread = gateway.readings.reread

        def delete_then_reread(task, boxes):
            gateway.service.delete(task.result_id)
            return reread(task, boxes)

        gateway.readings.reread = delete_then_reread
        outcome = gateway.service.recognise(upload(gateway, self.CORRECTED), PLAIN)
        assert (outcome.stored, texts_of(outcome)) == (False, self.CORRECTED)
        assert gateway.service.look_up(outcome.record.id) is None

    def test_exact_mode_reads_what_was_a_partial_before(self, gateway, known):
        page = upload(gateway, self.CORRECTED)
        assert gateway.service.recognise(page, PLAIN).word == "PARTIAL"
        outcome = gateway.service.recognise(page, PLAIN, "exact")
        assert (outcome.word, outcome.match.source) == ("MISS", outcome.record.id)


def filling(number: int) -> tuple[str, ...]:
    """The same labels, other figures in every line."""
    random = np.random.default_rng(number)
    labels = ("Invoice no.", "Customer no.", "Order", "Date of supply", "Net amount", "VAT 13%", "Total due", "Account")
    return tuple(f"{label}  {''.join(random.choice(list('0123456789'), 14))}" for label in labels)


def from_aside(texts: tuple[str, ...]) -> bytes:
    """The page seen from aside, on a ground as white as itself: no outline tells where it ends."""
    page = draw_page(texts).page
    height, width, _ = page.shape
    frame = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    seen = np.float32([[84, 75], [width - 83, 88], [width - 5, height - 51], [62, height - 6]])
    transform = cv2.getPerspectiveTransform(frame, seen)
    picture = cv2.warpPerspective(page, transform, (width, height), flags=cv2.INTER_CUBIC, borderValue=(255,) * 3)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def stamped(texts: tuple[str, ...]) -> bytes:
    """The page with a ring beside its lines."""
    page = draw_page(texts).page.copy()
    cv2.circle(page, (470, 202), 16, (200, 30, 30), 3)
    return Drawing(page, ()).encoded()


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that knows several fillings of one form."""
    store = SQLiteStore(tmp_path_factory.mktemp("store") / "store.sqlite3")
    gateway = build_gateway(store)
    for number in range(8):
        gateway.service.recognise(gateway.reader.knows(draw_page(filling(number))).encoded(), PLAIN)
    yield gateway
    store.close()


@pytest.fixture
def compared(monkeypatch) -> list[Proof]:
    """The proofs that pages are compared with."""
    proofs, compare = [], gateway_near.verify
    monkeypatch.setattr(gateway_near, "verify", lambda *args: proofs.append(args[0]) or compare(*args))
    return proofs


class TestAmongFillingsOfOneForm:
    def test_the_true_one_is_found_in_a_picture_from_aside(self, crowded, compared):
        reads = crowded.reader.reads
        for number in (3, 4, 5):
            outcome = crowded.service.recognise(from_aside(filling(number)), PLAIN)
            assert texts_of(outcome) == filling(number)
        assert crowded.reader.reads == reads
        assert len(compared) > 3, "some of them are found by a second look only"

    def test_a_second_look_compares_no_more_of_them(self, crowded, compared):
        assert crowded.service.recognise(upload(crowded, filling(8)), PLAIN).word == "MISS"
        assert len(compared) == gateway_near.NOMINEES

    def test_a_known_page_with_something_added_is_not_compared_with_the_others(self, crowded, compared):
        assert crowded.service.recognise(stamped(filling(3)), PLAIN).word == "MISS"
        assert len(compared) == 1

    def test_a_known_page_with_something_added_is_compared_with_what_has_all_its_lines(self, gateway, compared):
        """Whichever of the two is compared first."""
        longer = (*filling(3)[:7], "paid on 2024-05-03")
        for texts in (filling(3)[:7], longer):
            gateway.service.recognise(gateway.reader.knows(draw_page(texts)).encoded(), PLAIN)
        for texts in (filling(3)[:7], longer):
            outcome = gateway.service.recognise(draw_page(texts).encoded("JPEG", quality=90), PLAIN)
            assert (outcome.word, texts_of(outcome)) == ("HIT", texts)
        compared.clear()
        assert gateway.service.recognise(stamped(filling(3)[:7]), PLAIN).word == "MISS"
        assert len(compared) == 2

    def test_so_few_that_all_are_compared_need_no_second_look(self, gateway, compared, monkeypatch):
        looked = []
        monkeypatch.setattr(gateway_near, "in_frame_of", lambda *args: looked.append(args))
        for number in range(2):
            gateway.service.recognise(gateway.reader.knows(draw_page(filling(number))).encoded(), PLAIN)
        compared.clear()
        assert gateway.service.recognise(upload(gateway, filling(2)), PLAIN).word == "MISS"
        assert (len(compared), looked) == (2, [])


@pytest.fixture(scope="module")
def seasoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for many pages, which all become known to it."""
    store = SQLiteStore(tmp_path_factory.mktemp("store") / "store.sqlite3")
    gateway = build_gateway(store)
    gateway.service.recognise(gateway.reader.knows(draw_page(KNOWN)).encoded(), PLAIN)
    yield gateway
    store.close()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_page_with_any_digits_changed_is_answered_as_a_full_reading_of_it_would_be(seasoned, data):
    texts = KNOWN
    for row in data.draw(st.sets(st.sampled_from(DIGIT_ROWS), max_size=4)):
        places = [place for place, character in enumerate(KNOWN[row]) if character.isdigit()]
        place = data.draw(st.sampled_from(places))
        texts = with_line(row, KNOWN[row][:place] + data.draw(st.sampled_from("0123456789")) + KNOWN[row][place + 1 :],
                          texts)  # fmt: skip
    page = upload(seasoned, texts, data.draw(st.sampled_from([1.0, 0.8])), data.draw(st.sampled_from([60, 95])))
    assert texts_of(seasoned.service.recognise(page, PLAIN)) == texts
