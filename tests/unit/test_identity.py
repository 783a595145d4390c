"""Identity is a contract: the same document has the same names on every gateway, of every version, for ever."""

from __future__ import annotations

import hashlib
import io

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gateway.identity import Options, hamming, is_result_id, perceptual_hash, pixel_digest, result_id
from gateway.image import ImageLimits, PageRange, decode

LIMITS = ImageLimits(max_pixels=1_000_000, max_pages=4, pdf_dpi=100)
small_pages = arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3)))


def gradient(height: int = 120, width: int = 200) -> np.ndarray:
    """Brighter to the right and, less so, to the bottom."""
    rows, columns = np.mgrid[:height, :width]
    grey = (columns * 200 // width + rows * 55 // height).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def lines(height: int = 400, width: int = 300) -> np.ndarray:
    """Rows of bars of different lengths, as of print on white."""
    page = np.full((height, width, 3), 255, np.uint8)
    for row, length in enumerate([220, 180, 90, 250, 130, 200, 60, 240]):
        page[30 + 45 * row : 48 + 45 * row, 20 : 20 + length] = (10, 10, 40)
    return page


def corner() -> np.ndarray:
    """Colour, and nothing symmetric."""
    page = np.full((90, 160, 3), (230, 240, 250), np.uint8)
    page[10:50, 20:60] = (200, 30, 30)
    page[60:80, 90:150] = (20, 120, 40)
    return page


# --- frozen: stored results are found by these, so a library that changes them must not go unnoticed ----


def test_frozen_result_ids() -> None:
    document = "52d6e3de4fa0dcc29946695f93940c3e7f26f30e1e39f4b1a49ad98839112786"
    assert result_id(b"invoice") == document
    assert result_id(b"invoice", Options(layout="line")) == document + "-26a3dea7"
    assert result_id(b"invoice", Options(pages="1-3")) == document + "-3d1f0712"
    assert result_id(b"invoice", Options(layout="line", pages="2")) == document + "-5472fe84"


@pytest.mark.parametrize(
    ("page", "digest"),
    [
        (gradient(), "1a5ba94d69448b155bfb1285a5a670b7b3ace5aa307c12281b4b409d36d195d4"),
        (lines(), "6895ad67fdbfa898cbb8aef7b407145b8d0dd3ef0ebb74bb770fd2beb25255a9"),
        (corner(), "8abfe0f48707f49a3137044df211db08dac901b78f32eced0d006772f02d8632"),
    ],
    ids=["gradient", "lines", "corner"],
)
def test_frozen_pixel_digests(page: np.ndarray, digest: str) -> None:
    assert pixel_digest([page]) == digest


# Drawn with numpy alone: a font, or a codec, of another machine would be another picture. A new Pillow once changed its
# rounding and with it such hashes; what was stored before would no longer be nominated.
@pytest.mark.parametrize(
    ("page", "frozen"),
    [
        (gradient(), "8000800080000000"),
        (lines(), "bf34e42569cac499"),
        (corner(), "be9dc1e2956ac1c1"),
        (lines(1200, 900), "8f070707f0f8fc0e"),
    ],
    ids=["gradient", "lines", "corner", "large lines"],
)
def test_frozen_perceptual_hashes(page: np.ndarray, frozen: str) -> None:
    assert perceptual_hash(page) == frozen


# --- result id ------------------------------------------------------------------------------------------


@given(st.binary())
def test_a_device_can_compute_the_id_by_itself(upload: bytes) -> None:
    assert result_id(upload) == hashlib.sha256(upload).hexdigest()
    assert is_result_id(result_id(upload))


@given(st.sampled_from(["auto", "line"]), st.sampled_from(["", "1", "2", "1-3", "2-3"]))
def test_other_options_give_another_id_of_the_same_form(layout: str, pages: str) -> None:
    options = Options(layout, pages)
    other = result_id(b"x", options)
    assert is_result_id(other)
    assert (other == result_id(b"x")) == (options == Options())


def test_options_are_told_by_what_differs_from_the_defaults() -> None:
    assert Options().changed() == {}
    assert Options().digest() == Options().suffix() == ""
    options = Options(pages="2", charset="digits")
    assert list(options.changed().items()) == [("charset", "digits"), ("pages", "2")]
    assert Options(**options.changed()) == options
    assert options.digest() == hashlib.sha256(b"charset=digits&pages=2").hexdigest()
    assert options.suffix() == "-" + options.digest()[:8]


def test_options_that_differ_have_different_suffixes() -> None:
    options = [Options(layout, pages) for layout in ("auto", "line") for pages in ("", "1", "2", "1-2", "1-3", "12")]
    options += [Options(charset=charset) for charset in ("digits", "digits:-", ":dgist", "upper")]
    options += [Options(lexicon="a1,b2"), Options(lexicon="a1b2"), Options(charset="digits", lexicon="a1,b2")]
    options += [Options(detail="characters")]
    options += [Options(pattern=pattern) for pattern in ("digits", "a1,b2", r"\d+", r"\d*")]
    assert len({option.suffix() for option in options}) == len(options)


@pytest.mark.parametrize("text", ["2", "1-3", "4-4"])
def test_pages_are_given_as_their_range_is_written(text: str) -> None:
    assert Options(pages=str(PageRange.parse(text)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"layout": "table"},
        {"detail": "words"},
        {"pages": "3-"},
        {"pages": "1 - 3"},
        {"pages": "1\n"},
        {"charset": "upper,digits"},
        {"charset": ":ba"},
        {"lexicon": "b2,a1"},
        {"lexicon": "a1 "},
        {"pattern": "a" * 129},
    ],
)
def test_options_that_are_not_canonical_are_a_mistake(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Options(**wrong)


@pytest.mark.parametrize(
    "text",
    ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "../" + "a" * 64, "٠" * 64]
    + ["a" * 64 + tail for tail in ("-", "-1234567", "-1234567G", "-123456789", "-12345678\n")],
)
def test_what_is_no_result_id(text: str) -> None:
    assert not is_result_id(text)


