"""Readings through a real Redis and a real worker in this process; only the recogniser is scripted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from gateway.archive import Archive, Found
from gateway.config import Settings, load_settings
from gateway.errors import Overloaded, ReadingTimedOut, Refusal, StoreUnavailable
from gateway.identity import Options, result_id
from gateway.image import ImageLimits, decode
from gateway.readers import job_table, queue
from gateway.readers import worker as queue_worker
from gateway.readers.queue import QueuedReadings
from gateway.readers.worker import QueueWorker
from gateway.reading import Reading, ReadingTask, image_facts
from gateway.store.base import StoreError
from gateway.store.redis import RedisStore
from gateway.store.sqlite import SQLiteStore
from tests.doubles import ScriptedReader, draw_invoice
from tests.servers import RedisServer, redis_server
from worker.constraints import UNCONSTRAINED

LIMITS = ImageLimits(20_000_000, 20, 150)


class WarmReader(ScriptedReader):
    """A scripted reader with a pool's switches."""

    closed = False

    def start(self) -> None: ...

    def wait_ready(self, timeout: float) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("queue-redis")) as started:
        yield started


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    opened = redis.Redis.from_url(server.url)
    opened.flushdb()
    yield opened
    opened.config_set("maxmemory", 0)
    opened.close()


@pytest.fixture
def settings(server: RedisServer, client: redis.Redis) -> Settings:
    return load_settings(redis_url=server.url, reader="queue", read_timeout=5, queue_limit=4)


@pytest.fixture
def readings(settings: Settings, store: SQLiteStore) -> Iterator[QueuedReadings]:
    opened = QueuedReadings.connect(settings, Archive(store))
    yield opened
    opened.close()


@pytest.fixture
def reader() -> WarmReader:
    return WarmReader()


@contextmanager
def working(settings: Settings, store: SQLiteStore, reader: WarmReader) -> Iterator[QueueWorker]:
    worker = QueueWorker(settings, queue.connect(settings), store, reader, LIMITS)
    worker.start()
    try:
        yield worker
    finally:
        if not reader.closed:
            worker.stop()


def task_of(number: int, reader: WarmReader | None = None) -> ReadingTask:
    drawing = draw_invoice(number)
    if reader:
        reader.knows(drawing)
    upload = drawing.encoded()
    document = decode(upload, LIMITS)
    return ReadingTask(result_id(upload), upload, document, image_facts(document), Options(), asked_at=time.time())


@pytest.fixture
def asked() -> Iterator[Callable[..., Future[Reading]]]:
    """``asked(readings, task)`` asks in a thread."""
    with ThreadPoolExecutor(8) as pool:
        yield lambda readings, task: pool.submit(readings.obtain, task)


