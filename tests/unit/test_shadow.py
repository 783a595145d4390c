"""Shadow readings: what was answered by its look is read afterwards, and what has other figures goes."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from gateway.errors import Overloaded, ReadingFailed
from gateway.identity import Options
from gateway.metrics import Metrics
from gateway.shadow import Shadow
from tests.doubles import Drawing, Gateway, build_gateway, draw_invoice
from worker.types import Line

PLAIN = Options()
SCALE = 0.9


@pytest.fixture
def gateway(store):
    """It reads everything again that it answers by its look."""
    made = build_gateway(store, shadow=1.0)
    made.service.recognise(made.reader.knows(draw_invoice(1288)).encoded(), PLAIN)
    yield made
    made.shadow.close()


def copy_of(gateway: Gateway, quality: int = 90, reads_as: Callable[[str], str] = lambda text: text) -> bytes:
    """A copy of the known document, which the reader reads as ``reads_as`` says."""
    drawing, buffer = draw_invoice(1288), io.BytesIO()
    height, width, _ = drawing.page.shape
    size = round(SCALE * width), round(SCALE * height)
    Image.fromarray(drawing.page).resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=quality)
    lines = tuple(
        Line(reads_as(line.text), line.score, tuple((SCALE * x, SCALE * y) for x, y in line.box))
        for line in drawing.lines
    )
    with Image.open(io.BytesIO(buffer.getvalue())) as image:
        gateway.reader.knows(Drawing(np.asarray(image), lines))
    return buffer.getvalue()


def other_digit(text: str) -> str:
    return text.replace("1288", "1283")


def counted(gateway: Gateway) -> dict[str, float]:
    """What shadow readings found, once the one that runs is over."""
    gateway.shadow.close()
    return {name: value for name, value in gateway.metrics.summary()["shadow_readings"].items() if value}


def test_a_copy_that_reads_as_answered_is_counted_and_left_alone(gateway):
    outcome = gateway.service.recognise(copy_of(gateway), PLAIN)
    assert outcome.word == "HIT"
    assert counted(gateway) == {"agree": 1}
    assert gateway.reader.reads == 2
    assert gateway.service.look_up(outcome.record.id).record == outcome.record


def test_what_a_reader_may_misread_is_noise(gateway):
    outcome = gateway.service.recognise(copy_of(gateway, reads_as=lambda text: text.replace("paper", "papar")), PLAIN)
    assert counted(gateway) == {"noise": 1}
    assert gateway.service.look_up(outcome.record.id).record == outcome.record


def test_other_figures_put_a_reading_in_the_place_of_the_copy(gateway, store, monkeypatch):
    purged: list[str] = []
    monkeypatch.setattr(gateway.purger, "purge", purged.append)
    outcome = gateway.service.recognise(copy_of(gateway, reads_as=other_digit), PLAIN)
    assert outcome.word == "HIT", "a false hit, as far as the reader can tell"
    assert counted(gateway) == {"digits": 1, "digits_rate": 1.0}
    kept = gateway.service.look_up(outcome.record.id).record
    assert "1283" in kept.text
    assert (kept.match.kind, kept.match.source) == ("none", kept.id)
    assert purged == [kept.id]
    assert not list(store.scan("aliases/"))


def test_other_figures_without_a_reading_to_replace_them_leave_nothing(gateway, store):
    upload = copy_of(gateway, reads_as=other_digit)
    reads = []

    def fail_the_second_time() -> None:
        reads.append(1)
        if len(reads) == 2:
            raise ReadingFailed("no")

    gateway.reader.on_read = fail_the_second_time
    outcome = gateway.service.recognise(upload, PLAIN)
    assert counted(gateway) == {"digits": 1, "digits_rate": 1.0}
    assert gateway.service.look_up(outcome.record.id) is None
    assert not list(store.scan("aliases/"))


def test_a_copy_that_was_deleted_meanwhile_stays_deleted(gateway):
    upload, ids = copy_of(gateway, reads_as=other_digit), []
    read_anew = gateway.readings.read_anew

    def delete_first(task):
        gateway.service.delete(task.result_id)
        ids.append(task.result_id)
        return read_anew(task)

    gateway.readings.read_anew = delete_first
    gateway.service.recognise(upload, PLAIN)
    assert counted(gateway) == {"digits": 1, "digits_rate": 1.0}
    assert gateway.service.look_up(ids[0]) is None
    assert gateway.reader.reads == 2, "nothing is read in the place of what is gone"


def test_the_warning_names_no_document(gateway, caplog):
    with caplog.at_level(logging.WARNING, "gateway.shadow"):
        outcome = gateway.service.recognise(copy_of(gateway, reads_as=other_digit), PLAIN)
        counted(gateway)
    (message,) = [record.getMessage() for record in caplog.records if record.name == "gateway.shadow"]
    assert outcome.record.id[:8] in message
    assert outcome.record.id[:12] not in message
    assert "128" not in message.replace(outcome.record.id[:8], "").replace(outcome.match.source[:8], "")


def test_only_what_is_answered_by_its_look_for_the_first_time_is_read(gateway):
    upload = copy_of(gateway)
    gateway.service.recognise(draw_invoice(1288).encoded("BMP"), PLAIN)
    assert gateway.reader.reads == 1
    gateway.service.recognise(upload, PLAIN)
    gateway.service.recognise(upload, PLAIN)
    assert counted(gateway) == {"agree": 1}


def test_a_second_one_is_dropped_and_nobody_waits(gateway):
    entered, release = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert release.wait(10)

    gateway.reader.on_read = wait
    first = gateway.service.recognise(copy_of(gateway, 90), PLAIN)
    assert entered.wait(10)
    second = gateway.service.recognise(copy_of(gateway, 80), PLAIN)
    assert (first.word, second.word) == ("HIT", "HIT")
    release.set()
    assert counted(gateway) == {"agree": 1, "dropped": 1}


def test_a_reader_that_is_busy_with_people_is_left_to_them(gateway, monkeypatch):
    monkeypatch.setattr("gateway.shadow.PATIENCE_SECONDS", 0.1)
    gateway.readings.is_idle = False
    gateway.service.recognise(copy_of(gateway), PLAIN)
    assert counted(gateway) == {"dropped": 1}
    assert gateway.reader.reads == 1


def test_a_reader_that_is_about_to_be_done_is_waited_for(gateway, monkeypatch):
    asked, twice = [], threading.Event()

    def idle_at_the_second_time() -> bool:
        asked.append(1)
        if len(asked) == 2:
            twice.set()
        return twice.is_set()

    monkeypatch.setattr(gateway.readings, "idle", idle_at_the_second_time)
    gateway.service.recognise(copy_of(gateway), PLAIN)
    assert twice.wait(5)
    assert counted(gateway) == {"agree": 1}


@pytest.mark.parametrize(("error", "found"), [(ReadingFailed("no"), "failed"), (Overloaded("busy"), "dropped")])
def test_a_shadow_reading_that_fails_changes_nothing(gateway, error, found):
    def fail() -> None:
        raise error

    gateway.reader.on_read = fail
    outcome = gateway.service.recognise(copy_of(gateway), PLAIN)
    assert counted(gateway) == {found: 1}
    assert gateway.service.look_up(outcome.record.id).record == outcome.record


def test_after_closing_nothing_is_read(gateway):
    gateway.shadow.close()
    gateway.service.recognise(copy_of(gateway), PLAIN)
    time.sleep(0.05)
    assert gateway.reader.reads == 1


@pytest.mark.parametrize(("share", "reads"), [(0.0, 0), (0.3, 3), (1.0, 10)])
def test_the_share_is_drawn(gateway, share, reads):
    metrics, draws = Metrics(), iter(number / 10 for number in range(10))
    record = gateway.service.recognise(copy_of(gateway), PLAIN, "exact").record
    gateway.readings.read_anew = lambda task: record.lines
    for _ in range(10):
        shadow = Shadow(gateway.readings, metrics, share, chance=lambda: next(draws))
        shadow.consider(None, record, lambda task, answered: None)
        shadow.close()
    assert metrics.summary()["shadow_readings"]["agree"] == reads
