"""Which store and which journal the settings choose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config import Settings, SettingsError, load_settings
from gateway.store import open_journal, open_store
from gateway.store.journal import NoJournal
from gateway.store.journal_redis import RedisJournal

REDIS = {"redis_url": "redis://127.0.0.1:1/0"}
S3 = {"s3_bucket": "results", "s3_endpoint": "http://127.0.0.1:1", "s3_access_key": "a", "s3_secret_key": "b"}


@pytest.mark.parametrize(
    ("chosen", "name"),
    [({}, "sqlite"), (REDIS, "redis"), (S3, "s3"), (REDIS | S3, "tiered")],
)
def test_the_store_follows_from_what_is_set(tmp_path: Path, chosen: dict, name: str) -> None:
    store = open_store(Settings(data_dir=tmp_path / "data", **chosen))
    assert store.name == name
    assert (tmp_path / "data").exists() == (name == "sqlite")
    store.close()


def test_a_store_that_cannot_be_reached_does_not_keep_it_from_being_opened(tmp_path: Path) -> None:
    noticed: list[tuple[str, str]] = []
    store = open_store(
        Settings(data_dir=tmp_path, s3_timeout=0.4, **(REDIS | S3)), lambda *degraded: noticed.append(degraded)
    )
    assert {name: state.split(":")[0] for name, state in store.statuses().items()} == {"redis": "down", "s3": "down"}
    store.close()


def test_the_journal_is_in_redis_where_there_is_one() -> None:
    assert isinstance(open_journal(Settings()), NoJournal)
    assert isinstance(open_journal(Settings(**S3)), NoJournal)
    journal = open_journal(Settings(**REDIS))
    assert isinstance(journal, RedisJournal)
    journal.close()


def test_no_journal_asks_for_one_rebuild_and_is_silent_from_then_on() -> None:
    journal = NoJournal()
    changes, cursor, gap = journal.tail(None)
    assert (changes, gap) == ([], True)
    journal.append("add", "index/1/a")
    assert journal.tail(cursor) == ([], cursor, False)
    journal.close()


@pytest.mark.parametrize(
    ("mistake", "variable"),
    [
        ({"redis_url": "http://:secret@host"}, "OCR_REDIS_URL"),
        ({"redis_url": "redis://:sec/ret@host"}, "OCR_REDIS_URL"),
        (S3 | {"s3_endpoint": "no url"}, "OCR_S3_ENDPOINT"),
    ],
)
def test_an_address_that_is_none_is_a_mistake_in_the_settings_that_quotes_no_secret(
    mistake: dict, variable: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: ") as caught:
        open_store(load_settings(**mistake))
    assert "sec" not in str(caught.value)


def test_the_embedded_set_up_loads_no_sdk() -> None:
    code = "import sys, gateway.store, gateway.store.sqlite; print(sorted({'redis', 'boto3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
