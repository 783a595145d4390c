"""The edge's settings: environment variables, their defaults and their readers (standard library only)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_config import keys, readers, tls


class MistakesError(ValueError):
    """The environment does not make a valid configuration; the message has one line per mistake."""


@dataclass(frozen=True)
class Setting:
    """One environment variable: its default as written in the environment, its reader, what it means."""

    variable: str
    default: str
    parse: Callable[[str], object]
    meaning: str


SETTINGS = (
    Setting(
        "OCR_EDGE_LISTEN",
        "127.0.0.1:8080",
        readers.listed(readers.address, 1),
        "Addresses that clients use, comma-separated.",
    ),
    Setting(
        "OCR_EDGE_SERVER_NAMES",
        "",
        readers.listed(readers.server_name),
        "Host names answered for; any other gets 421. Empty: every name is answered.",
    ),
    Setting(
        "OCR_EDGE_UPSTREAMS",
        "127.0.0.1:5000",
        readers.listed(readers.address, 1),
        "The gateways, or shields, comma-separated.",
    ),
    Setting(
        "OCR_EDGE_BALANCE",
        "turns",
        readers.matching(re.compile(r"turns|id"), "turns or id"),
        "How look-ups are spread over them: in turns, or by the result's id (consistent hashing, for shields).",
    ),
    Setting(
        "OCR_EDGE_NAME",
        "ocr-edge",
        readers.matching(re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}"), "letters, digits and hyphens"),
        "This edge's name in Cache-Status.",
    ),
    Setting(
        "OCR_EDGE_UPSTREAM_HOST",
        "ocr-gateway",
        readers.host_name,
        "The Host that gateways are asked for, whatever the client said.",
    ),
    Setting(
        "OCR_EDGE_TLS_LISTEN",
        "",
        readers.listed(readers.address),
        "Addresses with TLS and HTTP/2, comma-separated. Empty: none.",
    ),
    Setting("OCR_EDGE_TLS_CERTIFICATE", "", readers.path_or(""), "The certificate with its chain, PEM."),
    Setting("OCR_EDGE_TLS_KEY", "", readers.path_or(""), "Its private key, PEM."),
    Setting(
        "OCR_EDGE_HTTP3",
        "off",
        readers.switch,
        "HTTP/3 on the TLS addresses too; needs an nginx with QUIC (1.25 or later).",
    ),
    Setting(
        "OCR_EDGE_REDIRECT_LISTEN",
        "",
        readers.listed(readers.address),
        "Addresses that lead from plain HTTP to TLS, comma-separated; needs OCR_EDGE_SERVER_NAMES.",
    ),
    Setting(
        "OCR_EDGE_ADMIN_LISTEN", "127.0.0.1:8081", readers.address, "Address for purging and health; never publish it."
    ),
    Setting(
        "OCR_EDGE_PURGE_ALLOW",
        "127.0.0.1,::1",
        readers.listed(readers.network, 1),
        "Addresses and networks that may use the admin address.",
    ),
    Setting(
        "OCR_EDGE_TRUSTED_PROXIES",
        "",
        readers.listed(readers.network),
        "Networks of a CDN or balancer in front, whose X-Forwarded-For is believed.",
    ),
    Setting("OCR_EDGE_DIR", "data/edge", readers.path, "Folder for the cache, the pid and half-received uploads."),
    Setting("OCR_EDGE_CACHE_DIR", "", readers.path_or(""), "The cache. Empty: `cache` in OCR_EDGE_DIR."),
    Setting("OCR_EDGE_CACHE_SIZE", "10g", readers.size, "Largest size of the cache on disk."),
    Setting("OCR_EDGE_CACHE_KEYS", "64m", readers.size, "Memory for its keys; 1m holds about 8,000."),
    Setting(
        "OCR_EDGE_EPOCH",
        "0",
        readers.matching(re.compile(r"[0-9a-z]{1,16}"), "up to 16 small letters and digits"),
        "Part of every cache key: another value forgets everything that is cached.",
    ),
    Setting("OCR_EDGE_UPLOAD_RATE", "10", readers.integer(1, 100_000), "Uploads a second from one client address."),
    Setting("OCR_EDGE_UPLOAD_BURST", "50", readers.integer(1, 100_000), "Uploads above that rate taken at once."),
    Setting(
        "OCR_EDGE_LOOKUP_TIMEOUT", "10", readers.integer(1, 600), "Longest wait, in seconds, for a gateway's look-up."
    ),
    Setting("OCR_EDGE_ACCESS_LOG", "/dev/stdout", readers.path, "The access log, JSON lines."),
    Setting(
        "OCR_EDGE_ERROR_LOG",
        "stderr",
        readers.path_or("stderr"),
        "nginx's own log: a path, or stderr.",
    ),
    Setting(
        "OCR_EDGE_USER",
        "",
        readers.matching(re.compile(r"[a-z_][a-z0-9_-]{0,31}|"), "a user's name"),
        "Who nginx's workers run as when it is started by root. Empty: the package's choice.",
    ),
    Setting(
        "OCR_EDGE_WORKERS",
        "auto",
        readers.matching(re.compile(r"auto|[1-9][0-9]?"), "auto or a small number"),
        "nginx worker processes.",
    ),
    Setting(
        "OCR_EDGE_PURGE_MODULE",
        "/usr/lib/nginx/modules/ngx_http_cache_purge_module.so",
        readers.path_or("none"),
        "The purge module (Debian: libnginx-mod-http-cache-purge). `none`: files are removed instead; needs --run.",
    ),
    Setting("OCR_EDGE_AGE", "off", readers.switch, "`on`: an Age on every hit, which needs the njs module."),
    Setting(
        "OCR_EDGE_JS_MODULE",
        "/usr/lib/nginx/modules/ngx_http_js_module.so",
        readers.path,
        "The njs module (Debian: libnginx-mod-http-js). Only OCR_EDGE_AGE=on and OCR_EDGE_KEYS=edge need it.",
    ),
    # These are the gateway's own; the edge must agree with it.
    Setting(
        "OCR_MAX_UPLOAD_BYTES",
        str(20 * 2**20),
        readers.integer(1024, 2**40),
        "Largest image, as in the gateway; a request may have four times that.",
    ),
    Setting("OCR_READ_TIMEOUT", "60", readers.seconds, "Deadline of one reading, as in the gateway."),
    Setting(
        "OCR_TTL", str(7 * 24 * 3600), readers.integer(1, 7 * 24 * 3600), "Lifetime of a result, as in the gateway."
    ),
    Setting(
        "OCR_CORS_ORIGINS",
        "",
        readers.listed(readers.origin),
        "Origins whose pages may read results, as in the gateway.",
    ),
    *(Setting(*each) for each in keys.SETTINGS),
)


def load(environment: Mapping[str, str]) -> dict[str, object]:
    """Every setting by variable name. Raises :class:`MistakesError` with all mistakes."""
    values: dict[str, object] = {}
    mistakes = []
    known = {setting.variable for setting in SETTINGS}
    # The gateway's own, in the same prefix.
    others = {"OCR_EDGE_PURGE_URLS", "OCR_EDGE_PURGE_TIMEOUT"}
    for name in sorted(environment):
        if name.startswith("OCR_EDGE_") and name not in known | others:
            mistakes.append(f"{name}: there is no such setting")
    for setting in SETTINGS:
        try:
            values[setting.variable] = setting.parse(environment.get(setting.variable, "").strip() or setting.default)
        except ValueError as error:
            mistakes.append(f"{setting.variable}: {error}")
    module = values.get("OCR_EDGE_PURGE_MODULE")
    if module and not unlinks(values) and not Path(str(module)).is_file():
        mistakes.append(
            f"OCR_EDGE_PURGE_MODULE: {module} is not there; install libnginx-mod-http-cache-purge, or say none"
        )
    mistakes += keys.mistakes(values)
    mistakes += _js_mistakes(values) + _tls_mistakes(values)
    listens = values.get("OCR_EDGE_LISTEN", ())
    if values.get("OCR_EDGE_ADMIN_LISTEN") in listens:  # type: ignore[operator]
        mistakes.append("OCR_EDGE_ADMIN_LISTEN: must not be an address that clients use")
    if mistakes:
        raise MistakesError("\n".join(mistakes))
    values["OCR_EDGE_CACHE_DIR"] = values["OCR_EDGE_CACHE_DIR"] or f"{values['OCR_EDGE_DIR']}/cache"
    return values


def unlinks(values: Mapping[str, object]) -> bool:
    """Whether nginx purges without a module."""
    return values.get("OCR_EDGE_PURGE_MODULE") == "none"


def needs_js(values: Mapping[str, object]) -> bool:
    """Whether any script runs in nginx."""
    return values.get("OCR_EDGE_AGE") == "on" or values.get("OCR_EDGE_KEYS") == "edge"


def _js_mistakes(values: Mapping[str, object]) -> list[str]:
    module = values.get("OCR_EDGE_JS_MODULE")
    if not needs_js(values) or not module or Path(str(module)).is_file():
        return []
    return [f"OCR_EDGE_JS_MODULE: {module} is not there; install libnginx-mod-http-js"]


def _tls_mistakes(values: Mapping[str, object]) -> list[str]:
    mistakes = []
    if values.get("OCR_EDGE_TLS_LISTEN"):
        for name in ("OCR_EDGE_TLS_CERTIFICATE", "OCR_EDGE_TLS_KEY"):
            if name in values and not Path(str(values[name] or ".")).is_file():
                mistakes.append(f"{name}: must be a file when OCR_EDGE_TLS_LISTEN is set")
        if values.get("OCR_EDGE_HTTP3") == "on" and not tls.installed().quic:
            mistakes.append("OCR_EDGE_HTTP3: this nginx was built without it; Debian 12's is older than HTTP/3")
    elif values.get("OCR_EDGE_HTTP3") == "on":
        mistakes.append("OCR_EDGE_HTTP3: needs OCR_EDGE_TLS_LISTEN")
    if values.get("OCR_EDGE_REDIRECT_LISTEN") and not (
        values.get("OCR_EDGE_TLS_LISTEN") and values.get("OCR_EDGE_SERVER_NAMES")
    ):
        mistakes.append("OCR_EDGE_REDIRECT_LISTEN: needs OCR_EDGE_TLS_LISTEN and OCR_EDGE_SERVER_NAMES")
    return mistakes


def described(text: str) -> dict[str, object]:
    """The settings that :func:`describe` wrote down. Raises :class:`MistakesError`."""
    return load(dict(line.split("=", 1) for line in text.splitlines()))


def describe(values: Mapping[str, object]) -> str:
    """The effective settings, one ``NAME=value`` a line."""
    return "\n".join(
        f"{name}={','.join(value) if isinstance(value, tuple) else value}" for name, value in values.items()
    )
