"""The Python client: ids as the gateway computes them, the file only when it must, patience with refusals."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import io
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from gateway.client import Client, ClientError, fingerprint
from gateway.identity import Options, result_id
from gateway.image import PageRange
from tests.servers import HttpDouble
from worker.constraints import parse_charset, parse_lexicon

ROOT = Path(__file__).parents[2]
RESULT = {"id": "x", "text": "1280.00", "lines": [], "match": {"kind": "none"}}


class Gateway(HttpDouble):
    """Answers by a script: a list of ``(status, headers, body)`` for each ``METHOD path``; the last one repeats."""

    def __init__(self) -> None:
        self.script: dict[str, list[tuple[int, dict[str, str], object]]] = {}
        self.seen: list[tuple[str, str, bytes, dict[str, str]]] = []
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                gateway.seen.append((self.command, self.path, body, dict(self.headers)))
                answers = gateway.script.get(f"{self.command} {self.path}", [(404, {}, {"title": "no", "detail": ""})])
                status, headers, content = answers.pop(0) if len(answers) > 1 else answers[0]
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *arguments: object) -> None:
                pass

        super().__init__(Handler)

    @property
    def asked(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.seen]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    started = Gateway()
    yield started
    started.close()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    with Client(gateway.url, timeout=5) as opened:
        yield opened


ranges = st.tuples(st.integers(1, 999), st.integers(0, 999)).map(lambda pair: (pair[0], sum(pair)))


@given(
    st.binary(max_size=300),
    st.sampled_from(["auto", "line"]),
    st.none() | ranges,
    st.sampled_from(["", "digits", "upper,digits:/-", ":b:a,b", "zh:"]),
    st.sampled_from(["", "发票,INV-1", " b2, a1,,b2 "]),
    st.sampled_from(["", r"\d{4}-\d+", "[一-龥]+ [^&=+]"]),
    st.sampled_from(["lines", "characters"]),
)
def test_a_fingerprint_is_the_id_that_the_gateway_computes(upload, layout, wanted, charset, lexicon, pattern, detail):
    pages = f"{wanted[0]}-{wanted[1]}" if wanted else ""
    canonical = str(PageRange.parse(pages)) if pages else ""
    charset_form, lexicon_form = charset and parse_charset(charset), lexicon and parse_lexicon(lexicon)
    options = Options(layout, canonical, charset_form, lexicon_form, pattern, detail)
    asked = {"layout": layout, "pages": pages, "charset": charset, "lexicon": lexicon, "pattern": pattern}
    own = fingerprint(upload, **asked, detail=detail)
    assert own.id == result_id(upload, options)


def test_a_file_has_the_fingerprint_of_its_bytes(tmp_path):
    data = bytes(range(256)) * 9000
    (tmp_path / "page.png").write_bytes(data)
    assert fingerprint(tmp_path / "page.png") == fingerprint(data)
    assert fingerprint(str(tmp_path / "page.png")).size == len(data)


@pytest.mark.parametrize("size", [0, 7, 700_000])
def test_an_open_file_on_disk_in_memory_or_a_pipe_has_the_fingerprint_of_what_is_left_of_it(tmp_path, size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "page.png").write_bytes(b"read before" + data)
    cat = subprocess.Popen(["cat", tmp_path / "page.png"], stdout=subprocess.PIPE)
    with cat, open(tmp_path / "page.png", "rb") as on_disk:
        for file in (on_disk, io.BytesIO(b"read before" + data), cat.stdout):
            assert file.read(11) == b"read before"
            assert fingerprint(file) == fingerprint(data)


def test_with_a_lookup_key_the_id_is_an_hmac_of_the_digest():
    expected = hmac.new(b"tenant", hashlib.sha256(b"page").digest(), "sha256").hexdigest()
    assert fingerprint(b"page", lookup_key=b"tenant".hex()).id == expected
    assert fingerprint(b"page", lookup_key=b"other".hex()).id != expected
    with pytest.raises(ValueError, match="hex"):
        fingerprint(b"page", lookup_key="no hex digits")


def test_an_option_that_there_is_not_is_a_mistake():
    with pytest.raises(TypeError, match="colour"):
        fingerprint(b"page", colour="red")
    with pytest.raises(ValueError, match="detail"):
        fingerprint(b"page", detail="words")


@pytest.mark.parametrize("wrong", ["0", "3-1", "1,2", "x"])
def test_pages_that_are_none_are_refused_before_anybody_is_asked(client, gateway, wrong):
    with pytest.raises(ValueError, match="pages"):
        client.look_up(b"page", pages=wrong)
    assert gateway.seen == []


def test_a_known_document_is_answered_without_its_bytes(client, gateway):
    own = fingerprint(b"page").id
    gateway.script[f"GET /results/{own}"] = [(200, {"X-Cache-Status": "HIT"}, RESULT)]
    answer = client.recognise(b"page")
    assert (answer.result["text"], answer.word, answer.uploaded, answer.bytes_saved) == ("1280.00", "HIT", False, 4)
    assert gateway.asked == [f"GET /results/{own}"]
    assert not gateway.seen[0][2]


def test_an_unknown_document_is_none_or_uploaded_when_asked_for(client, gateway):
    assert client.look_up(b"page") is None
    gateway.script["POST /ocr"] = [(200, {"X-Cache-Status": "MISS"}, RESULT)]
    answer = client.recognise(b"page")
    assert (answer.word, answer.uploaded, answer.bytes_saved) == ("MISS", True, 0)
    assert gateway.seen[-1][2] == b"page"


def test_options_travel_with_the_upload(client, gateway):
    asked = "POST /ocr?layout=line&pages=2&charset=digits%3A-&lexicon=a1%2Cb2&pattern=%5Cd%2B&match=none"
    gateway.script[asked] = [(200, {}, RESULT)]
    options = {"layout": "line", "pages": "2-2", "charset": "digits:-", "lexicon": "b2,a1", "pattern": r"\d+"}
    assert client.recognise(b"page", **options, match="none").uploaded
    assert gateway.asked == [asked], "a fresh reading is not looked up"


def test_an_exact_match_is_not_satisfied_by_a_match_by_look(client, gateway):
    near = RESULT | {"match": {"kind": "near"}}
    gateway.script[f"GET /results/{fingerprint(b'page').id}"] = [(200, {}, near)]
    gateway.script["POST /ocr?match=exact"] = [(200, {}, RESULT)]
    assert client.recognise(b"page", match="exact").uploaded
    assert not client.recognise(b"page").uploaded


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_that_passes_is_tried_again_when_the_gateway_says_so(client, gateway, status):
    busy = {"title": "Too busy", "detail": "Try again."}
    gateway.script["POST /ocr?match=none"] = [(status, {"Retry-After": "1"}, busy), (200, {}, RESULT)]
    answer = client.recognise(b"page", match="none")
    assert answer.result["text"] == "1280.00"
    assert answer.seconds >= 1
    assert len(gateway.seen) == 2


def test_a_lasting_refusal_is_told_with_the_gateways_advice(gateway):
    gateway.script["POST /ocr?match=none"] = [(503, {"Retry-After": "0"}, {"title": "Busy", "detail": "Later."})]
    with Client(gateway.url, retries=2) as client, pytest.raises(ClientError) as caught:
        client.recognise(b"page", match="none")
    assert (caught.value.status, caught.value.title, caught.value.detail) == (503, "Busy", "Later.")
    assert len(gateway.seen) == 3


@pytest.mark.parametrize("status", [400, 413, 415, 422, 500, 502, 504])
def test_a_refusal_that_would_come_again_is_not_repeated(client, gateway, status):
    gateway.script["POST /ocr?match=none"] = [(status, {}, b"<html>")]
    with pytest.raises(ClientError) as caught:
        client.recognise(b"page", match="none")
    assert caught.value.status == status
    assert len(gateway.seen) == 1


def test_a_job_is_asked_after_until_its_result_is_there(client, gateway):
    own = fingerprint(b"page").id
    job = "A" * 22
    waiting = {"status": "running", "progress": {"done": 1, "total": 2}}
    gateway.script["POST /ocr?match=none"] = [(202, {"Location": f"/jobs/{job}"}, {"job": job})]
    gateway.script[f"GET /jobs/{job}"] = [(200, {}, waiting), (303, {"Location": f"/results/{own}"}, waiting)]
    gateway.script[f"GET /results/{own}"] = [(200, {"X-Cache-Status": "MISS"}, RESULT)]
    heard: list[tuple[int, int]] = []
    answer = client.recognise(b"page", match="none", job=True, progress=lambda *pages: heard.append(pages))
    assert answer.result["text"] == "1280.00"
    assert heard == [(1, 2)]
    assert gateway.seen[0][3]["Prefer"] == "respond-async"


def test_a_job_outlives_its_gateway(client, gateway, monkeypatch):
    monkeypatch.setattr("gateway.client._SECONDS_BETWEEN_TRIES_WHILE_AWAY", (0.01, 0.01))
    own, job = fingerprint(b"page").id, "/jobs/" + "C" * 22
    away, running = (502, {}, b"<html>"), (200, {}, {"status": "running", "progress": {"done": 0, "total": 1}})
    done = (303, {"Location": f"/results/{own}"}, {})
    gateway.script["POST /ocr?match=none"] = [(202, {"Location": job}, {})]
    gateway.script[f"GET /results/{own}"] = [(200, {}, RESULT)]
    gateway.script[f"GET {job}"] = [away, away, running, away, (504, {}, b""), done]
    assert client.recognise(b"page", match="none", job=True).result == RESULT
    gateway.script[f"GET {job}"] = [away]
    with pytest.raises(ClientError) as caught:
        client.recognise(b"page", match="none", job=True)
    assert caught.value.status == 502


def test_a_job_that_failed_is_told_as_its_refusal(client, gateway):
    error = {"status": 422, "title": "Damaged", "detail": "Send it again."}
    state = {"status": "failed", "progress": {"done": 0, "total": 1}, "error": error}
    gateway.script["POST /ocr?match=none"] = [(202, {"Location": "/jobs/" + "B" * 22}, {})]
    gateway.script["GET /jobs/" + "B" * 22] = [(200, {}, state)]
    with pytest.raises(ClientError, match="Damaged") as caught:
        client.recognise(b"page", match="none", job=True)
    assert caught.value.status == 422


def test_a_redirect_to_another_place_is_not_followed(gateway):
    own = fingerprint(b"page", lookup_key="5e" * 32).id
    gateway.script[f"GET /results/{own}"] = [(302, {"Location": f"{gateway.url}/elsewhere"}, {})]
    with Client(gateway.url, api_key="secret", lookup_key="5e" * 32) as client, pytest.raises(ClientError):
        client.look_up(b"page")
    assert len(gateway.seen) == 1


def test_an_api_key_is_sent_and_never_over_plain_http_to_another_machine(gateway):
    for other in ("ocr.example", "127.ocr.example", "127.0.0.1.ocr.example", "localhost.ocr.example", "10.127.0.1"):
        with pytest.raises(ValueError, match="https"):
            Client(f"http://{other}", api_key="secret")
    with Client(gateway.url, api_key="secret") as client:
        client.look_up(b"page")
    assert gateway.seen[0][3]["Authorization"] == "Bearer secret"


def test_with_an_api_key_alone_the_gateway_is_asked_once_for_the_lookup_key(gateway):
    key = "5e" * 32
    gateway.script["GET /account"] = [(200, {}, {"tenant": "acme", "lookup_key": key})]
    with Client(gateway.url, api_key="secret") as client:
        client.look_up(b"page")
        client.look_up(b"page")
    own = fingerprint(b"page", lookup_key=key).id
    assert gateway.asked == ["GET /account", f"GET /results/{own}", f"GET /results/{own}"]


def test_a_wrong_api_key_is_told_and_nothing_is_looked_up(gateway):
    gateway.script["GET /account"] = [(401, {}, {"title": "An access key is needed", "detail": "Send one."})]
    with Client(gateway.url, api_key="wrong") as client, pytest.raises(ClientError) as caught:
        client.look_up(b"page")
    assert (caught.value.status, gateway.asked) == (401, ["GET /account"])


def test_a_lookup_key_that_is_given_saves_that_request(gateway):
    with Client(gateway.url, api_key="secret", lookup_key="5e" * 32) as client:
        client.look_up(b"page")
    assert gateway.asked == [f"GET /results/{fingerprint(b'page', lookup_key='5e' * 32).id}"]


@pytest.mark.parametrize("url", ["ocr.example", "ftp://ocr.example", "http://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="address"):
        Client(url)


def test_a_gateway_that_is_away_is_told_without_a_traceback_of_the_library():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with Client(f"http://me:secret@127.0.0.1:{port}", retries=1) as client, pytest.raises(ClientError) as caught:
        client.look_up(b"page")
    assert caught.value.status == 0
    assert f"127.0.0.1:{port}" in str(caught.value), "whom to look after"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b"{}"])
def test_what_is_no_gateway_is_noticed(client, gateway, body):
    gateway.script[f"GET /results/{fingerprint(b'page').id}"] = [(200, {}, body)]
    with pytest.raises(ClientError, match="not understood"):
        client.look_up(b"page")


def test_a_deletion_is_confirmed_or_told(client, gateway):
    gateway.script["DELETE /results/" + "a" * 64] = [(204, {}, b"")]
    client.delete("a" * 64)
    with pytest.raises(ClientError):
        client.delete("b" * 64)


def test_looking_up_needs_urllib3_alone(tmp_path, gateway):
    (tmp_path / "page.png").write_bytes(b"page")
    shutil.copytree(Path(urllib3.__file__).parent, tmp_path / "site" / "urllib3")
    arguments = ["lookup", str(tmp_path / "page.png"), "--url", gateway.url]
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path / 'site')!r}]\n"
        f"from gateway.cli import main\nsys.exit(main({arguments!r}))"
    )
    gateway.script[f"GET /results/{fingerprint(b'page').id}"] = [(200, {"X-Cache-Status": "HIT"}, RESULT)]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "1280.00\n"), done.stderr
    assert "4 B not uploaded" in done.stderr
