"""Key mode at the edge: its settings, and what becomes of them (standard library only; docs/privacy.md)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_config import readers

MODES = ("off", "gateway", "edge")
FILES = ("OCR_SIGNING_KEY_FILE", "OCR_API_KEYS_FILE")
DOCUMENT = "edge-keys.json"

_DIGEST = re.compile(r"[0-9a-f]{64}")
# As in gateway/tenants.py.
_TENANT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")


SETTINGS: tuple[tuple[str, str, Callable[[str], object], str], ...] = (
    (
        "OCR_EDGE_KEYS",
        "off",
        readers.matching(re.compile("|".join(MODES)), ", ".join(MODES)),
        "`off`: open mode. `gateway`: the gateway checks keys and signed links, nothing is cached. "
        "`edge`: both are checked here and answered from the cache.",
    ),
    ("OCR_SIGNING_KEY_FILE", "", readers.path_or(""), "The file of signing keys, the same as the gateway's."),
    (
        "OCR_API_KEYS_FILE",
        "",
        readers.path_or(""),
        "The gateway's file of API keys, or a copy without `lookup_key`. Named: keys are checked here, and look-ups "
        "with one answered from the cache. Empty: the gateway is asked each time.",
    ),
)
"""Variable, default, reader and meaning of each setting."""


def mistakes(values: Mapping[str, object]) -> list[str]:
    """What keeps key mode from working, one line each."""
    if values.get("OCR_EDGE_KEYS") != "edge":
        return []
    found = []
    if not values["OCR_SIGNING_KEY_FILE"]:
        found.append("OCR_SIGNING_KEY_FILE: OCR_EDGE_KEYS=edge needs it")
    for variable, read in zip(FILES, (_signing_keys, _owners), strict=True):
        try:
            if values[variable]:
                read(Path(str(values[variable])))
        except OSError as error:
            found.append(f"{variable}: cannot be read: {error.strerror}")
        except ValueError as error:
            found.append(f"{variable}: {error}")
    return found


def placeholders(values: Mapping[str, object], folder: Path) -> dict[str, str]:
    """What the templates' words of key mode stand for in a configuration rendered to ``folder``."""
    at_edge = values["OCR_EDGE_KEYS"] == "edge"
    return {
        "keys": str(values["OCR_EDGE_KEYS"]),
        "keys_document": str(folder / DOCUMENT),
        # Who may keep a 200: in open mode any shared cache, in key mode an edge that checks signatures (RFC 9213).
        "storage_word": "$upstream_http_ocr_edge_cache_control" if at_edge else "$upstream_http_cache_control",
    }


def write(folder: Path, values: Mapping[str, object]) -> bool:
    """Write what nginx's JavaScript checks with, for its owner's eyes only, or remove what is there; whether that
    changed anything.

    Raises :class:`OSError` and :class:`ValueError` for files that cannot be used; what is there stays then.
    """
    document = folder / DOCUMENT
    if values["OCR_EDGE_KEYS"] != "edge":
        document.unlink(missing_ok=True)
        return False
    api_keys = values["OCR_API_KEYS_FILE"]
    digests, tenants = _owners(Path(str(api_keys))) if api_keys else (None, None)
    signing = _signing_keys(Path(str(values["OCR_SIGNING_KEY_FILE"])))
    contents = json.dumps({"signing": signing, "digests": digests, "tenants": tenants})
    if document.exists() and document.read_text(encoding="ascii") == contents:
        return False
    # In one step: nginx may be told to read it at any moment.
    successor = folder / f".{DOCUMENT}.{os.getpid()}"
    with open(os.open(successor, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(contents)
    os.replace(successor, document)
    return True


def file_states(described: str) -> list[tuple[int, int, int, int] | None]:
    """What changes when a file of keys does, or who may read it, for each that the settings, one ``NAME=value`` a
    line, name."""
    named = dict(line.split("=", 1) for line in described.splitlines())
    return [_state(Path(named[variable])) for variable in FILES if named.get(variable)]


def _state(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _signing_keys(path: Path) -> list[str]:
    keys = path.read_text("ascii", "replace").split()
    if not keys or not all(map(_DIGEST.fullmatch, keys)):
        raise ValueError("must have a key of 64 lower-case hex digits on each line")
    return keys


def _owners(path: Path) -> tuple[dict[str, str], dict[str, bool]]:
    """Whose each key is, by its digest: a tenant's name, or nothing for an operator's; and who is a tenant at all."""
    try:
        document = json.loads(path.read_bytes())
        keys = {name: entry["keys"] for name, entry in document["tenants"].items()}
        entries = [(key["sha256"], name) for name in keys for key in keys[name]]
        entries += [(key["sha256"], "") for key in document.get("operators", [])]
        owners = dict(entries)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Without the cause: it may quote the file.
        raise ValueError("is not a file of API keys") from None
    if not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in owners):
        raise ValueError("has a key without its SHA-256")
    if not all(_TENANT_NAME.fullmatch(name) for name in keys):
        raise ValueError("has a tenant whose name is none")
    if len(owners) < len(entries):
        # A gateway refuses this, too: whose the key is would be another's word here than there.
        raise ValueError("has a key twice")
    return owners, dict.fromkeys(keys, True)
