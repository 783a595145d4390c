"""Tell a commercial CDN what to forget, over HTTP.

One request in the shape of Cloudflare's "purge cached content" (``POST /zones/<zone>/purge_cache`` with a bearer token;
body ``{"files": [...]}``, ``{"tags": [...]}`` or ``{"purge_everything": true}``), which a few lines in front translate
for others. By address it needs to know how clients spell it; by tag, every answer about a result carries the result's
id as ``Cache-Tag`` (Cloudflare, Akamai) and ``Surrogate-Key`` (Fastly, Varnish).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import urllib3

By = Literal["url", "tag"]


def tag_headers(result_id: str) -> dict[str, str]:
    """What an answer about ``result_id`` carries to be purged by tag; a CDN takes them off."""
    return {"Cache-Tag": result_id, "Surrogate-Key": result_id}


class HttpCdn:
    """A CDN with such an API at ``url``. Thread-safe.

    ``token``: sent as ``Authorization: Bearer``. ``by``: purge by ``url`` or by ``tag``. ``public_urls``: base URLs
    under which clients ask for results; needed to purge by URL. ``renderings``: what follows ``/results/<id>`` there.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        by: By = "url",
        public_urls: Sequence[str] = (),
        renderings: Sequence[str] = ("",),
    ) -> None:
        if by == "url" and not public_urls:
            raise ValueError("to purge by URL, the public URLs must be known")
        # Shown in errors: an API's path may name an account.
        self.name = urllib3.util.parse_url(url)._replace(auth=None, path=None, query=None, fragment=None).url
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._by = by
        self._bases = tuple(base.rstrip("/") for base in public_urls)
        self._renderings = tuple(renderings)
        self._http = urllib3.PoolManager(retries=False)

    def purge(self, result_id: str, timeout: float) -> bool:
        """Forget every address of ``result_id``; whether it confirmed within ``timeout`` seconds."""
        if self._by == "tag":
            return self._tell({"tags": [result_id]}, timeout)
        addresses = [f"{base}/results/{result_id}{rendering}" for base in self._bases for rendering in self._renderings]
        return self._tell({"files": addresses}, timeout)

    def purge_all(self, timeout: float) -> bool:
        """Forget everything; whether it confirmed within ``timeout`` seconds."""
        return self._tell({"purge_everything": True}, timeout)

    def _tell(self, what: dict[str, object], timeout: float) -> bool:
        try:
            answer = self._http.request(
                "POST",
                self._url,
                json=what,
                headers=self._headers,
                timeout=urllib3.Timeout(total=timeout),
                redirect=False,
            )
            if not 200 <= answer.status < 300:
                return False
            # Cloudflare says it in the body too; elsewhere the status is all there is.
            return not answer.data.startswith(b"{") or answer.json().get("success", True) is True
        except (urllib3.exceptions.HTTPError, ValueError):
            return False

    def close(self) -> None:
        """Let go of the connections."""
        self._http.clear()
