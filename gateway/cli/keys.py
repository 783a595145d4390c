"""Make, list and revoke API keys in the file that OCR_API_KEYS_FILE names.

A new key is printed once; the file has its SHA-256 only. A running gateway reads a changed file by itself.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.tenants import TENANT_NAME, KeysError, KeyTable, key_digest, new_api_key, read_document

NAME = "keys"
HELP = "make, list and revoke API keys (OCR_API_KEYS_FILE)"

SHOWN_DIGITS = 12

_ACCESS_LIST = "system.posix_acl_access"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "--file", type=Path, default=os.environ.get("OCR_API_KEYS_FILE"), help="instead of OCR_API_KEYS_FILE"
    )
    actions = parser.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="make a key and print it, once; a tenant that is new is made too")
    new.add_argument("tenant", nargs="?", help="1 to 48 lower-case letters, digits and inner hyphens")
    new.add_argument("--operator", action="store_true", help="a key for /metrics and /stats instead")
    actions.add_parser("list", help="the tenants and the first digits of their keys' SHA-256")
    revoke = actions.add_parser("revoke", help="remove a key; it is refused from the next second on")
    revoke.add_argument("digits", help="the first digits of its SHA-256, as `list` shows them, or all of them")
    lookup = actions.add_parser("lookup-key", help="print a tenant's lookup key, which devices compute ids with")
    lookup.add_argument("tenant")
    actions.add_parser("signing-key", help="print a fresh line for OCR_SIGNING_KEY_FILE")


def run(chosen: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    if chosen.action == "signing-key":
        print(secrets.token_hex(32))
        return 0
    # An empty variable is one that is not set, as compose passes it on; as a path it would be the current folder.
    if chosen.file is None or not chosen.file.name:
        print("OCR_API_KEYS_FILE is not set; or name the file: `--file`.", file=sys.stderr)
        return 2
    try:
        if chosen.action == "new":
            return _new(chosen.file, chosen.tenant, chosen.operator)
        if chosen.action == "revoke":
            return _revoke(chosen.file, chosen.digits)
        document = read_document(chosen.file)
        KeyTable.from_document(document)
    except KeysError as error:
        print(f"The API keys cannot be used: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The API keys cannot be kept: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if chosen.action == "lookup-key":
        if chosen.tenant not in document["tenants"]:
            print(f"There is no tenant {chosen.tenant!r}.", file=sys.stderr)
            return 1
        print(document["tenants"][chosen.tenant]["lookup_key"])
        return 0
    for whose, key in _all_keys(document):
        print(f"{whose or '(operator)'}\t{key['sha256'][:SHOWN_DIGITS]}\t{key.get('created', '')}")
    return 0


def _new(path: Path, tenant: str | None, operator: bool) -> int:
    if operator == (tenant is not None):
        print("Name a tenant, or say --operator.", file=sys.stderr)
        return 2
    if tenant is not None and not TENANT_NAME.fullmatch(tenant):
        print("A tenant's name is 1 to 48 lower-case letters, digits and inner hyphens.", file=sys.stderr)
        return 2
    api_key = new_api_key()
    with _edited(path) as document:
        if tenant is None:
            keys = document.setdefault("operators", [])
        else:
            entry = document["tenants"].setdefault(tenant, {"lookup_key": secrets.token_hex(32), "keys": []})
            keys = entry["keys"]
        keys.append({"sha256": key_digest(api_key), "created": datetime.now(UTC).date().isoformat()})
    print(api_key)
    return 0


def _revoke(path: Path, digits: str) -> int:
    with _edited(path) as document:
        found = [key["sha256"] for _, key in _all_keys(document) if key["sha256"].startswith(digits)]
        if len(found) != 1 or len(digits) < 8:
            print(f"{len(found)} keys begin with that; say at least 8 digits, and enough for one.", file=sys.stderr)
            return 1
        for keys in (*(entry["keys"] for entry in document["tenants"].values()), document.get("operators", [])):
            keys[:] = [key for key in keys if key["sha256"] != found[0]]
    return 0


def _all_keys(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in sorted(document["tenants"].items()):
        for key in entry["keys"]:
            yield name, key
    for key in document.get("operators", []):
        yield "", key


@contextmanager
def _edited(path: Path) -> Iterator[dict[str, Any]]:
    """The file's document, to be changed; written in one step, for its owner's eyes only unless it was otherwise.

    Raises :class:`KeysError` when what is there cannot be used or replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document: dict[str, Any] = {"tenants": {}}
        if path.exists():
            document = read_document(path)
            KeyTable.from_document(document)
        before = json.dumps(document)
        yield document
        if json.dumps(document) == before:
            return
        successor = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(os.open(successor, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                if path.exists():
                    _let_the_same_read(path, file.fileno())
                json.dump(document, file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(successor, path)
        finally:
            successor.unlink(missing_ok=True)


def _let_the_same_read(path: Path, successor: int) -> None:
    """Give an open file the owner, mode and access list of ``path``: a gateway or an edge that could no longer read its
    keys would go on with those from before, the revoked one among them."""
    status = path.stat()
    try:
        os.fchown(successor, status.st_uid, status.st_gid)
    except PermissionError:
        raise KeysError(f"{path} belongs to somebody else: do this as its owner, or as root") from None
    os.fchmod(successor, stat.S_IMODE(status.st_mode))
    try:
        access_list = os.getxattr(path, _ACCESS_LIST)
    except OSError:  # it has none
        return
    os.setxattr(successor, _ACCESS_LIST, access_list)
