"""Malformed and hostile uploads, made in code, each with the answer the contract gives it.

Used against the decoder (tests/unit/image) and, over HTTP, against the running server (tests/integration).
"""

from __future__ import annotations

import base64
import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

MAX_PIXELS = 50_000_000
MAX_PAGES = 20

ACCEPTED = (200, "")
BAD = (400, "bad-request")
TOO_LARGE = (413, "too-large")
UNSUPPORTED = (415, "unsupported-image")
BROKEN = (422, "broken-image")


@dataclass(frozen=True, slots=True)
class Hostile:
    """``content_type``: what a sender might claim. ``status``, ``slug``: the contract's answer under the default limits
    (:data:`MAX_PIXELS`, :data:`MAX_PAGES`); 200 and ``""`` where the file is odd but readable."""

    name: str
    data: bytes
    content_type: str
    status: int
    slug: str


@cache
def cases() -> tuple[Hostile, ...]:
    """Every case, made once."""
    return tuple(
        Hostile(name, data, content_type, *expected)
        for group in (_nothing_to_read, _polyglots, _truncated, _png, _jpeg, _gif, _webp, _bmp, _tiff, _heif, _pdf)
        for name, data, content_type, expected in group()
    )


Case = tuple[str, bytes, str, tuple[int, str]]


# --- valid files to spoil -------------------------------------------------------------------------


