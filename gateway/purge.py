"""Remove records from every cache in front of the gateway: shields, edges, a remote CDN; from the inside out.

An edge answers on its admin address (``infra/nginx/locations/purge.conf``): ``HEAD /stored/<id>`` waits for an answer
that is on its way into the cache, or says that there is one; ``DELETE /purge/<id>`` removes what is there. In key mode
a tenant's entries are addressed as ``<tenant>/<id>``. Asked in this order, nothing that was read from a store before a
deletion can enter the cache after the purge; and a cache is asked only when those it fills itself from have confirmed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import urllib3

from gateway.cdn import HttpCdn
from gateway.config import Settings

# The addresses of one record under /results/<id>; all of them are cached.
RENDERINGS = ("", "/thumbnail.webp", "/lines.csv", "/text", "/hocr")
# And what is stored of each: plain, and compressed. A picture is compressed already.
ENTRIES = (*RENDERINGS, *(f"{rendering}.gz" for rendering in RENDERINGS if rendering != "/thumbnail.webp"))

_SETTLED = frozenset({"HIT", "MISS", "EXPIRED"})
_UNDER_WAY = "UPDATING"
_REMOVED = frozenset({200, 204})  # it was there; it was not
_POLL_SECONDS = 0.02
_MOST_WAITING = 256
_MOST_THREADS = 64
# A new epoch waits until no nginx worker of the old one takes requests.
_EPOCH_SECONDS = 15.0

_Asked = TypeVar("_Asked")


class PurgeFailed(Exception):
    """Some caches did not confirm; ``edges`` are their base URLs."""

    def __init__(self, edges: Iterable[str]) -> None:
        self.edges = tuple(sorted(edges))
        super().__init__("not confirmed by " + ", ".join(self.edges))


class RemoteCache(Protocol):
    """A CDN that is told over its own API what to forget. Thread-safe."""

    name: str

    def purge(self, result_id: str, timeout: float) -> bool:
        """Forget every address of ``result_id``; whether it confirmed within ``timeout`` seconds."""

    def purge_all(self, timeout: float) -> bool:
        """Forget everything; whether it confirmed within ``timeout`` seconds."""

    def close(self) -> None:
        """Let go of the connections."""


def open_purger(settings: Settings) -> EdgePurger:
    """What the settings name: shields, edges, and a CDN."""
    cdn = None
    if settings.cdn_purge_url is not None:
        token = settings.cdn_purge_token.get_secret_value() if settings.cdn_purge_token else ""
        cdn = HttpCdn(
            settings.cdn_purge_url,
            token,
            by=settings.cdn_purge_by,
            public_urls=settings.cdn_public_urls,
            renderings=RENDERINGS,
        )
    timeout = settings.edge_purge_timeout
    return EdgePurger(settings.edge_purge_urls, timeout, shields=settings.shield_purge_urls, cdn=cdn)


class EdgePurger:
    """Purges on every edge of ``urls`` (base URLs of their admin addresses), at the same time.

    ``shields``: those that the edges fill themselves from, purged before them. ``cdn``: told last.
    ``timeout``: seconds that one edge has for all it is asked in one purge. Thread-safe.
    Raises :class:`ValueError` for what is no http or https URL.
    """

    def __init__(
        self,
        urls: Iterable[str],
        timeout: float = 2.0,
        *,
        shields: Iterable[str] = (),
        cdn: RemoteCache | None = None,
    ) -> None:
        levels = [tuple(url.rstrip("/") for url in level) for level in (shields, urls)]
        self._levels = tuple(level for level in levels if level)
        for edge in self.edges:
            if not edge.startswith(("http://", "https://")):
                raise ValueError(f"{edge!r} is not an http or https URL")
        self._timeout = timeout
        self._cdn = cdn
        self._later = ThreadPoolExecutor(2, thread_name_prefix="forget-miss") if self.edges else None
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        # No retries: an edge that fails is the caller's to name, within the time promised.
        self._http = urllib3.PoolManager(
            num_pools=max(len(self.edges), 1), maxsize=max(len(ENTRIES), 8), retries=False
        )

    @property
    def edges(self) -> tuple[str, ...]:
        """Base URLs of all that are purged, shields first."""
        return tuple(edge for level in self._levels for edge in level)

    def within(self, tenant: str) -> TenantPurger:
        """The part of ``tenant`` (its name) in all these caches; everybody's for ``""``."""
        return TenantPurger(self, tenant)

    def purge(self, result_id: str, tenant: str = "") -> None:
        """Return when no cache has any rendering of ``tenant``'s ``result_id``. Raises :class:`PurgeFailed`."""
        failed = set()
        whole = _entry(tenant, result_id)
        for level in self._levels:
            deadline = time.monotonic() + self._timeout
            asked = [(edge, entry) for edge in level for entry in ENTRIES]
            confirmed = _together(lambda each, by=deadline: self._purge_entry(each[0], whole + each[1], by), asked)
            failed |= {edge for (edge, _), done in zip(asked, confirmed, strict=True) if not done}
        if self._cdn is not None and not self._cdn.purge(result_id, self._timeout):
            failed.add(self._cdn.name)
        if failed:
            raise PurgeFailed(failed)

    def purge_all(self) -> None:
        """Return when no cache answers anything it holds now. Raises :class:`PurgeFailed`.

        Each edge gets a new epoch in its cache key: at once, whatever the size of its cache; what is on its disk is
        removed in the background. An edge that nobody can ask for it (its nginx was not started by ``render.py
        --run``) counts as failed.
        """
        failed = set()
        for level in self._levels:
            confirmed = _together(self._new_epoch, level)
            failed |= {edge for edge, done in zip(level, confirmed, strict=True) if not done}
        if self._cdn is not None and not self._cdn.purge_all(self._timeout):
            failed.add(self._cdn.name)
        if failed:
            raise PurgeFailed(failed)

    def forget_miss(self, result_id: str, tenant: str = "") -> None:
        """Drop a 404 that edges may remember of a result that exists now. Returns at once and never fails.

        Without it, who looked the document up before it was uploaded may be told for another second or two that it is
        unknown; so when an edge is slow, or too much is waiting, it is left at that.
        """
        if self._later is None or not self._waiting.acquire(blocking=False):
            return
        try:
            self._later.submit(self._forget_miss, _entry(tenant, result_id))
        except RuntimeError:  # closed
            self._waiting.release()

    def close(self) -> None:
        """Finish what is under way and let go of the connections."""
        if self._later is not None:
            self._later.shutdown(cancel_futures=True)
        self._http.clear()
        if self._cdn is not None:
            self._cdn.close()

    def _forget_miss(self, whole: str) -> None:
        try:
            for edge in self.edges:
                deadline = time.monotonic() + self._timeout
                with contextlib.suppress(urllib3.exceptions.HTTPError, TimeoutError):
                    for entry in ENTRIES:
                        if self._ask("HEAD", f"{edge}/stored/{whole}{entry}", deadline).status == 404:
                            self._ask("DELETE", f"{edge}/purge/{whole}{entry}", deadline)
        finally:
            self._waiting.release()

    def _purge_entry(self, edge: str, address: str, deadline: float) -> bool:
        try:
            return (
                self._settled(f"{edge}/stored/{address}", deadline)
                and self._ask("DELETE", f"{edge}/purge/{address}", deadline).status in _REMOVED
            )
        except (urllib3.exceptions.HTTPError, TimeoutError):
            return False

    def _new_epoch(self, edge: str) -> bool:
        try:
            return self._ask("POST", f"{edge}/epoch", time.monotonic() + _EPOCH_SECONDS).status == 200
        except (urllib3.exceptions.HTTPError, TimeoutError):
            return False

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


@dataclass(frozen=True, slots=True)
class TenantPurger:
    """One tenant's part of what ``purger`` purges: whatever id is purged, nobody else's entry goes."""

    purger: EdgePurger
    tenant: str

    def purge(self, result_id: str) -> None:
        """See :meth:`EdgePurger.purge`."""
        self.purger.purge(result_id, self.tenant)

    def forget_miss(self, result_id: str) -> None:
        """See :meth:`EdgePurger.forget_miss`."""
        self.purger.forget_miss(result_id, self.tenant)


def _entry(tenant: str, result_id: str) -> str:
    """How an edge addresses what it holds of a result, less the rendering."""
    return f"{tenant}/{result_id}" if tenant else result_id


def _together(call: Callable[[_Asked], bool], asked: Sequence[_Asked]) -> list[bool]:
    with ThreadPoolExecutor(min(len(asked), _MOST_THREADS), thread_name_prefix="purge") as pool:
        return list(pool.map(call, asked))
