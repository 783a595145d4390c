"""Every accepted format and pixel mode gives upright, contiguous RGB; sizes are refused before anything is decoded."""

from __future__ import annotations

import io
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from gateway import errors
from gateway.image import ImageLimits, PageRange, decode, isolated
from tests.hostile import drawing, page_tags, pdf, pdf_with_a_stamp, slow_pdf, tiff, valid

# What the gateway does in production (gateway.image.raster): Pillow's remarks on metadata are no failures.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIC", "PDF")
ORIENTED = {
    1: lambda page: page,
    2: lambda page: page[:, ::-1],
    3: lambda page: page[::-1, ::-1],
    4: lambda page: page[::-1],
    5: lambda page: page.transpose(1, 0, 2),
    6: lambda page: np.rot90(page, 1),
    7: lambda page: page.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda page: np.rot90(page, -1),
}


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    if image_format == "HEIC":
        import pillow_heif

        pillow_heif.register_heif_opener()
        image_format = "HEIF"
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def only_page(upload: bytes, limits: ImageLimits) -> np.ndarray:
    (page,) = decode(upload, limits).pages
    return page


def mean_difference(page: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(page.astype(int) - other).mean())


# --- formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_format_gives_a_contiguous_rgb_page(image_format: str, limits: ImageLimits) -> None:
    document = decode(valid(image_format), limits)
    (page,) = document.pages
    assert document.format == image_format
    assert (document.numbers, document.page_count) == ((1,), 1)
    assert page.dtype == np.uint8 and page.flags.c_contiguous and page.flags.writeable
    expected = np.asarray(drawing())
    if image_format == "PDF":
        expected = np.asarray(drawing().resize((page.shape[1], page.shape[0]), Image.Resampling.BILINEAR))
    assert page.shape == expected.shape
    assert mean_difference(page, expected) < 8


@pytest.mark.parametrize(
    ("image_format", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
)
def test_a_lossless_format_gives_the_very_pixels(image_format: str, options: dict, limits: ImageLimits) -> None:
    assert np.array_equal(only_page(encoded(drawing(), image_format, **options), limits), np.asarray(drawing()))


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd"])
def test_tiff_compressions(compression: str, limits: ImageLimits) -> None:
    page = only_page(encoded(drawing(), "TIFF", compression=compression), limits)
    assert mean_difference(page, np.asarray(drawing())) < (8 if compression == "jpeg" else 1e-9)


def test_a_fax_page(limits: ImageLimits) -> None:
    bilevel = drawing().convert("1", dither=Image.Dither.NONE)
    page = only_page(encoded(bilevel, "TIFF", compression="group4"), limits)
    assert np.array_equal(page, np.asarray(bilevel.convert("RGB")))


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "AVIF", "PNG"])
def test_an_animation_gives_its_first_frame(image_format: str, limits: ImageLimits) -> None:
    frames = [Image.new("RGB", (32, 16), colour) for colour in ("red", "blue", "lime")]
    document = decode(encoded(frames[0], image_format, save_all=True, append_images=frames[1:]), limits)
    assert document.page_count == 1
    assert mean_difference(document.pages[0], np.array([255, 0, 0])) < 4


def test_the_bytes_decide_and_a_bmp_is_no_text() -> None:
    from gateway.image.sniff import FORMATS as known
    from gateway.image.sniff import sniff

    assert [sniff(valid(name)) for name in FORMATS] == list(FORMATS)
    assert set(known) == set(FORMATS)
    assert sniff(b"BMW Rechnung Nr. 17") is None
    assert sniff(b"\x1b%-12345X@PJL\r\n%PDF-1.4\n") == "PDF"


def test_heif_files_with_a_neutral_brand_are_told_apart_by_their_compatible_ones() -> None:
    from gateway.image.sniff import sniff

    def box(*brands: bytes) -> bytes:
        return struct.pack(">I", 8 + 8 + 4 * len(brands)) + b"ftypmif1" + bytes(4) + b"".join(brands)

    assert sniff(box(b"mif1", b"avif")) == "AVIF"
    assert sniff(box(b"mif1", b"heic")) == "HEIC"
    assert sniff(box(b"mif1", b"jpeg")) is None


