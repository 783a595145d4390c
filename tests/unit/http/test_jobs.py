"""``Prefer: respond-async``: an answer now, the result later, and nothing lost in between."""

from __future__ import annotations

import threading
import time

import pytest

from gateway.errors import Overloaded
from gateway.identity import Options, result_id
from gateway.jobs import Jobs
from tests.doubles import draw_invoice

ASYNC = {"Prefer": "respond-async, wait=10"}


def submit(client, upload: bytes):
    return client.post("/ocr", data=upload, content_type="image/png", headers=ASYNC)


def wait_for(client, address: str, status: int | str):
    for _ in range(500):
        answer = client.get(address)
        if status in (answer.status_code, (answer.json or {}).get("status")):
            return answer
        time.sleep(0.01)
    raise AssertionError(f"{address} is still {answer.status_code} {answer.json}")


def test_a_job_leads_to_its_result(client, invoice):
    accepted = submit(client, invoice.encoded())
    assert (accepted.status_code, accepted.headers["Preference-Applied"]) == (202, "respond-async")
    done = wait_for(client, accepted.headers["Location"], 303)
    assert done.headers["Location"] == f"/results/{result_id(invoice.encoded())}"
    assert client.get(done.headers["Location"]).status_code == 200


def test_a_running_job_shows_its_progress(client, gateway, invoice):
    release = threading.Event()
    gateway.reader.on_read = lambda: release.wait(10)
    address = submit(client, invoice.encoded()).headers["Location"]
    running = wait_for(client, address, "running")
    assert (running.status_code, running.json["progress"]["done"]) == (200, 0)
    assert running.headers["Cache-Control"] == "no-store"
    release.set()
    wait_for(client, address, 303)


def test_a_refused_image_is_told_by_the_job(client):
    failed = wait_for(client, submit(client, b"\x89PNG\r\n\x1a\n").headers["Location"], "failed")
    assert failed.status_code == 200
    assert failed.json["error"]["status"] == 422


def test_too_many_jobs_are_refused(client, gateway, assert_problem):
    release = threading.Event()
    gateway.reader.on_read = lambda: release.wait(10)
    drawings = [gateway.reader.knows(draw_invoice(number)) for number in range(5)]
    answers = [submit(client, drawing.encoded()) for drawing in drawings]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 202, 503]
    assert_problem(answers[-1], 503, "overloaded")
    release.set()


def test_a_job_survives_the_process_that_took_it(client, parts, gateway, store, invoice):
    upload = invoice.encoded()
    dead = Jobs(gateway.service, store, workers=1, limit=4, lease=60)
    dead.close()  # it keeps the job, and nobody runs it
    job = dead.submit(upload, Options(), "near")
    parts.jobs.resume()
    done = wait_for(client, f"/jobs/{job}", 303)
    assert client.get(done.headers["Location"]).json["id"] == result_id(upload)


def test_jobs_that_wait_for_a_busy_reader_count_as_waiting(client, gateway, assert_problem):
    def busy():
        raise Overloaded("Too many readings are waiting.", retry_after=2)

    gateway.reader.on_read = busy
    drawings = [gateway.reader.knows(draw_invoice(number)) for number in range(5)]
    addresses = [submit(client, drawing.encoded()).headers["Location"] for drawing in drawings[:4]]
    for address in addresses:
        wait_for(client, address, "queued")
    assert_problem(submit(client, drawings[4].encoded()), 503, "overloaded")


def test_an_ended_job_keeps_no_upload(client, store, invoice):
    wait_for(client, submit(client, invoice.encoded()).headers["Location"], 303)
    for _ in range(100):
        if not list(store.scan("uploads/")):
            break
        time.sleep(0.01)
    assert list(store.scan("uploads/")) == []


@pytest.mark.parametrize("name", ["A" * 22, "short", ".." * 11, "x" * 500])
def test_an_unknown_job_is_not_found(client, assert_problem, name):
    assert_problem(client.get(f"/jobs/{name}"), 404, "not-found")
