"""``POST /ocr`` and the first clients' addresses, as the contract words them."""

from __future__ import annotations

import base64
import codecs
import io
import json

import pytest

from gateway.errors import Overloaded, ReadingFailed, ReadingTimedOut
from gateway.identity import Options, result_id
from worker.constraints import Constraints


def form(*images: bytes):
    return {"data": {"image": [(io.BytesIO(image), "x.png") for image in images]}}


def texts(drawing) -> list[str]:
    return [line.text for line in drawing.lines]


@pytest.mark.parametrize(
    "request_of",
    [
        lambda image: form(image),
        lambda image: {"json": {"image": base64.b64encode(image).decode()}},
        lambda image: {"json": {"image": "data:image/png;base64," + base64.b64encode(image).decode()}},
        lambda image: {"json": {"image": base64.encodebytes(image).decode().replace("\n", "\r\n\t")}},
        lambda image: {
            "data": codecs.BOM_UTF8 + json.dumps({"image": base64.b64encode(image).decode()}).encode(),
            "content_type": "application/json",
        },
        lambda image: {"data": image, "content_type": "image/png"},
        lambda image: {"data": image, "content_type": "image/jpeg"},
        lambda image: {"data": image, "content_type": "application/octet-stream"},
    ],
    ids=[
        "multipart",
        "base64",
        "data-url",
        "base64-in-lines",
        "byte-order-mark",
        "raw",
        "raw-with-a-wrong-type",
        "octets",
    ],
)
def test_an_image_is_taken_in_any_wrapping(client, invoice, request_of):
    upload = invoice.encoded()
    answer = client.post("/ocr", **request_of(upload))
    assert answer.status_code == 200
    assert answer.json["id"] == result_id(upload)
    assert [line["text"] for line in answer.json["lines"]] == texts(invoice)


def test_the_answer_says_where_it_came_from(client, invoice):
    upload = invoice.encoded()
    first, second = client.post("/ocr", **form(upload)), client.post("/ocr", **form(upload))
    assert first.headers["X-Cache-Status"] == "MISS"
    assert first.headers["Cache-Status"] == "ocr-gateway; fwd=uri-miss; stored"
    assert second.headers["X-Cache-Status"] == "HIT"
    assert second.headers["Cache-Status"] == "ocr-gateway; hit; detail=sqlite"
    assert second.json["match"] == {"kind": "exact", "source": result_id(upload), "distance": 0, "reread_lines": 0}
    for answer in (first, second):
        assert answer.headers["Content-Location"] == f"/results/{result_id(upload)}"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["ETag"].startswith('"')


def test_min_score_filters_the_answer_only(client, invoice):
    client.post("/ocr?min_score=0.99", **form(invoice.encoded()))
    assert client.post("/ocr?min_score=0.99", **form(invoice.encoded())).json["lines"] == []
    assert len(client.post("/ocr", **form(invoice.encoded())).json["lines"]) == len(invoice.lines)


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("", "*/*", "application/json"),
        ("", "text/plain", "text/plain; charset=utf-8"),
        ("", "text/csv", "text/csv; charset=utf-8"),
        ("", "text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        ("", "text/plain;charset=UTF-8, application/json;q=0.5", "text/plain; charset=utf-8"),
        ("", "application/json; charset=utf-8, text/plain;q=0.5", "application/json"),
        ("", "application/json, text/plain, */*", "application/json"),
        ("", "text/csv; charset=gbk", "application/json"),
        ("?format=hocr", "application/json", "text/vnd.hocr+html; charset=utf-8"),
        ("?format=text", "*/*", "text/plain; charset=utf-8"),
    ],
)
def test_the_format_follows_the_query_or_accept(client, invoice, query, accept, content_type):
    answer = client.post("/ocr" + query, **form(invoice.encoded()), headers={"Accept": accept})
    assert answer.headers["Content-Type"] == content_type
    assert texts(invoice)[0] in answer.text


def test_a_batch_is_answered_in_order_and_one_bad_image_spoils_nothing(client, gateway, invoice):
    answer = client.post("/ocr", **form(invoice.encoded(), b"no image", invoice.encoded()))
    assert answer.status_code == 200
    first, second, third = answer.json["results"]
    assert (first["success"], second["success"], third["success"]) == (True, False, True)
    assert (second["status"], second["type"]) == (415, "/docs#unsupported-image")
    assert third["cache_status"].startswith("ocr-gateway; hit")
    assert answer.headers["X-Cache-Status"] == "MISS"
    assert answer.headers["Cache-Status"] == "ocr-gateway; fwd=miss; detail=batch"


