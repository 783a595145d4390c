"""Tenants and their keys: read from a file that holds digests only, followed when it changes, never half."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import struct
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import keys as keys_command
from gateway.cli import main
from gateway.identity import Options, result_id
from gateway.tenants import KeysError, KeyTable, Operator, Tenants, key_digest, new_api_key

LOOKUP_KEYS = st.binary(min_size=32, max_size=32)


def document(**tenants: str) -> dict:
    """A file's contents: one API key a tenant."""
    return {
        "tenants": {
            name: {"lookup_key": secrets.token_hex(32), "keys": [{"sha256": key_digest(key)}]}
            for name, key in tenants.items()
        }
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def write(path, contents) -> None:
    path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
    path.chmod(0o600)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class TestIds:
    def test_a_devices_own_computation_agrees(self):
        """RFC 2104 by hand, over the digest's bytes: what docs/privacy.md tells clients."""
        key, upload = bytes(range(32)), b"an invoice"
        expected = hmac.new(key, hashlib.sha256(upload).digest(), hashlib.sha256).hexdigest()
        assert result_id(upload, Options(), key) == expected
        assert result_id(upload, Options(layout="line"), key) == expected + Options(layout="line").suffix()

    def test_the_example_in_the_docs_is_right(self):
        text = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
        example: dict = {}
        exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], example)
        assert example["document_id"](b"an invoice", "01" * 32) == result_id(b"an invoice", Options(), b"\x01" * 32)

    def test_the_form_stays_and_the_value_is_frozen(self):
        named = result_id(b"an invoice", Options(), bytes(range(32)))
        assert named == "2e7ac89a361e62c366603e2031cecd1f914d369b4c2cc70c3135010d2cb9a5e2"

    @given(LOOKUP_KEYS, LOOKUP_KEYS, st.binary(max_size=200), st.binary(max_size=200))
    def test_ids_of_two_tenants_are_never_equal(self, one, other, upload, another):
        if one != other:
            assert result_id(upload, Options(), one) != result_id(another, Options(), other)
            assert result_id(upload, Options(), one) != result_id(upload)

    @given(LOOKUP_KEYS, st.binary(max_size=200), st.sampled_from(["", "1", "2-3"]))
    def test_the_options_suffix_is_the_same_for_everybody(self, key, upload, pages):
        options = Options(pages=pages)
        assert result_id(upload, options, key)[64:] == result_id(upload, options)[64:]


class TestTheFile:
    def test_a_key_is_its_tenants(self, path):
        write(path, document(acme="key one", zeta="key two"))
        tenants = Tenants(path)
        assert tenants.caller("key one") == tenants.named("acme")
        assert tenants.caller("key two") == tenants.named("zeta")
        assert tenants.caller("key three") is tenants.named("nobody") is None
        assert [tenant.name for tenant in tenants] == ["acme", "zeta"]

    def test_a_tenant_has_several_keys_while_one_replaces_another(self, path):
        contents = document(acme="old")
        contents["tenants"]["acme"]["keys"].append({"sha256": key_digest("new"), "created": "2026-01-31"})
        table = KeyTable.from_document(contents)
        assert table.caller("old") == table.caller("new") == table.tenants["acme"]

    def test_an_operator_is_no_tenant(self):
        table = KeyTable.from_document({**document(acme="a"), "operators": [{"sha256": key_digest("o")}]})
        assert table.caller("o") == Operator()

    def test_no_secret_shows_when_it_is_printed(self, path):
        contents = document(acme="key one")
        write(path, contents)
        tenants = Tenants(path)
        shown = repr([*tenants]) + repr(KeyTable.from_document(contents))
        assert contents["tenants"]["acme"]["lookup_key"] not in shown
        assert str(bytes.fromhex(contents["tenants"]["acme"]["lookup_key"])) not in shown
        assert key_digest("key one") not in shown

    @pytest.mark.parametrize(
        "wrong",
        [
            [],
            {},
            {"tenants": []},
            {"tenants": {}, "keys": {}},
            {"tenants": {"Acme": {}}},
            {"tenants": {"a/b": {"lookup_key": "0" * 64, "keys": []}}},
            {"tenants": {"..": {"lookup_key": "0" * 64, "keys": []}}},
            {"tenants": {"acme": []}},
            {"tenants": {"acme": {"lookup_key": "secret", "keys": []}}},
            {"tenants": {"acme": {"lookup_key": "0" * 64}}},
            {"tenants": {"acme": {"lookup_key": "0" * 64, "keys": ["secret"]}}},
            {"tenants": {"acme": {"lookup_key": "0" * 64, "keys": [{"sha256": "secret"}]}}},
            {"tenants": {name: {"lookup_key": "0" * 64, "keys": []} for name in ("a", "b")}},
            {"tenants": {"a": {"lookup_key": "0" * 64, "keys": [{"sha256": "1" * 64}] * 2}}},
            {"tenants": {"a": {"lookup_key": "0" * 64, "keys": []}}, "operators": {"sha256": "1" * 64}},
            '{"tenants": secret',
            "[" * 100_000,
            "\xff",
        ],
    )
    def test_a_file_that_is_wrong_is_refused_without_quoting_it(self, path, wrong):
        write(path, wrong)
        with pytest.raises(KeysError) as refused:
            Tenants(path)
        assert "secret" not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_a_missing_file_is_named(self, path):
        with pytest.raises(KeysError, match=re.escape(str(path))):
            Tenants(path)

    def test_a_file_open_to_everybody_is_warned_of(self, path, caplog):
        write(path, document(acme="a"))
        path.chmod(0o644)
        Tenants(path)
        assert "OCR_API_KEYS_FILE" in caplog.text


