"""``ocr-gateway report``: what is read, what is counted, what it costs."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import sys
from types import SimpleNamespace

import pytest

from gateway.cli import main
from gateway.edge_log.lines import LogReader, total_size
from gateway.edge_log.summary import summarise

ID, OTHER = "a" * 64, "b" * 64


def facts_of(*paths, top=10, full_ids=False):
    reader = LogReader(paths)
    summary = summarise(reader)
    return summary.facts(reader.bad, top, full_ids)


def test_every_ending_of_a_request_is_told_apart(log, entry, upload):
    facts = facts_of(
        log(
            entry(), entry(edge="STALE"), entry(status=304),
            entry(edge="MISS"), entry(edge="BYPASS"), entry(path=f"/results/{ID}/thumbnail.webp", edge="EXPIRED"),
            entry(status=404, edge="MISS"), entry(status=502, edge="MISS"),
            upload(), upload(gateway="HIT"), upload(gateway="PARTIAL", path="/api/ocr"), upload(status=415, gateway=""),
            upload(status=202, gateway=""),
            entry(path="/"), entry(path=f"/purge/{ID}", method="DELETE"), entry(method="DELETE"),
        )
    )  # fmt: skip
    assert facts["requests"] == 16
    assert facts["endings"] == {
        "edge": 3, "gateway": 3, "copied": 1, "partial": 1, "read": 1, "accepted": 1, "unknown": 1, "failed": 2,
    }  # fmt: skip
    assert facts["documents_answered"] == 9
    assert facts["edge_hit_rate"] == round(3 / 7, 4)
    assert facts["answered_without_upload"] == round(6 / 9, 4)
    assert facts["answered_without_reading"] == round(8 / 9, 4)
    assert facts["words"]["upload"] == {"HIT": 1, "MISS": 1, "PARTIAL": 1, "none": 2}


def test_savings_come_from_the_mean_upload_and_the_mean_reading(log, entry, upload):
    facts = facts_of(
        log(
            entry(), entry(), entry(edge="MISS"),
            upload(bytes_in=100_000, upstream_seconds="0.4"),
            upload(bytes_in=300_000, upstream_seconds="0.010, 0.6"), upload(gateway="HIT", bytes_in=200_000),
        )
    )  # fmt: skip
    assert facts["saved"] == {
        "upload_bytes": 600_000, "mean_upload_bytes": 200_000, "gateway_bytes": 10_000,
        "reading_seconds": 2.0, "mean_reading_seconds": 0.5,
    }  # fmt: skip


def test_response_times_are_told_by_ending(log, entry, upload):
    lines = [entry(seconds=0.002)] * 98 + [entry(seconds=0.1)] * 2 + [upload(seconds=0.5)]
    seconds = facts_of(log(*lines))["seconds"]
    assert seconds["edge"]["p50"] == pytest.approx(0.002, rel=0.01)
    assert seconds["edge"]["p99"] == pytest.approx(0.1, rel=0.01)
    assert seconds["read"]["count"] == 1


def test_hours_are_told_in_order(log, entry, upload):
    later = "2026-11-20T10:30:00+00:00"
    hours = facts_of(log(upload(time=later), entry(time=later), entry()))["hours"]
    assert [hour["hour"] for hour in hours] == ["2026-11-20T08", "2026-11-20T10"]
    assert [hour["without_reading"] for hour in hours] == [1.0, 0.5]


def test_ids_are_shortened_unless_asked_for_in_full(log, entry):
    path = log(entry(), entry(), entry(path=f"/results/{OTHER}/text"))
    assert facts_of(path)["hottest"] == [{"id": "aaaaaaaa…", "lookups": 2}, {"id": "bbbbbbbb…", "lookups": 1}]
    assert [each["id"] for each in facts_of(path, full_ids=True, top=1)["hottest"]] == [ID]


@pytest.mark.parametrize(
    "bad",
    [
        "hello",
        "{",
        '{"status": 1}',
        "[]",
        '{"time":1}',
        '{"time":"x","method":"GET","path":"/","status":200}',
        "\x00",
        "x" * 200_000,
    ],
)
def test_a_line_that_is_none_is_counted_and_the_rest_goes_on(log, entry, bad):
    facts = facts_of(log(entry(), bad, entry()))
    assert (facts["requests"], facts["bad_lines"]) == (2, 1)


def test_bytes_that_are_no_text_are_counted(tmp_path, entry):
    path = tmp_path / "access.log"
    path.write_bytes(entry().encode() + b"\n" + entry(path="?").encode().replace(b"?", b"\xff\xfe") + b"\n")
    reader = LogReader([path])
    assert (len(list(reader)), reader.bad) == (1, 1)


def test_a_line_without_end_takes_no_memory_and_the_next_one_is_read(tmp_path, entry):
    path = tmp_path / "access.log"
    path.write_bytes(b"x" * 5_000_000 + b"\n" + entry().encode())
    reader = LogReader([path])
    assert (len(list(reader)), reader.bad) == (1, 1)


def test_compressed_files_and_several_of_them_are_read(tmp_path, log, entry):
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress((entry() + "\n" + entry()).encode()))
    assert facts_of(packed, log(entry()))["requests"] == 3


def test_a_compressed_file_that_breaks_off_gives_what_it_has(tmp_path, entry):
    packed = tmp_path / "access.log.1.gz"
    lines = "".join(entry(request_id=secrets.token_hex(16)) + "\n" for _ in range(9000)).encode()
    packed.write_bytes(gzip.compress(lines)[:-5000])
    reader = LogReader([packed])
    assert len(list(reader)) > 2000
    assert reader.bad >= 1


def test_standard_input_is_read_packed_or_not(monkeypatch, entry, capsys):
    for data in (entry().encode(), gzip.compress(entry().encode())):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(data))))
        assert main(["report", "--json", "-"]) == 0
        assert json.loads(capsys.readouterr().out)["requests"] == 1


def test_progress_is_told_in_bytes_of_the_files(tmp_path, log, entry):
    packed = tmp_path / "two.gz"
    packed.write_bytes(gzip.compress(entry().encode()))
    paths = [log(*[entry()] * 5000), packed]
    heard: list[int] = []
    list(LogReader(paths, heard.append))
    assert sum(heard) == total_size(paths)


def test_an_empty_log_divides_by_nothing(log, capsys):
    assert main(["report", str(log())]) == 0
    assert capsys.readouterr().out.startswith("0 requests")


def test_the_text_names_what_was_saved(log, entry, upload, capsys):
    assert main(["report", str(log(entry(), entry(), upload()))]) == 0
    out = capsys.readouterr().out
    assert "without reading them    66.7%" in out
    assert "not uploaded              800.0 kB" in out
    assert "aaaaaaaa…" in out
    assert ID not in out


def test_a_picture_is_drawn_when_asked_for(log, entry, upload, tmp_path):
    picture = tmp_path / "report.png"
    assert main(["report", str(log(entry(), upload(), "bad")), "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["report", str(log()), "--plot", str(tmp_path / "empty.png")]) == 0


def test_what_cannot_be_read_or_drawn_is_told_in_one_line(log, entry, tmp_path, capsys, monkeypatch):
    assert main(["report", str(tmp_path / "missing.log")]) == 1
    assert main(["report", str(log(entry())), "--plot", str(tmp_path / "picture.docx")]) == 1
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["report", str(log(entry())), "--plot", str(tmp_path / "a.png")]) == 1
    errors = capsys.readouterr().err
    assert "No such file" in errors
    assert "--plot needs matplotlib" in errors
