"""What the documentation tells people to type works as it stands there."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.documents import draw_invoice
from tests.serving import running

ROOT = Path(__file__).parents[2]
INVOICE = draw_invoice(41)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running("serve", tmp_path_factory.mktemp("examples"), log_level="WARNING") as served:
        yield served.url


@pytest.fixture
def typed(url: str, tmp_path: Path):
    """Runs the block of code below a heading of a file, beside ``invoice.jpg``; returns what it prints."""
    for name in ("invoice.jpg", "other.jpg"):
        with Image.open(io.BytesIO(INVOICE.png())) as image:
            image.convert("RGB").save(tmp_path / name, quality=95)
            image.convert("RGB").save(tmp_path / "invoice.pdf", resolution=144)

    def run(file: str, heading: str, language: str) -> str:
        section = (ROOT / file).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
        code = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)[1]
        code = re.sub(r"http://127\.0\.0\.1:5000|https://ocr\.example", url, code)
        program = ["bash", "-euc"] if language == "sh" else [sys.executable, "-c"]
        return subprocess.run(
            [*program, code], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True,
            timeout=120, check=True,
        ).stdout  # fmt: skip

    return run


def test_curl_gets_the_text_and_the_result_by_its_id(typed):
    printed = typed("README.md", "Use it", "sh")
    text, _, by_id = printed.partition("{")
    assert INVOICE.number in text
    assert by_id.count(f'"value": "{INVOICE.number}"') == 2, "once uploaded, once looked up"


def test_python_gets_the_fields(typed):
    printed = typed("README.md", "Use it", "python")
    assert [line.split()[0] for line in printed.splitlines()] == ["invoice.jpg", "other.jpg"]
    assert f"number={INVOICE.number}" in printed


def test_the_client_is_used_as_its_page_says(typed):
    assert INVOICE.number in typed("docs/clients.md", "Python", "python")


def test_curl_gets_a_page_as_a_picture(typed, tmp_path):
    typed("docs/images.md", "A page as a picture", "sh")
    with Image.open(tmp_path / "page.webp") as page:
        assert page.width / page.height == pytest.approx(INVOICE.image.width / INVOICE.image.height, rel=0.01)
