"""``POST /preview``: one page as a picture, drawn and forgotten."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gateway.app import create_app
from gateway.config import load_settings
from gateway.identity import result_id
from gateway.tenancy import Services
from tests.doubles import build_gateway
from tests.hostile import encrypted_pdf, pdf

COLOURS = ((200, 30, 30), (30, 140, 30), (30, 30, 200))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    if image_format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def booklet(image_format: str = "PDF") -> bytes:
    """Three pages, each of its own colour and size."""
    pages = [Image.new("RGB", (300, 200 + 50 * number), colour) for number, colour in enumerate(COLOURS)]
    packed = {"compression": "tiff_lzw"} if image_format == "TIFF" else {}
    return encoded(pages[0], image_format, save_all=True, append_images=pages[1:], **packed)


def landscape() -> Image.Image:
    """White, its upper left quarter red."""
    image = Image.new("RGB", (400, 200), "white")
    image.paste((200, 30, 30), (0, 0, 200, 100))
    return image


def octets(upload: bytes) -> dict:
    return {"data": upload, "content_type": "application/octet-stream"}


def picture(answer) -> Image.Image:
    assert answer.status_code == 200, answer.data
    assert answer.mimetype == "image/webp"
    return Image.open(io.BytesIO(answer.data), formats=["WEBP"]).convert("RGB")


def colour(image: Image.Image, x: float, y: float) -> np.ndarray:
    return np.array(image.getpixel((int(x * image.width), int(y * image.height))))


@pytest.mark.parametrize(
    "request_of",
    [
        lambda file: {"data": {"image": (io.BytesIO(file), "secret-name.pdf")}},
        lambda file: {"json": {"image": base64.b64encode(file).decode()}},
        lambda file: {"json": {"image": "data:application/pdf;base64," + base64.b64encode(file).decode()}},
        lambda file: {"data": file, "content_type": "application/pdf"},
        lambda file: {"data": file, "content_type": "image/jpeg"},
        octets,
    ],
    ids=["multipart", "base64", "data-url", "raw", "raw-with-a-wrong-type", "octets"],
)
def test_a_file_is_taken_in_any_wrapping_and_its_first_page_drawn(client, request_of):
    drawn = picture(client.post("/preview", **request_of(booklet())))
    assert np.abs(colour(drawn, 0.5, 0.5) - COLOURS[0]).max() < 12


@pytest.mark.parametrize("image_format", ["PDF", "TIFF"])
def test_any_page_can_be_asked_for(client, image_format):
    for number, wanted in enumerate(COLOURS, 1):
        drawn = picture(client.post(f"/preview?page={number}", **octets(booklet(image_format))))
        assert np.abs(colour(drawn, 0.5, 0.5) - wanted).max() < 12


@pytest.mark.parametrize("image_format", ["PDF", "TIFF"])
def test_a_page_has_the_proportions_in_which_it_is_read(client, image_format):
    upload = booklet(image_format)
    read = client.post("/ocr", **octets(upload)).json["image"]["page_sizes"]
    assert [size["page"] for size in read] == [1, 2, 3]
    for size in read:
        drawn = picture(client.post(f"/preview?page={size['page']}", **octets(upload)))
        assert drawn.width / drawn.height == pytest.approx(size["width"] / size["height"], rel=0.005)


@pytest.mark.parametrize("orientation", [6, 8])
@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_a_page_is_drawn_upright(client, image_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = landscape().transpose({6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation])
    drawn = picture(client.post("/preview", **octets(encoded(stored, image_format, exif=exif))))
    assert_is_the_landscape(drawn)


@pytest.mark.parametrize("image_format", ["HEIF", "AVIF", "PNG", "WEBP"])
def test_pictures_have_one_page(client, image_format):
    assert_is_the_landscape(picture(client.post("/preview?page=1", **octets(encoded(landscape(), image_format)))))


def assert_is_the_landscape(drawn: Image.Image) -> None:
    assert drawn.size == (400, 200)
    assert np.abs(colour(drawn, 0.2, 0.2) - (200, 30, 30)).max() < 12
    assert colour(drawn, 0.8, 0.8).min() > 240


@pytest.mark.parametrize(
    ("size", "drawn"), [((4000, 3000), (1600, 1200)), ((300, 2000), (240, 1600)), ((90, 40), (90, 40))]
)
def test_the_longest_side_is_bounded_and_nothing_is_enlarged(client, size, drawn):
    upload = encoded(Image.new("RGB", size, "white"), "PNG")
    assert picture(client.post("/preview", **octets(upload))).size == drawn


def test_print_of_ten_points_stays_legible(client):
    """Strokes a quarter of a millimetre wide, as far apart, on A4: dark and light are told from each other."""
    page = np.full((2339, 1654), 255, np.uint8)
    page[:, ::4] = page[:, 1::4] = 0
    drawn = np.asarray(picture(client.post("/preview", **octets(encoded(Image.fromarray(page), "PNG")))).convert("L"))
    assert drawn[800].max() - drawn[800].min() > 150


def test_only_the_page_that_is_asked_for_counts(client):
    # More pages than may be read at once, and one beside it that is too large for everybody.
    many = pdf([b"/MediaBox[0 0 72 72]"] * 30)
    assert client.post("/ocr", **octets(many)).status_code == 413
    assert picture(client.post("/preview?page=30", **octets(many))).size == (150, 150)
    huge = pdf([b"/MediaBox[0 0 14000 14000]", b"/MediaBox[0 0 72 72]"])
    assert client.post("/preview?page=1", **octets(huge)).status_code == 413
    assert picture(client.post("/preview?page=2", **octets(huge))).size == (150, 150)


def test_nothing_is_kept_and_no_cache_may_keep_it(client, gateway, store, caplog):
    caplog.set_level("DEBUG")
    upload = booklet()
    answer = client.post("/preview?page=2", data={"image": (io.BytesIO(upload), "secret-name.pdf")})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not {"ETag", "Content-Location", "X-Cache-Status", "Cache-Status"} & set(answer.headers.keys())
    assert list(store.scan("")) == []
    assert (gateway.reader.reads, len(gateway.nominator)) == (0, 0)
    assert client.get(f"/results/{result_id(upload)}").status_code == 404
    assert "/preview" in caplog.text
    assert "secret" not in caplog.text and result_id(upload) not in caplog.text


class TestRefusals:
    @pytest.mark.parametrize(
        "query",
        ["page=0", "page=", "page=a", "page=-1", "page=1-2", "page=１", "page=1&page=2", "pages=1", "match=none"],
    )
    def test_a_bad_query_is_named(self, client, assert_problem, query):
        document = assert_problem(client.post(f"/preview?{query}", **octets(booklet())), 400, "bad-request")
        assert f"`{query.split('=')[0]}`" in document["detail"]

    @pytest.mark.parametrize("image_format", ["PDF", "TIFF", "PNG"])
    def test_a_page_that_is_not_there_is_named(self, client, assert_problem, image_format):
        upload = booklet(image_format) if image_format != "PNG" else encoded(landscape(), "PNG")
        document = assert_problem(client.post("/preview?page=4", **octets(upload)), 400, "bad-request")
        assert document["detail"].startswith("There is no page 4")

    @pytest.mark.parametrize(
        ("request_of", "status", "slug"),
        [
            ({}, 400, "bad-request"),
            ({"data": b"", "content_type": "application/pdf"}, 400, "bad-request"),
            ({"json": {"image": "not base64!"}}, 400, "bad-request"),
            ({"json": {"picture": "QUJD"}}, 400, "bad-request"),
            ({"data": {"file": (io.BytesIO(b"x"), "x.pdf")}}, 400, "bad-request"),
            ({"data": bytes(300_001), "content_type": "application/pdf"}, 413, "too-large"),
            ({"data": b"hello", "content_type": "application/pdf"}, 415, "unsupported-image"),
            ({"data": b"<svg/>", "content_type": "text/html"}, 415, "unsupported-image"),
            ({"data": encrypted_pdf(), "content_type": "application/pdf"}, 422, "broken-image"),
            ({"data": booklet()[:-20], "content_type": "application/pdf"}, 422, "broken-image"),
            (octets(encoded(Image.new("1", (6000, 6000)), "PNG")), 413, "too-large"),
        ],
        ids=[
            "nothing",
            "empty",
            "base64",
            "member",
            "field",
            "bytes",
            "no-image",
            "type",
            "encrypted",
            "cut-off",
            "pixels",
        ],
    )
    def test_uploads_are_refused_as_everywhere(self, client, assert_problem, request_of, status, slug):
        assert_problem(client.post("/preview", **request_of), status, slug)

    def test_one_image_at_a_time(self, client, assert_problem):
        images = {"image": [(io.BytesIO(booklet()), name) for name in ("a.pdf", "b.pdf")]}
        assert_problem(client.post("/preview", data=images), 400, "bad-request")

    def test_it_takes_a_place_among_the_uploads_that_are_decoded(self, store, assert_problem, parts):
        gateway = build_gateway(store, at_once=1)
        client = create_app(parts.settings, replace(parts, services=Services(gateway.service))).test_client()
        answers = []
        gateway.reader.on_read = lambda: answers.append(client.post("/preview", **octets(booklet())))
        client.post("/ocr", **octets(encoded(landscape(), "PNG")))
        assert_problem(answers[0], 503, "overloaded")
        assert answers[0].headers["Retry-After"]
        assert client.post("/preview", **octets(booklet())).status_code == 200

    def test_a_refusal_gives_its_place_back(self, client):
        for _ in range(20):  # more than there are places
            assert client.post("/preview", **octets(b"hello")).status_code == 415
        assert client.post("/preview", **octets(booklet())).status_code == 200

    def test_it_is_there_to_be_posted_to(self, client, assert_problem):
        assert_problem(client.get("/preview"), 405)


def test_pages_of_allowed_origins_may_ask(parts):
    client = create_app(load_settings(cors_origins=("https://erp.example",)), parts).test_client()
    origin = {"Origin": "https://erp.example"}
    drawn = client.post("/preview", headers=origin, **octets(booklet()))
    for answer in (client.options("/preview", headers=origin), drawn):
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://erp.example"