def drawing(width: int = 96, height: int = 64) -> Image.Image:
    """Something like lines of print, and not symmetric."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[8 : height // 2 : 6, 8 : width - 20] = (20, 20, 60)
    pixels[8:16, 8:14] = (200, 0, 0)
    noise = np.random.default_rng(7).integers(0, 40, (height // 4, width, 3), dtype=np.uint8)
    pixels[-(height // 4) :] = 215 + noise
    return Image.fromarray(pixels)


@cache
def valid(name: str) -> bytes:
    """A small valid file: PNG, JPEG, WEBP, TIFF, BMP, GIF, AVIF, HEIC or PDF."""
    image, encoded = drawing(), io.BytesIO()
    if name == "HEIC":
        import pillow_heif

        pillow_heif.from_pillow(image).save(encoded, quality=80)
    else:
        image.save(encoded, name)
    return encoded.getvalue()


def mime(name: str) -> str:
    return "application/pdf" if name == "PDF" else f"image/{name.lower()}"


# --- groups -----------------------------------------------------------------------------------------


def _nothing_to_read() -> Iterator[Case]:
    yield "empty", b"", "image/png", BAD
    yield "one zero byte", b"\0", "image/png", UNSUPPORTED
    yield "zero bytes", bytes(100_000), "image/jpeg", UNSUPPORTED
    yield "text", "发票 No. 1, total 1280.00".encode(), "image/png", UNSUPPORTED
    yield "text that begins with BM", b"BM's invoice of the third of May, total 12.00", "image/bmp", UNSUPPORTED
    yield (
        "SVG",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "image/svg+xml",
        UNSUPPORTED,
    )
    yield (
        "SVG with external entity",
        (b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'),
        "image/svg+xml",
        UNSUPPORTED,
    )
    yield "EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/x) (w) file\n", "image/eps", UNSUPPORTED
    yield "PSD", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3), "image/vnd.adobe.photoshop", UNSUPPORTED
    yield "ICO", b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 9, 9, 0, 0, 1, 32, 40, 22), "image/x-icon", UNSUPPORTED
    yield "DICOM", bytes(128) + b"DICM" + bytes(64), "application/dicom", UNSUPPORTED
    yield "PPM", b"P6 2 2 255\n" + bytes(12), "image/x-portable-pixmap", UNSUPPORTED
    yield "JPEG 2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64), "image/jp2", UNSUPPORTED
    yield "gzip bomb", gzip.compress(bytes(20_000_000)), "image/png", UNSUPPORTED
    yield "zip", _zip(b"x"), "application/octet-stream", UNSUPPORTED
    yield "MP4", b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(64), "image/heic", UNSUPPORTED
    yield "HTML", b"<!doctype html><script>alert(1)</script>", "image/png", UNSUPPORTED


def _polyglots() -> Iterator[Case]:
    gif, png, jpeg = valid("GIF"), valid("PNG"), valid("JPEG")
    yield "GIF that is a JAR too", gif + _zip(b"class"), "application/java-archive", ACCEPTED
    yield "PNG that is a ZIP too", png + _zip(b"hello"), "application/zip", ACCEPTED
    yield "JPEG followed by HTML", jpeg + b"<script>alert(1)</script>", "text/html", ACCEPTED
    yield "JPEG said to be a PNG", jpeg, "image/png", ACCEPTED
    yield "GIF header on HTML", b"GIF89a/*<script>*/=1;alert(1)</script>" + b" " * 200, "text/html", TOO_LARGE
    yield "JPEG header on HTML", b"\xff\xd8\xff\xe0<html><script>alert(1)</script></html>", "image/jpeg", BROKEN


def _truncated() -> Iterator[Case]:
    for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIC", "PDF"):
        whole = valid(name)
        for share in (0.05, 0.3, 0.6, 0.9):
            cut = whole[: max(20, int(len(whole) * share))]
            yield f"{name} cut at {share:.0%}", cut, mime(name), BROKEN


def _png() -> Iterator[Case]:
    yield "PNG bomb 50,000 x 50,000", png(50_000, 50_000, rows=b""), "image/png", TOO_LARGE
    yield "PNG of the largest sides", png(2**31 - 1, 2**31 - 1, rows=b""), "image/png", TOO_LARGE
    yield "PNG bomb 1 x 1,000,000,000", png(1, 1_000_000_000, rows=b""), "image/png", TOO_LARGE
    yield "PNG of no size", png(0, 0, rows=b""), "image/png", BROKEN
    # Its stream is whole and its checksum right: only its encoder can have done that, so the rest stays black.
    yield "PNG encoded without its last rows", png(4000, 4000, rows=bytes(4001 * 10)), "image/png", ACCEPTED
    yield "PNG with too many pixels behind", png(8, 8, rows=bytes(50_000_000)), "image/png", ACCEPTED
    yield "interlaced PNG bomb", png(60_000, 60_000, rows=b"", interlace=1), "image/png", TOO_LARGE
    yield (
        "PNG text bomb",
        png(8, 8, before=[(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000)))]),
        "image/png",
        BROKEN,
    )
    yield (
        "PNG profile bomb",
        png(8, 8, before=[(b"iCCP", b"a\0\0" + zlib.compress(bytes(60_000_000)))]),
        "image/png",
        BROKEN,
    )
    yield "PNG of 300,000 chunks", png(8, 8, before=[(b"prVt", b"")] * 300_000), "image/png", BROKEN
    yield "PNG with a wrong checksum", _spoil(valid("PNG"), 29, 4), "image/png", BROKEN
    yield "PNG with a chunk of 2 GB", png(8, 8, before=[])[:33] + b"\x7f\xff\xff\xffprVt", "image/png", BROKEN
    yield "PNG without pixels", png(8, 8, rows=None), "image/png", BROKEN
    yield "PNG with an unknown colour type", png(8, 8, colour=7), "image/png", BROKEN
    yield "PNG with broken EXIF", png(8, 8, before=[(b"eXIf", b"II*\0\xff\xff\xff\xff\xff\xff")]), "image/png", ACCEPTED
    yield (
        "PNG palette index beyond the palette",
        png(8, 8, colour=3, before=[(b"PLTE", b"\0\0\0")]),
        "image/png",
        ACCEPTED,
    )


def _jpeg() -> Iterator[Case]:
    whole = valid("JPEG")
    frame = whole.index(b"\xff\xc0")
    huge = whole[: frame + 5] + struct.pack(">HH", 65_535, 65_535) + whole[frame + 9 :]
    yield "JPEG that claims 65,535 x 65,535", huge, "image/jpeg", TOO_LARGE
    taller = whole[: frame + 5] + struct.pack(">HH", 6400, 96) + whole[frame + 9 :]
    yield "JPEG that claims a hundred times its height", taller[:-2], "image/jpeg", BROKEN
    yield "JPEG of no height", whole[: frame + 5] + bytes(2) + whole[frame + 7 :], "image/jpeg", BROKEN
    yield "JPEG of 12 bits", whole[: frame + 4] + b"\x0c" + whole[frame + 5 :], "image/jpeg", BROKEN
    yield "JPEG of 7 components", whole[: frame + 9] + b"\x07" + whole[frame + 10 :], "image/jpeg", BROKEN
    yield "JPEG of 1,000 scans", progressive_jpeg(6400, 6400, scans=1000), "image/jpeg", BROKEN
    yield "JPEG of a million segments", b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000 + whole[2:], "image/jpeg", BROKEN
    yield "JPEG with 10 MB of fill bytes", b"\xff\xd8" + b"\xff" * 10_000_000 + whole[2:], "image/jpeg", BROKEN
    yield "JPEG with broken EXIF", _jpeg_with_exif(b"II*\0\xff\xff\xff\xff" + bytes(8)), "image/jpeg", ACCEPTED
    yield "JPEG whose EXIF refers to itself", _jpeg_with_exif(exif_loop()), "image/jpeg", ACCEPTED
    yield "JPEG start only", b"\xff\xd8\xff", "image/jpeg", BROKEN
    yield "JPEG without tables", _without_tables(whole), "image/jpeg", BROKEN


def _gif() -> Iterator[Case]:
    header = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\2\3\x84\x8f\x51\0;"
    yield "GIF with a canvas of 65,535 x 65,535", header[:6] + b"\xff" * 4 + header[10:] + frame, "image/gif", TOO_LARGE
    beyond = b"," + struct.pack("<HHHHB", 60_000, 60_000, 8, 8, 0) + frame[10:]
    yield "GIF frame far beyond its canvas", header + beyond, "image/gif", TOO_LARGE
    disposed = b"!\xf9\4\x08\0\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + frame[10:]
    yield "GIF frame of 65,535 x 65,535, disposed", header + disposed, "image/gif", TOO_LARGE
    yield "GIF of a million comments", header + b"!\xfe\1a\0" * 1_000_000 + frame, "image/gif", BROKEN
    yield "GIF of a million sub-blocks", header + b"!\xf5" + b"\1a" * 1_000_000 + b"\0" + frame, "image/gif", BROKEN
    yield "GIF without a frame", header + b";", "image/gif", BROKEN
    yield "GIF with a code size of 255", header + frame[:10] + b"\xff" + frame[11:], "image/gif", BROKEN


def _webp() -> Iterator[Case]:
    whole = valid("WEBP")
    yield "WebP with a huge chunk size", whole[:16] + b"\xff\xff\xff\xff" + whole[20:], "image/webp", BROKEN
    yield "WebP of an unknown chunk", whole[:12] + b"XXXX" + whole[16:], "image/webp", BROKEN
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff" * 6
    yield "WebP with a canvas of 16,777,216 squared", _riff(canvas + whole[12:]), "image/webp", TOO_LARGE
    mismatch = b"VP8X" + struct.pack("<I", 10) + bytes(4) + struct.pack("<I", 9)[:3] * 2
    yield "WebP with a canvas smaller than its picture", _riff(mismatch + whole[12:]), "image/webp", BROKEN
    yield "WebP header only", whole[:12], "image/webp", BROKEN


def _bmp() -> Iterator[Case]:
    whole = valid("BMP")

    def sized(width: int, height: int, data: bytes = whole) -> bytes:
        return data[:18] + struct.pack("<ii", width, height) + data[26:]

    top_down = bytearray(sized(96, -64))
    yield "BMP stored from the top", bytes(top_down), "image/bmp", ACCEPTED
    yield "BMP of 2,000,000,000 x 64", sized(2_000_000_000, 64), "image/bmp", TOO_LARGE
    yield "BMP of 30,000 x 30,000", sized(30_000, 30_000), "image/bmp", TOO_LARGE
    yield "BMP of negative width", sized(-96, 64), "image/bmp", TOO_LARGE
    yield "BMP of the most negative height", sized(96, -(2**31)), "image/bmp", TOO_LARGE
    yield "BMP of 3 bits a pixel", whole[:28] + b"\3\0" + whole[30:], "image/bmp", BROKEN
    yield (
        "BMP with an absurd palette",
        whole[:28] + b"\x08\0" + whole[30:46] + b"\xff" * 4 + whole[50:],
        "image/bmp",
        BROKEN,
    )
    packed = struct.pack("<IiiHHIIiiII", 40, 7000, 7000, 1, 8, 1, 0, 0, 0, 2, 0) + bytes(8)
    yield (
        "run-length BMP bomb",
        b"BM" + struct.pack("<IHHI", 0, 0, 0, 62) + packed + b"\1\1\0\0" * 7000,
        "image/bmp",
        BROKEN,
    )


def _tiff() -> Iterator[Case]:
    yield "TIFF whose directory is its own successor", tiff([page_tags()], loop=True), "image/tiff", BROKEN
    yield "TIFF of 5,000 pages", tiff([page_tags()] * 5000), "image/tiff", TOO_LARGE
    yield "TIFF of 20,000 pages", tiff([page_tags()] * 20_000), "image/tiff", TOO_LARGE
    yield "TIFF with 60,000 absurd tags", tiff([[(300, 4, 2**32 - 1, 9)] * 60_000]), "image/tiff", BROKEN
    yield "TIFF of 1,000 overlapping directories", _overlapping_directories(), "image/tiff", BROKEN
    yield "TIFF of 100,000 x 100,000", tiff([page_tags(width=100_000, height=100_000)]), "image/tiff", TOO_LARGE
    yield (
        "TIFF with tiles of 65,536 x 65,536",
        tiff([[*page_tags(), (322, 4, 1, 65_536), (323, 4, 1, 65_536), (324, 4, 1, 8), (325, 4, 1, 64)]]),
        "image/tiff",
        TOO_LARGE,
    )
    # Pillow reads the first width, and the first of its values.
    doubled = struct.pack("<II", 90_000, 90_000)
    yield (
        "TIFF that hides its size",
        tiff([[(256, 4, 2, 8), (257, 4, 1, 900), *page_tags()]]).replace(bytes(8), doubled, 1),
        "image/tiff",
        BROKEN,
    )
    yield "TIFF of 1,000,000 strips", tiff([page_tags(strips=1_000_000)]) + bytes(4_000_000), "image/tiff", BROKEN
    yield (
        "TIFF whose pages are too large together",
        tiff([page_tags(width=6000, height=6000)] * 3),
        "image/tiff",
        TOO_LARGE,
    )
    yield "TIFF that points behind its end", b"II*\0\xff\xff\xff\x7f", "image/tiff", BROKEN
    yield "TIFF without directories", b"II*\0\0\0\0\0" + bytes(20), "image/tiff", BROKEN
    yield "TIFF without a size", tiff([page_tags()[2:]]), "image/tiff", BROKEN
    yield (
        "TIFF of 200 samples a pixel",
        tiff([[tag for tag in page_tags() if tag[0] != 277] + [(277, 3, 1, 200)]]),
        "image/tiff",
        BROKEN,
    )
    yield "TIFF of an unknown compression", tiff([page_tags(compression=4711)]), "image/tiff", BROKEN
    yield "TIFF with a deflate bomb", _tiff_deflate_bomb(), "image/tiff", ACCEPTED
    yield "BigTIFF that points behind its end", b"II+\0\x08\0\0\0" + b"\xff" * 8, "image/tiff", BROKEN


def _heif() -> Iterator[Case]:
    for name in ("AVIF", "HEIC"):
        whole = valid(name)
        yield f"{name} that states 60,000 x 60,000", _restated(whole, 60_000, 60_000), mime(name), TOO_LARGE
        yield f"{name} that does not say where its picture lies", whole.replace(b"iloc", b"xxxx"), mime(name), BROKEN
        yield f"{name} type box only", whole[: struct.unpack(">I", whole[:4])[0]], mime(name), BROKEN
        yield f"{name} with boxes in boxes", whole[:32] + _nested_boxes(2000), mime(name), BROKEN
    yield "AVIF of 128 megapixels that states 100 x 100", _restated(_large_avif(), 100, 100), "image/avif", BROKEN
    yield "AVIF of 128 megapixels", _large_avif(), "image/avif", TOO_LARGE


def _pdf() -> Iterator[Case]:
    pdf_type = "application/pdf"
    yield "PDF page of 14,400 points", pdf([b"/MediaBox[0 0 14400 14400]"]), pdf_type, TOO_LARGE
    yield "PDF page of 1,000,000,000 points", pdf([b"/MediaBox[0 0 1000000000 1000000000]"]), pdf_type, TOO_LARGE
    yield "PDF of 10,000 pages", pdf([b"/MediaBox[0 0 99 99]"] * 10_000), pdf_type, TOO_LARGE
    yield "PDF that claims 2,000,000,000 pages", pdf([b"/MediaBox[0 0 99 99]"], count=2_000_000_000), pdf_type, ACCEPTED
    yield "PDF whose page tree is a loop", pdf_loop(), pdf_type, BROKEN
    yield "PDF without pages", pdf([]), pdf_type, BROKEN
    yield "encrypted PDF", encrypted_pdf(), pdf_type, BROKEN
    yield "PDF header only", b"%PDF-1.7\n", pdf_type, BROKEN
    yield "PDF of rubbish", b"%PDF-1.7\n" + bytes(range(256)) * 40 + b"\n%%EOF", pdf_type, BROKEN
    bomb = zlib.compress(bytes(400_000_000), 9)
    yield "PDF with a deflate bomb", pdf([b"/MediaBox[0 0 99 99]"], content=bomb), pdf_type, BROKEN
    yield (
        "PDF form that draws itself",
        pdf([b"/MediaBox[0 0 99 99]/Resources<</XObject<</F 4 0 R>>>>"], content=zlib.compress(b"/F Do"), as_form=True),
        pdf_type,
        ACCEPTED,
    )


# --- building blocks ----------------------------------------------------------------------------------


def png(
    width: int,
    height: int,
    *,
    colour: int = 0,
    interlace: int = 0,
    before: list[tuple[bytes, bytes]] | None = None,
    rows: bytes | None = bytes(9 * 8),
) -> bytes:
    """An 8-bit PNG with these unpacked ``rows`` (filter bytes included; ``None``: no pixels at all)."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, interlace)), *(before or [])]
    if rows is not None:
        chunks.append((b"IDAT", zlib.compress(rows)))
    chunks.append((b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def progressive_jpeg(width: int, height: int, scans: int) -> bytes:
    """A grey progressive JPEG whose many scans each say, in a few bytes, that nothing changes."""
    encoded = io.BytesIO()
    Image.new("L", (width, height), 255).save(encoded, "JPEG", progressive=True)
    whole = encoded.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + b"\xff\xd9"


def page_tags(
    width: int = 8, height: int = 8, compression: int = 1, strips: int = 1
) -> list[tuple[int, int, int, int]]:
    """Entries (tag, type, count, value) of a grey page whose pixels are the file's first 64 bytes."""
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, strips, 0), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, strips, 64),
    ]  # fmt: skip


