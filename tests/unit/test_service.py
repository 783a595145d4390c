"""The one flow: what is answered from where, and what is never answered."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from gateway.errors import BrokenImage, Overloaded, ReadingFailed, StoreUnavailable
from gateway.identity import Options, result_id
from gateway.purge import PurgeFailed
from gateway.store.base import StoreError
from gateway.store.sqlite import SQLiteStore
from gateway.store.tiered import TieredStore
from tests.doubles import Drawing, build_gateway, draw_invoice
from worker.types import Line

PLAIN = Options()


def resized(drawing: Drawing, scale: float, quality: int = 80) -> bytes:
    height, width, _ = drawing.page.shape
    image = Image.fromarray(drawing.page).resize(
        (round(width * scale), round(height * scale)), Image.Resampling.LANCZOS
    )
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def known_copy(gateway, drawing: Drawing, scale: float) -> bytes:
    """A copy that the scripted reader can read, too."""
    upload = resized(drawing, scale)
    lines = tuple(Line(line.text, line.score, tuple((scale * x, scale * y) for x, y in line.box))
                  for line in drawing.lines)
    with Image.open(io.BytesIO(upload)) as image:
        gateway.reader.knows(Drawing(np.asarray(image), lines))
    return upload


def traces(store) -> list[str]:
    """Every key but the notes that something was deleted."""
    return [key for key in store.scan("") if not key.startswith("deletions/")]


def texts(outcome) -> list[str]:
    return [line.text for line in outcome.record.lines]


def expected(drawing: Drawing) -> list[str]:
    return [line.text for line in drawing.lines]


class TestKnownDocuments:
    def test_a_new_document_is_read_and_stored(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        outcome = gateway.service.recognise(drawing.encoded(), PLAIN)
        assert (outcome.word, outcome.stored, outcome.match.kind) == ("MISS", True, "none")
        assert texts(outcome) == expected(drawing)
        assert gateway.service.look_up(outcome.record.id).record == outcome.record

    def test_the_same_bytes_are_answered_without_decoding(self, gateway, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        first = gateway.service.recognise(drawing.encoded(), PLAIN)
        monkeypatch.setattr("gateway.service.decode", None)
        again = gateway.service.recognise(drawing.encoded(), PLAIN)
        assert (again.word, again.match.kind, again.detail) == ("HIT", "exact", "sqlite")
        assert again.record == first.record
        assert gateway.reader.reads == 1

    def test_the_same_pixels_in_another_file_are_a_hit_under_their_own_id(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        first = gateway.service.recognise(drawing.encoded("PNG"), PLAIN)
        again = gateway.service.recognise(drawing.encoded("BMP"), PLAIN, "exact")
        assert (again.word, again.match.kind, again.match.source) == ("HIT", "pixels", first.record.id)
        assert again.record.id == result_id(drawing.encoded("BMP"))
        assert gateway.service.look_up(again.record.id).record.lines == first.record.lines
        assert gateway.reader.reads == 1

    def test_a_reencoded_smaller_copy_is_a_hit_with_its_own_boxes(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        again = gateway.service.recognise(resized(drawing, 0.8), PLAIN)
        assert again.word in ("HIT", "PARTIAL")
        assert again.match.kind in ("near", "partial")
        assert texts(again) == expected(drawing)
        assert gateway.reader.reads == 1
        for line, true in zip(again.record.lines, drawing.lines, strict=True):
            assert np.abs(np.array(line.box) - 0.8 * np.array(true.box)).max() < 4

    @pytest.mark.parametrize("scale", [1.0, 0.8])
    def test_another_filling_of_the_template_is_answered_with_its_own_numbers(self, gateway, scale):
        known, other = gateway.reader.knows(draw_invoice(1288)), draw_invoice(1283)
        gateway.service.recognise(known.encoded(), PLAIN)
        outcome = gateway.service.recognise(known_copy(gateway, other, scale), PLAIN)
        assert outcome.word != "HIT"
        assert texts(outcome) == expected(other)

    def test_doubtful_lines_that_read_as_recorded_are_a_partial(self, gateway, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        _force_doubt(monkeypatch, lines=(4, 5))
        outcome = gateway.service.recognise(resized(drawing, 0.9), PLAIN)
        assert (outcome.word, outcome.match.kind, outcome.match.reread_lines) == ("PARTIAL", "partial", 2)
        assert texts(outcome) == expected(drawing)
        assert outcome.record.lines[4].score == 0.9

    def test_a_copy_is_never_the_proof_for_another(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN)
        copy = gateway.service.recognise(resized(drawing, 0.9), PLAIN)
        assert copy.word != "MISS"
        assert gateway.archive.proof(copy.record.id) is None
        third = gateway.service.recognise(resized(drawing, 0.8), PLAIN)
        assert third.match.source == original.record.id

    def test_exact_mode_and_line_layout_never_match_by_look(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        assert gateway.service.recognise(resized(drawing, 0.9), PLAIN, "exact").word == "MISS"
        assert gateway.service.recognise(resized(drawing, 0.8), Options(layout="line")).word == "MISS"

    def test_exact_mode_is_not_answered_by_an_earlier_match_by_look(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        upload = resized(drawing, 0.9)
        assert gateway.service.recognise(upload, PLAIN).match.kind in ("near", "partial")
        exact = gateway.service.recognise(upload, PLAIN, "exact")
        assert (exact.word, exact.match.kind) == ("MISS", "none")
        assert gateway.service.recognise(upload, PLAIN).match.kind == "exact"

    def test_a_reading_in_the_place_of_a_copy_reaches_the_edges(self, gateway, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        upload, purged = resized(drawing, 0.9), []
        monkeypatch.setattr(gateway.purger, "purge", purged.append)
        gateway.service.recognise(upload, PLAIN)
        assert purged == []
        gateway.service.recognise(upload, PLAIN, "exact")
        assert purged == [result_id(upload)]

    def test_options_are_part_of_the_identity(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        plain = gateway.service.recognise(drawing.encoded(), PLAIN)
        line = gateway.service.recognise(drawing.encoded(), Options(layout="line"))
        assert line.word == "MISS"
        assert line.record.id.startswith(plain.record.id + "-")

    def test_options_whose_digests_begin_alike_are_not_mistaken_for_each_other(self, gateway, monkeypatch):
        # Eight hex digits of an id stand for them: whoever can choose words can find some that end like another's.
        monkeypatch.setattr(Options, "suffix", lambda options: "-0123abcd")
        drawing = gateway.reader.knows(draw_invoice(1))
        digits, upper = Options(charset="digits"), Options(charset="upper")
        uploads = [drawing.encoded(), drawing.encoded("WEBP", lossless=True), resized(drawing, 0.9)]
        gateway.service.recognise(uploads[0], digits)
        assert gateway.service.recognise(uploads[0], upper).word == "MISS"
        assert gateway.reader.constraints == upper.constraints
        gateway.service.recognise(uploads[0], digits)
        assert gateway.service.recognise(uploads[1], upper).word == "MISS"
        gateway.service.delete(result_id(uploads[1], upper))
        gateway.service.delete(result_id(uploads[0], digits))
        gateway.service.recognise(uploads[0], digits)
        assert gateway.service.recognise(uploads[2], upper).word == "MISS"
        assert gateway.service.recognise(uploads[0], digits).word == "HIT"

    def test_a_blank_page_nominates_nothing(self, gateway):
        blank = Drawing(np.full((300, 300, 3), 255, np.uint8), ())
        first = gateway.service.recognise(blank.encoded(), PLAIN)
        assert first.record.index_key == ""
        assert gateway.service.recognise(resized(blank, 0.5), PLAIN).word == "MISS"


class TestLifetime:
    def test_a_copy_expires_with_the_reading_it_came_from(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN).record
        for upload in (drawing.encoded("BMP"), resized(drawing, 0.9)):
            assert gateway.service.recognise(upload, PLAIN).record.expires_at == original.expires_at

    def test_a_result_is_gone_at_its_second(self, store):
        gateway = build_gateway(store, ttl=1)
        drawing = gateway.reader.knows(draw_invoice(1))
        record = gateway.service.recognise(drawing.encoded(), PLAIN).record
        time.sleep(max(0.0, record.expires_at - time.time()))
        assert gateway.service.look_up(record.id) is None
        assert gateway.service.recognise(resized(drawing, 0.9), PLAIN).word == "MISS"

    def test_match_none_reads_again_and_replaces_what_was_stored(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        copy = gateway.service.recognise(resized(drawing, 0.9), PLAIN).record
        gateway.reader.known = {key: lines[:1] for key, lines in gateway.reader.known.items()}
        fresh = gateway.service.recognise(drawing.encoded(), PLAIN, "none")
        assert (fresh.word, len(fresh.record.lines)) == ("MISS", 1)
        assert gateway.service.look_up(fresh.record.id).record == fresh.record
        assert gateway.service.look_up(copy.id) is None, "a copy of the old reading must not outlive it"

    def test_match_none_turns_a_copy_into_a_reading_of_its_own(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN).record
        upload = resized(drawing, 0.9)
        gateway.service.recognise(upload, PLAIN)
        own = gateway.service.recognise(upload, PLAIN, "none").record
        assert own.match.source == own.id
        gateway.service.delete(original.id)
        assert gateway.service.look_up(own.id) is not None


class TestDeletion:
    def test_what_was_deleted_is_nowhere(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN).record
        gateway.service.recognise(drawing.encoded("BMP"), PLAIN)
        gateway.service.recognise(resized(drawing, 0.9), PLAIN)
        gateway.service.delete(original.id)
        assert traces(store) == []
        assert gateway.service.recognise(resized(drawing, 0.8), PLAIN).word == "MISS"

    def test_deleting_a_copy_leaves_the_original(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN).record
        copy = gateway.service.recognise(resized(drawing, 0.9), PLAIN).record
        gateway.service.delete(copy.id)
        assert gateway.service.look_up(copy.id) is None
        assert gateway.service.look_up(original.id).record == original

    def test_deleting_a_file_leaves_another_s_reading_of_the_same_pixels_to_be_found(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        first, second, third = (drawing.encoded("PNG", compress_level=level) for level in (1, 5, 9))
        gateway.service.recognise(first, PLAIN)
        gateway.service.recognise(second, PLAIN, "none")
        gateway.service.delete(result_id(first))
        assert gateway.service.recognise(third, PLAIN).detail == "pixels"
        gateway.service.delete(result_id(second))
        assert traces(store) == []

    def test_an_unconfirmed_deletion_says_so_and_can_be_repeated(self, gateway, store, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN).record
        copy = gateway.service.recognise(resized(drawing, 0.9), PLAIN).record
        purged, broken = [], [True]

        def purge(wanted: str) -> None:
            if broken[0]:
                raise PurgeFailed(["http://edge"])
            purged.append(wanted)

        monkeypatch.setattr(gateway.purger, "purge", purge)
        with pytest.raises(StoreUnavailable):
            gateway.service.delete(original.id)
        broken[0] = False
        gateway.service.delete(original.id)
        assert sorted(purged) == sorted([original.id, copy.id])
        assert traces(store) == []

    def test_a_deletion_is_not_confirmed_while_copies_cannot_be_listed(self, tmp_path, monkeypatch):
        hot, durable = SQLiteStore(tmp_path / "hot.sqlite3"), SQLiteStore(tmp_path / "durable.sqlite3")
        with closing(TieredStore(hot, durable)) as tiers:
            gateway = build_gateway(tiers)
            drawing = gateway.reader.knows(draw_invoice(1))
            original = gateway.service.recognise(drawing.encoded(), PLAIN).record
            copy = gateway.service.recognise(drawing.encoded("BMP"), PLAIN).record
            for key in list(hot.scan("")):  # Redis came back empty
                hot.delete(key)

            def slow_down(prefix: str):
                raise StoreError("s3: scan: answered SlowDown")

            with monkeypatch.context() as moment:
                moment.setattr(durable, "scan", slow_down)
                with pytest.raises(StoreUnavailable):
                    gateway.service.delete(original.id)
            gateway.service.delete(original.id)
            assert gateway.service.look_up(copy.id) is None

    def test_a_copy_that_another_gateway_s_deletion_could_not_find_is_not_kept(self, tmp_path, monkeypatch):
        hot, durable = SQLiteStore(tmp_path / "hot.sqlite3"), SQLiteStore(tmp_path / "durable.sqlite3")
        unreached = SQLiteStore(tmp_path / "durable.sqlite3")

        def slow_down(*arguments):
            raise StoreError("s3: answered SlowDown")

        with closing(TieredStore(hot, durable)) as reached, closing(TieredStore(hot, unreached)) as tiers:
            other, gateway = build_gateway(reached), build_gateway(tiers)
            drawing = other.reader.knows(draw_invoice(1))
            original = other.service.recognise(drawing.encoded(), PLAIN).record
            with monkeypatch.context() as outage:
                for method in ("get", "put", "add", "delete", "scan"):
                    outage.setattr(unreached, method, slow_down)
                copy = gateway.service.recognise(drawing.encoded("BMP"), PLAIN)
                other.service.delete(original.id)
            assert (copy.word, copy.stored, texts(copy)) == ("HIT", False, expected(drawing))
            for each in (other, gateway):
                assert each.service.look_up(copy.record.id) is None

    def test_a_copy_made_while_its_source_is_deleted_does_not_survive(self, gateway, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        original = gateway.service.recognise(drawing.encoded(), PLAIN).record
        save = gateway.archive.save_copy

        def delete_then_save(*arguments):
            gateway.service.delete(original.id)
            return save(*arguments)

        monkeypatch.setattr(gateway.archive, "save_copy", delete_then_save)
        upload = resized(drawing, 0.9)
        outcome = gateway.service.recognise(upload, PLAIN)
        assert outcome.word == "MISS"
        assert outcome.record.match.source == outcome.record.id


    def test_a_document_that_was_once_a_copy_outlives_what_it_was_copied_from(self, gateway):
        drawing = gateway.reader.knows(draw_invoice(1))
        source = gateway.service.recognise(drawing.encoded(), PLAIN).record
        upload = resized(drawing, 0.9)
        copy = gateway.service.recognise(upload, PLAIN).record
        gateway.service.delete(copy.id)
        own = gateway.service.recognise(upload, PLAIN, "exact").record
        assert own.match.source == own.id == copy.id
        gateway.service.delete(source.id)
        assert gateway.service.look_up(own.id).record == own

    def test_a_copy_stored_between_two_steps_of_a_deletion_is_deleted_too(self, gateway, store, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        source = gateway.service.recognise(drawing.encoded(), PLAIN).record
        delete, uploads = gateway.archive.delete, [resized(drawing, 0.9)]

        def copy_then_delete(wanted: str):
            if uploads:
                assert gateway.service.recognise(uploads.pop(), PLAIN).word != "MISS"
            return delete(wanted)

        monkeypatch.setattr(gateway.archive, "delete", copy_then_delete)
        gateway.service.delete(source.id)
        assert traces(store) == []

    def test_a_copy_that_is_taken_back_leaves_the_edges_too(self, gateway, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        source = gateway.service.recognise(drawing.encoded(), PLAIN).record
        save, purged = gateway.archive.save_copy, []

        def save_then_delete(*arguments):
            saved = save(*arguments)
            gateway.service.delete(source.id)
            return saved

        monkeypatch.setattr(gateway.archive, "save_copy", save_then_delete)
        monkeypatch.setattr(gateway.purger, "purge", purged.append)
        upload = resized(drawing, 0.9)
        assert gateway.service.recognise(upload, PLAIN).word == "MISS"
        assert purged.count(result_id(upload)) >= 2, "by the deletion, and again after the copy was taken back"

    def test_a_copy_of_a_reading_that_is_replaced_meanwhile_is_not_kept(self, gateway, monkeypatch):
        drawing = gateway.reader.knows(draw_invoice(1))
        gateway.service.recognise(drawing.encoded(), PLAIN)
        save = gateway.archive.save_copy

        def read_again_then_save(*arguments):
            monkeypatch.setattr(gateway.archive, "save_copy", save)
            gateway.reader.known = {key: lines[:3] for key, lines in gateway.reader.known.items()}
            gateway.service.recognise(drawing.encoded(), PLAIN, "none")
            return save(*arguments)

        monkeypatch.setattr(gateway.archive, "save_copy", read_again_then_save)
        outcome = gateway.service.recognise(resized(drawing, 0.9), PLAIN)
        assert (outcome.word, outcome.match.source) == ("MISS", outcome.record.id)

    def test_what_is_deleted_while_it_is_read_is_not_stored(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        wanted = result_id(drawing.encoded())
        gateway.reader.on_read = lambda: gateway.service.delete(wanted)
        outcome = gateway.service.recognise(drawing.encoded(), PLAIN)
        assert (outcome.word, outcome.stored, texts(outcome)) == ("MISS", False, expected(drawing))
        assert traces(store) == []
        assert len(gateway.nominator) == 0
        gateway.reader.on_read = lambda: None
        assert gateway.service.recognise(drawing.encoded(), PLAIN).stored, "asked for after the deletion"

    def test_what_was_read_after_a_deletion_survives_a_reading_from_before_it(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        other = build_gateway(store)
        other.reader.knows(drawing)
        later = []

        def delete_and_ask_the_other_gateway():
            other.service.delete(result_id(drawing.encoded()))
            later.append(other.service.recognise(drawing.encoded(), PLAIN))

        gateway.reader.on_read = delete_and_ask_the_other_gateway
        assert not gateway.service.recognise(drawing.encoded(), PLAIN).stored
        assert later[0].stored
        assert other.service.look_up(later[0].record.id).record == later[0].record
        assert other.service.recognise(resized(drawing, 0.9), PLAIN).word != "MISS"

    def test_two_readings_of_one_id_leave_nothing_behind(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        record = gateway.service.recognise(drawing.encoded(), PLAIN).record
        time.sleep(1.1)  # another second, so another nomination entry
        gateway.service.recognise(drawing.encoded(), PLAIN, "none")
        assert len(list(store.scan("index/"))) == 1
        gateway.service.delete(record.id)
        assert traces(store) == []


class TestFailures:
    def test_a_refused_image_leaves_no_trace(self, gateway, store):
        with pytest.raises(BrokenImage):
            gateway.service.recognise(draw_invoice(1).encoded()[:2000], PLAIN)
        assert traces(store) == []

    def test_a_failed_reading_leaves_no_trace(self, gateway, store):
        def fail() -> None:
            raise ReadingFailed("no")

        gateway.reader.on_read = fail
        with pytest.raises(ReadingFailed):
            gateway.service.recognise(draw_invoice(1).encoded(), PLAIN)
        assert traces(store) == []

    def test_a_store_that_is_down_costs_a_reading_and_says_that_nothing_was_kept(self, gateway, store, monkeypatch):
        def down(*_):
            raise StoreError("down")

        for operation in ("get", "put", "add", "scan"):
            monkeypatch.setattr(type(store), operation, down)
        drawing = gateway.reader.knows(draw_invoice(1))
        outcome = gateway.service.recognise(drawing.encoded(), PLAIN)
        assert (outcome.word, outcome.stored, texts(outcome)) == ("MISS", False, expected(drawing))

    def test_a_look_up_that_cannot_be_made_is_no_miss(self, gateway, store, monkeypatch):
        def down(*_):
            raise StoreError("down")

        monkeypatch.setattr(type(store), "get", down)
        with pytest.raises(StoreUnavailable):
            gateway.service.look_up("0" * 64)

    def test_an_unreadable_record_is_a_miss(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        record = gateway.service.recognise(drawing.encoded(), PLAIN).record
        store.put(f"results/{record.id}", b'{"version": 99}', record.expires_at)
        assert gateway.service.recognise(drawing.encoded(), PLAIN).word == "MISS"

    def test_an_unreadable_proof_is_no_match(self, gateway, store):
        drawing = gateway.reader.knows(draw_invoice(1))
        record = gateway.service.recognise(drawing.encoded(), PLAIN).record
        store.put(f"proofs/{record.id}", b"garbage", record.expires_at)
        assert gateway.service.recognise(resized(drawing, 0.9), PLAIN).word == "MISS"


def test_concurrent_uploads_of_one_image_are_read_once(gateway):
    drawing = gateway.reader.knows(draw_invoice(1))
    entered, release = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        release.wait(10)

    gateway.reader.on_read = wait
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(gateway.service.recognise, drawing.encoded(), PLAIN) for _ in range(8)]
        entered.wait(10)
        release.set()
        outcomes = [each.result(20) for each in waiting]
    assert gateway.reader.reads == 1
    assert all(texts(outcome) == expected(drawing) for outcome in outcomes)
    assert sum(outcome.word == "MISS" and not outcome.collapsed for outcome in outcomes) == 1


def test_more_unknown_uploads_than_admitted_are_refused_and_known_ones_answered(store):
    gateway = build_gateway(store, at_once=2)
    known = gateway.reader.knows(draw_invoice(1))
    gateway.service.recognise(known.encoded(), PLAIN)
    entered, release = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        entered.release()
        release.wait(10)

    gateway.reader.on_read = wait
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(gateway.service.recognise, draw_invoice(number).encoded(), Options(layout="line"))
            for number in (2, 3)
        ]
        for _ in waiting:
            assert entered.acquire(timeout=10)
        with pytest.raises(Overloaded) as refused:
            gateway.service.recognise(draw_invoice(4).encoded(), PLAIN)
        assert refused.value.retry_after > 0
        assert gateway.service.recognise(known.encoded(), PLAIN).word == "HIT"
        release.set()
        assert [each.result(20).word for each in waiting] == ["MISS", "MISS"]


def test_a_restarted_gateway_nominates_what_was_stored_before(gateway, store):
    drawing = gateway.reader.knows(draw_invoice(1))
    gateway.service.recognise(drawing.encoded(), PLAIN)
    restarted = build_gateway(store)
    assert restarted.service.recognise(resized(drawing, 0.9), PLAIN).word != "MISS"


def _force_doubt(monkeypatch, lines: tuple[int, ...]) -> None:
    """Makes the matcher doubt ``lines`` of whatever it would have accepted."""
    from dataclasses import replace

    from gateway.matching import verify

    def doubtful(*arguments):
        verdict = verify(*arguments)
        assert verdict.kind != "different"
        return replace(verdict, kind="doubtful", doubtful=lines)

    monkeypatch.setattr("gateway.near.verify", doubtful)
