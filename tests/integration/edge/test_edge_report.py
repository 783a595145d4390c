"""The report reads what a real edge logs."""

from __future__ import annotations

from gateway.edge_log.lines import LogReader
from gateway.edge_log.summary import summarise


def test_the_edges_own_log_is_understood_line_by_line(start_origin, start_edge, answer, live, result_id):
    origin = start_origin()
    origin.answers[f"/results/{result_id}"] = live()
    origin.answers["/ocr"] = answer(200, {"X-Cache-Status": "MISS"})
    edge = start_edge(f"127.0.0.1:{origin.port}")
    for path in (f"/results/{result_id}", f"/results/{result_id}", "/results/" + "0" * 64, "/nowhere?x=\"'"):
        edge.get(path)
    edge.get("/ocr", "POST", body=b"x" * 5000)
    written = edge.log()
    reader = LogReader([edge.folder / "access.log"])
    summary = summarise(reader)
    assert (reader.bad, summary.requests) == (0, len(written))
    assert {how: count for how, count in summary.endings.items() if count} == {
        "gateway": 1, "edge": 1, "unknown": 1, "read": 1,
    }  # fmt: skip
    facts = summary.facts(reader.bad, 1, full_ids=True)
    assert facts["hottest"] == [{"id": result_id, "lookups": 2}]
    assert facts["saved"]["mean_upload_bytes"] > 5000
