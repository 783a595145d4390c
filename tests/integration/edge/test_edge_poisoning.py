"""Whatever is sent to a cold address, who asks plainly afterwards gets what plain asking gives. See tests/poisonous.py.

``benchmarks/poisoning.py`` does the same with as many requests as wanted.
"""

from __future__ import annotations

import signal
import time

from benchmarks.poisoning import poisonings

SAMPLE = 400


def test_no_request_leaves_anything_of_itself_in_the_cache(edge, origin, live):
    report = poisonings(edge.port, origin, live, SAMPLE, seed=1)
    assert report.poisoned == []
    assert report.sent == SAMPLE
    # A sample that is all refused would prove nothing.
    assert report.reached > SAMPLE / 4


def test_an_edge_that_lets_headers_through_is_found_out(start_edge, origin, live):
    edge = start_edge(f"127.0.0.1:{origin.port}")
    results = edge.folder / "conf" / "locations" / "results.conf"
    results.write_text(results.read_text().replace("proxy_pass_request_headers off;", ""))
    before = edge.worker_pids()
    edge.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while edge.worker_pids() & before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(poisonings(edge.port, origin, live, 60, seed=1).poisoned) > 5
