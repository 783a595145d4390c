"""The matching benchmark measures what it says: its documents, its hard pairs, its idea of what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.matching import camera
from benchmarks.matching.captures import CAPTURES, GROUPS, PHOTOGRAPHS, Layout, generator
from benchmarks.matching.documents import KINDS
from benchmarks.matching.documents.page import Document, ink_box, line_boxes, render
from benchmarks.matching.library import picture_of
from benchmarks.matching.measure import Check, can_be_seen
from benchmarks.matching.pairs import ADDED_OR_REMOVED, CHANGES, ONE_CHARACTER, changed
from benchmarks.matching.pictures import look
from benchmarks.matching.plan import COPY, SIZES, jobs, names
from benchmarks.matching.report import tables
from benchmarks.matching.run import Journal
from benchmarks.matching.truth import faults
from gateway.matching import verify
from gateway.matching.proof import make_proof


def pair(change: str) -> tuple[Document, Document]:
    """A document and what ``change`` makes of it, of the first kind that has something to change."""
    for kind, draw in KINDS.items():
        document = draw(2)
        other = changed(document, change, 0, 2)
        if other is not None and kind != "article":
            return document, other.document
    raise AssertionError(f"nothing to change by {change}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_draws_the_same_page_for_the_same_seed_and_another_for_another(kind: str) -> None:
    assert np.array_equal(render(KINDS[kind](5)), render(KINDS[kind](5)))
    first, second = render(KINDS[kind](5)), render(KINDS[kind](6))
    assert first.shape != second.shape or not np.array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_a_kind_lies_inside_the_page_in_a_box_that_holds_its_ink(kind: str) -> None:
    document = KINDS[kind](3)
    blank = replace(document, runs=(), shapes=())
    ink = (render(replace(blank, runs=document.runs)) != render(blank)).any(axis=2)
    for run, (corner, _, opposite, _) in zip(document.runs, line_boxes(document), strict=True):
        (left, top), (right, bottom) = np.floor(corner).astype(int), np.ceil(opposite).astype(int)
        assert run.text.strip() and ink[top:bottom, left:right].any()
        assert left >= 0 and top >= 0 and right <= document.width and bottom <= document.height
        ink[top:bottom, left:right] = False
    assert not ink.any()


@pytest.mark.parametrize("change", ONE_CHARACTER)
def test_a_one_character_pair_differs_in_one_line_and_in_pixels(change: str) -> None:
    document, other = pair(change)
    differing = [(a.text, b.text) for a, b in zip(document.runs, other.runs, strict=True) if a != b]
    assert len(differing) == 1
    was, became = differing[0]
    places = [i for i, (a, b) in enumerate(zip(was, became, strict=True)) if a != b]
    assert len(places) == (2 if change == "point" else 1)
    assert not np.array_equal(render(document), render(other))


@pytest.mark.parametrize("change", CHANGES)
def test_taking_over_a_changed_document_is_always_a_fault(change: str) -> None:
    document, other = pair(change)
    lines = range(len(document.runs))
    assert faults(document, other, lines, ())
    assert not faults(document, document, lines, ())


@pytest.mark.parametrize("change", [*ONE_CHARACTER, "name", "swapped", "corrected", "covert", "struck", "stamp"])
def test_reading_the_changed_lines_anew_is_no_fault(change: str) -> None:
    document, other = pair(change)
    touched = set(faults(document, other, range(len(document.runs)), ()).reused)
    assert touched
    assert not faults(document, other, [i for i in range(len(document.runs)) if i not in touched], touched)


@pytest.mark.parametrize("change", ["added", "removed", "appended"])
def test_reading_all_known_lines_anew_does_not_excuse_what_lies_beside_them(change: str) -> None:
    document, other = pair(change)
    lines = range(len(document.runs))
    if change == "removed":
        assert faults(document, other, lines, ()).reused
    else:
        assert faults(document, other, (), lines).unseen


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_that_nobody_can_tell_apart_is_none(kind: str) -> None:
    document = KINDS[kind](1)
    page = render(document)
    assert not can_be_seen(page, page)
    assert not can_be_seen(page, cv2.GaussianBlur(page, (0, 0), 0.3)), "the grey of an edge is no other glyph"
    seen = [can_be_seen(page, render(other.document))
            for change in ("digit", "look-alike") if (other := changed(document, change, 1, 1))]
    assert seen and all(seen)


def test_a_mark_on_blank_paper_makes_any_answer_a_fault() -> None:
    document, other = pair("pen")
    x, y = 2.0, 2.0
    corner = replace(other.marks[0], points=((x, y), (x + 4, y + 4)))
    assert ink_box(document.runs[0])[0] > 8
    assert faults(document, replace(document, marks=(corner,)), (), range(len(document.runs))).unseen


@pytest.mark.parametrize("capture", [name for name in CAPTURES if name not in GROUPS["curled or creased"]
                                     and not name.startswith("photo")])
def test_a_capture_treats_both_pages_of_a_pair_alike(capture: str) -> None:
    document = KINDS["panel"](2)
    other = changed(document, "digit", 0, 2).document
    page, query = render(document), render(other)
    apply = CAPTURES[capture](Layout.of(document), generator("panel", 2, capture))
    again = CAPTURES[capture](Layout.of(document), generator("panel", 2, capture))
    first, second = apply(page), apply(query)
    assert first.dtype == np.uint8 and first.shape == second.shape and first.shape[2] == 3
    assert np.array_equal(first, again(page))
    apart = np.abs(first.astype(int) - second).max(axis=2) > 32
    assert 0 < apart.mean() < 0.05, "the changed digit shows, and little else differs"


@pytest.mark.parametrize("photograph", ["photo 1280", "curled", "creased"])
def test_of_a_photographed_original_it_is_known_where_the_lines_are(photograph: str) -> None:
    document = KINDS["receipt"](2)
    picture, places = picture_of("receipt", 2, photograph)
    exposure = PHOTOGRAPHS[photograph].exposure(
        Layout.of(document), generator("receipt", 2, f"known as {photograph}"))
    assert picture.shape[:2] == exposure.map_x.shape
    for place, run in zip(places, document.runs, strict=True):
        x, y = place.mean(axis=0).round().astype(int)
        left, top, right, bottom = ink_box(run)
        assert left < exposure.map_x[y, x] < right and top < exposure.map_y[y, x] < bottom
        (x0, y0), (x1, y1) = place[0], place[2]  # from its text's top left
        assert x0 < x1 and y0 < y1


@pytest.mark.parametrize("bend", [None, camera.curl, camera.creases])
def test_a_camera_takes_the_same_picture_of_both_pages_of_a_pair(bend: camera.Bend | None) -> None:
    document = KINDS["panel"](2)
    page, query = render(document), render(changed(document, "digit", 0, 2).document)
    exposure = camera.Exposure.of((document.width, document.height), 640, np.random.default_rng(1), bend, shadow=True)
    first, second = exposure.take(page), exposure.take(query)
    assert first.shape == (640, 480, 3) or first.shape == (480, 640, 3)
    assert np.array_equal(first, exposure.take(page))
    assert 0 < (first != second).any(axis=2).mean() < 0.05


@pytest.mark.parametrize("capture", ["crop 1", "crop 3", "crop 5"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_crop_cuts_no_text(capture: str, kind: str) -> None:
    document = KINDS[kind](1)
    layout = Layout.of(document)
    page = np.full((document.height, document.width, 3), 255, np.uint8)
    left, top, right, bottom = (round(value) for value in layout.ink)
    page[top:bottom, left:right] = 0
    kept = CAPTURES[capture](layout, generator(kind, 1, capture))(page)
    assert (kept == 0).sum() == (page == 0).sum() and kept.size < page.size


def test_the_residual_of_a_picture_lights_up_the_changed_character_and_nothing_else() -> None:
    document = KINDS["panel"](2)
    other = changed(document, "digit", 0, 2).document
    index = next(i for i, (a, b) in enumerate(zip(document.runs, other.runs, strict=True)) if a != b)
    proof = make_proof(render(document), line_boxes(document))
    residual = look(proof, render(other), document.texts).residual
    y, x = np.unravel_index(residual.argmax(), residual.shape)
    assert cv2.pointPolygonTest(proof.quads[index], (float(x), float(y)), False) >= 0
    assert residual.max() > 0.3
    x0, y0, x1, y1 = (round(value) for value in proof.boxes[index].tolist())
    residual[y0 - 2:y1 + 2, x0 - 2:x1 + 2] = 0
    assert residual.max() < 0.13


def test_every_size_meets_every_capture_and_every_change() -> None:
    for size in SIZES.values():
        checks = [check for job in jobs(size, 0) for check in job.checks]
        assert {capture for capture, _, _ in checks} == set(CAPTURES)
        assert {change for _, change, _ in checks} == {COPY, *CHANGES}
        assert len(names(size, 0, tuple(KINDS))) >= 300


def test_the_full_size_is_as_large_as_the_promise_it_checks() -> None:
    work = jobs(SIZES["full"], 0)
    pairs = {(job.name, change, number) for job in work for _, change, number in job.checks if change in ONE_CHARACTER}
    captures = {job.name: {capture for capture, change, _ in job.checks if change == "digit"} for job in work}
    assert len(pairs) >= 2500
    assert all(len(used) >= 20 for used in captures.values())
    assert sum(change in ADDED_OR_REMOVED for job in work for _, change, _ in job.checks) >= 1000
    assert sum(len(job.checks) for job in work) >= 50_000


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "checks.jsonl"
    Journal(path, "a").add("invoice 0", [{"word": "HIT"}])
    with path.open("a") as file:
        file.write('{"job": "invoice 1", "checks": [{"wo')
    assert Journal(path, "a").done == {"invoice 0": [{"word": "HIT"}]}
    assert [json.loads(line) for line in path.read_text().splitlines()][1]["job"] == "invoice 0"
    assert Journal(path, "b").done == {}


def test_the_report_names_a_false_hit_so_that_it_can_be_run_alone() -> None:
    check = Check("invoice", 3, "x 0.5", "digit", 1, "8 -> 3", "HIT", True, 1, 0, 0, 20, 0, True, 0.9, [], 1.0, 2.0,
                  0.0, [], 0, 4, 0.99)
    assert "FALSE HIT: invoice 3 / x 0.5 / digit 1: 8 -> 3" in tables([check], {"invoice": [2048]})


@pytest.mark.parametrize(
    ("kind", "seed", "capture", "change", "number"),
    [
        ("form", 5, "photo 1280", "letter", 0),  # 0 and O
        ("article", 4, "perspective", "covert", 0),  # 未 and 末
        ("article", 4, "blur 0.8", "look-alike", 1), ("article", 4, "blur 1.2", "look-alike", 1),  # in pale print
    ],
)
def test_what_one_stroke_tells_apart_is_read_again_in_poor_pictures(kind, seed, capture, change, number):
    document = KINDS[kind](seed)
    other = changed(document, change, number, seed).document
    picture = CAPTURES[capture](Layout.of(document), generator(kind, seed, capture))(render(other))
    verdict = verify(make_proof(render(document), line_boxes(document)), picture, document.texts)
    differing = {row for row, texts in enumerate(zip(document.texts, other.texts, strict=True)) if len(set(texts)) > 1}
    assert verdict.kind == "different" or differing <= set(verdict.doubtful)


@pytest.mark.parametrize("capture", ["unchanged", "jpeg 70"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "article"])  # it has pale footnotes
def test_nothing_is_read_again_in_a_good_copy(kind: str, capture: str) -> None:
    document = KINDS[kind](2)
    picture = CAPTURES[capture](Layout.of(document), generator(kind, 2, capture))(render(document))
    assert verify(make_proof(render(document), line_boxes(document)), picture, document.texts).kind == "same"
