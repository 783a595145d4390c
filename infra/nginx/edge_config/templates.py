"""What the settings become: words for the templates' placeholders, and the files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from edge_config import epoch, keys, tls
from edge_config.settings import describe, needs_js, unlinks

TEMPLATES = Path(__file__).resolve().parents[1]
SETTINGS_FILE = Path("settings")
PLACEHOLDER = re.compile(r"\{\{ ([a-z_]+) \}\}")

# An image may wait 20 s for memory and be decoded for 40.
_DECODING_SECONDS = 60

# Where no origin is allowed, evaluating two variables for each hit would be work for nothing.
_RESULT_CORS = """\
    add_header Access-Control-Allow-Origin $cors_origin always;
    add_header Access-Control-Expose-Headers $cors_expose always;"""


def placeholders(values: Mapping[str, object]) -> dict[str, str]:
    """What the templates' ``{{ name }}`` stand for."""
    listed: dict[str, tuple[str, ...]] = {name: value for name, value in values.items() if isinstance(value, tuple)}
    plain = {
        name.removeprefix("OCR_").removeprefix("EDGE_").lower(): str(value)
        for name, value in values.items()
        if name not in listed
    }
    names = listed["OCR_EDGE_SERVER_NAMES"]
    listens = listed["OCR_EDGE_LISTEN"]
    default = "" if names else " default_server"
    upstreams = [f"    server {address} max_fails=3 fail_timeout=5s;" for address in listed["OCR_EDGE_UPSTREAMS"]]
    ttl = values["OCR_TTL"]
    assert isinstance(ttl, int)
    read_timeout = values["OCR_READ_TIMEOUT"]
    max_upload_bytes = values["OCR_MAX_UPLOAD_BYTES"]
    assert isinstance(read_timeout, float) and isinstance(max_upload_bytes, int)
    lookup_timeout = values["OCR_EDGE_LOOKUP_TIMEOUT"]
    assert isinstance(lookup_timeout, int)
    nginx = tls.installed() if listed["OCR_EDGE_TLS_LISTEN"] else tls.DEBIAN_12
    secured = tls.placeholders(values, nginx)
    return (
        plain
        | secured
        | {
            "epoch": f"{values['OCR_EDGE_EPOCH']}.{epoch.current(Path(str(values['OCR_EDGE_DIR'])))}",
            "listen": "\n".join(f"    listen {address}{default};" for address in listens),
            "server_name": " ".join(names) or "_",
            "unknown_host_server": _unknown_host_server(listens, secured["tls_refusal"])
            if names
            else "# OCR_EDGE_SERVER_NAMES is empty: every name is ours.",
            "lookup_balance": "    hash $result_id$file_address consistent;"
            if values["OCR_EDGE_BALANCE"] == "id"
            else "    # OCR_EDGE_BALANCE: in turns.",
            "lookup_servers": "\n".join(upstreams),
            "call_servers": "\n".join(upstreams),
            "purge_allow": "\n".join(f"allow {network};" for network in listed["OCR_EDGE_PURGE_ALLOW"]),
            "trusted_proxies": "\n".join(
                f"set_real_ip_from {network};" for network in listed["OCR_EDGE_TRUSTED_PROXIES"]
            )
            or "# OCR_EDGE_TRUSTED_PROXIES is empty: clients are who connects.",
            "cors_origins": _cors(listed["OCR_CORS_ORIGINS"]),
            "cors_vary": ", Origin" if set(listed["OCR_CORS_ORIGINS"]) - {"*"} else "",
            "result_cors": _RESULT_CORS if listed["OCR_CORS_ORIGINS"] else "    # OCR_CORS_ORIGINS is empty.",
            "load_purge": "# OCR_EDGE_PURGE_MODULE is none."
            if unlinks(values)
            else f"load_module {plain['purge_module']};",
            "purge_by": "unlink" if unlinks(values) else "module",
            "load_js": f"load_module {values['OCR_EDGE_JS_MODULE']};" if needs_js(values) else "# No script is needed.",
            "js_path": "js_path js;" if needs_js(values) else "",
            "import_js": "js_import age from age.js;" if values["OCR_EDGE_AGE"] == "on" else "",
            "result_age": "    js_header_filter age.age;"
            if values["OCR_EDGE_AGE"] == "on"
            else "    # OCR_EDGE_AGE is off: no Age; it can be told from Date.",
            "user": f"user {values['OCR_EDGE_USER']};" if values["OCR_EDGE_USER"] else "",
            "inactive": str(ttl + 3600),
            "lock_timeout": str(lookup_timeout + 2),
            # A batch begins its last image until one reading's deadline has passed.
            "answer_timeout": str(2 * math.ceil(read_timeout) + _DECODING_SECONDS),
            # As in the gateway: room for base64, for multipart's envelope, and for a batch.
            "max_body_bytes": str(4 * max_upload_bytes + 64 * 1024),
        }
    )


def _cors(origins: tuple[str, ...]) -> str:
    named = [f'    "{origin}" "{origin}";' for origin in origins if origin != "*"]
    return "\n".join([f'    default "{"*" if "*" in origins else ""}";', *named])


def _unknown_host_server(listens: tuple[str, ...], tls_refusal: str) -> str:
    plain = "\n".join(f"    listen {address} default_server;" for address in listens)
    # By itself, because where names are refused in the handshake there is none for plain HTTP to have.
    return "\n".join(_REFUSING_SERVER.format(listen) for listen in (plain, tls_refusal) if listen)


_REFUSING_SERVER = """\
server {{
{}
    server_name "";
    include snippets/problems.conf;
    location / {{
        return 421;
    }}
}}"""


def render(folder: Path, values: Mapping[str, object]) -> None:
    """Write the configuration to ``folder``, replacing it, and make the folders nginx won't make itself."""
    words = placeholders(values) | keys.placeholders(values, folder)
    rendered = {}
    for template in sorted(TEMPLATES.rglob("*.conf")):
        text = template.read_text(encoding="utf-8")
        unknown = {match[1] for match in PLACEHOLDER.finditer(text)} - words.keys()
        if unknown:
            raise KeyError(f"{template.name}: no setting for {', '.join(sorted(unknown))}")
        rendered[template.relative_to(TEMPLATES)] = PLACEHOLDER.sub(lambda match: words[match[1]], text)
    # What was used, for whoever renders again what stands here (edge_config.control).
    rendered[SETTINGS_FILE] = describe(values) + "\n"
    for script in sorted(TEMPLATES.rglob("*.js")):
        rendered[script.relative_to(TEMPLATES)] = script.read_text(encoding="utf-8")
    for path, text in rendered.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    keys.write(folder, values)
    for name in ("OCR_EDGE_DIR", "OCR_EDGE_CACHE_DIR"):
        Path(str(values[name])).mkdir(parents=True, exist_ok=True)