def tiff(pages: list[list[tuple[int, int, int, int]]], *, loop: bool = False) -> bytes:
    """A little-endian TIFF of these directories, one after the other."""
    parts, offset = [b"II*\0" + struct.pack("<I", 72) + bytes(64)], 72
    for number, entries in enumerate(pages):
        size = 2 + 12 * len(entries) + 4
        following = 72 if loop else offset + size if number + 1 < len(pages) else 0
        directory = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
        parts.append(struct.pack("<H", len(entries)) + directory + struct.pack("<I", following))
        offset += size
    return b"".join(parts)


def _overlapping_directories() -> bytes:
    # Each directory has 60,000 entries and begins 16 bytes behind the one before: its successor's place is written
    # where the entries of all others lie too.
    count, entries = 1000, 60_000
    data = bytearray(72 + count * 16 + 12 * entries + 20)
    data[:8] = b"II*\0" + struct.pack("<I", 72)
    for number in range(count):
        struct.pack_into("<H", data, 72 + 16 * number, entries)
    for number in range(count - 1):
        struct.pack_into("<I", data, 72 + 16 * number + 2 + 12 * entries, 72 + 16 * (number + 1))
    return bytes(data)


def _tiff_deflate_bomb() -> bytes:
    # 8 x 8 pixels wanted, 50 MB packed: only what is wanted may be unpacked.
    packed = zlib.compress(bytes(50_000_000))
    tags = page_tags(compression=8)
    tags[5], tags[8] = (273, 4, 1, 0), (279, 4, 1, len(packed))
    head = tiff([tags])
    tags[5] = (273, 4, 1, len(head))
    return tiff([tags]) + packed