# --- orientation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_exif_orientation_is_applied_once(image_format: str, orientation: int, limits: ImageLimits) -> None:
    wanted = np.asarray(drawing())
    stored = Image.fromarray(np.ascontiguousarray(ORIENTED[orientation](wanted)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    # AVIF and HEIC are written with a rotation of the container (irot, imir) beside EXIF's.
    page = only_page(encoded(stored, image_format, exif=exif.tobytes(), quality=95), limits)
    assert page.shape == wanted.shape and page.flags.c_contiguous
    assert mean_difference(page, wanted) < 8


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_page_of_a_tiff_has_its_own_orientation(orientation: int, compression: str, limits: ImageLimits) -> None:
    wanted = np.asarray(drawing())
    pages = []
    for turn in (1, orientation):
        pages.append(Image.fromarray(np.ascontiguousarray(ORIENTED[turn](wanted))))
        pages[-1].encoderinfo = {"tiffinfo": {0x0112: turn}}
    upload = encoded(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression, tiffinfo={0x0112: 1}
    )
    for page in decode(upload, limits).pages:
        assert np.array_equal(page, wanted)


def test_in_heic_the_container_overrules_exif(limits: ImageLimits) -> None:
    # ISO/IEC 23008-12: irot and imir are normative, EXIF's orientation informs.
    exif = Image.Exif()
    exif[0x0112] = 6
    upload = encoded(drawing(), "HEIC", exif=exif.tobytes(), quality=95)
    without_rotation = upload.replace(b"irot", b"free")
    assert without_rotation != upload
    assert only_page(without_rotation, limits).shape == (64, 96, 3)


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_does_not_exist_turns_nothing(value: int, limits: ImageLimits) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert np.array_equal(only_page(encoded(drawing(), "PNG", exif=exif), limits), np.asarray(drawing()))


def test_exif_behind_the_pixels_of_a_png_counts(limits: ImageLimits) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    whole = encoded(drawing(), "PNG", exif=exif)
    at = whole.index(b"eXIf") - 4
    chunk = whole[at : at + 12 + struct.unpack(">I", whole[at : at + 4])[0]]
    end = whole.index(b"IEND") - 4
    moved = whole[:at] + whole[at + len(chunk) : end] + chunk + whole[end:]
    assert np.array_equal(only_page(moved, limits), np.asarray(drawing())[::-1, ::-1])


# --- pixel modes --------------------------------------------------------------------------------------


def on_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_alpha_lies_on_white(image_format: str, limits: ImageLimits) -> None:
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[5:10, 5:25, 3] = 255  # black print on transparency, which is black too
    rgba[10:15, :, :] = (200, 30, 30, 128)
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    page = only_page(encoded(Image.fromarray(rgba, "RGBA"), image_format, **options), limits)
    assert np.abs(page - on_white(rgba)).max() <= 1
    assert (page[0] == 255).all() and (page[7, 10] == 0).all()


@pytest.mark.parametrize("image_format", ["AVIF", "HEIC"])
def test_alpha_lies_on_white_in_heif_too(image_format: str, limits: ImageLimits) -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[16:48, 16:48, 3] = 255
    page = only_page(encoded(Image.fromarray(rgba, "RGBA"), image_format, quality=95), limits)
    assert page[:8].min() > 245 and page[24:40, 24:40].max() < 10


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_grey_with_alpha(image_format: str, limits: ImageLimits) -> None:
    grey = np.zeros((10, 10, 2), np.uint8)
    grey[2:4, :, 1] = 255
    page = only_page(encoded(Image.fromarray(grey, "LA"), image_format), limits)
    assert (page[0] == 255).all() and (page[3] == 0).all()


def test_a_palette_with_transparency(limits: ImageLimits) -> None:
    indices = Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8)[:, None], 6, axis=1), "P")
    indices.putpalette([0, 0, 0, 10, 20, 30, 200, 100, 50, 0, 0, 0])
    one = only_page(encoded(indices, "PNG", transparency=0), limits)
    assert one[:, 0].tolist() == [[255, 255, 255], [10, 20, 30], [200, 100, 50], [0, 0, 0]]
    several = only_page(encoded(indices, "PNG", transparency=bytes([255, 0, 128, 0])), limits)
    assert several[0, 0].tolist() == [0, 0, 0] and several[1, 0].tolist() == [255] * 3
    assert np.abs(several[2, 0] - np.array([227, 177, 152])).max() <= 2


def test_a_palette_without_transparency(limits: ImageLimits) -> None:
    indices = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    indices.putpalette([1, 2, 3, 250, 240, 230])
    for image_format in ("PNG", "BMP", "TIFF", "GIF"):
        assert only_page(encoded(indices, image_format), limits).tolist() == [[[1, 2, 3], [250, 240, 230]]]


