"""Jobs among several gateways: each is done once, by whoever is there, and has one end."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import pytest

from gateway.errors import Overloaded, ReadingTimedOut, StoreUnavailable
from gateway.identity import Options, result_id
from gateway.jobs import ATTEMPTS, LIFETIME_SECONDS, Job, Jobs
from gateway.store.base import Entry, StoreError
from gateway.store.sqlite import SQLiteStore
from tests.doubles import build_gateway, draw_invoice


class FailingStore(SQLiteStore):
    """A real store. Writes that ``refuses`` picks do not arrive; ``meanwhile`` happens before keys are looked at."""

    refuses: Callable[[str, bytes], bool] = staticmethod(lambda key, value: False)
    meanwhile: Callable[[str], None] = staticmethod(lambda key: None)

    def get(self, key: str) -> Entry | None:
        self.meanwhile(key)
        return super().get(key)

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        if self.refuses(key, value):
            raise StoreError("sqlite: put: SQLITE_FULL")
        super().put(key, value, expires_at)

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        self.meanwhile(key)
        return super().add(key, value, expires_at)


@pytest.fixture
def store(tmp_path):
    opened = FailingStore(tmp_path / "store.sqlite3")
    yield opened
    opened.close()


@dataclass
class Node:
    """A gateway with jobs of its own over the shared store. ``hold``: the next reading waits for ``release``."""

    store: FailingStore
    lease: float = 60
    sweep: float = 0.05
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.gateway = build_gateway(self.store)
        self.reader = self.gateway.reader
        for number in range(3):
            self.reader.knows(draw_invoice(number))
        self.jobs = Jobs(self.gateway.service, self.store, workers=1, limit=4, lease=self.lease, sweep=self.sweep)

    def submit(self, number: int = 0) -> str:
        return self.jobs.submit(draw_invoice(number).encoded(), Options(), "exact")

    def hold(self) -> None:
        def wait_once():
            self.reader.on_read = lambda: None
            self.held.set()
            assert self.release.wait(10)

        self.reader.on_read = wait_once

    def ended(self, job_id: str) -> Job:
        eventually(lambda: self.jobs.find(job_id).ended)
        return self.jobs.find(job_id)

    def close(self) -> None:
        self.release.set()
        self.jobs.close()


@pytest.fixture
def node(store):
    """Makes gateways; closes them, nothing held."""
    made: list[Node] = []

    def make(**options) -> Node:
        made.append(Node(store, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def left_behind(store: FailingStore, **state) -> str:
    """The id of a job that an earlier process left in ``store``."""
    upload, until = draw_invoice(0).encoded(), int(time.time()) + LIFETIME_SECONDS
    state = {"match": "near", "expires_at": until, **state}
    job = Job("j" * 22, result_id(upload, Options()), asdict(Options()), **state)
    store.put(f"jobs/{job.id}", job.to_bytes(), job.expires_at)
    store.put(f"uploads/{job.id}", upload, job.expires_at)
    return job.id


def eventually(true: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_a_job_that_another_gateway_finished_stays_done(node):
    slow, other = node(sweep=60), node(sweep=60)
    slow.hold()
    running = slow.submit(0)
    assert slow.held.wait(5)
    waiting = slow.submit(1)  # behind the one that runs
    other.jobs.resume()
    assert other.ended(waiting).status == "done"
    slow.release.set()
    assert slow.ended(running).status == "done"
    slow.close()  # all that it had is behind it
    assert (other.jobs.find(waiting).status, slow.reader.reads) == ("done", 1)


def test_a_job_at_work_elsewhere_is_left_alone(node):
    slow, other = node(), node()
    slow.hold()
    job = slow.submit()
    assert slow.held.wait(5)
    other.jobs.resume()
    time.sleep(4 * other.sweep)
    assert other.reader.reads == 0
    slow.release.set()
    assert slow.ended(job).status == "done"


def test_a_lease_does_not_run_out_under_its_owner(node, store):
    slow = node(lease=2)
    slow.hold()
    job = slow.submit()
    assert slow.held.wait(5)
    first = store.get(f"leases/{job}").expires_at
    eventually(lambda: store.get(f"leases/{job}").expires_at > first)


def test_a_lease_is_not_renewed_after_it_was_given_up(node, store):
    def slow_renewal(key: str, value: bytes) -> bool:
        if key.startswith("leases/"):
            one.release.set()
            time.sleep(0.2)
        return False

    one = node()
    one.hold()
    one.submit()
    assert one.held.wait(5)
    store.refuses = slow_renewal
    assert one.release.wait(5)
    one.close()
    assert list(store.scan("leases/")) == []


def test_a_job_whose_owner_died_is_run_when_its_lease_has_run_out(node, store):
    heir = node()
    lease_ends = int(time.time()) + 2
    assert store.add(f"leases/{'j' * 22}", b"somebody else", lease_ends)
    job = left_behind(store, status="running", attempts=1)
    assert heir.ended(job).status == "done"
    assert time.time() >= lease_ends


@pytest.mark.parametrize("moment", ["leases/", "uploads/"])
def test_a_job_that_ends_elsewhere_while_it_is_begun_here_stays_done(node, store, moment):
    def end_elsewhere(key: str) -> None:
        if key.startswith(moment):
            store.meanwhile = lambda key: None
            left_behind(store, status="done")
            if moment == "uploads/":
                store.delete(f"uploads/{job}")

    one = node(sweep=60)
    job = left_behind(store)
    store.meanwhile = end_elsewhere
    one.jobs.resume()
    eventually(lambda: one.jobs.find(job).ended)
    one.close()
    assert (one.jobs.find(job).status, one.reader.reads) == ("done", 0)


def test_progress_is_not_recorded_over_the_end_that_a_new_owner_reached(node, store):
    def lose_the_lease(key: str) -> None:
        if key.startswith("results/"):
            store.meanwhile = lambda key: None
            store.put(f"leases/{job}", b"somebody else", int(time.time()) + 60)
            left_behind(store, status="done")

    one = node(sweep=60)
    one.hold()
    job = left_behind(store)
    store.meanwhile = lose_the_lease
    one.jobs.resume()
    assert one.held.wait(5)
    assert one.jobs.find(job).status == "done"


def test_the_upload_of_an_ended_job_is_removed_when_that_failed_before(node, store):
    one = node()
    left_behind(store, status="done")
    eventually(lambda: not list(store.scan("uploads/")))
    assert one.reader.reads == 0


def test_an_owner_that_lost_its_lease_does_not_record_a_failure(node, store):
    slow = node(sweep=60)

    def lose_the_lease_and_fail():
        store.put(f"leases/{job}", b"somebody else", int(time.time()) + 60)
        raise ReadingTimedOut("The reading ran over its deadline.")

    slow.hold()
    slow.submit(0)
    assert slow.held.wait(5)
    job = slow.submit(1)
    slow.reader.on_read = lose_the_lease_and_fail
    slow.release.set()
    eventually(lambda: slow.reader.reads == 2)
    slow.close()
    assert slow.jobs.find(job).status == "running"
    assert store.get(f"leases/{job}").value == b"somebody else"


def test_what_waits_at_a_graceful_end_is_run_at_once_by_the_next_process(node):
    old, new = node(sweep=60), node(sweep=60)
    old.hold()
    running = old.submit(0)
    assert old.held.wait(5)
    waiting = old.submit(1)
    closing = threading.Thread(target=old.jobs.close)
    closing.start()
    new.jobs.resume()
    assert new.ended(waiting).status == "done"
    old.release.set()
    closing.join(5)
    assert not closing.is_alive()
    assert new.jobs.find(running).status == "done"


def test_an_ended_job_leaves_neither_upload_nor_lease(node, store):
    one = node()
    one.ended(one.submit())
    one.close()
    assert [*store.scan("uploads/"), *store.scan("leases/")] == []


@pytest.mark.parametrize("refusal", [Overloaded, StoreUnavailable])
def test_a_busy_reader_or_an_absent_store_is_waited_for(node, refusal):
    one = node()
    left = [refusal("Not now.", retry_after=1)] * (ATTEMPTS + 1)

    def refuse_for_a_while():
        if left:
            raise left.pop()

    one.reader.on_read = refuse_for_a_while
    job = one.ended(one.submit())
    assert (job.status, one.reader.reads) == ("done", ATTEMPTS + 2)


def test_the_longer_a_job_has_waited_the_longer_it_rests(node, store):
    one = node()

    def busy():
        raise Overloaded("Not now.")

    one.reader.on_read = busy
    hour = 3600
    job = left_behind(store, expires_at=int(time.time()) + LIFETIME_SECONDS - hour)
    eventually(lambda: one.jobs.find(job).not_before > 0)
    assert one.jobs.find(job).not_before == pytest.approx(time.time() + hour / 10, abs=10)
    time.sleep(4 * one.sweep)
    assert one.reader.reads == 1


def test_what_is_sent_again_in_the_second_of_its_deletion_is_kept(node):
    first = node()
    wanted = result_id(draw_invoice(0).encoded(), Options())
    eventually(lambda: time.time() % 1 < 0.5)
    first.gateway.service.delete(wanted)
    assert first.ended(first.submit(0)).status == "done"
    assert first.gateway.service.look_up(wanted) is not None


def test_a_job_of_a_version_that_knew_whole_seconds_is_run(node, store):
    job_id = left_behind(store)
    fields = json.loads(store.get(f"jobs/{job_id}").value)
    del fields["asked_at"]
    store.put(f"jobs/{job_id}", json.dumps(fields).encode(), fields["expires_at"])
    first = node()
    assert first.jobs.find(job_id).asked_at == fields["expires_at"] - LIFETIME_SECONDS
    first.jobs.resume()
    assert first.ended(job_id).status == "done"


def test_a_job_that_breaks_is_given_up_in_the_end(node, caplog):
    one = node()

    def breaks():
        raise RuntimeError("Net amount 1,0000.00")

    one.reader.on_read = breaks
    with caplog.at_level(logging.DEBUG):
        job = one.ended(one.submit())
    assert (job.status, job.error["slug"], job.error["status"]) == ("failed", "reading-failed", 502)
    assert one.reader.reads == ATTEMPTS
    assert "RuntimeError" in caplog.text
    assert "Net amount" not in caplog.text


def test_a_job_that_ends_its_process_is_given_up_in_the_end(node, store):
    one = node()
    job = left_behind(store, status="running", attempts=ATTEMPTS)
    assert one.ended(job).error["slug"] == "reading-failed"
    assert one.reader.reads == 0


def test_a_result_that_is_not_stored_at_first_is_read_again(node, store):
    one = node()
    refusals = [True]
    store.refuses = lambda key, value: key.startswith("results/") and bool(refusals) and refusals.pop()
    job = one.ended(one.submit())
    assert (job.status, one.reader.reads) == ("done", 2)
    assert one.gateway.archive.find(job.result_id)


def test_a_result_that_is_never_stored_fails_by_name(node, store):
    one = node()
    store.refuses = lambda key, value: key.startswith("results/")
    job = one.ended(one.submit())
    assert (job.status, job.error["slug"], job.error["status"]) == ("failed", "store-unavailable", 503)
    assert one.reader.reads == ATTEMPTS


def test_progress_that_cannot_be_recorded_does_not_stop_the_reading(node, store, caplog):
    one = node()
    store.refuses = lambda key, value: key.startswith("jobs/") and b'"total": 1' in value
    job = one.ended(one.submit())
    assert (job.status, one.reader.reads) == ("done", 1)
    assert "progress" in caplog.text


def test_an_end_that_cannot_be_recorded_is_recorded_later(node, store):
    one = node()
    refusals = [True]
    store.refuses = lambda key, value: b'"status": "done"' in value and bool(refusals) and refusals.pop()
    job = one.ended(one.submit())
    assert (job.status, one.reader.reads, refusals) == ("done", 1, [])


def test_jobs_that_expired_do_not_keep_others_from_being_run(node, store, monkeypatch):
    listed, scan = [], store.scan

    def scan_like_s3(prefix: str):  # what has expired is listed until it is removed
        yield from [key for key in listed if key.startswith(prefix)]
        yield from scan(prefix)

    def delete(key: str) -> None:
        if key in listed:
            listed.remove(key)
        SQLiteStore.delete(store, key)

    monkeypatch.setattr(store, "scan", scan_like_s3)
    monkeypatch.setattr(store, "delete", delete)
    listed += [f"uploads/{letter * 22}" for letter in "abcdef"]  # more than one gateway takes up at a time
    job_id = left_behind(store)
    assert node().ended(job_id).status == "done"
    eventually(lambda: not listed)


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_job_whose_upload_is_not_to_be_had_is_tried_again_and_then_says_so(node, store, comes_back):
    one = node()
    one.hold()
    one.submit(0)
    assert one.held.wait(5)
    job = one.submit(1)
    upload = store.get(f"uploads/{job}")
    store.delete(f"uploads/{job}")
    one.release.set()
    if comes_back:
        eventually(lambda: one.jobs.find(job).attempts == 1)
        store.put(f"uploads/{job}", upload.value, upload.expires_at)
        assert one.ended(job).status == "done"
    else:
        assert one.ended(job).error["detail"] == "The upload was lost; send it again."


@pytest.mark.parametrize(("match", "status"), [("near", "done"), ("none", "failed")])
def test_a_job_that_a_store_says_still_runs_is_done_when_its_upload_has_made_way_for_its_result(
    node, store, match, status
):
    one = node(sweep=60)
    assert one.ended(one.submit(0)).status == "done"
    job_id = left_behind(store, match=match, status="running", attempts=ATTEMPTS - 1, asked_at=time.time())
    store.delete(f"uploads/{job_id}")
    one.jobs.resume()  # nothing waits any more
    one.jobs._take(job_id)  # but a gateway that had it on its list
    assert one.ended(job_id).status == status


def test_no_more_jobs_are_taken_up_than_the_limit(node):
    old, new = node(sweep=60), node(sweep=60)
    old.jobs.close()
    jobs = [old.submit(number) for number in range(6)]
    new.hold()
    new.jobs.resume()
    with pytest.raises(Overloaded):
        new.submit(0)
    new.release.set()
    eventually(lambda: sum(new.jobs.find(job).ended for job in jobs) == 4)
    new.close()
    assert sum(new.jobs.find(job).ended for job in jobs) == 4