def pdf(pages: list[bytes], *, count: int | None = None, content: bytes = b"", as_form: bool = False) -> bytes:
    """A PDF of these pages (entries of the page dictionary); all share one deflated content stream, object 4."""
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 4 0 R>>>>" if as_form else b""
    content = content or zlib.compress(b"0 g 9 9 20 20 re f")
    kids = b" ".join(b"%d 0 R" % (5 + number) for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages) if count is None else count, kids),
        b"null",
        b"<</Length %d/Filter/FlateDecode%s>>stream\n" % (len(content), form) + content + b"\nendstream",
        *(b"<</Type/Page/Parent 2 0 R/Contents 4 0 R%s>>" % page for page in pages),
    ]
    return _pdf_file(objects)


def slow_pdf() -> bytes:
    """A page covered again and again by a shading whose colour is computed for each pixel: no machine finishes soon.

    Not among :func:`cases`, which are answered soon; this one is stopped by the decoder's time limit.
    """
    compute = b"{ %s add 2 div dup dup }" % (b"sin exch cos exch " * 40)
    shading = b"<</ShadingType 1/ColorSpace/DeviceRGB/Domain[0 99 0 99]/Function 5 0 R>>"
    paint = zlib.compress(b"/S sh " * 10_000)
    return _pdf_file(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 999 999]/Contents 4 0 R/Resources<</Shading<</S %s>>>>>>"
            % shading,
            b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(paint), paint),
            b"<</FunctionType 4/Domain[0 99 0 99]/Range[0 1 0 1 0 1]/Length %d>>stream\n%s\nendstream"
            % (len(compute), compute),
        ]
    )


