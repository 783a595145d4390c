#!/usr/bin/env python3
"""What does it cost to ask who is asking? Key mode's ways of checking, against an open HIT, in one run.

All answer the same cached bytes: an open HIT; an API key (its SHA-256, and the HMAC-SHA256 of the link with which the
gateway would be asked) and a signed link (HMAC-SHA256), checked by njs as ``OCR_EDGE_KEYS=edge`` renders it; a link
checked by ``secure_link`` (MD5, in nginx itself) and a key by ``auth_request`` with its answer cached, which are not
used and are built here for the comparison; and the refusals: no key, a wrong key, a wrong link.
They are asked in turns, so that what else the machine does falls on all; the CPU time that nginx's workers use for one
request hardly depends on it. Needs nginx with its purge and njs modules, and wrk.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import secrets
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.edge import Run, invoice_record, load, middle
from gateway.signing import Signer
from gateway.tenants import key_digest, new_api_key
from tests.edge import running_edge
from tests.origin import Origin, packed_result

SIGNING_KEY = secrets.token_bytes(32)
API_KEY = new_api_key()
MD5_SECRET = secrets.token_hex(16)
RESULT_ID = secrets.token_hex(32)

# Both share one cached entry with the location they are compared with, and take their place in front of it.
SECURE_LINK = """
location ~ "^/md5/(?<result_id>[0-9a-f]{64})(?<clothes>)$" {
    secure_link $arg_signature,$arg_expires;
    secure_link_md5 "$arg_expires $result_id %(secret)s";
    if ($secure_link != 1) {
        return 401;
    }
%(cached)s
}
"""
AUTH_REQUEST = """
location ~ "^/asked/(?<result_id>[0-9a-f]{64})(?<clothes>)$" {
    auth_request /.allowed;
%(cached)s
}
location = /.allowed {
    internal;
    proxy_pass http://gateway_lookups;
    proxy_pass_request_body off;
    proxy_cache results;
    # The credential itself would be written to the cache's file: a real one would have to be hashed first.
    proxy_cache_key allowed/$http_x_api_key/$result_id;
    proxy_cache_valid 200 60s;
    proxy_ignore_headers Cache-Control Expires;
}
"""


def add_rivals(conf: Path) -> None:
    """Add the two ways of checking that are not used."""
    results = conf / "locations" / "results.conf"
    text = results.read_text()
    cached = text[text.index("    # Who may look up") : text.index("\n}\n", text.index("# Who may look up"))]
    # The rewrite ends the phase in which secure_link's answer is judged, so it comes after that.
    results.write_text(
        text + SECURE_LINK % {"cached": cached, "secret": MD5_SECRET} + AUTH_REQUEST % {"cached": cached}
    )


def answered(url: str, headers: tuple[str, ...]) -> tuple[int, str]:
    """Status and word of one request."""
    request = urllib.request.Request(url, headers=dict(header.split(": ") for header in headers))
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.headers["X-Cache-Status"]
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers["X-Cache-Status"]


def md5_query() -> str:
    """The query of a link as ``secure_link`` has it."""
    expires = int(time.time()) + 3600
    digest = hashlib.md5(f"{expires} {RESULT_ID} {MD5_SECRET}".encode()).digest()
    return f"expires={expires}&signature={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind, in turns")
    parser.add_argument("--lines", type=int, default=60, help="text lines of the result")
    parser.add_argument("--tenants", type=int, default=1, help="how many there are, with a key each")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    signed = Signer((SIGNING_KEY,), 3600).query("acme", RESULT_ID, time.time())
    offered, wrong = f"X-API-Key: {API_KEY}", f"X-API-Key: {new_api_key()}"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-keys-benchmark-")))
        (folder / "signing").write_text(SIGNING_KEY.hex())
        keys = {"acme": API_KEY} | {f"other-{number}": new_api_key() for number in range(1, arguments.tenants)}
        entries = {
            name: {"lookup_key": secrets.token_hex(32), "keys": [{"sha256": key_digest(key)}]}
            for name, key in keys.items()
        }
        (folder / "api").write_text(json.dumps({"tenants": entries}))
        files = {"OCR_SIGNING_KEY_FILE": str(folder / "signing"), "OCR_API_KEYS_FILE": str(folder / "api")}
        origin = stack.enter_context(contextlib.closing(Origin()))
        # Released for edges that check links, too.
        reply = packed_result(invoice_record(arguments.lines), OCR_Edge_Cache_Control="public")
        origin.answers |= {f"/results/{RESULT_ID}": reply, "/.allowed": reply}
        upstream = f"127.0.0.1:{origin.port}"
        plain = stack.enter_context(running_edge(upstream, adapt=add_rivals))
        checking = stack.enter_context(running_edge(upstream, OCR_EDGE_KEYS="edge", **files))
        opened, keyed = plain.url, checking.url
        targets: dict[str, tuple[str, tuple[str, ...], int, str]] = {
            "open HIT": (f"{opened}/results/{RESULT_ID}", (), 200, "HIT"),
            "API key, njs": (f"{keyed}/results/{RESULT_ID}", (offered,), 200, "HIT"),
            "signed link, njs HMAC-SHA256": (f"{keyed}/results/{RESULT_ID}?{signed}", (), 200, "HIT"),
            "signed link, secure_link MD5": (f"{opened}/md5/{RESULT_ID}?{md5_query()}", (), 200, "HIT"),
            # In open mode a key makes the cache step aside; here only the asking is measured.
            "auth_request, answer cached": (f"{opened}/asked/{RESULT_ID}", (), 200, "HIT"),
            "no key, refused": (f"{keyed}/results/{RESULT_ID}", (), 401, "BYPASS"),
            "wrong key, refused": (f"{keyed}/results/{RESULT_ID}", (wrong,), 401, "BYPASS"),
            "wrong link, refused": (f"{keyed}/results/{RESULT_ID}?{signed[:-8]}00000000", (), 401, "BYPASS"),
        }
        for name, (url, headers, status, word) in targets.items():
            answered(url, headers)
            if answered(url, headers) != (status, word):
                sys.exit(f"{name}: {answered(url, headers)}")
        runs: dict[str, list[Run]] = {name: [] for name in targets}
        for _ in range(arguments.rounds):
            for name, (url, headers, status, _word) in targets.items():
                up = plain if url.startswith(opened) else checking
                runs[name].append(load(up, url, arguments.seconds, headers, status))
    medians = {name: middle(each) for name, each in runs.items()}
    reference = medians["open HIT"]
    print(f"{'':32}{'requests/s':>12}{'of open HIT':>13}{'p99 ms':>9}{'CPU us':>8}{'open HIT / it':>15}")
    for name, run in medians.items():
        rate, cpu = run.rate / reference.rate, reference.cpu / run.cpu
        print(f"{name:32}{run.rate:12,.0f}{rate:13.2f}{run.p99:9.2f}{run.cpu:8.1f}{cpu:15.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