def test_a_batch_of_known_documents_is_a_hit_that_nobody_keeps(client, invoice):
    upload = invoice.encoded()
    client.post("/ocr", **form(upload))
    answer = client.post("/ocr", **form(upload, upload))
    assert answer.headers["X-Cache-Status"] == "HIT"
    assert answer.headers["Cache-Status"] == "ocr-gateway; hit; detail=batch"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_empty_image_of_a_batch_is_refused_alone(client, invoice):
    first, second = client.post("/ocr", **form(b"", invoice.encoded())).json["results"]
    assert (first["status"], second["success"]) == (400, True)


def test_the_line_layout_is_another_reading(client, invoice):
    upload = invoice.encoded()
    answer = client.post("/ocr?layout=line", **form(upload))
    assert answer.json["id"] == result_id(upload, Options(layout="line"))


def test_characters_are_told_where_they_are_asked_for(client, gateway, invoice):
    upload = invoice.encoded()
    answer = client.post("/ocr?detail=characters", **form(upload))
    assert answer.json["id"] == result_id(upload, Options(detail="characters"))
    assert gateway.reader.constraints == Constraints(characters=True)
    assert client.post("/ocr", **form(upload)).headers["X-Cache-Status"] == "MISS"
    assert gateway.reader.constraints == Constraints()


def test_what_is_known_of_the_text_reaches_the_reader_and_is_part_of_the_id(client, gateway, invoice):
    upload = invoice.encoded()
    plain = client.post("/ocr", **form(upload))
    query = {"charset": "upper,digits:-", "lexicon": "发票, INV-1", "pattern": r"INV-\d+"}
    answer = client.post("/ocr", query_string=query, **form(upload))
    assert answer.json["id"] == result_id(upload, Options("auto", "", "digits,upper:-", "INV-1,发票", r"INV-\d+"))
    assert (plain.headers["X-Cache-Status"], answer.headers["X-Cache-Status"]) == ("MISS", "MISS")
    assert gateway.reader.constraints == Constraints("digits,upper:-", ("INV-1", "发票"), r"INV-\d+")
    same = client.post("/ocr", query_string=query | {"lexicon": "INV-1,发票"}, **form(upload))
    assert (same.json["id"], same.headers["X-Cache-Status"]) == (answer.json["id"], "HIT")


def test_a_copy_is_no_match_for_a_reading_under_other_constraints(client, invoice):
    client.post("/ocr", **form(invoice.encoded()))
    copy = invoice.encoded("WEBP")
    assert client.post("/ocr", **form(copy)).headers["X-Cache-Status"] == "HIT"
    assert client.post("/ocr?charset=digits", **form(copy)).headers["X-Cache-Status"] == "MISS"
    assert client.post("/ocr?lexicon=INV-1", **form(copy)).headers["X-Cache-Status"] == "MISS"
    assert client.post(r"/ocr?pattern=\d%2B", **form(copy)).headers["X-Cache-Status"] == "MISS"


class TestFirstClients:
    """The calls that the project's first clients make, with the answers they read."""

    def test_base64_in_json(self, client, invoice):
        body = json.dumps({"image": base64.b64encode(invoice.encoded()).decode()})
        answer = client.post("/ocr", data=body, content_type="application/json").json
        assert answer["success"] is True
        assert answer["text"] == "\n".join(texts(invoice))
        assert 0 <= answer["confidence"] <= 1
        assert answer["processing_time_ms"] >= 0

    def test_api_ocr(self, client, invoice):
        assert client.post("/api/ocr", **form(invoice.encoded())).json["text"] == "\n".join(texts(invoice))

    def test_predict(self, client, invoice):
        answer = client.post("/ocr/predict", **form(invoice.encoded()))
        assert set(answer.json) == {"success", "results", "processing_time"}
        assert answer.json["results"][0] == {"text": texts(invoice)[0], "confidence": 0.97}
        assert answer.headers["X-Cache-Status"] == "MISS"

    def test_structured_output(self, client, invoice):
        answer = client.post("/ocr", **form(invoice.encoded())).json
        assert len(answer["boxes"]) == len(answer["scores"]) == len(invoice.lines)
        assert all(x1 < x2 and y1 < y2 for x1, y1, x2, y2 in answer["boxes"])
        assert answer["language"] == "en"

    @pytest.mark.parametrize("address", ["/api/ocr", "/ocr/predict"])
    def test_one_image_each(self, client, invoice, assert_problem, address):
        assert_problem(client.post(address, **form(invoice.encoded(), invoice.encoded())), 400, "bad-request")


