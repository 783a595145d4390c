"""One reading into a stored record: what is kept beside it does not depend on when it was made."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest

from gateway import reading as module
from gateway.archive import Archive
from gateway.identity import Options, result_id
from gateway.image import Document
from gateway.matching.proof import ProofError
from gateway.reading import ReadingTask, image_facts, read_and_store
from gateway.store.sqlite import SQLiteStore
from tests.doubles import Drawing, ScriptedReader, draw_invoice


@dataclass
class SilentReader(ScriptedReader):
    """Never tells where the lines are before it has read them."""

    def read(self, page, layout, timeout, constraints, found=None):
        return super().read(page, layout, timeout, constraints)


@pytest.fixture
def archive(tmp_path):
    store = SQLiteStore(tmp_path / "store.sqlite")
    yield Archive(store)
    store.close()


def task_of(drawing: Drawing, layout: str = "auto") -> ReadingTask:
    options = Options(layout)
    document = Document((drawing.page,), (1,), 1, "PNG")
    upload = drawing.encoded()
    return ReadingTask(result_id(upload, options), upload, document, image_facts(document), options, time.time())


def kept(archive: Archive, reader: ScriptedReader, task: ReadingTask) -> tuple[bytes | None, bytes | None]:
    """Proof and thumbnail, as they lie in the store."""
    assert read_and_store(task, reader, archive, ttl=60, timeout=10).stored
    entries = [archive.store.get(f"{kind}/{task.result_id}") for kind in ("proofs", "thumbnails")]
    return tuple(entry and entry.value for entry in entries)


def test_what_is_made_while_the_lines_are_read_is_what_is_made_afterwards(archive):
    drawing = draw_invoice(1)
    readers = ScriptedReader(), SilentReader()
    early, late = (kept(archive, reader, task_of(reader.knows(drawing))) for reader in readers)
    assert early == late
    assert None not in early


def test_the_reader_does_not_wait_for_what_is_kept(archive, monkeypatch):
    read = threading.Event()

    class ToldReader(ScriptedReader):
        def read(self, page, layout, timeout, constraints, found=None):
            lines = super().read(page, layout, timeout, constraints, found)
            read.set()
            return lines

    encode = module.encode_image
    waited = []
    monkeypatch.setattr(module, "encode_image", lambda *page: waited.append(read.wait(10)) or encode(*page))
    reader = ToldReader()
    assert None not in kept(archive, reader, task_of(reader.knows(draw_invoice(1))))
    assert waited == [True]


def test_the_costly_part_is_made_once(archive, monkeypatch):
    reader, encoded = ScriptedReader(), []
    monkeypatch.setattr(module, "encode_proof", lambda page, boxes, ahead: encoded.append(ahead) or b"proof")
    kept(archive, reader, task_of(reader.knows(draw_invoice(1))))
    assert encoded != [None]


def test_a_single_line_keeps_a_thumbnail_and_no_proof(archive):
    reader = ScriptedReader()
    proof, thumbnail = kept(archive, reader, task_of(reader.knows(draw_invoice(1)), "line"))
    assert proof is None
    assert thumbnail


def test_an_image_that_cannot_be_encoded_early_is_tried_with_the_lines_that_are_left(archive, monkeypatch):
    def fail(page, boxes):
        raise ProofError("not with these lines")

    monkeypatch.setattr(module, "encode_image", fail)
    reader = ScriptedReader()
    proof, _ = kept(archive, reader, task_of(reader.knows(draw_invoice(1))))
    assert proof
