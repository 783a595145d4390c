"""Settings: read once, checked together, documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings, SettingsError, load_settings
from gateway.matching import DEFAULT_THRESHOLDS
from gateway.readers.local import reader_spec
from gateway.wiring import CHOSEN_THRESHOLDS, thresholds
from worker.constraints import Constraints

DOCS = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")


def test_the_defaults_need_nothing_installed():
    settings = load_settings()
    assert (settings.redis_url, settings.s3_bucket, settings.reader) == (None, None, "local")
    assert settings.ttl == 7 * 24 * 3600


def test_every_mistake_is_reported_at_once_and_names_its_variable(monkeypatch):
    monkeypatch.setenv("OCR_PORT", "eighty")
    monkeypatch.setenv("OCR_TTL", str(8 * 24 * 3600))
    monkeypatch.setenv("OCR_READER", "queue")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0].split("=")[0] for line in sorted(lines)] == ["OCR_PORT", "OCR_READER", "OCR_TTL"]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"OCR_READER": "queue"}, "OCR_REDIS_URL"),
        ({"OCR_WEB_PROCESSES": "2"}, "OCR_WEB_PROCESSES"),
        ({"OCR_S3_ACCESS_KEY": "key"}, "OCR_S3_SECRET_KEY"),
        ({"OCR_S3_ENDPOINT": "http://127.0.0.1:8333"}, "OCR_S3_BUCKET"),
        ({"OCR_S3_ENDPOINT": "s3.example", "OCR_S3_BUCKET": "results"}, "OCR_S3_ENDPOINT"),
        ({"OCR_S3_ACCESS_KEY": "key", "OCR_S3_SECRET_KEY": ""}, "OCR_S3_SECRET_KEY"),
        ({"OCR_S3_ENDPOINT": "http://s3.example:88888", "OCR_S3_BUCKET": "results"}, "OCR_S3_ENDPOINT"),
        ({"OCR_REDIS_URL": "127.0.0.1:6379"}, "OCR_REDIS_URL"),
        ({"OCR_REDIS_URL": "redis://127.0.0.1:66379/0"}, "OCR_REDIS_URL"),
        ({"OCR_REDIS_URL": "redis://127.0.0.1:6379:1"}, "OCR_REDIS_URL"),
        ({"OCR_REDIS_URL": "redis://127.0.0.1:6379/cache"}, "OCR_REDIS_URL"),
        ({"OCR_CORS_ORIGINS": "erp.example"}, "OCR_CORS_ORIGINS"),
        ({"OCR_CORS_ORIGINS": "https://erp.example/"}, "OCR_CORS_ORIGINS"),
        ({"OCR_MAX_UPLOAD_BYTES": "lots"}, "OCR_MAX_UPLOAD_BYTES"),
        ({"OCR_CHARSET": "numbers"}, "OCR_CHARSET"),
        ({"OCR_LEXICON_FILE": "missing.txt"}, "OCR_LEXICON_FILE"),
        ({"OCR_LOG_LEVEL": "LOUD"}, "OCR_LOG_LEVEL"),
        ({"OCR_SIGNING_KEY_FILE": "signing"}, "OCR_API_KEYS_FILE"),
        ({"OCR_MATCH_SHADOW": "1.5"}, "OCR_MATCH_SHADOW"),
        ({"OCR_MATCH_LEAST_LIMIT": "0.12", "OCR_MATCH_MOST_LIMIT": "0.1"}, "OCR_MATCH_LEAST_LIMIT"),
        ({"OCR_EDGE_PURGE_URLS": "http://edge:8081,edge:8082"}, "OCR_EDGE_PURGE_URLS"),
    ],
)
def test_what_contradicts_itself_is_refused(monkeypatch, environment, named):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named):
        load_settings()


def test_the_plain_port_variable_is_understood(monkeypatch):
    monkeypatch.setenv("PORT", "8080")
    assert load_settings().port == 8080
    monkeypatch.setenv("OCR_PORT", "9090")
    assert load_settings().port == 9090


@pytest.mark.parametrize("name", CHOSEN_THRESHOLDS)
def test_matching_can_be_made_stricter_and_never_looser(name):
    measured = getattr(DEFAULT_THRESHOLDS, name)
    assert getattr(thresholds(load_settings()), name) == measured
    assert getattr(thresholds(load_settings(**{f"match_{name}": measured / 2})), name) == measured / 2
    with pytest.raises(SettingsError, match=f"OCR_MATCH_{name.upper()}"):
        load_settings(**{f"match_{name}": measured * 1.01})


def test_keys_are_off_where_their_files_are_named_by_empty_variables(monkeypatch):
    monkeypatch.setenv("OCR_API_KEYS_FILE", "")
    monkeypatch.setenv("OCR_SIGNING_KEY_FILE", "")
    settings = load_settings()
    assert (settings.api_keys_file, settings.signing_key_file) == (None, None)


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    for name in ("OCR_DATA_DIR", "OCR_S3_ACCESS_KEY", "OCR_S3_SECRET_KEY", "OCR_CDN_PURGE_TOKEN"):
        monkeypatch.setenv(name, "")
    assert load_settings().data_dir == Path("data")
    assert load_settings().s3_access_key is None


@pytest.mark.parametrize("address", ["redis://user:hun/ter2@127.0.0.1/0", "redis://:hunter2@127.0.0.1:64x/0"])
def test_a_password_is_not_quoted_in_a_mistake(address):
    with pytest.raises(SettingsError, match="OCR_REDIS_URL") as caught:
        load_settings(redis_url=address)
    assert "hun" not in str(caught.value)


def test_lists_are_comma_separated(monkeypatch):
    monkeypatch.setenv("OCR_EDGE_PURGE_URLS", "http://a/purge, http://b/purge,")
    assert load_settings().edge_purge_urls == ("http://a/purge", "http://b/purge")


def test_secrets_do_not_show_when_settings_are_printed():
    settings = load_settings(redis_url="redis://:hunter2@127.0.0.1/0")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name):
    rows = [row for row in DOCS.splitlines() if row.startswith(f"| `OCR_{name.upper()}` |")]
    assert len(rows) == 1
    assert Settings.model_fields[name].description in rows[0]


def test_the_lexicon_file_is_checked_at_start_and_is_part_of_the_readers_revision(monkeypatch, tmp_path):
    file = tmp_path / "words.txt"
    monkeypatch.setenv("OCR_LEXICON_FILE", str(file))
    file.write_text("# parts\nPX-100\n发票\n", "utf-8")
    settings = load_settings(charset="upper,digits")
    assert reader_spec(settings).constraints == Constraints("digits,upper", ("PX-100", "发票"))
    first = reader_spec(settings).revision()
    file.write_text("PX-100\n", "utf-8")
    assert first != reader_spec(settings).revision() != reader_spec(load_settings(lexicon_file=None)).revision()
    for contents in (b"a\n", "发票".encode("gb18030"), b"ab\n" * 400_000):
        file.write_bytes(contents)
        with pytest.raises(SettingsError, match="OCR_LEXICON_FILE"):
            load_settings()


def test_a_lexicon_file_may_begin_with_a_byte_order_mark(tmp_path):
    file = tmp_path / "words.txt"
    file.write_bytes("发票\r\nPX-100\r\n".encode("utf-8-sig"))
    assert load_settings(lexicon_file=file).lexicon_words() == ("PX-100", "发票")
