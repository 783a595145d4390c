"""Real lines from public repositories: what is taken, what is left, what stays unseen."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from worker.training.collect import SOURCES, Repository, Source, Unseen, collect, decoded
from worker.types import LineReading

BOX = (20, 20, 220, 50)


class OneLine:
    """A detector that finds one line, always in the same place."""

    def detect(self, page: np.ndarray) -> np.ndarray:
        left, top, right, bottom = BOX
        return np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]], np.float32)


class Reader:
    """A recogniser that is as sure as it is told."""

    def __init__(self, score: float = 0.9) -> None:
        self.score = score

    def recognise(self, crops: Sequence[np.ndarray]) -> list[LineReading]:
        return [LineReading("text", self.score) for _ in crops]


def picture(text: str, size: tuple[int, int] = (400, 300)) -> np.ndarray:
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    pen.text((BOX[0] + 4, BOX[1]), text, "black", ImageFont.load_default(26))
    pen.line((0, len(text) * 20, size[0], 250), "blue", 5)
    return np.asarray(image)


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    """A folder with a bare clone of ``a/b``: two pictures, one in ``docs``, and a file that is none."""
    work, folder = tmp_path / "work", tmp_path / "clones"
    (work / "docs").mkdir(parents=True)
    Image.fromarray(picture("ONE 1234")).save(work / "one.png")
    Image.fromarray(picture("OTHER WORDS")).save(work / "docs" / "街.png")
    (work / "broken.jpg").write_bytes(b"no picture")
    git = ["git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "pictures"]):
        subprocess.run([*git, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", work, folder / "a+b"], check=True)
    return folder


def source(clones: Path, *within: str) -> Source:
    done = subprocess.run(
        ["git", "-C", clones / "a+b", "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    return Source("a/b", done.stdout.strip(), "MIT", within or ("",))


def test_the_sources_are_pinned_and_openly_licensed():
    assert len({each.repository for each in SOURCES}) == len(SOURCES)
    for each in SOURCES:
        assert len(bytes.fromhex(each.commit)) == 20
        assert each.licence in ("Apache-2.0", "MIT")


def test_a_repositorys_pictures_are_read_without_a_checkout(clones):
    assert [path for path, _ in Repository(source(clones), clones).pictures()] == ["docs/街.png", "one.png"]
    [(path, image)] = Repository(source(clones, "docs/"), clones).pictures()
    assert path == "docs/街.png"
    assert (image == picture("OTHER WORDS")).all()


def test_lines_are_written_with_their_origin(clones, tmp_path):
    assert collect(tmp_path / "lines", clones, Unseen(), OneLine(), Reader(), [source(clones)]) == 2
    rows = [json.loads(row) for row in (tmp_path / "lines" / "lines.jsonl").read_text("utf-8").splitlines()]
    assert [row["path"] for row in rows] == ["docs/街.png", "one.png"]
    assert {row["repository"] for row in rows} == {"a/b"}
    line = cv2.imread(str(tmp_path / "lines" / rows[0]["image"]), cv2.IMREAD_UNCHANGED)
    assert line.shape == (BOX[3] - BOX[1], BOX[2] - BOX[0])


def test_what_nobody_can_read_is_left_out(clones, tmp_path):
    assert collect(tmp_path / "lines", clones, Unseen(), OneLine(), Reader(0.1), [source(clones)]) == 0


def test_the_same_line_is_taken_once(clones, tmp_path):
    assert collect(tmp_path / "lines", clones, Unseen(), OneLine(), Reader(), [source(clones)] * 2) == 2


def test_what_is_to_stay_unseen_is_not_taken_nor_is_a_copy(clones, tmp_path):
    kept_out = tmp_path / "unseen"
    kept_out.mkdir()
    Image.fromarray(picture("ONE 1234")).resize((330, 248)).save(kept_out / "copy.jpg", quality=60)
    unseen = Unseen.of([kept_out], OneLine())
    assert collect(tmp_path / "lines", clones, unseen, OneLine(), Reader(), [source(clones)]) == 1
    assert "街" in (tmp_path / "lines" / "lines.jsonl").read_text("utf-8")


def test_a_line_of_an_unseen_page_is_not_taken_from_another_page():
    page = picture("ONE 1234")
    unseen = Unseen()
    left, top, right, bottom = BOX
    unseen.add(page[top:bottom, left:right])
    assert unseen.has(page[top + 1 : bottom, left:right])
    assert not unseen.has(picture("OTHER WORDS")[top:bottom, left:right])


def test_transparency_becomes_white_and_tiny_or_broken_pictures_nothing():
    clear = np.zeros((40, 40, 4), np.uint8)
    assert (decoded(cv2.imencode(".png", clear)[1].tobytes()) == 255).all()
    assert decoded(cv2.imencode(".png", clear[:20])[1].tobytes()) is None
    assert decoded(b"no picture") is None
