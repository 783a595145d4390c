"""Hostile files get the contract's answer, soon, and cost bounded memory; random damage never gets anything else."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.image import ImageLimits, PageRange, decode
from tests.hostile import MAX_PAGES, MAX_PIXELS, Hostile, cases, valid

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

LIMITS = ImageLimits(MAX_PIXELS, MAX_PAGES, pdf_dpi=200)
ROOT = Path(__file__).parents[3]

# A fresh process decodes what it is given and prints the most memory (MB) that this added, and that a child used.
MEASURE = """
import json, pickle, resource, sys
from gateway.errors import Refusal
from gateway.image import ImageLimits, decode

def peak(who):
    return resource.getrusage(who).ru_maxrss / 1024

limits, uploads = pickle.load(sys.stdin.buffer)
before = peak(resource.RUSAGE_SELF)
for upload in uploads:
    try:
        decode(upload, ImageLimits(*limits))
    except Refusal:
        pass
print(json.dumps([peak(resource.RUSAGE_SELF) - before, peak(resource.RUSAGE_CHILDREN)]))
"""


def test_there_are_enough_cases_and_each_has_its_own_name() -> None:
    assert len({case.name for case in cases()}) == len(cases()) > 100


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_hostile_file_gets_the_contracts_answer(case: Hostile) -> None:
    started = time.process_time()
    try:
        decode(case.data, LIMITS)
        answer = 200, ""
    except Refusal as refusal:
        answer = refusal.status, refusal.slug
        assert refusal.detail.endswith(".")
    assert answer == (case.status, case.slug)
    assert time.process_time() - started < 3


def test_hostile_files_cost_bounded_memory() -> None:
    given = pickle.dumps(((MAX_PIXELS, MAX_PAGES, 200), [case.data for case in cases()]))
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=ROOT, input=given, capture_output=True, timeout=120, check=True
    )
    here, child = json.loads(run.stdout)
    assert here < 150  # MB; the largest accepted case has 16 megapixels
    assert child < 900


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@settings(max_examples=120, deadline=3000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_gives_a_page_or_a_refusal(image_format: str, data: st.DataObject) -> None:
    decode_damaged(image_format, data)


@pytest.mark.parametrize("image_format", ["AVIF", "HEIC", "PDF"])
@settings(max_examples=12, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage_gives_a_page_or_a_refusal_in_isolation(image_format: str, data: st.DataObject) -> None:
    decode_damaged(image_format, data)


def decode_damaged(image_format: str, data: st.DataObject) -> None:
    upload = bytearray(valid(image_format))
    places = st.one_of(st.integers(0, min(200, len(upload) - 1)), st.integers(0, len(upload) - 1))
    for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8)):
        upload[at] = value
    del upload[data.draw(st.integers(len(upload) // 2, len(upload))) :]
    pages = data.draw(st.sampled_from([None, PageRange(1, 1), PageRange(1, 2)]))
    small = ImageLimits(max_pixels=2_000_000, max_pages=4, pdf_dpi=100)
    try:
        document = decode(bytes(upload), small, pages)
    except Refusal:
        return
    assert len(document.pages) == len(document.numbers) <= document.page_count
    assert sum(page.size // 3 for page in document.pages) <= small.max_pixels