class TestRefusals:
    @pytest.mark.parametrize(
        "request_of",
        [
            {},
            {"data": b"", "content_type": "image/png"},
            {"data": {"picture": (io.BytesIO(b"x"), "x.png")}},
            {"data": {"image": "text"}, "content_type": "multipart/form-data"},
            {"data": {"image": (io.BytesIO(b""), "x.png")}},
            {"json": {}},
            {"json": {"image": ""}},
            {"json": {"image": 5}},
            {"json": ["image"]},
            {"json": {"image": "not base64!"}},
            {"json": {"image": "data:image/png,abc"}},
            {"json": {"image": "QUJD", "lang": "zh"}},
            {"data": b"{", "content_type": "application/json"},
            {"data": b'{"image": "QUJD"', "content_type": "application/json"},
            {"data": b'{"image": NaN}', "content_type": "application/json"},
            {"data": b'{"image": [' + b"{}," * 1000 + b"{}]}", "content_type": "application/json"},
            {"data": b"[" * 100_000, "content_type": "application/json"},
            {"data": b'{"image":' + b"[" * 100_000, "content_type": "application/json"},
            {"data": b'{"other":' * 30_000, "content_type": "application/json"},
            {"data": b'{"image": "\\ud800"}', "content_type": "application/json"},
            {"data": b'{"image": "\xff"}', "content_type": "application/json"},
            {"data": '{"image": "QUJD文"}'.encode(), "content_type": "application/json"},
            {"data": '{"image": "QUJD"}'.encode("utf-16"), "content_type": "application/json"},
        ],
    )
    def test_what_holds_no_image_is_a_bad_request(self, client, assert_problem, request_of):
        assert_problem(client.post("/ocr", **request_of), 400, "bad-request")

    @pytest.mark.parametrize("content_type", ["image/png", "application/json"])
    def test_a_body_shorter_than_announced_is_a_bad_request(self, client, invoice, assert_problem, content_type):
        image = invoice.encoded()
        encoded = json.dumps({"image": base64.b64encode(image).decode()}).encode()
        body = image if content_type == "image/png" else encoded
        short = {
            "input_stream": io.BytesIO(body),
            "content_type": content_type,
            # As gunicorn does, which ends the stream when the client does.
            "environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(body) + 1)},
        }
        document = assert_problem(client.post("/ocr", **short), 400, "bad-request")
        assert "Content-Length" in document["detail"]

    def test_an_unknown_field_is_named(self, client, invoice, assert_problem):
        image = (io.BytesIO(invoice.encoded()), "x.png")
        form_answer = client.post("/ocr", data={"picture": image})
        assert "`picture`" in assert_problem(form_answer, 400, "bad-request")["detail"]
        json_answer = client.post("/ocr", json={"image": "QUJD", "lang": "zh"})
        assert "`lang`" in assert_problem(json_answer, 400, "bad-request")["detail"]

    def test_a_query_parameter_among_the_fields_is_told_its_place(self, client, invoice, assert_problem):
        answer = client.post("/ocr", data={"image": (io.BytesIO(invoice.encoded()), "x.png"), "format": "text"})
        assert "`/ocr?format=`" in assert_problem(answer, 400, "bad-request")["detail"]

    def test_a_form_whose_header_was_set_by_hand_is_told_what_it_lacks(self, client, assert_problem):
        answer = client.post("/ocr", data=b"--x\r\n", content_type="multipart/form-data")
        assert "boundary" in assert_problem(answer, 400, "bad-request")["detail"]

    @pytest.mark.parametrize(
        "query",
        [
            "match=maybe",
            "charset=",
            "charset=digit",
            "charset=0123456789",
            "charset=:%0a",
            "lexicon=",
            "lexicon=a",
            "lexicon=" + "ab," * 120,
            "detail=words",
            "pattern=",
            "pattern=(%3F%3Da)",
            "pattern=" + "a" * 129,
            "layout=page",
            "min_score=2",
            "min_score=nan",
            "min_score=x",
            "min_score=.5_0",
            "min_score=１",
            "pages=",
            "format=xml",
            "colour=1",
            "match=near&match=none",
            "pages=0",
            "pages=3-1",
            "pages=a",
        ],
    )
    def test_a_bad_query_value_is_named(self, client, invoice, assert_problem, query):
        document = assert_problem(client.post(f"/ocr?{query}", **form(invoice.encoded())), 400, "bad-request")
        assert query.split("=")[0] in document["detail"]

    def test_other_content_types_are_unsupported(self, client, assert_problem):
        answer = client.post("/ocr", data=b"<svg/>", content_type="text/html")
        assert "Content-Type" in assert_problem(answer, 415, "unsupported-image")["detail"]

    def test_a_chunked_body_of_no_type_is_unsupported(self, client, assert_problem):
        chunked = {
            "input_stream": io.BytesIO(b"abc"),
            "headers": {"Transfer-Encoding": "chunked"},
            "environ_overrides": {"wsgi.input_terminated": True},
        }
        assert_problem(client.post("/ocr", **chunked), 415, "unsupported-image")

    def test_bytes_that_are_no_image_are_unsupported_whatever_their_type_says(self, client, assert_problem):
        assert_problem(client.post("/ocr", data=b"hello", content_type="image/png"), 415, "unsupported-image")

    @pytest.mark.parametrize(
        "request_of",
        [
            lambda data: {"data": data, "content_type": "image/png"},
            lambda data: form(data),
            lambda data: {"json": {"image": base64.b64encode(data).decode()}},
            lambda data: {
                "input_stream": io.BytesIO(data),
                "content_type": "image/png",
                "headers": {"Transfer-Encoding": "chunked"},
                "environ_overrides": {"wsgi.input_terminated": True},
            },
        ],
        ids=["raw", "multipart", "base64", "chunked"],
    )
    def test_too_many_bytes_are_refused(self, client, assert_problem, request_of):
        assert_problem(client.post("/ocr", **request_of(bytes(300_001))), 413, "too-large")

    @pytest.mark.parametrize(
        "pieces",
        [
            [b'name="image"\r\n\r\nx'] * 5,
            [b'name="image"\r\n\r\n' + b"x" * 600_000],
            [b'name="image"; filename="a.png"\r\nX-A: ' + b"a" * 600_000 + b"\r\n\r\nx"],
            [b'name="image"; filename="a.png"\r\n\r\n' + bytes(300_000)] * 4,
        ],
        ids=["parts", "text", "head", "bytes"],
    )
    def test_a_form_that_is_too_large_is_not_called_a_large_image(self, client, assert_problem, pieces):
        body = (
            b"".join(b"--XX\r\nContent-Disposition: form-data; " + piece + b"\r\n" for piece in pieces) + b"--XX--\r\n"
        )
        answer = client.post("/ocr", data=body, content_type="multipart/form-data; boundary=XX")
        assert assert_problem(answer, 413, "too-large")["detail"].startswith("A form may hold 3 images")

    def test_too_many_images_are_refused(self, client, invoice, assert_problem):
        assert_problem(client.post("/ocr", **form(*[invoice.encoded()] * 4)), 413, "too-large")

    def test_a_truncated_image_is_broken(self, client, invoice, assert_problem):
        upload = invoice.encoded()
        assert_problem(client.post("/ocr", **form(upload[: len(upload) // 2])), 422, "broken-image")

    @pytest.mark.parametrize(
        ("error", "status"),
        [(ReadingFailed("No."), 502), (Overloaded("No.", retry_after=2), 503), (ReadingTimedOut("No."), 504)],
    )
    def test_a_failed_reading_is_named(self, client, gateway, invoice, assert_problem, error, status):
        def fail() -> None:
            raise error

        gateway.reader.on_read = fail
        answer = client.post("/ocr", **form(invoice.encoded()))
        assert_problem(answer, status, error.slug)
        assert answer.headers.get("Retry-After") == ("2" if status == 503 else None)
        assert client.get(f"/results/{result_id(invoice.encoded())}").status_code == 404

    def test_a_fault_of_ours_is_a_problem_too_and_quotes_nothing(
        self, client, gateway, invoice, assert_problem, caplog
    ):
        def fail() -> None:
            raise KeyError("secret text of a document")

        gateway.reader.on_read = fail
        client.application.testing = False
        document = assert_problem(client.post("/ocr", **form(invoice.encoded())), 500, "internal-error")
        assert "secret" not in json.dumps(document) + caplog.text

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/nowhere", 404),
            ("GET", "/ocr", 405),
            ("PUT", "/results/" + "0" * 64, 405),
            ("GET", "/static/no", 404),
            ("GET", "/results//x", 404),
        ],
    )
    def test_the_frameworks_own_errors_have_the_same_shape(self, client, assert_problem, method, path, status):
        answer = client.open(path, method=method)
        assert_problem(answer, status)
        assert ("Allow" in answer.headers) == (status == 405)


def test_no_text_or_full_id_of_a_document_is_logged(client, invoice, caplog):
    caplog.set_level("DEBUG")
    upload = invoice.encoded()
    client.post("/ocr", **form(upload))
    client.get(f"/results/{result_id(upload)}")
    client.post("/ocr", **form(upload[:3000]))
    assert caplog.records
    for secret in (*texts(invoice), result_id(upload), "x.png"):
        assert secret not in caplog.text
