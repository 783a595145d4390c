"""A client of the gateway: asks for a document by its fingerprint, and uploads it only when that is unknown.

This file needs Python 3.11 and urllib3, nothing else of the project, and may be copied::

    client = Client("https://ocr.example")
    answer = client.recognise(Path("invoice.jpg"))
    print(answer.result["text"], answer.word, answer.bytes_saved)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, BinaryIO, Literal, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

import urllib3

# What passes by itself: too many requests (429), nobody free to read (503). A reading that failed (502) or took too
# long (504) would do so again.
_TRY_AGAIN = (429, 503)
_MOST_SECONDS_BETWEEN_TRIES = 30
_MOST_POLL_SECONDS = 5.0
# What an edge answers while its gateways are being replaced, and how long a job is still asked after.
_AWAY = (502, 504)
_SECONDS_BETWEEN_TRIES_WHILE_AWAY = (0.2, 0.5, 1.0, 2.0, 4.0)
_PIECE_BYTES = 1 << 18
_PAGES = re.compile(r"([1-9][0-9]{0,6})(?:-([1-9][0-9]{0,6}))?")
_DEFAULTS = {"layout": "auto", "pages": "", "charset": "", "lexicon": "", "pattern": "", "detail": "lines"}


class ReadingOptions(TypedDict, total=False):
    """What changes a reading, and its id with it: the HTTP parameters of these names."""

    layout: Literal["auto", "line"]
    pages: str
    charset: str
    lexicon: str
    pattern: str
    detail: Literal["lines", "characters"]


Document = bytes | str | PathLike[str]
"""A document's bytes, or the path of its file."""


class ClientError(Exception):
    """There is no result. ``status``: the HTTP status, 0 when no answer came; ``detail``: what to do about it."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        self.status, self.title, self.detail = status, title, detail
        super().__init__(f"{title}: {detail}" if detail else title)


@dataclass(frozen=True, slots=True)
class Answer:
    """A result and how it was come by.

    ``result``: the JSON object of the HTTP contract. ``word``: ``X-Cache-Status`` of the answer. ``uploaded``: whether
    the file travelled. ``size``: its bytes. ``seconds``: of the whole call, the fingerprint included.
    """

    result: dict[str, Any]
    word: str
    uploaded: bool
    size: int
    seconds: float

    @property
    def bytes_saved(self) -> int:
        """The bytes that did not have to be uploaded."""
        return 0 if self.uploaded else self.size


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """``id``: the result id; ``size``: the document's bytes."""

    id: str
    size: int