def wait_for(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def jobs(client: redis.Redis) -> list[bytes]:
    return client.keys(job_table.job_key("*"))


def everything(client: redis.Redis) -> bytes:
    """All keys and values that Redis holds."""
    found = []
    for key in client.keys("*"):
        readers = {b"hash": client.hgetall, b"string": client.get, b"list": lambda key: client.lrange(key, 0, -1)}
        found += [key, repr(readers.get(client.type(key), client.dump)(key)).encode()]
    return b"\n".join(found)


# --- what lies in Redis -------------------------------------------------------------------------------------------


def test_after_a_stored_reading_redis_holds_no_upload_no_text_and_no_flight(settings, store, reader, readings, client):
    task = task_of(1, reader)
    with working(settings, store, reader):
        reading = readings.obtain(task)
        assert (reading.stored, "INVOICE 2026-0001" in reading.record.text) == (True, True)
        left = everything(client)
    assert b"INVOICE" not in left
    assert repr(task.upload[100:164]).encode()[2:-1] not in left
    assert task.result_id.encode() not in left


def test_a_message_names_its_job_and_nothing_else(settings, store, reader, readings, client, asked):
    task = task_of(1, reader)
    waiting = asked(readings, task)
    wait_for(lambda: client.llen(f"{job_table.NAMESPACE}:{job_table.QUEUE}"))
    messages = b"".join(client.hvals(f"{job_table.NAMESPACE}:{job_table.QUEUE}.msgs"))
    assert task.result_id.encode() not in messages
    assert jobs(client)[0].rpartition(b":")[2] in messages
    with working(settings, store, reader):
        assert waiting.result().stored


def test_a_job_and_its_answer_have_no_expiry_until_the_answer_is_taken(readings, client, asked, settings):
    table, waiting = job_table.JobTable(client), asked(readings, task_of(1))
    wait_for(lambda: client.llen(f"{job_table.NAMESPACE}:{job_table.QUEUE}") and client.ttl(jobs(client)[0]) == -1)
    job = jobs(client)[0].decode().rpartition(":")[2]
    _, arguments = table.take(job)
    before = time.time()
    table.end(job, arguments["flight"], {"created_at": before})
    with pytest.raises(StoreUnavailable):  # nothing was stored
        waiting.result()
    assert 0 < client.ttl(jobs(client)[0]) <= job_table.TAKEN_SECONDS
    unasked, _ = table.claim(job_table.flight_key("other"), time.time() + 5, 4)
    table.fill(unasked, arguments, b"upload")
    table.take(unasked)
    table.end(unasked, job_table.flight_key("other"), {"created_at": before})
    assert client.ttl(job_table.job_key(unasked)) == -1


def test_only_a_record_that_no_store_took_travels_in_the_answer(settings, store, reader, readings, monkeypatch):
    def refuse(*_: object) -> None:
        raise StoreError("full")

    monkeypatch.setattr(store, "put", refuse)
    with working(settings, store, reader):
        reading = readings.obtain(task_of(1, reader))
    assert (reading.stored, "INVOICE 2026-0001" in reading.record.text) == (False, True)


def test_an_older_record_is_not_taken_for_the_reading(settings, store, reader, readings, monkeypatch):
    with working(settings, store, reader):
        reading = readings.obtain(task_of(1, reader))
        stale = Found(replace(reading.record, created_at=reading.record.created_at - 60), "redis")
        monkeypatch.setattr(Archive, "look_up", lambda *_: stale)
        with pytest.raises(StoreUnavailable):
            readings.obtain(task_of(1, reader))


def test_workers_sweep_up_what_gateways_left(settings, store, reader, client, monkeypatch):
    monkeypatch.setattr(job_table, "MARGIN_SECONDS", 0)
    table = job_table.JobTable(client)
    job, _ = table.claim(job_table.flight_key("x"), time.time() - 1, 4)
    table.fill(job, {"flight": "x", "deadline": time.time() - 1}, b"upload")
    table.keep(job)
    with working(settings, store, reader):
        wait_for(lambda: not jobs(client) and not client.exists(job_table.deadlines_key()))


# --- jobs that get lost -------------------------------------------------------------------------------------------


def test_a_flight_that_leads_nowhere_costs_nothing(settings, store, reader, readings, client):
    task = task_of(1, reader)
    client.set(job_table.flight_key(task.result_id), "gone", ex=60)
    with working(settings, store, reader):
        started = time.monotonic()
        assert readings.obtain(task).stored
    assert time.monotonic() - started < 2


def test_whoever_follows_a_gateway_that_dies_before_it_enqueued_begins_anew(
    settings, store, reader, readings, client, monkeypatch
):
    monkeypatch.setattr(job_table, "CLAIM_SECONDS", 1)
    task = task_of(1, reader)
    dead = job_table.JobTable(client).claim(job_table.flight_key(task.result_id), time.time() + 60, 4)
    assert dead is not None
    with working(settings, store, reader):
        started = time.monotonic()
        assert readings.obtain(task).stored
    assert time.monotonic() - started < 3


def test_a_job_that_vanishes_is_asked_for_again(settings, store, reader, readings, client, asked):
    task = task_of(1, reader)
    waiting = asked(readings, task)
    wait_for(lambda: client.llen(f"{job_table.NAMESPACE}:{job_table.QUEUE}"))
    first = jobs(client)
    client.delete(*first)
    wait_for(lambda: jobs(client) and jobs(client) != first)
    with working(settings, store, reader):
        assert waiting.result().stored
    assert reader.reads == 1


def test_a_queue_that_loses_every_job_is_an_overload_not_a_time_out(readings, client, asked):
    waiting = asked(readings, task_of(1))
    while not waiting.done():
        if client.llen(f"{job_table.NAMESPACE}:{job_table.QUEUE}") and (there := jobs(client)):
            client.delete(*there)
        time.sleep(0.005)
    assert isinstance(waiting.exception(), Overloaded)
    assert waiting.exception().retry_after


def test_an_enqueueing_that_fails_leaves_no_flight_behind(readings, client, monkeypatch):
    def refuse(message: object) -> None:
        raise redis.exceptions.OutOfMemoryError("full")

    monkeypatch.setattr(readings._broker, "enqueue", refuse)
    with pytest.raises(StoreUnavailable):
        readings.obtain(task_of(1))
    assert client.keys(job_table.flight_key("*")) == jobs(client) == []


def test_the_end_of_a_job_leaves_another_job_s_flight_alone(client):
    table, flight = job_table.JobTable(client), job_table.flight_key("x")
    old, _ = table.claim(flight, time.time() + 5, 4)
    client.delete(job_table.job_key(old))
    new, _ = table.claim(flight, time.time() + 5, 4)
    table.end(old, flight, {"created_at": 0})
    assert (client.get(flight).decode(), client.exists(job_table.job_key(old))) == (new, 0)


def test_a_reading_that_ran_out_of_time_leaves_nothing_in_redis(server, store, client):
    hasty = load_settings(redis_url=server.url, reader="queue", read_timeout=0.3)
    readings = QueuedReadings.connect(hasty, Archive(store))
    with pytest.raises(ReadingTimedOut):
        readings.obtain(task_of(1))
    assert client.keys(job_table.flight_key("*")) == jobs(client) == []
    readings.close()


def test_a_second_asker_follows_the_reading_under_way(settings, store, reader, readings, client, asked):
    task = task_of(1, reader)
    waiting = [asked(readings, task) for _ in range(3)]
    wait_for(lambda: jobs(client))
    with working(settings, store, reader):
        records = [each.result().record for each in waiting]
    assert (reader.reads, len({record.created_at for record in records})) == (1, 1)


def test_a_fetch_whose_reply_was_lost_loses_no_message(settings, store, reader, readings, client, asked, monkeypatch):
    monkeypatch.setattr(queue, "HEARTBEAT_TIMEOUT_MS", 200)
    monkeypatch.setattr(queue, "MAINTENANCE_CHANCE", 1_000_000)
    waiting = asked(readings, task_of(1, reader))
    wait_for(lambda: client.llen(f"{job_table.NAMESPACE}:{job_table.QUEUE}"))
    worker = QueueWorker(settings, queue.connect(settings), store, reader, LIMITS)
    worker._broker.do_fetch(job_table.QUEUE, 1)
    worker.start()  # its consumer is a new one, as after a failure
    assert waiting.result().stored
    worker.stop()


# --- backlogs and stops -------------------------------------------------------------------------------------------


def test_a_message_whose_deadline_has_passed_is_not_decoded(settings, store, reader, client, monkeypatch):
    decoded = []
    monkeypatch.setattr(queue_worker, "decode", lambda *_: decoded.append(1))
    table, broker = job_table.JobTable(client), queue.Broker(client)
    broker.declare_queue(job_table.QUEUE)
    job, _ = table.claim("f", time.time() + 60, 4)
    table.fill(job, {"flight": "f", "deadline": time.time() - 1, "result_id": "r", "options": {}}, b"upload")
    broker.enqueue(
        queue.dramatiq.Message(queue_name=job_table.QUEUE, actor_name=queue.READ, args=(job,), kwargs={}, options={})
    )
    with working(settings, store, reader):
        wait_for(lambda: table.poll(job)[1])
    assert b"ReadingTimedOut" in table.poll(job)[1]
    assert not decoded


def test_a_worker_that_is_stopped_finishes_what_it_reads(settings, store, reader, readings, asked):
    reading = threading.Event()
    released = threading.Event()

    def hold() -> None:
        reading.set()
        released.wait(10)
        assert not reader.closed

    reader.on_read = hold
    task = task_of(1, reader)
    with working(settings, store, reader) as worker:
        waiting = asked(readings, task)
        assert reading.wait(5)
        threading.Timer(1.0, released.set).start()
        worker.stop()
    assert (waiting.result().stored, reader.closed) == (True, True)


def test_a_stop_waits_as_long_as_the_longest_reading_may_take(server, store, reader, client, monkeypatch):
    patient = load_settings(redis_url=server.url, reader="queue", read_timeout=120)
    waited = []
    with working(patient, store, reader) as worker:
        stop = worker._worker.stop
        monkeypatch.setattr(worker._worker, "stop", lambda timeout: (waited.append(timeout), stop(timeout)))
        worker.stop()
    assert waited[0] >= 120_000


# --- a Redis that fails -------------------------------------------------------------------------------------------


def test_an_answer_arrives_though_redis_is_full(settings, store, reader, readings, client, monkeypatch):
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.1)
    reader.on_read = lambda: client.config_set("maxmemory", 1)
    with working(settings, store, reader):
        reading = readings.obtain(task_of(1, reader))
        client.config_set("maxmemory", 0)
    assert reading.stored


