"""nginx and a security analyser read every configuration that the renderer can write."""

from __future__ import annotations

import os
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
    "Age": {"OCR_EDGE_JS_MODULE": "/usr/lib/nginx/modules/ngx_http_js_module.so"},
    "in front of shields": {"OCR_EDGE_UPSTREAMS": "127.0.0.1:8080,127.0.0.2:8080", "OCR_EDGE_BALANCE": "id"},
    "any origin": {"OCR_CORS_ORIGINS": "*"},
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
    }
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
