"""An embedded store and a gateway over it; the reader is scripted, everything else is real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.sqlite import SQLiteStore
from tests.doubles import Gateway, build_gateway


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(tmp_path / "store.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def gateway(store: SQLiteStore) -> Gateway:
    return build_gateway(store)