def test_an_answer_that_could_not_be_written_is_written_later(settings, store, reader, readings, monkeypatch):
    with working(settings, store, reader) as worker:
        end, failures = worker._jobs.end, [redis.ConnectionError(), redis.TimeoutError()]

        def fail_first(*arguments: object) -> None:
            if failures:
                raise failures.pop()
            end(*arguments)

        monkeypatch.setattr(worker._jobs, "end", fail_first)
        assert readings.obtain(task_of(1, reader)).stored
    assert not failures


def test_a_redis_that_hangs_costs_a_time_out_now_and_then_not_one_each_request(
    tmp_path: Path, store, monkeypatch
):
    monkeypatch.setattr(queue, "GATEWAY_TIMEOUT_SECONDS", 0.3)
    with redis_server(tmp_path / "redis") as hanging:
        readings = QueuedReadings.connect(load_settings(redis_url=hanging.url, reader="queue"), Archive(store))
        task = task_of(1)
        hanging.pause()

        def refused(_: int) -> float:
            started = time.monotonic()
            with pytest.raises(StoreUnavailable) as refusal:
                readings.obtain(task)
            assert refusal.value.retry_after
            return time.monotonic() - started

        with ThreadPoolExecutor(16) as pool:
            assert max(pool.map(refused, range(16))) < 1.0
        assert sum(map(refused, range(50))) < 0.2
        hanging.resume()
        readings.close()


