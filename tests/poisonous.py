"""Requests made to get something of theirs into a shared cache: mutations of a plain look-up, as raw bytes.

Generated, the same for the same seed. Shapes from the published attacks: web cache poisoning and deception, cache
poisoned denial of service (CPDoS), request smuggling (CL.TE, TE.CL, TE.TE), and the spellings that one address has
(RFC 3986, 6.2).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

METHODS = ("GET",) * 12 + ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "get", "GETX", "FOO")
VERSIONS = ("1.1",) * 10 + ("1.0", "1.0", "0.9", "1.2", "2.0", "1.1 ", "11")
HOSTS = (
    "ocr.example",
    "evil.example",
    "ocr.example:1337",
    "ocr.example.",
    "OCR.example",
    "127.0.0.1",
    "[::1]:80",
    "evil.example@ocr.example",
    "ocr.example/evil",
    "ocr.example#evil",
    "ocr.example, evil.example",
    "ocr example",
    "",
    "localhost",
    "$host",
    "xn--80ak6aa92e.example",
    "a" * 300,
)
HEADERS = (
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Host: evil.example\r\nX-Forwarded-Host: worse.example",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Scheme: http",
    "X-Forwarded-Port: 1337",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Path: /evil",
    "X-Forwarded-For: 127.0.0.1, 10.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "X-Host: evil.example",
    "X-HTTP-Host-Override: evil.example",
    "X-Original-URL: /results/evil",
    "X-Rewrite-URL: /results/evil",
    "X-Original-Host: evil.example",
    "X-HTTP-Method-Override: DELETE",
    "X-Method-Override: POST",
    "X-HTTP-Method: PUT",
    "Forwarded: host=evil.example;proto=gopher",
    "Via: 1.1 evil",
    "X-Accel-Expires: 0",
    "X-Accel-Redirect: /evil",
    "X-Accel-Buffering: no",
    "X-Sendfile: /etc/passwd",
    "X-Cache-Status: HIT",
    "X-Request-ID: evil",
    "X-Request-ID: evil\r\nX-Request-ID: worse",
    "Surrogate-Control: max-age=9",
    "CDN-Loop: evil",
    "Accept: text/csv",
    "Accept: ../evil",
    "Accept-Language: zh",
    "Accept-Charset: utf-7",
    "Accept-Encoding: gzip",
    "Accept-Encoding: gzip, br",
    "Accept-Encoding: br",
    "Accept-Encoding: identity;q=0",
    "Accept-Encoding: gzip;q=0",
    "Accept-Encoding: gzip\r\nAccept-Encoding: identity",
    "Accept-Encoding: evil, gzip;q=evil",
    "accept-encoding:gzip\t",
    "Range: bytes=0-0",
    "Range: bytes=99999-",
    "Range: bytes=0-0,0-0,0-0",
    'If-Range: "evil"\r\nRange: bytes=0-1',
    'If-Match: "evil"',
    "If-None-Match: *",
    'If-None-Match: "one"',
    "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT",
    "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "Cookie: session=evil",
    "Cookie: a=1\r\nCookie: b=2",
    "Authorization: Bearer evil",
    "Authorization: \r\nAuthorization: Bearer evil",
    "X-API-Key: evil",
    "Cache-Control: no-cache, no-store, max-age=0",
    "Cache-Control: only-if-cached",
    "Pragma: no-cache",
    "Content-Type: application/evil",
    "Origin: https://evil.example",
    "Origin: null",
    "Referer: https://evil.example/",
    "User-Agent: () { :; }; evil",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings",
    "Upgrade: websocket\r\nConnection: Upgrade",
    "Connection: Host, Accept-Encoding, X-Request-ID",
    "Connection: keep-alive, Transfer-Encoding",
    "Proxy-Connection: keep-alive",
    "Keep-Alive: timeout=1",
    "TE: trailers",
    "Trailer: Evil",
    "Expect: 100-continue",
    "Expect: evil",
    "Max-Forwards: 0",
    "Prefer: respond-async",
    "X_Forwarded_Host: evil.example",
    "X-Evil\x0b: 1",
    "X-Evil : 1",
    ": empty",
    "X-Evil: a\r\n folded",
    "X-Evil: \x01\x02",
    "X-Evil: " + "x" * 9000,
    "X-Ev\xefl: \xff\xfe",
    "no colon at all",
    *("Proxy: http://evil.example", "Destination: /evil", "Depth: 1", "Service-Worker: script", "Purpose: prefetch"),
)
FRAMINGS = (
    ("Content-Length: 5", "image"),
    ("Content-Length: 0", ""),
    ("Content-Length: 5\r\nContent-Length: 5", "image"),
    ("Content-Length: 5\r\nContent-Length: 6", "image!"),
    ("Content-Length: +5", "image"),
    ("Content-Length: 0x5", "image"),
    ("Content-Length: 5, 5", "image"),
    ("Content-Length: -1", ""),
    ("Content-Length: 99999999999999999999", ""),
    ("Content_Length: 5", "image"),
    ("Transfer-Encoding: chunked", "5\r\nimage\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "5;ext=evil\r\nimage\r\n0\r\nEvil: 1\r\n\r\n"),
    ("Transfer-Encoding: chunked", "fffffffffffffffff\r\nimage\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "5\nimage\n0\n\n"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n{smuggled}"),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n{smuggled}"),
    ("Transfer-Encoding: xchunked\r\nContent-Length: 5", "0\r\n\r\n{smuggled}"),
    ("Transfer-Encoding : chunked\r\nContent-Length: 5", "0\r\n\r\n{smuggled}"),
    ("Transfer-Encoding:\tchunked", "0\r\n\r\n{smuggled}"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n{smuggled}"),
    ("Transfer-Encoding: identity, chunked", "0\r\n\r\n{smuggled}"),
    ("X: y\nTransfer-Encoding: chunked", "0\r\n\r\n{smuggled}"),
    ("Content-Length: 0", "{smuggled}"),
    ("", "{smuggled}"),
)
SUFFIXES = (
    "?x=1",
    "?",
    "?format=csv&min_score=1",
    "?callback=evil",
    "??",
    "?/text",
    "#x",
    ";x=1",
    "/",
    "//",
    "/.",
    "/..",
    "/text",
    "/text/",
    "/hocr?x",
    "/%2e%2e",
    "%00",
    "%0d%0aEvil:%201",
    "%20",
    "%3f",
    "%23",
    "%2f",
    "%2ftext",
    ".json",
    ".css",
    "-",
    "-00000000",
    "-0a1b2c3d",
    "\\",
    "~",
    "&x",
)
PREFIXES = (
    "/",
    "//",
    "/./",
    "/../",
    "/x/../",
    "/%2e/",
    "/%2e%2e/",
    "/static/../",
    "/ocr/..",
    "http://evil.example",
    "https://ocr.example:1337",
    "HTTP://evil.example",
    "http://ocr.example@evil.example",
    "http://",
    "//evil.example",
    "\\",
    "*",
)


@dataclass
class Request:
    """A request before it is written down."""

    path: str
    method: str = "GET"
    target: str = ""
    version: str = "1.1"
    headers: list[str] = field(default_factory=lambda: ["Host: ocr.example"])
    body: str = ""
    line_end: str = "\r\n"
    before: str = ""
    close: bool = True

    def written(self) -> bytes:
        """As sent."""
        lines = [f"{self.method} {self.target or self.path} HTTP/{self.version}", *self.headers]
        if self.close:
            lines.append("Connection: close")
        text = self.before + self.line_end.join([*lines, "", ""]) + self.body
        return text.encode("latin-1")


def _host(request: Request, chance: random.Random) -> None:
    host = f"Host: {chance.choice(HOSTS)}"
    request.headers = chance.choice(
        [
            [host],
            [host],
            [host, *request.headers],
            [*request.headers, host],
            [],
            [f"host:{host[6:]}"],
            [f"Host : {host[6:]}"],
        ]
    ) + [header for header in request.headers if not header.lower().startswith("host")]


def _target(request: Request, chance: random.Random) -> None:
    target = request.target or request.path
    kind = chance.randrange(6)
    if kind == 0:
        target = chance.choice(PREFIXES) + target
    elif kind == 1:
        target = target + chance.choice(SUFFIXES)
    elif kind == 2:
        target = "".join(f"%{ord(each):02x}" if chance.random() < 0.2 else each for each in target)
    elif kind == 3:
        target = target.upper() if chance.random() < 0.5 else target.replace("results", "Results")
    elif kind == 4:
        place = chance.randrange(1, len(target))
        target = (
            target[:place]
            + chance.choice(["%2f", "/", "//", "/./", "%00", " ", "\t", "%25", "\x7f", "é"])
            + target[place:]
        )
    else:
        target = chance.choice(PREFIXES) + target + chance.choice(SUFFIXES)
    request.target = target


def _header(request: Request, chance: random.Random) -> None:
    request.headers.insert(chance.randrange(len(request.headers) + 1), chance.choice(HEADERS))


def _twice(request: Request, chance: random.Random) -> None:
    if request.headers:
        name, _, value = chance.choice(request.headers).partition(":")
        request.headers.append(f"{chance.choice([name, name.upper(), name.lower()])}: {chance.choice([value, 'evil'])}")


def _framing(request: Request, chance: random.Random) -> None:
    header, body = chance.choice(FRAMINGS)
    if header:
        request.headers.append(header)
    smuggled = f"GET {request.path} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil\r\nX: "
    request.body = body.replace("{smuggled}", smuggled + chance.choice(["", "y\r\n\r\n"]))


def _line(request: Request, chance: random.Random) -> None:
    kind = chance.randrange(5)
    if kind == 0:
        request.method = chance.choice(METHODS)
    elif kind == 1:
        request.version = chance.choice(VERSIONS)
    elif kind == 2:
        request.line_end = chance.choice(["\n", "\r\n"])
    elif kind == 3:
        request.before = chance.choice(["\r\n", "\n", "\r\n\r\n", " ", "\x00"])
    else:
        request.close = False


_MUTATIONS = (_host, _target, _target, _header, _header, _header, _twice, _framing, _line)


def mutated(path: str, seed: int) -> bytes:
    """``GET path`` after one to four steps, the same for the same ``seed``."""
    chance = random.Random(f"{seed} {path}")
    request = Request(path)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        chance.choice(_MUTATIONS)(request, chance)
    return request.written()
