"""The whole gateway on its embedded default, as a process: it reads, remembers, refuses, survives and stops."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.documents import Invoice, draw_invoice
from tests.hostile import cases
from tests.serving import Served, running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running("serve", tmp_path_factory.mktemp("data")) as process:
        yield process


def post(served: Served, upload: bytes, **query: str) -> requests.Response:
    return requests.post(f"{served.url}/ocr", files={"image": ("scan", upload)}, params=query, timeout=60)


def recall(invoice: Invoice, text: str) -> float:
    seen = "".join(text.split())
    return sum("".join(line.split()) in seen for line in invoice.texts) / len(invoice.texts)


def test_a_drawn_invoice_is_read_and_then_answered_from_the_cache(served):
    invoice = draw_invoice(1)
    first = post(served, invoice.png())
    assert (first.status_code, first.headers["X-Cache-Status"]) == (200, "MISS")
    assert recall(invoice, first.json()["text"]) >= 0.9
    second = post(served, invoice.png())
    assert second.headers["X-Cache-Status"] == "HIT"
    looked_up = requests.get(served.url + first.headers["Content-Location"], timeout=5)
    assert looked_up.json()["text"] == first.json()["text"]
    assert second.elapsed < first.elapsed


def test_a_reencoded_copy_is_answered_from_the_cache_and_one_other_digit_is_read(served):
    known = draw_invoice(2, number="24117000000128812885")
    other = draw_invoice(2, number="24117000000128812835")
    original = post(served, known.png()).json()
    copy = post(served, known.jpeg(scale=0.9))
    assert copy.headers["X-Cache-Status"] in ("HIT", "PARTIAL")
    assert copy.json()["text"] == original["text"]
    corrected = post(served, other.jpeg(scale=0.9))
    assert corrected.headers["X-Cache-Status"] == "PARTIAL"
    answer = corrected.json()
    assert (answer["match"]["kind"], answer["match"]["source"]) == ("partial", answer["id"])
    assert 1 <= answer["match"]["reread_lines"] <= 3
    changed = [
        (new["text"], old["text"])
        for new, old in zip(answer["lines"], original["lines"], strict=True)
        if new["text"] != old["text"]
    ]
    assert len(changed) == 1
    assert other.number in changed[0][0]
    assert known.number in changed[0][1]
    stored = requests.get(served.url + corrected.headers["Content-Location"], timeout=5).json()
    assert (stored["text"], stored["match"]) == (answer["text"], answer["match"])
    assert stored["expires_at"] == original["expires_at"]


def test_a_share_of_the_copies_is_read_afterwards(tmp_path, wait_until):
    with running("serve", tmp_path, match_shadow=1) as shadowed:
        post(shadowed, draw_invoice(7).png())
        answer = post(shadowed, draw_invoice(7).jpeg(scale=0.9))
        assert answer.headers["X-Cache-Status"] in ("HIT", "PARTIAL")

        def outcomes() -> dict[str, float]:
            return requests.get(f"{shadowed.url}/stats", timeout=5).json()["shadow_readings"]

        wait_until(lambda: any(outcomes().values()), 30)
        assert (outcomes()["agree"], outcomes()["digits_rate"]) == (1, 0.0)
        metrics = requests.get(f"{shadowed.url}/metrics", timeout=5).text
        assert 'ocr_shadow_readings_total{outcome="agree"}' in metrics


def test_one_text_line_needs_no_detection(served):
    line = draw_invoice(3).line("价税合计（小写）¥12,800.50")
    answer = post(served, line, layout="line").json()
    assert "".join(answer["text"].split()) == "价税合计（小写）¥12,800.50"
    assert len(answer["lines"]) == 1


def test_a_code_of_digits_is_read_in_digits_when_that_is_known(served):
    line = draw_invoice(3).line("O0I1")
    post(served, line, layout="line")
    answer = post(served, line, layout="line", charset="digits")
    assert (answer.headers["X-Cache-Status"], answer.json()["text"]) == ("MISS", "0011")
    assert requests.get(f"{served.url}/results/{answer.json()['id']}", timeout=5).json()["text"] == "0011"
    words = ",".join(f"税价合{chr(0x4E00 + number)}" for number in range(64))
    assert post(served, line, layout="line", lexicon=words).headers["X-Cache-Status"] == "MISS", "as long as it may be"
    refused = post(served, line, charset="numbers")
    assert refused.status_code == 400
    assert "`charset`" in refused.json()["detail"]


def test_a_line_tells_its_characters_and_its_pattern_does_not_change_what_is_sure(served):
    line = draw_invoice(3).line("2026-06-02")
    answer = post(served, line, layout="line", detail="characters", pattern=r"\d{4}-\d{2}-\d{2}|[A-Z]{10}").json()
    [told] = answer["lines"]
    assert told["text"] == "".join(character["text"] for character in told["characters"]) == "2026-06-02"
    assert min(character["score"] for character in told["characters"]) == told["score"]
    stored = requests.get(f"{served.url}/results/{answer['id']}", timeout=5).json()
    assert stored["lines"] == answer["lines"]
    hocr = requests.get(f"{served.url}/results/{answer['id']}/hocr", timeout=5).text
    assert hocr.count("ocrx_cinfo") == 1 + len(told["text"])


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_hostile_file_gets_the_contracts_answer(served, case):
    upload = {"image": ("scan", case.data, case.content_type)}
    answer = requests.post(f"{served.url}/ocr", files=upload, timeout=60)
    assert answer.status_code == case.status
    if case.status != 200:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == f"/docs#{case.slug}"


def test_it_serves_on_after_all_that(served):
    assert post(served, draw_invoice(4).png()).status_code == 200
    assert requests.get(f"{served.url}/readyz", timeout=5).json()["status"] == "ready"


def test_many_at_once_are_all_answered_with_their_own_lines(served):
    invoices = [draw_invoice(1000 + number) for number in range(6)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda invoice: post(served, invoice.png()), invoices * 2))
    for invoice, answer in zip(invoices * 2, answers, strict=True):
        assert answer.status_code == 200
        assert invoice.number in answer.json()["text"]


def test_a_reader_killed_in_the_middle_of_a_reading_is_replaced_and_the_page_read_again(served, wait_until):
    [reader] = _children_of(served.process.pid, "worker.child")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, served, draw_invoice(5).png())
        time.sleep(0.2)
        os.kill(reader, signal.SIGKILL)
        answer = waiting.result()
    assert answer.status_code == 200
    assert draw_invoice(5).number in answer.json()["text"]
    wait_until(lambda: _children_of(served.process.pid, "worker.child") not in ([], [reader]), 20)


def test_what_was_answered_survives_a_kill(tmp_path):
    with running("serve", tmp_path) as first:
        location = post(first, draw_invoice(6).png()).headers["Content-Location"]
        first.stop(signal.SIGKILL)
    with running("serve", tmp_path) as second:
        assert requests.get(second.url + location, timeout=5).status_code == 200
        again = post(second, draw_invoice(6).jpeg(scale=0.9))
        assert again.headers["X-Cache-Status"] in ("HIT", "PARTIAL"), "the nomination index is rebuilt at start"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly(tmp_path, number):
    with running("serve", tmp_path) as served:
        children = _children_of(served.process.pid)
        assert served.stop(number) == 0
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline, "a process was left behind"
            time.sleep(0.05)
        assert "Traceback" not in "".join(served.output)


def test_what_it_reads_is_nowhere_in_its_log(served):
    log = "".join(served.output)
    assert '"route": "/ocr"' in log
    for secret in (*(text for text in draw_invoice(1).texts if len(text) > 6), "scan"):
        assert secret not in log


def _children_of(pid: int, marker: str = "") -> list[int]:
    """Process ids below ``pid`` whose command line contains ``marker``."""
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                waiting.append(child)
                if marker in Path(f"/proc/{child}/cmdline").read_bytes().decode():
                    found.append(child)
    return found