def fingerprint(
    document: Document | BinaryIO,
    *,
    lookup_key: str | None = None,
    **options: Unpack[ReadingOptions],
) -> Fingerprint:
    """The result id of a document, computed here. A file is read in pieces, an open one from where it stands to its
    end. Raises :class:`OSError`.

    It is the lower-case hex SHA-256 of the bytes; with ``lookup_key`` (hex digits, of a gateway with API keys) the
    HMAC-SHA256 (RFC 2104) of that digest's 32 bytes under it. Options other than the defaults add ``-`` and 8 hex
    digits. Raises :class:`ValueError` for options or a key that are none.
    """
    if isinstance(document, bytes):
        digest, size = hashlib.sha256(document), len(document)
    elif isinstance(document, str | PathLike):
        with open(document, "rb") as file:
            return fingerprint(file, lookup_key=lookup_key, **options)
    else:
        # Not `hashlib.file_digest`: of a `BytesIO` it takes everything, wherever that stands, and does not move it.
        digest, size = hashlib.sha256(), 0
        while piece := document.read(_PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
    if lookup_key is not None:
        digest = hmac.new(bytes.fromhex(lookup_key), digest.digest(), hashlib.sha256)
    return Fingerprint(digest.hexdigest() + _suffix(_changed(options)), size)


class Client:
    """Talks to one gateway or the edge in front of it. Thread-safe; connections are kept.

    ``url``: such as ``https://ocr.example``. ``timeout``: seconds without a byte of an answer before it is given up.
    ``retries``: how often a refusal that passes by itself (429, 503) or a broken connection is tried again, after the
    pause that ``Retry-After`` asks for or one that doubles, 30 seconds at most. ``api_key``: where the gateway wants
    one; it goes over https, or to this machine, only. ``lookup_key``: the key of its ids; the gateway is asked for it
    once when it is not given. Raises :class:`ValueError` for arguments that cannot be right.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        lookup_key: str | None = None,
        timeout: float = 90.0,
        retries: int = 4,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address begins with http:// or https:// and names a host")
        local = parts.hostname in ("localhost", "::1") or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", parts.hostname)
        if api_key is not None and parts.scheme != "https" and not local:
            raise ValueError("an API key travels over https only")
        self._base = url.rstrip("/")
        self._host = parts.netloc.rpartition("@")[2]
        if lookup_key is not None:
            bytes.fromhex(lookup_key)
        self._lookup_key = lookup_key
        self._knows_lookup_key = api_key is None or lookup_key is not None
        # The edge stores answers compressed, so this costs it nothing.
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = urllib3.PoolManager(
            maxsize=16,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(timeout, 10.0), read=timeout),
            retries=urllib3.Retry(
                total=retries,
                redirect=0,
                # Uploading twice is harmless: the id is the document's own.
                allowed_methods=None,
                status_forcelist=_TRY_AGAIN,
                backoff_factor=0.5,
                backoff_jitter=0.5,
                backoff_max=_MOST_SECONDS_BETWEEN_TRIES,
                retry_after_max=_MOST_SECONDS_BETWEEN_TRIES,
                raise_on_status=False,
                raise_on_redirect=False,
            ),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.clear()

    def fingerprint(self, document: Document, **options: Unpack[ReadingOptions]) -> Fingerprint:
        """A document's id at this gateway. Raises like :meth:`look_up`."""
        if not self._knows_lookup_key:
            self._lookup_key = self._ask_lookup_key()
            self._knows_lookup_key = True
        return fingerprint(document, lookup_key=self._lookup_key, **options)

    def look_up(self, document: Document, **options: Unpack[ReadingOptions]) -> Answer | None:
        """The result of a known document, ``None`` when it is unknown. Only its id is sent.

        Raises :class:`ClientError`, :class:`OSError` for a file that cannot be read, :class:`ValueError` for options
        that are none.
        """
        started = time.perf_counter()
        own = self.fingerprint(document, **options)
        found = self._get(f"/results/{own.id}")
        if found is None:
            return None
        result, word = found
        return Answer(result, word, False, own.size, time.perf_counter() - started)

    def recognise(
        self,
        document: Document,
        *,
        match: Literal["exact", "near", "none"] = "near",
        job: bool = False,
        progress: Callable[[int, int], None] | None = None,
        **options: Unpack[ReadingOptions],
    ) -> Answer:
        """The result of a document: looked up, and uploaded only when it is unknown (or ``match`` is ``none``).

        ``job``: read it as a job that is asked after, however long it takes; ``progress(done, total)`` hears of the
        pages. Raises what :meth:`look_up` does.
        """
        started = time.perf_counter()
        if match != "none":
            known = self.look_up(document, **options)
            # What was matched by its look does for `near` alone.
            if known and (match == "near" or known.result["match"]["kind"] not in ("near", "partial")):
                return known
        body = document if isinstance(document, bytes) else _contents(document)
        query = urlencode(_changed(options) | ({"match": match} if match != "near" else {}))
        headers = {"Content-Type": "application/octet-stream"} | ({"Prefer": "respond-async"} if job else {})
        response = self._send("POST", "/ocr" + (f"?{query}" if query else ""), body, headers)
        if job and response.status == 202:
            result, word = self._wait(response.headers["Location"], progress)
        elif response.status == 200:
            result, word = _result(response)
        else:
            raise _refusal(response)
        return Answer(result, word, True, len(body), time.perf_counter() - started)

    def delete(self, result_id: str) -> None:
        """Remove a result from everywhere, the edges included, before returning. Raises :class:`ClientError`."""
        response = self._send("DELETE", f"/results/{result_id}")
        if response.status != 204:
            raise _refusal(response)

    def _ask_lookup_key(self) -> str | None:
        response = self._send("GET", "/account")
        if response.status == 404:  # a gateway without API keys may not know the address
            return None
        if response.status != 200:
            raise _refusal(response)
        key = _json(response).get("lookup_key")
        if key is not None and not re.fullmatch("(?:[0-9a-f]{2})+", str(key)):
            raise ClientError(200, "The answer was not understood", "Is this a gateway's address?")
        return key

    def _wait(self, job: str, progress: Callable[[int, int], None] | None) -> tuple[dict[str, Any], str]:
        pause = 0.1
        while True:
            response = self._asked_after(_own_path(job))
            if response.status == 303:
                found = self._get(_own_path(response.headers["Location"]))
                if found is None:
                    raise ClientError(404, "The result was deleted")
                return found
            if response.status != 200:
                raise _refusal(response)
            state = _json(response)
            if error := state.get("error"):
                raise ClientError(int(error["status"]), error["title"], error["detail"])
            if progress is not None:
                progress(state["progress"]["done"], state["progress"]["total"])
            time.sleep(pause)
            pause = min(pause * 1.5, _MOST_POLL_SECONDS)

    def _asked_after(self, job: str) -> urllib3.BaseHTTPResponse:
        """What is said of a job, which outlives the gateway that took it."""
        response = self._send("GET", job)
        for pause in _SECONDS_BETWEEN_TRIES_WHILE_AWAY:
            if response.status not in _AWAY:
                break
            time.sleep(pause)
            response = self._send("GET", job)
        return response

    def _get(self, path: str) -> tuple[dict[str, Any], str] | None:
        response = self._send("GET", path)
        if response.status == 404:
            return None
        if response.status != 200:
            raise _refusal(response)
        return _result(response)

    def _send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request(
                method, self._base + path, body=body, headers={**self._http.headers, **(headers or {})}
            )
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise ClientError(0, f"No answer from {self._host}", type(reason).__name__) from error


def _changed(options: ReadingOptions) -> dict[str, str]:
    """The options that differ from their defaults, in canonical form."""
    if unknown := options.keys() - _DEFAULTS.keys():
        raise TypeError(f"there is no option {min(unknown)}")
    wanted = _DEFAULTS | options
    if wanted["layout"] not in ("auto", "line") or wanted["detail"] not in ("lines", "characters"):
        raise ValueError("layout is auto or line, detail is lines or characters")
    if wanted["pages"]:
        found = _PAGES.fullmatch(wanted["pages"])
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise ValueError("pages is one page or one range, such as 2 or 1-3")
        if found[2] == found[1]:
            wanted["pages"] = found[1]
    sets, _, characters = wanted["charset"].partition(":")
    literals = ":" + "".join(sorted(set(characters))) if characters else ""
    wanted["charset"] = ",".join(sorted(sets.split(","))) + literals
    wanted["lexicon"] = ",".join(sorted({word.strip() for word in wanted["lexicon"].split(",")} - {""}))
    return {name: value for name, value in wanted.items() if value != _DEFAULTS[name]}


def _suffix(changed: dict[str, str]) -> str:
    return "-" + hashlib.sha256(urlencode(sorted(changed.items())).encode()).hexdigest()[:8] if changed else ""


def _contents(path: str | PathLike[str]) -> bytes:
    with open(fspath(path), "rb") as file:
        return file.read()


def _own_path(location: str) -> str:
    # Wherever an answer points, this client asks the one gateway it was given its key for.
    path = urlsplit(location).path
    if not re.fullmatch(r"/(?:jobs|results)/[A-Za-z0-9_-]+", path):
        raise ClientError(0, "The answer was not understood")
    return path


def _json(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        answer = json.loads(response.data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ClientError(response.status, "The answer was not understood", "Is this a gateway's address?")
    return answer


def _result(response: urllib3.BaseHTTPResponse) -> tuple[dict[str, Any], str]:
    answer = _json(response)
    if not isinstance(answer.get("lines"), list):
        raise ClientError(response.status, "The answer was not understood", "Is this a gateway's address?")
    return answer, response.headers.get("X-Cache-Status", "")


def _refusal(response: urllib3.BaseHTTPResponse) -> ClientError:
    try:
        problem = json.loads(response.data)
        return ClientError(response.status, problem["title"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        return ClientError(response.status, f"The answer was {response.status}")