def test_a_transparent_colour(limits: ImageLimits) -> None:
    image = Image.fromarray(np.array([[[0, 0, 0], [9, 9, 9]]], np.uint8))
    assert only_page(encoded(image, "PNG", transparency=(0, 0, 0)), limits).tolist() == [[[255] * 3, [9] * 3]]
    grey = Image.fromarray(np.array([[0, 9]], np.uint8))
    assert only_page(encoded(grey, "PNG", transparency=0), limits).tolist() == [[[255] * 3, [9] * 3]]
    bilevel = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert only_page(encoded(bilevel, "PNG", transparency=0), limits).tolist() == [[[255] * 3, [255] * 3]]


def test_a_transparent_colour_of_16_bits(limits: ImageLimits) -> None:
    from tests.hostile import png

    rows = b"\0" + struct.pack(">6H", 0, 0, 0, 0x8000, 0x8000, 0x8000)
    upload = bytearray(png(2, 1, colour=2, before=[(b"tRNS", struct.pack(">3H", 0x8000, 0x8000, 0x8000))], rows=rows))
    upload[24] = 16
    upload[29:33] = struct.pack(">I", __import__("zlib").crc32(bytes(upload[12:29])))
    assert only_page(bytes(upload), limits).tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(image_format: str, limits: ImageLimits) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    page = only_page(encoded(Image.fromarray(ramp), image_format), limits)
    assert np.array_equal(page[0, :, 0], np.arange(256))


def test_big_endian_16_bit_grey(limits: ImageLimits) -> None:
    samples = np.array([[0, 257 * 100, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), samples.tobytes())
    assert only_page(encoded(image, "TIFF"), limits)[0, :, 0].tolist() == [0, 100, 255]


def test_12_bit_grey_has_its_own_white(limits: ImageLimits) -> None:
    tags = [(258, 3, 1, 12) if tag[0] == 258 else tag for tag in page_tags(width=2, height=1)]
    upload = bytearray(tiff([tags]))
    upload[8:11] = bytes([0x00, 0x0F, 0xFF])  # two samples: 0 and 4095
    struct.pack_into("<I", upload, upload.index(struct.pack("<HHL", 273, 4, 1)) + 8, 8)
    assert only_page(bytes(upload), limits)[0, :, 0].tolist() == [0, 255]


def test_white_may_be_zero_in_16_bit_grey(limits: ImageLimits) -> None:
    image = Image.fromarray(np.array([[0, 65535]], np.uint16))
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[262] = 0
    upload = encoded(image, "TIFF", tiffinfo=info)
    at = upload.index(struct.pack("<HHL", 262, 3, 1)) + 8
    upload = upload[:at] + b"\0\0" + upload[at + 2 :]
    assert only_page(upload, limits)[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("samples", "grey"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 25700.0, 65535.0]], np.float32), [0, 100, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, np.nan, 1.0]], np.float32), [0, 255, 255]),
        (np.array([[0.0, np.inf, 1.0]], np.float32), [0, 255, 255]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 25700, 65535]], np.int32), [0, 100, 255]),
        (np.array([[0, 2**30, 2**31 - 1]], np.int32), [0, 128, 255]),
    ],
)
def test_samples_of_no_stated_range_take_the_usual_one_that_holds_them(
    samples: np.ndarray, grey: list[int], limits: ImageLimits
) -> None:
    assert only_page(encoded(Image.fromarray(samples), "TIFF"), limits)[0, :, 0].tolist() == grey


@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(image_format: str, limits: ImageLimits) -> None:
    # Pillow writes JPEG as Adobe does, inverted.
    page = only_page(encoded(drawing().convert("CMYK"), image_format, quality=95), limits)
    assert mean_difference(page, np.asarray(drawing())) < 8


def test_lab(limits: ImageLimits) -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    page = only_page(encoded(ImageCms.applyTransform(drawing(), to_lab), "TIFF"), limits)
    assert mean_difference(page, np.asarray(drawing())) < 4


def test_icc_profiles_are_ignored(limits: ImageLimits) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(only_page(encoded(drawing(), "PNG", icc_profile=profile), limits), np.asarray(drawing()))


# --- pages --------------------------------------------------------------------------------------------


