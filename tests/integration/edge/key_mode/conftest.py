"""An edge in key mode, and what its gateway says there."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from gateway.signing import Signer
from tests.key_mode import NEW, write_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The settings that name the files of keys, the same for gateway and edge."""
    return write_files(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def keyed(edge_before, origin, files):
    """An edge that checks keys and signed links, in front of the gateway double."""
    return edge_before(f"127.0.0.1:{origin.port}", OCR_EDGE_KEYS="edge", **files)


@pytest.fixture
def kept(answer):
    """The gateway's answer to a signed link: an edge that checks links may keep it, no other cache."""

    def make(body: bytes = b"{}", lives: float = 3600, **more: str):
        headers = {
            "Cache-Control": "private",
            "OCR-Edge-Cache-Control": "public",
            "Expires": formatdate(time.time() + lives, usegmt=True),
            "ETag": '"one"',
        } | {name.replace("_", "-"): value for name, value in more.items()}
        return answer(200, {name: value for name, value in headers.items() if value}, body)

    return make


@pytest.fixture
def link(result_id):
    """``link(tenant=, key=, ends=)``: the query of a signed link to ``result_id``."""

    def make(tenant: str = "acme", key: bytes = NEW, ends: float = 900) -> str:
        return Signer((key,), 900).query(tenant, result_id, time.time() + ends - 900)

    return make
