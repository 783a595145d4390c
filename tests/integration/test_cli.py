"""``ocr-gateway`` on the command line, and as it is installed from a wheel."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import draw_invoice

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def invoice(tmp_path: Path) -> Path:
    path = tmp_path / "invoice.png"
    path.write_bytes(draw_invoice(1).png())
    return path


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_recognize_prints_the_text_with_either_engine(tmp_path, invoice, engine):
    done = run("recognize", invoice, cwd=tmp_path, OCR_ENGINE=engine)
    assert done.returncode == 0, done.stderr
    assert draw_invoice(1).number in done.stdout
    assert not (tmp_path / "data").exists(), "nothing is stored"


def test_recognize_as_json_has_boxes_and_scores(tmp_path, invoice):
    answer = json.loads(run("recognize", "--json", invoice, cwd=tmp_path).stdout)
    assert answer["file"] == str(invoice)
    assert {"text", "score", "box", "page", "reader"} == set(answer["lines"][0])


def test_recognize_is_told_what_a_text_is_made_of(tmp_path):
    line = tmp_path / "line.png"
    line.write_bytes(draw_invoice(1).line("O0I1"))
    assert run("recognize", "--layout", "line", "--charset", "digits", line, cwd=tmp_path).stdout == "0011\n"
    wrong = run("recognize", "--lexicon", "a", line, cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "2 to 64" in wrong.stderr


def test_recognize_goes_on_after_a_file_that_is_no_image(tmp_path, invoice):
    other = tmp_path / "notes.txt"
    other.write_text("hello")
    done = run("recognize", other, tmp_path / "missing.png", invoice, cwd=tmp_path)
    assert done.returncode == 1
    assert draw_invoice(1).number in done.stdout
    assert "notes.txt: Send a JPEG" in done.stderr
    assert "missing.png: No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_says_what_is_fit(tmp_path):
    done = run("check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "store sqlite: ok" in done.stdout
    assert "model" in done.stdout


def test_check_names_a_damaged_store(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.sqlite3").write_bytes(b"not a database" * 100)
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "store" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "check"])
def test_every_wrong_setting_is_named_at_once(tmp_path, command):
    done = run(command, cwd=tmp_path, OCR_PORT="x", OCR_TTL="0", OCR_READER="queue")
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("OCR_PORT", "OCR_TTL", "OCR_READER"))
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_used_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run("serve", cwd=tmp_path, OCR_DATA_DIR=str(tmp_path / "file" / "data"))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "The store cannot be opened" in done.stderr


def test_a_mistyped_setting_is_pointed_out(tmp_path):
    assert "OCR_TLL is no setting" in run("check", cwd=tmp_path, OCR_TLL="5").stderr


def test_a_worker_without_a_queue_says_so(tmp_path):
    done = run("worker", cwd=tmp_path)
    assert (done.returncode, "OCR_REDIS_URL" in done.stderr) == (2, True)


def test_an_address_that_cannot_be_listened_on_is_told_at_once_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, cwd=tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert port in line
    assert "already in use" in line
    elsewhere = run("serve", "--host", "203.0.113.5", cwd=tmp_path)  # RFC 5737: nobody's
    assert (elsewhere.returncode, elsewhere.stderr.count("\n")) == (1, 1)


def test_the_wheel_brings_all_that_reading_and_serving_need(tmp_path, invoice):
    source = tmp_path / "source"
    for name in ("gateway", "worker"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = tmp_path.glob("ocr_gateway-*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, timeout=120)
    done = run("recognize", invoice, cwd=tmp_path, PYTHONPATH=str(site))
    assert draw_invoice(1).number in done.stdout, done.stderr
    for path in ("gateway/http/static/index.html", "gateway/http/templates/docs.html", "gateway/http/openapi.json"):
        assert (site / path).is_file()
    assert not list(site.glob("tests*"))
    assert wheel.stat().st_size < 12 * 2**20