def test_a_full_queue_refuses_new_readings_and_lets_others_follow(settings, store, reader, readings, client, asked):
    waiting = [asked(readings, task_of(number, reader)) for number in range(1, settings.queue_limit + 1)]
    wait_for(lambda: client.llen(f"{job_table.NAMESPACE}:{job_table.QUEUE}") == settings.queue_limit)
    with pytest.raises(Overloaded):
        readings.obtain(task_of(99))
    follower = asked(readings, task_of(1))
    time.sleep(0.2)
    assert not follower.done()
    with working(settings, store, reader):
        assert all(each.result().stored for each in (*waiting, follower))
    assert reader.reads == settings.queue_limit


def test_what_breaks_in_a_worker_is_answered_and_logged_without_the_document(
    settings, store, reader, readings, caplog
):
    def break_down() -> None:
        raise RuntimeError("INVOICE 2026-0001")

    reader.on_read = break_down
    task = task_of(1, reader)
    with caplog.at_level(logging.INFO), working(settings, store, reader), pytest.raises(Refusal):
        readings.obtain(task)
    assert "INVOICE" not in caplog.text
    assert task.result_id not in caplog.text


def test_lines_are_read_again_without_a_trace(settings, store, reader, readings, client):
    task = task_of(1, reader)
    with working(settings, store, reader):
        (line,) = readings.reread(task, [reader.known[task.facts.sha256][0].box])
        assert line.text == "INVOICE 2026-0001"
        assert b"INVOICE" not in everything(client)
    assert not list(store.scan(""))


