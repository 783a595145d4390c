"""The edge's settings: read from the environment, all mistakes at once, nothing of them able to write nginx syntax."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from edge_config import cache_files, settings, templates, tls
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Settings
from gateway.image import budget, isolated
from gateway.purge import RENDERINGS

ROOT = Path(__file__).resolve().parents[3]
NGINX = ROOT / "infra" / "nginx"


@pytest.fixture
def module_file(tmp_path):
    """Stands for the purge module where nginx is not installed; nothing here loads it."""
    file = tmp_path / "module.so"
    file.touch()
    return str(file)


def test_the_defaults_are_valid(module_file):
    values = settings.load({"OCR_EDGE_PURGE_MODULE": module_file})
    assert values["OCR_EDGE_LISTEN"] == ("127.0.0.1:8080",)
    assert values["OCR_EDGE_CACHE_DIR"] == f"{values['OCR_EDGE_DIR']}/cache"


def test_an_empty_variable_is_an_unset_one(module_file):
    empty = {setting.variable: "" for setting in settings.SETTINGS} | {"OCR_EDGE_PURGE_MODULE": module_file}
    assert settings.load(empty) == settings.load({"OCR_EDGE_PURGE_MODULE": module_file})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OCR_EDGE_LISTEN", "8080"),
        ("OCR_EDGE_LISTEN", "127.0.0.1:0"),
        ("OCR_EDGE_LISTEN", ","),
        ("OCR_EDGE_SERVER_NAMES", "ocr.example;"),
        ("OCR_EDGE_SERVER_NAMES", "~^evil$"),
        ("OCR_EDGE_UPSTREAMS", "http://gateway:5000"),
        ("OCR_EDGE_UPSTREAMS", "gateway:99999"),
        ("OCR_EDGE_UPSTREAMS", "[::zz]:5000"),
        ("OCR_EDGE_UPSTREAM_HOST", "two names"),
        ("OCR_EDGE_PURGE_ALLOW", "everybody"),
        ("OCR_EDGE_PURGE_ALLOW", "10.0.0.1/8"),
        ("OCR_EDGE_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("OCR_EDGE_DIR", "/tmp/a b"),
        ("OCR_EDGE_DIR", "/tmp/$host"),
        ("OCR_EDGE_CACHE_SIZE", "10 g"),
        ("OCR_EDGE_CACHE_KEYS", "64M;"),
        ("OCR_EDGE_UPLOAD_RATE", "0"),
        ("OCR_EDGE_UPLOAD_RATE", "ten"),
        ("OCR_EDGE_WORKERS", "many"),
        ("OCR_EDGE_USER", "root; daemon on"),
        ("OCR_EDGE_PURGE_MODULE", "/nowhere/module.so"),
        ("OCR_MAX_UPLOAD_BYTES", "20M"),
        ("OCR_READ_TIMEOUT", "-1"),
        ("OCR_READ_TIMEOUT", "nan"),
        ("OCR_TTL", "604801"),
        ("OCR_CORS_ORIGINS", 'https://a.example" "*'),
        ("OCR_EDGE_LISTN", "127.0.0.1:80"),
    ],
)
def test_a_mistake_names_its_variable(module_file, variable, value):
    with pytest.raises(settings.MistakesError) as mistakes:
        settings.load({"OCR_EDGE_PURGE_MODULE": module_file, variable: value})
    assert [line.partition(":")[0] for line in str(mistakes.value).splitlines()] == [variable]


def test_all_mistakes_come_together(module_file):
    with pytest.raises(settings.MistakesError) as mistakes:
        settings.load(
            {"OCR_EDGE_LISTEN": "x", "OCR_TTL": "0", "OCR_EDGE_WORKERS": "0", "OCR_EDGE_PURGE_MODULE": module_file}
        )
    assert len(str(mistakes.value).splitlines()) == 3


def test_the_admin_address_is_none_of_the_clients(module_file):
    with pytest.raises(settings.MistakesError, match="OCR_EDGE_ADMIN_LISTEN"):
        settings.load({"OCR_EDGE_LISTEN": "127.0.0.1:8081", "OCR_EDGE_PURGE_MODULE": module_file})


@given(st.sampled_from([setting.variable for setting in settings.SETTINGS]), st.text(max_size=40))
def test_no_value_can_write_nginx_syntax(variable, value):
    try:
        values = settings.load({variable: value})
    except settings.MistakesError:
        return
    for written in settings.describe(values).splitlines():
        assert not re.search(r"[;{}\"'`\\$#\s]", written.partition("=")[2])


def test_what_was_used_can_be_read_back(module_file, tmp_path):
    chosen = {"OCR_EDGE_UPSTREAMS": "a:1,b:2", "OCR_READ_TIMEOUT": "2.5", "OCR_EDGE_DIR": str(tmp_path)}
    values = settings.load(chosen | {"OCR_EDGE_PURGE_MODULE": module_file})
    assert settings.described(settings.describe(values)) == values


@pytest.mark.parametrize("deadline", ["0.5", "2.5", "60", "600"])
def test_the_edge_waits_for_the_last_image_of_a_batch(module_file, tmp_path, deadline):
    values = settings.load(
        {"OCR_EDGE_PURGE_MODULE": module_file, "OCR_EDGE_DIR": str(tmp_path), "OCR_READ_TIMEOUT": deadline}
    )
    begun_at_last, decoding, reading = float(deadline), budget.WAIT_SECONDS + isolated.WALL_SECONDS, float(deadline)
    assert int(templates.placeholders(values)["answer_timeout"]) >= begun_at_last + decoding + reading


def test_the_command_refuses_before_it_writes(tmp_path):
    target = tmp_path / "conf"
    environment = {"PATH": os.environ["PATH"], "OCR_EDGE_LISTEN": "nowhere", "OCR_TTL": "x"}
    run = subprocess.run([sys.executable, NGINX / "render.py", target], env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    assert "OCR_EDGE_LISTEN" in run.stderr
    assert "OCR_TTL" in run.stderr
    assert not target.exists()


def test_the_command_prints_what_it_used(tmp_path, module_file):
    environment = {"OCR_EDGE_PURGE_MODULE": module_file, "OCR_EDGE_DIR": str(tmp_path / "state"), "OCR_TTL": "60"}
    run = subprocess.run(
        [sys.executable, NGINX / "render.py", tmp_path / "conf"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "OCR_TTL=60" in run.stdout
    assert "OCR_EDGE_LISTEN=127.0.0.1:8080" in run.stdout


def test_every_file_is_rendered_and_no_placeholder_is_left(tmp_path, module_file):
    values = settings.load({"OCR_EDGE_PURGE_MODULE": module_file, "OCR_EDGE_DIR": str(tmp_path)})
    templates.render(tmp_path / "conf", values)
    rendered = {path.relative_to(tmp_path / "conf") for path in (tmp_path / "conf").rglob("*.conf")}
    assert rendered == {path.relative_to(NGINX) for path in NGINX.rglob("*.conf")}
    for path in rendered:
        assert "{{" not in (tmp_path / "conf" / path).read_text()


def test_an_unused_lifetime_longer_than_a_result_is_kept(tmp_path, module_file):
    values = settings.load({"OCR_EDGE_PURGE_MODULE": module_file, "OCR_EDGE_DIR": str(tmp_path), "OCR_TTL": "604800"})
    templates.render(tmp_path / "conf", values)
    inactive = re.search(r"inactive=(\d+)s", (tmp_path / "conf" / "http" / "cache.conf").read_text())
    assert int(inactive[1]) > 604800


def test_shared_settings_have_the_gateways_defaults():
    for setting in settings.SETTINGS:
        field = Settings.model_fields.get(setting.variable.removeprefix("OCR_").lower())
        if field is not None:
            default = setting.parse(setting.default)
            assert (None if default == "" else default) == field.default, setting.variable


def test_every_setting_is_documented_with_its_default():
    text = (ROOT / "docs" / "edge.md").read_text(encoding="utf-8")
    for setting in settings.SETTINGS:
        row = next((line for line in text.splitlines() if line.startswith(f"| `{setting.variable}` |")), None)
        assert row is not None, setting.variable
        assert (f"`{setting.default}`" in row) if setting.default else True, setting.variable


def test_the_edge_and_the_purger_know_the_same_renderings():
    pattern = re.compile(r"\(\?<clothes>([^)]+)\)\?")
    for file in ("results.conf", "purge.conf"):
        found = pattern.findall((NGINX / "locations" / file).read_text())
        assert found
        for alternatives in found:
            assert ["", *alternatives.replace("\\", "").split("|")] == list(RENDERINGS)


def test_without_a_purge_module_the_entrys_own_file_is_removed(tmp_path):
    key = f"0.3/acme/{'0' * 64}/text.gz"
    # nginx names a file after its key's MD5, in folders after the last three digits of that.
    name = hashlib.md5(key.encode()).hexdigest()
    file = tmp_path / name[-1] / name[-3:-1] / name
    file.parent.mkdir(parents=True)
    file.write_bytes(f"\x00\nKEY: {key}\nHTTP/1.1 200 OK".encode())
    neighbour = file.with_name("neighbour")
    neighbour.touch()
    assert list(cache_files.entries(tmp_path, lambda epoch: True)) == [("0.3", key.removeprefix("0.3/"))]
    assert [cache_files.remove(tmp_path, key) for _ in range(2)] == [True, False]
    assert neighbour.exists() and not file.exists()


class TestKeys:
    """Key mode: what is missing is said before nginx is touched, and no secret is printed or left readable."""

    @pytest.fixture
    def environment(self, tmp_path, module_file):
        (tmp_path / "signing").write_text("ab" * 32 + "\n" + "cd" * 32)
        keys = {"lookup_key": "1" * 64, "keys": [{"sha256": "2" * 64}]}
        (tmp_path / "api").write_text(json.dumps({"tenants": {"acme": keys}, "operators": [{"sha256": "3" * 64}]}))
        return {
            "OCR_EDGE_PURGE_MODULE": module_file,
            "OCR_EDGE_JS_MODULE": module_file,
            "OCR_EDGE_DIR": str(tmp_path / "state"),
            "OCR_EDGE_KEYS": "edge",
            "OCR_SIGNING_KEY_FILE": str(tmp_path / "signing"),
            "OCR_API_KEYS_FILE": str(tmp_path / "api"),
        }

    def rendered(self, tmp_path, environment):
        values = settings.load(environment)
        templates.render(tmp_path / "conf", values)
        return values, tmp_path / "conf" / "edge-keys.json"

    def test_what_is_checked_with_is_for_its_owner_only(self, tmp_path, environment):
        values, document = self.rendered(tmp_path, environment)
        assert json.loads(document.read_text()) == {
            "signing": ["ab" * 32, "cd" * 32],
            "digests": {"2" * 64: "acme", "3" * 64: ""},
            "tenants": {"acme": True},
        }
        assert document.stat().st_mode & 0o777 == 0o600
        assert not any(secret in settings.describe(values) for secret in ("ab" * 32, "1" * 64, "2" * 64))

    def test_back_in_open_mode_nothing_of_it_is_left(self, tmp_path, environment):
        _, document = self.rendered(tmp_path, environment)
        self.rendered(tmp_path, environment | {"OCR_EDGE_KEYS": "off"})
        assert not document.exists()
        assert "ngx_http_js" not in (tmp_path / "conf" / "nginx.conf").read_text()

    @pytest.mark.parametrize("mode", ["off", "gateway", "edge"])
    def test_a_file_of_keys_beside_the_configuration_stays_as_it_is(self, tmp_path, environment, mode):
        """It has the lookup keys, without which no id can be computed again."""
        beside = tmp_path / "conf" / "keys.json"
        beside.parent.mkdir()
        (tmp_path / "api").rename(beside)
        before = beside.read_text()
        self.rendered(tmp_path, environment | {"OCR_EDGE_KEYS": mode, "OCR_API_KEYS_FILE": str(beside)})
        assert beside.read_text() == before

    def test_without_a_file_of_keys_every_key_is_for_the_gateway_to_judge(self, tmp_path, environment):
        _, document = self.rendered(tmp_path, environment | {"OCR_API_KEYS_FILE": ""})
        assert json.loads(document.read_text())["digests"] is None

    @pytest.mark.parametrize(
        ("variable", "contents"),
        [
            ("OCR_SIGNING_KEY_FILE", ""),
            ("OCR_SIGNING_KEY_FILE", "secret"),
            ("OCR_API_KEYS_FILE", "secret"),
            ("OCR_API_KEYS_FILE", '{"tenants": {"acme": "secret"}}'),
            ("OCR_API_KEYS_FILE", '{"tenants": {"acme": {"keys": [{"sha256": "secret"}]}}}'),
            ("OCR_API_KEYS_FILE", '{"tenants": {"secret/": {"keys": []}}}'),
            ("OCR_API_KEYS_FILE", "[" * 100_000),
            ("OCR_API_KEYS_FILE", json.dumps({"tenants": {name: {"keys": [{"sha256": "2" * 64}]} for name in "ab"}})),
        ],
    )
    def test_a_file_that_is_wrong_is_named_and_not_quoted(self, environment, variable, contents):
        Path(environment[variable]).write_text(contents)
        with pytest.raises(settings.MistakesError, match=variable) as mistakes:
            settings.load(environment)
        assert "secret" not in str(mistakes.value)

    @pytest.mark.parametrize("variable", ["OCR_EDGE_JS_MODULE", "OCR_SIGNING_KEY_FILE", "OCR_API_KEYS_FILE"])
    def test_a_file_that_is_missing_is_named(self, environment, variable):
        with pytest.raises(settings.MistakesError, match=variable):
            settings.load(environment | {variable: "/nowhere"})

    def test_open_mode_needs_none_of_them(self, environment):
        wrong = dict.fromkeys(("OCR_EDGE_JS_MODULE", "OCR_SIGNING_KEY_FILE", "OCR_API_KEYS_FILE"), "/nowhere")
        assert settings.load(environment | wrong | {"OCR_EDGE_KEYS": "off"})["OCR_EDGE_KEYS"] == "off"


@pytest.fixture
def tls_files(tmp_path):
    (tmp_path / "certificate.pem").touch()
    (tmp_path / "key.pem").touch()
    return {
        "OCR_EDGE_TLS_LISTEN": "0.0.0.0:443,[::]:443",
        "OCR_EDGE_TLS_CERTIFICATE": str(tmp_path / "certificate.pem"),
        "OCR_EDGE_TLS_KEY": str(tmp_path / "key.pem"),
    }


def test_an_nginx_gets_http_2_and_3_in_the_words_it_knows(module_file, tls_files):
    values = settings.load(tls_files | {"OCR_EDGE_PURGE_MODULE": module_file})
    old = tls.placeholders(values, tls.Nginx((1, 22, 1), quic=False))["tls_listen"]
    assert old.splitlines() == [
        "    listen 0.0.0.0:443 ssl http2 default_server;",
        "    listen [::]:443 ssl http2 default_server;",
    ]
    new = tls.placeholders(values | {"OCR_EDGE_HTTP3": "on"}, tls.Nginx((1, 28, 0), quic=True))
    assert "    http2 on;" in new["tls_listen"].splitlines()
    assert "    listen [::]:443 quic reuseport default_server;" in new["tls_listen"].splitlines()
    assert "ssl http2" not in new["tls_listen"]
    assert """Alt-Svc 'h3=":443"; ma=86400'""" in new["tls_headers"]


def test_a_name_that_is_not_ours_is_refused_over_http_3_too(module_file, tls_files):
    values = settings.load(tls_files | {"OCR_EDGE_PURGE_MODULE": module_file, "OCR_EDGE_SERVER_NAMES": "ocr.example"})
    words = tls.placeholders(values | {"OCR_EDGE_HTTP3": "on"}, tls.Nginx((1, 26, 3), quic=True))
    assert "    listen 0.0.0.0:443 quic;" in words["tls_listen"].splitlines()
    assert "    listen 0.0.0.0:443 quic reuseport default_server;" in words["tls_refusal"].splitlines()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"OCR_EDGE_TLS_KEY": ""}, "OCR_EDGE_TLS_KEY"),
        ({"OCR_EDGE_TLS_CERTIFICATE": "/nowhere.pem"}, "OCR_EDGE_TLS_CERTIFICATE"),
        ({"OCR_EDGE_TLS_LISTEN": "", "OCR_EDGE_HTTP3": "on"}, "OCR_EDGE_HTTP3"),
        ({"OCR_EDGE_REDIRECT_LISTEN": "0.0.0.0:80"}, "OCR_EDGE_REDIRECT_LISTEN"),
    ],
)
def test_half_of_tls_is_a_mistake(module_file, tls_files, change, named):
    with pytest.raises(settings.MistakesError) as mistakes:
        settings.load(tls_files | {"OCR_EDGE_PURGE_MODULE": module_file} | change)
    assert str(mistakes.value).startswith(f"{named}:")
    assert len(str(mistakes.value).splitlines()) == 1


def test_an_epoch_that_cannot_be_read_is_a_mistake(module_file, tmp_path):
    (tmp_path / "epoch").write_text("three")
    values = settings.load({"OCR_EDGE_PURGE_MODULE": module_file, "OCR_EDGE_DIR": str(tmp_path)})
    with pytest.raises(settings.MistakesError, match="holds no number"):
        templates.render(tmp_path / "conf", values)
    assert not (tmp_path / "conf").exists()