class TestFollowing:
    @pytest.fixture
    def clock(self):
        return Clock()

    def test_a_changed_file_is_read_again_within_a_second(self, path, clock):
        write(path, document(acme="old"))
        tenants = Tenants(path, now=clock)
        write(path, document(acme="new one"))
        assert tenants.caller("new one") is None
        clock.seconds = 1.0
        assert tenants.caller("new one") is not None
        assert tenants.caller("old") is None

    @pytest.mark.parametrize("becomes", ["", "{}", None])
    def test_a_file_that_breaks_leaves_the_keys_in_force_and_is_told(self, path, clock, caplog, becomes):
        write(path, document(acme="old"))
        tenants = Tenants(path, now=clock)
        if becomes is None:
            path.unlink()
        else:
            write(path, becomes)
        clock.seconds = 1.0
        assert tenants.caller("old") is not None
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        write(path, document(acme="newer"))
        clock.seconds = 2.0
        assert tenants.caller("newer") is not None
        assert tenants.caller("old") is None

    def test_one_that_could_not_be_read_is_read_once_it_can_be(self, path, clock, monkeypatch):
        write(path, document(acme="old"))
        tenants = Tenants(path, now=clock)
        write(path, document(acme="new"))
        with monkeypatch.context() as unreadable:
            unreadable.setattr(type(path), "read_bytes", Mock(side_effect=PermissionError(13, "Permission denied")))
            clock.seconds = 1.0
            assert tenants.caller("old") is not None
        path.chmod(0o640)
        clock.seconds = 2.0
        assert tenants.caller("old") is None

    def test_it_is_looked_at_once_a_second_at_most(self, path, clock, monkeypatch):
        write(path, document(acme="old"))
        tenants = Tenants(path, now=clock)
        looks = []
        stat = os.stat
        monkeypatch.setattr(type(path), "stat", lambda self, **more: looks.append(1) or stat(self, **more))
        for _ in range(100):
            tenants.caller("old")
        clock.seconds = 1.5
        for _ in range(100):
            tenants.caller("old")
        assert len(looks) == 1