# --- pixel digest -----------------------------------------------------------------------------------------


def test_the_preimage_of_the_pixel_digest() -> None:
    page = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert pixel_digest([page]) == hashlib.sha256(b"3 2\n" + bytes(range(18))).hexdigest()
    assert pixel_digest([page, page]) == hashlib.sha256(2 * (b"3 2\n" + bytes(range(18)))).hexdigest()


def saved(page: np.ndarray, image_format: str, **options: object) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(page).save(encoded, image_format, **options)
    return encoded.getvalue()


@settings(max_examples=40, deadline=None)
@given(small_pages)
def test_lossless_copies_and_stripped_metadata_keep_the_pixel_digest(page: np.ndarray) -> None:
    notes = PngInfo()
    notes.add_text("Comment", "metadata")
    exif = Image.Exif()
    exif[0x010E] = "described"
    copies = [
        saved(page, "PNG"),
        saved(page, "PNG", pnginfo=notes, exif=exif, compress_level=0),
        saved(page, "TIFF", compression="tiff_lzw"),
        saved(page, "BMP"),
        saved(page, "WEBP", lossless=True),
    ]
    assert {pixel_digest(decode(copy, LIMITS).pages) for copy in copies} == {pixel_digest([page])}
    assert len({result_id(copy) for copy in copies}) == len(copies)


@given(small_pages)
def test_another_size_is_another_digest(page: np.ndarray) -> None:
    height, width, _ = page.shape
    flat = page.reshape(1, height * width, 3)
    assert (pixel_digest([flat]) == pixel_digest([page])) == (height == 1)
    if height > 1:
        assert pixel_digest([page[:1], page[1:]]) != pixel_digest([page])


@given(small_pages, st.data())
def test_one_sample_is_another_digest(page: np.ndarray, data: st.DataObject) -> None:
    changed = page.copy()
    changed.flat[data.draw(st.integers(0, page.size - 1))] ^= 1
    assert pixel_digest([changed]) != pixel_digest([page])


def test_the_digest_does_not_ask_how_an_array_lies_in_memory() -> None:
    page = lines()
    assert pixel_digest([np.asfortranarray(page)]) == pixel_digest([page])
    assert pixel_digest([page[:, ::-1][:, ::-1]]) == pixel_digest([page])


# --- perceptual hash ----------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(small_pages)
def test_it_is_imagehash_phash_of_the_page(page: np.ndarray) -> None:
    assert perceptual_hash(page) == str(imagehash.phash(Image.fromarray(page)))


def test_it_is_imagehash_phash_of_a_page_of_several_strips() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (1500, 1400, 3), dtype=np.uint8)
    assert perceptual_hash(noise) == str(imagehash.phash(Image.fromarray(noise)))


def test_it_survives_another_encoding_and_nothing_follows_from_that() -> None:
    page = lines()
    jpeg = decode(saved(page, "JPEG", quality=60), LIMITS).pages[0]
    assert hamming(perceptual_hash(jpeg), perceptual_hash(page)) <= 4
    changed = page.copy()
    changed[30:34, 20:24] = 255
    assert hamming(perceptual_hash(changed), perceptual_hash(page)) <= 4


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hamming_is_a_distance(first: int, second: int) -> None:
    a, b = f"{first:016x}", f"{second:016x}"
    assert hamming(a, b) == hamming(b, a) == bin(first ^ second).count("1")
    assert hamming(a, a) == 0
