"""Remove a record from every edge cache.

An edge answers on its admin address (``infra/nginx/locations/purge.conf``): ``HEAD /stored/<id>`` waits for an answer
that is on its way into the cache, or says that there is one; ``DELETE /purge/<id>`` removes what is there. Asked in
this order, nothing that was read from a store before a deletion can enter the cache after the purge.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed

import urllib3

# The addresses of one record under /results/<id>; all of them are cached.
RENDERINGS = ("", "/thumbnail.webp", "/lines.csv", "/text", "/hocr")

_SETTLED = frozenset({"HIT", "MISS", "EXPIRED"})
_UNDER_WAY = "UPDATING"
_REMOVED = frozenset({200, 204})  # it was there; it was not
_POLL_SECONDS = 0.02
_MOST_WAITING = 256


class PurgeFailed(Exception):
    """Some edges did not confirm; ``edges`` are their base URLs."""

    def __init__(self, edges: Iterable[str]) -> None:
        self.edges = tuple(sorted(edges))
        super().__init__("not confirmed by " + ", ".join(self.edges))


class EdgePurger:
    """Purges on every edge of ``urls`` (base URLs of their admin addresses), at the same time.

    ``timeout``: seconds that one edge has for all it is asked in one purge. Thread-safe.
    Raises :class:`ValueError` for what is no http or https URL.
    """

    def __init__(self, urls: Iterable[str], timeout: float = 2.0) -> None:
        self._edges = tuple(url.rstrip("/") for url in urls)
        for edge in self._edges:
            if not edge.startswith(("http://", "https://")):
                raise ValueError(f"{edge!r} is not an http or https URL")
        self._timeout = timeout
        self._later = ThreadPoolExecutor(2, thread_name_prefix="forget-miss") if self._edges else None
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        # No retries: an edge that fails is the caller's to name, within the time promised.
        self._http = urllib3.PoolManager(num_pools=max(len(self._edges), 1), maxsize=8, retries=False)

    def purge(self, result_id: str) -> None:
        """Return when no edge has any rendering of ``result_id``. Raises :class:`PurgeFailed`."""
        if not self._edges:
            return
        with ThreadPoolExecutor(len(self._edges), thread_name_prefix="purge") as pool:
            waiting = {pool.submit(self._purge_one, edge, result_id): edge for edge in self._edges}
            failed = [waiting[done] for done in as_completed(waiting) if not done.result()]
        if failed:
            raise PurgeFailed(failed)

    def forget_miss(self, result_id: str) -> None:
        """Drop a 404 that edges may remember of a result that exists now. Returns at once and never fails.

        Without it, who looked the document up before it was uploaded may be told for another second or two that it is
        unknown; so when an edge is slow, or too much is waiting, it is left at that.
        """
        if self._later is None or not self._waiting.acquire(blocking=False):
            return
        try:
            self._later.submit(self._forget_miss, result_id)
        except RuntimeError:  # closed
            self._waiting.release()

    def close(self) -> None:
        """Finish what is under way and let go of the connections."""
        if self._later is not None:
            self._later.shutdown(cancel_futures=True)
        self._http.clear()

    def _forget_miss(self, result_id: str) -> None:
        try:
            for edge in self._edges:
                deadline = time.monotonic() + self._timeout
                with contextlib.suppress(urllib3.exceptions.HTTPError, TimeoutError):
                    for rendering in RENDERINGS:
                        address = f"{result_id}{rendering}"
                        if self._ask("HEAD", f"{edge}/stored/{address}", deadline).status == 404:
                            self._ask("DELETE", f"{edge}/purge/{address}", deadline)
        finally:
            self._waiting.release()

    def _purge_one(self, edge: str, result_id: str) -> bool:
        deadline = time.monotonic() + self._timeout
        try:
            for rendering in RENDERINGS:
                address = f"{result_id}{rendering}"
                if not self._settled(f"{edge}/stored/{address}", deadline):
                    return False
                if self._ask("DELETE", f"{edge}/purge/{address}", deadline).status not in _REMOVED:
                    return False
        except (urllib3.exceptions.HTTPError, TimeoutError):
            return False
        return True

    def _settled(self, url: str, deadline: float) -> bool:
        """Wait until no answer is on its way into the cache; ``False`` when this is no edge."""
        while (word := self._ask("HEAD", url, deadline).headers.get("X-Cache-Status")) == _UNDER_WAY:
            time.sleep(_POLL_SECONDS)
        return word in _SETTLED

    def _ask(self, method: str, url: str, deadline: float) -> urllib3.BaseHTTPResponse:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return self._http.request(method, url, timeout=urllib3.Timeout(total=left), redirect=False)
