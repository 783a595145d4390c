"""nginx and a security analyser read every configuration that the renderer can write."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

RENDER = Path(__file__).resolve().parents[3] / "infra" / "nginx" / "render.py"

SETTINGS = {
    "defaults": {},
    "names": {"OCR_EDGE_SERVER_NAMES": "ocr.example.org, *.ocr.example.org"},
    "everything": {
        "OCR_EDGE_LISTEN": "127.0.0.1:8080,[::1]:8080",
        "OCR_EDGE_SERVER_NAMES": "ocr.example.org",
        "OCR_EDGE_UPSTREAMS": "127.0.0.1:5000,[::1]:5000,localhost:5001",
        "OCR_EDGE_UPSTREAM_HOST": "inner.example.org",
        "OCR_EDGE_PURGE_ALLOW": "10.0.0.0/8,fd00::/8,127.0.0.1",
        "OCR_EDGE_TRUSTED_PROXIES": "192.0.2.0/24,2001:db8::/32",
        "OCR_EDGE_CACHE_SIZE": "512m",
        "OCR_EDGE_WORKERS": "2",
        "OCR_TTL": "60",
        "OCR_READ_TIMEOUT": "2.5",
        "OCR_CORS_ORIGINS": "https://a.example,http://b.example:8080",
    },
    "TLS": {
        "OCR_EDGE_SERVER_NAMES": "ocr.example.org",
        "OCR_EDGE_TLS_LISTEN": "127.0.0.1:8443,[::1]:8443",
        "OCR_EDGE_TLS_CERTIFICATE": "{certificate}",
        "OCR_EDGE_TLS_KEY": "{key}",
        "OCR_EDGE_REDIRECT_LISTEN": "127.0.0.1:8082",
    },
    "Age": {"OCR_EDGE_AGE": "on"},
    "in front of shields": {"OCR_EDGE_UPSTREAMS": "127.0.0.1:8080,127.0.0.2:8080", "OCR_EDGE_BALANCE": "id"},
    "any origin": {"OCR_CORS_ORIGINS": "*"},
    "without a purge module": {"OCR_EDGE_PURGE_MODULE": "none"},
    "keys at the gateway": {"OCR_EDGE_KEYS": "gateway"},
    "keys at the edge": {"OCR_EDGE_KEYS": "edge"},
}


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS.keys())
def rendered(request, certificate):
    folder = Path(tempfile.mkdtemp(prefix="edge-"))
    folder.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "OCR_EDGE_DIR": str(folder / "state"),
        "OCR_EDGE_ACCESS_LOG": str(folder / "access.log"),
        "OCR_EDGE_ERROR_LOG": str(folder / "error.log"),
        "OCR_SIGNING_KEY_FILE": str(folder / "signing"),
    }
    (folder / "signing").write_text("0123456789abcdef" * 4)
    files = dict(zip(("certificate", "key"), certificate, strict=True))
    chosen = {name: value.format(**files) for name, value in request.param.items()}
    subprocess.run(
        [sys.executable, RENDER, folder / "conf"], env=environment | chosen, check=True, capture_output=True
    )
    yield folder / "conf" / "nginx.conf"
    shutil.rmtree(folder)


def test_nginx_accepts_it(rendered):
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    run = subprocess.run([nginx, "-t", "-p", rendered.parent, "-c", rendered], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "[warn]" not in run.stderr
    assert "[error]" not in run.stderr


def test_gixy_finds_nothing(rendered):
    gixy = Path(sys.executable).with_name("gixy")
    run = subprocess.run([gixy, rendered], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "No issues found" in run.stdout, run.stdout


def test_what_breaks_in_javascript_opens_nothing():
    """nginx takes a function that throws for an empty string, so only what is spelt out may let anybody in."""
    files = {file.name: file.read_text() for file in (RENDER.parent / "keys" / "edge").glob("*.conf")}
    assert re.findall(r"js_set \$(\w+) ", files["http.conf"]) == ["lookup_query", "may_call"]
    conditions = re.findall(r"if \((.*)\)", "".join(files.values()))
    assert sorted(conditions) == ["$called != 1", "$may_look_up != 1"]
    assert "    default $may_call;" in files["http.conf"]
    may_look_up = re.search(r"\$may_look_up \{(.*?)\}", files["http.conf"], re.DOTALL)
    assert may_look_up[1].split() == ["default", "0;", '"-;"', "1;", '"~;tenant="', "1;"]