class TestCommand:
    @pytest.fixture
    def keys(self, path, capsys):
        """``keys(…) -> (exit status, output)``."""

        def run(*arguments: str) -> tuple[int, str]:
            status = main(["keys", "--file", str(path), *arguments])
            return status, capsys.readouterr().out.strip()

        return run

    def test_a_new_key_opens_and_is_not_in_the_file(self, path, keys):
        status, key = keys("new", "acme")
        assert (status, Tenants(path).caller(key)) == (0, Tenants(path).named("acme"))
        assert key not in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600

    def test_a_second_key_keeps_the_lookup_key(self, path, keys):
        first = keys("new", "acme")[1]
        lookup_key = keys("lookup-key", "acme")[1]
        second = keys("new", "acme")[1]
        assert keys("lookup-key", "acme")[1] == lookup_key == Tenants(path).named("acme").lookup_key.hex()
        assert Tenants(path).caller(first) == Tenants(path).caller(second)

    def test_a_revoked_key_is_refused_and_others_are_not(self, path, keys):
        first, second = keys("new", "acme")[1], keys("new", "acme")[1]
        assert keys("revoke", key_digest(first)[:12]) == (0, "")
        assert Tenants(path).caller(first) is None
        assert Tenants(path).caller(second) is not None

    @pytest.mark.parametrize("digits", ["", "0" * 12, "abc"])
    def test_what_names_no_single_key_revokes_nothing(self, path, keys, digits):
        keys("new", "acme")
        before = path.read_text()
        assert keys("revoke", digits)[0] == 1
        assert path.read_text() == before

    def test_the_list_shows_no_secret(self, path, keys):
        key = keys("new", "acme")[1]
        operator = keys("new", "--operator")[1]
        listed = keys("list")[1]
        assert key_digest(key)[:12] in listed
        assert "acme" in listed and "(operator)" in listed
        assert Tenants(path).caller(operator) == Operator()
        for secret in (key, operator, key_digest(key), Tenants(path).named("acme").lookup_key.hex()):
            assert secret not in listed

    @pytest.mark.parametrize("arguments", [["new"], ["new", "acme", "--operator"], ["new", "ACME"], ["new", "a/b"]])
    def test_a_wrong_name_makes_nothing(self, path, keys, arguments):
        assert keys(*arguments)[0] == 2
        assert not path.exists()

    def test_a_file_that_is_wrong_is_left_as_it_is(self, path, keys):
        write(path, '{"tenants": {"acme": "half"}}')
        assert keys("new", "acme")[0] == 1
        assert path.read_text() == '{"tenants": {"acme": "half"}}'

    def test_a_file_that_cannot_be_written_is_told_in_one_line(self, path, capsys):
        path.touch()
        assert main(["keys", "--file", str(path / "keys.json"), "new", "acme"]) == 1
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert str(path) in err

    @pytest.mark.parametrize("action", [["new", "acme"], ["list"], ["revoke", "0" * 12], ["lookup-key", "acme"]])
    def test_an_empty_variable_is_an_unset_one(self, monkeypatch, capsys, action):
        monkeypatch.setenv("OCR_API_KEYS_FILE", "")
        assert main(["keys", *action]) == 2
        assert "OCR_API_KEYS_FILE is not set" in capsys.readouterr().err

    def test_who_could_read_the_file_still_can(self, path, keys):
        """Whoever could not would go on with the keys from before, the revoked one among them."""
        keys("new", "acme")
        path.chmod(0o640)
        before = os.umask(0o077)
        try:
            keys("new", "acme")
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o640

    def test_an_access_list_is_kept(self, path, keys):
        keys("new", "acme")
        # As `setfacl -m u:33:r` makes it (linux/posix_acl_xattr.h): tag, permissions and id of each entry.
        entries = [(1, 6, -1), (2, 4, 33), (4, 0, -1), (16, 4, -1), (32, 0, -1)]
        access_list = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
        try:
            os.setxattr(path, "system.posix_acl_access", access_list)
        except OSError as error:
            pytest.skip(f"no access lists here: {error.strerror}")
        keys("new", "acme")
        assert os.getxattr(path, "system.posix_acl_access") == access_list

    def test_a_file_of_somebody_else_is_left_as_it_is(self, path, keys, monkeypatch):
        key = keys("new", "acme")[1]
        monkeypatch.setattr(os, "fchown", Mock(side_effect=PermissionError))
        assert keys("revoke", key_digest(key)[:12])[0] == 1
        assert Tenants(path).caller(key) is not None
        assert [file for file in path.parent.iterdir() if not file.name.endswith(".lock")] == [path]

    def test_a_signing_key_is_fresh(self, capsys):
        import argparse

        parser = argparse.ArgumentParser()
        keys_command.configure(parser)
        printed = set()
        for _ in range(2):
            assert keys_command.run(parser.parse_args(["signing-key"])) == 0
            printed.add(capsys.readouterr().out.strip())
        assert len(printed) == 2
        assert all(re.fullmatch("[0-9a-f]{64}", line) for line in printed)


def test_api_keys_have_256_bits_and_a_prefix_to_find_leaks_by():
    keys = {new_api_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch("ocr_[A-Za-z0-9_-]{43}", key) for key in keys)
