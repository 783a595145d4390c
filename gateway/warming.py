"""Ask an edge for results before others do, at a bounded rate."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import urllib3

# What is stored for clients that take a compressed answer, and for those that do not.
CODINGS = ("gzip", "identity")

_AT_ONCE = 8
_TIMEOUT_SECONDS = 15.0
_FILLED = frozenset({"MISS", "EXPIRED"})
_THERE = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})
_MOST_FAILURES = 20


class EdgeAway(Exception):
    """Too many requests in a row failed; the message says how."""


def warm(
    url: str,
    addresses: Sequence[str],
    rate: float,
    codings: Sequence[str] = CODINGS,
    advanced: Callable[[int], object] = lambda count: None,
) -> Counter[str]:
    """Have the edge at ``url`` fetch ``addresses`` (below ``/results/``), in order, ``rate`` requests a second at most.

    Every address is asked for in each of ``codings``, as clients do who take a compressed answer or not. A HEAD makes
    nginx fetch and keep the whole, and sends nothing back. Counts how that ended: ``filled``, ``there`` already,
    ``gone``, ``refused`` (private, or something else that the edge does not keep), ``failed``. Raises
    :class:`EdgeAway`, and :class:`ValueError` for what is no http or https address.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("an address begins with http:// or https:// and names a host")
    http = urllib3.PoolManager(maxsize=_AT_ONCE, timeout=_TIMEOUT_SECONDS, retries=False)
    started = time.monotonic()
    lock = threading.Lock()
    tally: Counter[str] = Counter()
    in_a_row = 0

    def one(number: int) -> None:
        nonlocal in_a_row
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        address, coding = addresses[number // len(codings)], codings[number % len(codings)]
        try:
            answer = http.request(
                "HEAD", f"{url.rstrip('/')}/results/{address}", headers={"Accept-Encoding": coding}, redirect=False
            )
            word = _ended(answer)
        except urllib3.exceptions.HTTPError:
            word = "failed"
        with lock:
            tally[word] += 1
            in_a_row = in_a_row + 1 if word == "failed" else 0
        advanced(1)

    numbers = iter(range(len(addresses) * len(codings)))

    def work() -> None:
        while in_a_row < _MOST_FAILURES:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            one(number)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="warm") as pool:
        list(pool.map(lambda _: work(), range(_AT_ONCE)))
    http.clear()
    if in_a_row >= _MOST_FAILURES:
        raise EdgeAway(f"{_MOST_FAILURES} requests in a row failed; {tally['filled']} results were filled before that")
    return tally


def _ended(answer: urllib3.BaseHTTPResponse) -> str:
    if answer.status in (404, 410):
        return "gone"
    if answer.status >= 500 or answer.status == 429:
        return "failed"
    word = answer.headers.get("X-Cache-Status", "")
    if answer.status != 200 or "public" not in answer.headers.get("Cache-Control", ""):
        return "refused"
    return "filled" if word in _FILLED else "there" if word in _THERE else "refused"