def pdf_with_a_stamp() -> bytes:
    """A page that is empty but for the black appearance of a filled-in form field, as signatures and seals are."""
    stamp = b"<</Type/XObject/Subtype/Form/BBox[0 0 50 50]/Length 18>>stream\n0 g 0 0 50 50 re f\nendstream"
    return _pdf_file(
        [
            b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Annots[4 0 R]>>",
            b"<</Type/Annot/Subtype/Widget/FT/Sig/T(a)/F 4/Rect[10 10 60 60]/P 3 0 R/AP<</N 5 0 R>>>>",
            stamp,
        ]
    )


def pdf_loop() -> bytes:
    return _pdf_file([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[2 0 R]/Parent 2 0 R>>"])


def encrypted_pdf() -> bytes:
    """Standard security handler, revision 2, with a user password that is not empty."""
    encrypt = b"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>/ID[<00><00>]" % (b"11" * 32, b"22" * 32)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"
    return _pdf_file([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>", page], encrypt)


def _pdf_file(objects: list[bytes], trailer: bytes = b"") -> bytes:
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def exif_loop() -> bytes:
    """A TIFF block whose only directory holds a pointer to itself and is its own successor."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHLL", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)


def _jpeg_with_exif(block: bytes) -> bytes:
    whole = valid("JPEG")
    body = b"Exif\0\0" + block
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]


def _without_tables(jpeg: bytes) -> bytes:
    out, at = bytearray(jpeg[:2]), 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        if jpeg[at + 1] not in (0xDB, 0xC4):
            out += jpeg[at:end]
        at = end
    return bytes(out + jpeg[at:])


def _large_avif() -> bytes:
    """16,000 x 8,000 white pixels, 4:4:4. Kept ready-made: encoding it takes seconds and 3 GB."""
    return zlib.decompress(base64.b85decode(_LARGE_AVIF))


_LARGE_AVIF = (
    "c-muNU{FXasVqn=%S>Yc0uY^>nP!-qnV9D5Xy^zOdYzkElE?r7iWw<6MNl?FL1uCZ0~+8f$SlbPvlxL`E;A=T8N_h`@fjhajKT~Ith<10jm*rv"
    "G`LzRASaax%1bOWFm%q($p_n&m03_!0HnP$3zGAJv`A)gK`O*Ly9NdZc?Tdvpdhm%6C}dS!NCEfcoNGDog3}JiiDH%bBgkkb1Hx)^D?jjwJ?Zh"
    "7UaVG1aue+BU3XA&{c<WQxZ#r7`V9YzuVRS{O!S!VbWl<f?I%pQc}zN|NlRxKVV>pJby~_cwteBr@ixv`}sYmbojPePLcYpy8hrg&X?E9oV^m{"
    "dV&wI7_DaSd2w&X`b;g=pPxT@m1OLm{mXOp`VPwn5sq0F-xVjaxfCAvTk*^3^Wuxn393d#M)wVdrqK~382x01nu$hK@s$;KtB-hI_Bt_ty^8LZ"
    "*zOtns^@PvJ}BW1{q&V%siKLg$Sp2M`-ah=9u4Z@7u2CNakR$JGL{yhdjSA#8urQ"
)


def _restated(heif: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its image spatial extents."""
    out, at = bytearray(heif), -1
    while (at := heif.find(b"ispe", at + 1)) >= 0:
        struct.pack_into(">II", out, at + 8, width, height)
    return bytes(out)


def _nested_boxes(depth: int) -> bytes:
    return b"".join(struct.pack(">I", 8 * (depth - level)) + b"meta" for level in range(depth))


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _zip(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", data)
    return packed.getvalue()


def _spoil(data: bytes, at: int, length: int) -> bytes:
    return data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + length]) + data[at + length :]
