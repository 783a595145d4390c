"""The reader as it is shipped: real detection, real recognition, in a real process."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.documents import FONT, Invoice
from worker import reader
from worker.constraints import Constraints
from worker.process import ReaderPool, ReaderSpec

LINES = ("增值税电子普通发票", "发票号码：24112000000052340515", "TOTAL 1280.50", "开票日期：2026年06月02日")


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(ReaderSpec(threads=2)) as pool:
        assert pool.wait_ready(60)
        yield pool


def drawn(*lines: str, size: tuple[int, int] = (900, 420), height: int = 28) -> np.ndarray:
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, height, index=2)
    for number, line in enumerate(lines):
        draw.text((40, 30 + 90 * number), line, "black", font)
    return np.asarray(image)


def test_a_drawn_page_is_read_as_it_was_drawn(pool: ReaderPool) -> None:
    lines = pool.read(drawn(*LINES), timeout=30)
    assert tuple(line.text for line in lines) == LINES
    assert all(0.5 < line.score <= 1 for line in lines)
    tops = [line.box[0][1] for line in lines]
    assert tops == pytest.approx([36, 126, 216, 306], abs=12)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_page_may_lie_on_its_side_or_stand_on_its_head(pool: ReaderPool, quarters: int) -> None:
    page = np.ascontiguousarray(np.rot90(drawn(*LINES), -quarters))
    lines = pool.read(page, timeout=30)
    assert tuple(line.text for line in lines) == LINES
    height, width = page.shape[:2]
    nearest = [(0, 0), (width, 0), (width, height), (0, height)][quarters]
    assert max(abs(line.box[0][0] - nearest[0]) for line in lines) < (60 if quarters == 2 else 340)
    again = pool.read_lines(page, [line.box for line in lines], timeout=30)
    assert [(reading.text, reading.score) for reading in again] == [(line.text, line.score) for line in lines]


def test_columns_are_read_from_right_to_left(pool: ReaderPool) -> None:
    columns = ("增值税专用发票", "购买方名称", "合计金额")
    image = Image.new("RGB", (420, 420), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, 32, index=2)
    for number, column in enumerate(columns):
        for row, character in enumerate(column):
            draw.text((330 - 120 * number, 40 + 40 * row), character, "black", font)
    assert tuple(line.text for line in pool.read(np.asarray(image), timeout=30)) == columns


def test_reading_a_page_again_gives_the_same(pool: ReaderPool) -> None:
    page = drawn(*LINES)
    assert pool.read(page, timeout=30) == pool.read(page, timeout=30)


def test_reading_its_boxes_again_gives_the_same_text(pool: ReaderPool) -> None:
    page = drawn(*LINES)
    lines = pool.read(page, timeout=30)
    again = pool.read_lines(page, [line.box for line in lines[::-1]], timeout=30)
    assert [reading.text for reading in again] == [line.text for line in lines[::-1]]


def test_with_a_second_reader_each_line_says_who_read_it() -> None:
    spec = ReaderSpec(threads=2, second="ppocr", second_below=1.0)
    lines = spec.build().read(drawn(*LINES))
    assert tuple(line.text for line in lines) == LINES
    assert {line.reader for line in lines} == {"ppocr"}
    with ReaderPool(spec) as pool:
        assert pool.wait_ready(60)
        assert pool.read(drawn(*LINES), timeout=30) == lines
        assert [reading.reader for reading in pool.read_lines(drawn(*LINES), [lines[0].box])] == ["ppocr"]


def test_a_line_with_broad_blank_edges_is_read_as_well(pool: ReaderPool) -> None:
    [line] = pool.read(drawn(LINES[1], size=(640, 200)), "line", timeout=30)
    assert line.text == LINES[1]
    assert line.box[2][1] - line.box[0][1] < 60


def test_a_line_image_is_read_whole(pool: ReaderPool) -> None:
    image = np.asarray(Image.open(io.BytesIO(Invoice.line(LINES[1]))))
    height, width = image.shape[:2]
    [line] = pool.read(image, "line", timeout=30)
    assert line.text == LINES[1]
    assert line.box == ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))


def test_codes_of_digits_are_read_in_digits(pool: ReaderPool) -> None:
    page = drawn("O0I1", "S5B8Z2", "1280.50")
    lines = pool.read(page, timeout=30, constraints=Constraints("digits"))
    assert [line.text for line in lines] == ["0011", "558822", "128050"]
    again = pool.read_lines(page, [line.box for line in lines], 30, Constraints("digits"))
    assert [reading.text for reading in again] == ["0011", "558822", "128050"]


def test_lines_of_other_characters_are_left_out_and_the_page_is_turned_all_the_same(pool: ReaderPool) -> None:
    page = np.ascontiguousarray(np.rot90(drawn(*LINES), 2))
    lines = pool.read(page, timeout=30, constraints=Constraints("amount"))
    assert [line.text.split()[-1] for line in lines] == ["24112000000052340515", "1280.50", "20260602"]


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3000, 40)])
@pytest.mark.parametrize("layout", ["auto", "line"])
def test_a_page_without_text_has_no_lines(pool: ReaderPool, size: tuple[int, int], layout: str) -> None:
    assert pool.read(np.full((*size, 3), 250, np.uint8), layout, timeout=30) == []


def test_noise_is_survived(pool: ReaderPool) -> None:
    pool.read(np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8), timeout=60)
    assert pool.ready()


def test_the_revision_is_the_same_in_every_process_and_loads_no_model() -> None:
    program = (
        "import sys; from worker.reader import ReaderSpec; print(ReaderSpec(threads=5).revision())\n"
        "print([name for name in ('cv2', 'onnxruntime', 'torch', 'rapidocr') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.splitlines() == [ReaderSpec().revision(), "[]"], done.stderr


def test_another_engine_or_library_is_another_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ReaderSpec(engine="torch").revision() != ReaderSpec().revision()
    before = ReaderSpec().revision()
    reader._revision.cache_clear()
    monkeypatch.setattr(reader, "version", lambda name: "0.1")
    try:
        assert ReaderSpec().revision() != before
    finally:
        reader._revision.cache_clear()


def test_a_second_reader_and_its_threshold_are_part_of_the_revision() -> None:
    specs = [ReaderSpec(), *(ReaderSpec(second="ppocr", second_below=below) for below in (0.5, 0.7))]
    assert len({spec.revision() for spec in specs}) == 3
    assert ReaderSpec(second_below=0.5).revision() == ReaderSpec().revision()


def test_every_module_that_a_reading_passes_through_is_part_of_the_revision() -> None:
    program = (
        "import sys; from worker.reader import ReaderSpec; ReaderSpec(second='ppocr').build()\n"
        "print(*sorted(name.partition('.')[2] + '.py' for name in sys.modules if name.startswith('worker.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=30
    )
    loaded = set(done.stdout.split()) - {"types.py", "package_weights.py"}
    assert "page.py" in loaded
    assert loaded <= set(reader._PIPELINE)