def test_what_constrains_a_text_reaches_the_worker_whatever_it_is_asked(settings, store, reader, readings):
    options = Options(charset="digits,upper:-", lexicon="INV-1,发票", pattern=r"INV-\d+", detail="characters")
    task = replace(task_of(1, reader), options=options)
    task = replace(task, result_id=task.result_id + options.suffix())
    with working(settings, store, reader):
        for ask in (readings.obtain, readings.read_anew, lambda task: readings.reread(task, [])):
            reader.constraints = UNCONSTRAINED
            ask(task)
            assert reader.constraints == options.constraints


def test_a_page_is_read_anew_without_a_trace(settings, store, reader, readings, client):
    task = task_of(1, reader)
    with working(settings, store, reader):
        assert tuple(readings.read_anew(task)) == reader.known[task.facts.sha256]
        assert b"INVOICE" not in everything(client)
    assert not list(store.scan(""))


def test_workers_are_idle_when_there_are_more_than_readings_under_way(
    settings, store, reader, readings, client, asked
):
    assert not readings.idle(), "nobody is there"
    entered, release = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        assert release.wait(10)

    reader.on_read = wait
    with working(settings, store, reader):
        wait_for(readings.idle)
        reading = asked(readings, task_of(1, reader))
        assert entered.wait(5)
        assert not readings.idle()
        release.set()
        assert reading.result().stored
        wait_for(readings.idle)


def test_a_queue_out_of_reach_is_not_idle(settings, readings, monkeypatch):
    def fail(_self) -> int:
        raise redis.ConnectionError

    monkeypatch.setattr(job_table.JobTable, "unfinished", fail)
    assert not readings.idle()


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "allkeys-lru"])
def test_a_check_advises_against_policies_that_would_stop_or_evict_the_queue(client, policy):
    client.config_set("maxmemory", 2**30)
    client.config_set("maxmemory-policy", policy)
    try:
        advice = " ".join(RedisStore(client, alone=False).check())
    finally:
        client.config_set("maxmemory-policy", "noeviction")
    assert ("queue" in advice) == (policy != "volatile-lru")


def test_a_tenants_readings_are_stored_in_its_own_archive_and_shared_with_nobody(
    settings, store, readings, reader, asked, client
):
    task = task_of(1, reader)
    release = threading.Event()
    reader.on_read = lambda: release.wait(5)
    with working(settings, store, reader):
        waiting = [asked(readings.within(name), task) for name in ("acme", "acme", "zeta", "")]
        wait_for(lambda: len(jobs(client)) == 3)
        release.set()
        assert all(each.result(10).stored for each in waiting)
    assert reader.reads == 3
    archive = Archive(store)
    for name in ("acme", "zeta", ""):
        assert archive.within(name).find(task.result_id) is not None
    assert {key.partition("/results/")[0] for key in store.scan("tenants/") if "/results/" in key} == {
        "tenants/acme",
        "tenants/zeta",
    }