def three_pages() -> bytes:
    pages = [Image.new("L", (20 + number, 10), 60 * number) for number in (1, 2, 3)]
    return encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def test_all_pages_of_a_tiff(limits: ImageLimits) -> None:
    document = decode(three_pages(), limits)
    assert (document.numbers, document.page_count) == ((1, 2, 3), 3)
    assert [page.shape for page in document.pages] == [(10, 21, 3), (10, 22, 3), (10, 23, 3)]
    assert [page[0, 0, 0] for page in document.pages] == [60, 120, 180]


def test_a_range_of_pages_of_a_tiff(limits: ImageLimits) -> None:
    document = decode(three_pages(), limits, PageRange(2, 3))
    assert (document.numbers, document.page_count) == ((2, 3), 3)
    assert [page[0, 0, 0] for page in document.pages] == [120, 180]


def test_a_range_of_pages_of_a_pdf(limits: ImageLimits) -> None:
    upload = pdf([b"/MediaBox[0 0 %d 72]" % (72 * number) for number in (1, 2, 3)])
    document = decode(upload, limits, PageRange(2, 3))
    assert (document.numbers, document.page_count) == ((2, 3), 3)
    assert [page.shape for page in document.pages] == [(200, 400, 3), (200, 600, 3)]
    for page in document.pages:
        # a black square of 20 points, 9 points from the lower left corner, on white
        assert page[200 - 50, 50].max() == 0 and page[10, 10].min() == 255


def test_stamps_and_filled_in_fields_of_a_pdf_are_drawn(limits: ImageLimits) -> None:
    page = only_page(pdf_with_a_stamp(), limits)
    assert page[100, 100].max() < 10 and page[5, 5].min() == 255


def test_big_tiff(limits: ImageLimits) -> None:
    pages = [drawing(), drawing()]
    upload = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], big_tiff=True)
    assert upload[2] == 43
    document = decode(upload, limits, PageRange(2, 2))
    assert document.page_count == 2
    assert np.array_equal(document.pages[0], np.asarray(drawing()))


def test_a_camera_file_of_several_pictures_is_its_first(limits: ImageLimits) -> None:
    upload = encoded(drawing(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))], quality=95)
    document = decode(upload, limits)
    assert (document.format, document.page_count) == ("JPEG", 1)
    assert mean_difference(document.pages[0], np.asarray(drawing())) < 8


def test_previews_kept_in_a_tiff_are_no_pages(limits: ImageLimits) -> None:
    upload = tiff([page_tags(), [(254, 4, 1, 1), *page_tags(width=4, height=4)], page_tags()])
    assert decode(upload, limits).page_count == 2


@pytest.mark.parametrize("upload", [three_pages(), pdf([b"/MediaBox[0 0 9 9]"] * 3)], ids=["TIFF", "PDF"])
def test_too_many_pages_are_refused_with_the_way_out(upload: bytes) -> None:
    few = ImageLimits(max_pixels=50_000_000, max_pages=2, pdf_dpi=200)
    with pytest.raises(errors.TooLarge, match="pages=1-2"):
        decode(upload, few)
    with pytest.raises(errors.TooLarge):
        decode(upload, few, PageRange(1, 3))
    assert len(decode(upload, few, PageRange(1, 2)).pages) == 2


@pytest.mark.parametrize("upload", [three_pages(), pdf([b"/MediaBox[0 0 9 9]"] * 3), valid("PNG"), valid("HEIC")])
def test_a_page_beyond_the_document_is_a_bad_request(upload: bytes, limits: ImageLimits) -> None:
    with pytest.raises(errors.BadRequest, match=r"There is no page 4: the document has [13] page"):
        decode(upload, limits, PageRange(3, 4))


def test_a_late_page_of_a_long_tiff_is_found_quickly(limits: ImageLimits) -> None:
    upload = tiff([page_tags()] * 5000)
    started = time.process_time()
    assert decode(upload, limits, PageRange(5000, 5000)).page_count == 5000
    assert time.process_time() - started < 5


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", [name for name in FORMATS if name != "PDF"])
def test_the_pixel_limit_is_exact(image_format: str) -> None:
    pixels = 96 * 64
    assert decode(valid(image_format), ImageLimits(pixels, 1, 200)).pages
    with pytest.raises(errors.TooLarge):
        decode(valid(image_format), ImageLimits(pixels - 1, 1, 200))


