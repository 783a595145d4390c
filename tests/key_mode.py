"""Two tenants with their keys, for tests of key mode."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.tenants import key_digest, new_api_key

ACME, ZETA = new_api_key(), new_api_key()
KEYS = {"acme": ACME, "zeta": ZETA}
LOOKUP = {"acme": "a1" * 32, "zeta": "b2" * 32}
# Of the signing keys, the one that signs, and one that is being replaced.
NEW, OLD = b"n" * 32, b"o" * 32


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def write_api_keys(file: Path, keys: dict[str, str]) -> None:
    """As ``ocr-gateway keys`` does: in one step. ``keys``: API key by tenant."""
    entries = {name: {"lookup_key": LOOKUP[name], "keys": [{"sha256": key_digest(key)}]} for name, key in keys.items()}
    successor = file.with_suffix(".new")
    successor.write_text(json.dumps({"tenants": entries}))
    successor.chmod(0o600)
    successor.replace(file)


def write_files(folder: Path) -> dict[str, str]:
    """The files of keys in ``folder``; the settings that name them, the same for gateway and edge."""
    write_api_keys(folder / "api", KEYS)
    (folder / "signing").write_text(f"{NEW.hex()}\n{OLD.hex()}\n")
    (folder / "signing").chmod(0o600)
    return {"OCR_API_KEYS_FILE": str(folder / "api"), "OCR_SIGNING_KEY_FILE": str(folder / "signing")}


def assert_refused(reply, word: str | None = "BYPASS") -> None:
    """The edge's own refusal, the same for every address."""
    assert reply.status == 401
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["www-authenticate"] == 'Bearer realm="ocr-gateway"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.word == word
    problem = json.loads(reply.body)
    assert (problem["status"], problem["type"]) == (401, "/docs#unauthorized")