def test_the_pixel_limit_counts_all_pages_and_only_the_asked_ones() -> None:
    limits = ImageLimits(max_pixels=450, max_pages=20, pdf_dpi=200)
    with pytest.raises(errors.TooLarge):
        decode(three_pages(), limits)
    assert len(decode(three_pages(), limits, PageRange(1, 2)).pages) == 2


def test_a_pdf_over_the_pixel_limit_is_drawn_at_a_lower_resolution() -> None:
    upload = pdf([b"/MediaBox[0 0 720 720]"] * 2)
    (first, second) = decode(upload, ImageLimits(max_pixels=4_000_000, max_pages=20, pdf_dpi=200)).pages
    assert first.shape == second.shape
    assert 1350 < first.shape[0] <= 1414


def test_a_pdf_is_refused_when_it_would_not_be_legible() -> None:
    with pytest.raises(errors.TooLarge, match="legibly"):
        decode(pdf([b"/MediaBox[0 0 720 720]"]), ImageLimits(max_pixels=500_000, max_pages=20, pdf_dpi=200))


def test_a_limit_above_pillows_own_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode(valid("PNG"), ImageLimits(max_pixels=10_000, max_pages=1, pdf_dpi=200)).pages


# --- refusals -----------------------------------------------------------------------------------------


def test_nothing_is_a_bad_request(limits: ImageLimits) -> None:
    with pytest.raises(errors.BadRequest):
        decode(b"", limits)


def test_an_encrypted_pdf_is_refused_by_name(limits: ImageLimits) -> None:
    from tests.hostile import encrypted_pdf

    with pytest.raises(errors.BrokenImage, match="encrypted"):
        decode(encrypted_pdf(), limits)


def test_a_pdf_that_lost_its_end_is_not_repaired(limits: ImageLimits) -> None:
    with pytest.raises(errors.BrokenImage, match="cut off"):
        decode(pdf([b"/MediaBox[0 0 99 99]"])[:-20], limits)


def test_a_decoder_that_takes_too_long_is_stopped(limits: ImageLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "WALL_SECONDS", 0.0)
    with pytest.raises(errors.ReadingTimedOut):
        decode(valid("PDF"), limits)


def test_a_page_that_never_finishes_drawing_is_stopped(limits: ImageLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "CPU_SECONDS", 1)
    with pytest.raises(errors.ReadingTimedOut):
        decode(slow_pdf(), limits)


def test_a_decoder_that_dies_is_a_broken_image(limits: ImageLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_PROGRAM", "/nonexistent.py")
    with pytest.raises(errors.BrokenImage):
        decode(valid("HEIC"), limits)


def test_no_process_to_be_had_is_an_overload(limits: ImageLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(errors.Overloaded) as refusal:
        decode(valid("PDF"), limits)
    assert refusal.value.retry_after


def test_refusals_quote_nothing_of_the_file(limits: ImageLimits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="gateway")
    upload = valid("PNG").replace(b"IDAT", b"SECR")
    with pytest.raises(errors.BrokenImage) as refusal:
        decode(upload, limits)
    assert "SECR" not in refusal.value.detail + caplog.text
    assert refusal.value.__cause__ is None


def test_nothing_of_a_document_is_logged(limits: ImageLimits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    decode(encoded(drawing(), "TIFF", description="Confidential", compression="tiff_lzw"), limits)
    notes = PngInfo()
    notes.add_text("Title", "Confidential")
    decode(encoded(drawing(), "PNG", pnginfo=notes), limits)
    assert "Confidential" not in caplog.text


def test_no_process_is_left_behind(limits: ImageLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    def children() -> str:
        return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()

    before = children()
    decode(valid("HEIC"), limits)
    for upload, pages in ((valid("AVIF")[:400], None), (valid("PDF"), PageRange(2, 2)), (slow_pdf(), None)):
        monkeypatch.setattr(isolated, "WALL_SECONDS", 0.5)
        with pytest.raises(errors.Refusal):
            decode(upload, limits, pages)
    assert children() == before


# --- threads ------------------------------------------------------------------------------------------


def test_decoding_is_thread_safe(limits: ImageLimits) -> None:
    uploads = [valid(name) for name in FORMATS] * 3
    alone = [decode(upload, limits).pages[0] for upload in uploads[: len(FORMATS)]]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda upload: decode(upload, limits).pages[0], uploads))
    for number, page in enumerate(together):
        assert np.array_equal(page, alone[number % len(FORMATS)])
