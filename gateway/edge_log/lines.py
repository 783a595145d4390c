"""The lines of the edge's access log (``infra/nginx/http/log.conf``), as a stream: files, gzip, standard input."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

_CHUNK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"
STANDARD_INPUT = Path("-")


class Line(msgspec.Struct, gc=False):
    """What is needed of one request, as nginx wrote it.

    ``time``: ISO 8601 with its zone. ``edge``, ``gateway``: their ``X-Cache-Status``, or empty. ``bytes_in``,
    ``bytes_out``: with headers. ``seconds``: until the last byte was sent. ``upstream_seconds``: one figure for each
    gateway that was asked, separated by commas or colons.
    """

    time: str
    method: str
    path: str
    status: int
    edge: str = ""
    gateway: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    upstream_seconds: str = ""

    @property
    def result_id(self) -> str:
        """The id that a look-up asks for; empty when this is none. A HEAD wants no document: it only sees whether."""
        if self.method == "GET" and self.path.startswith("/results/"):
            return self.path[9:].partition("/")[0]
        return ""

    @property
    def waited(self) -> float:
        """Seconds that the last gateway took: what the client's own network added is not in it."""
        try:
            return float(self.upstream_seconds.replace(":", ",").rpartition(",")[2])
        except ValueError:
            return self.seconds


class LogReader:
    """Iterates over the lines of ``paths`` (``-``: standard input); what is no line of the log is counted in ``bad``.

    ``advanced(bytes)`` hears how much of the files was read, compressed bytes where they are compressed. Memory stays
    constant whatever the files hold. A compressed file that breaks off counts as one more bad line. Iterating raises
    :class:`OSError` for what cannot be opened.
    """

    def __init__(self, paths: Iterable[Path], advanced: Callable[[int], None] = lambda count: None) -> None:
        self._paths = tuple(paths)
        self._advanced = advanced
        self.bad = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[Line]:
        decode = msgspec.json.Decoder(Line).decode
        for path in self._paths:
            for raw in self._raw_lines(path):
                try:
                    line = decode(raw)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    self.bad += bool(raw.strip())
                    continue
                if line.time[10:11] == "T":
                    yield line
                else:
                    self.bad += 1

    def _raw_lines(self, path: Path) -> Iterator[bytes]:
        with _opened(path) as (packed, unpacked):
            begun, skipping, position = b"", False, 0
            while chunk := self._read(unpacked):
                self.bytes += len(chunk)
                if packed is not None:
                    self._advanced(packed.tell() - position)
                    position = packed.tell()
                whole, newline, rest = (begun + chunk).rpartition(b"\n")
                if newline:
                    lines = whole.split(b"\n")
                    if skipping:
                        del lines[0]
                        skipping = False
                    yield from lines
                if len(rest) > _LONGEST_LINE_BYTES:
                    self.bad += not skipping
                    skipping, rest = True, b""
                begun = rest
            if begun and not skipping:
                yield begun

    def _read(self, file: BinaryIO) -> bytes:
        try:
            return file.read(_CHUNK_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self.bad += 1
            return b""


def total_size(paths: Iterable[Path]) -> int | None:
    """Bytes on disk of all files; ``None`` when standard input is among them. Raises :class:`OSError`."""
    sizes = [None if path == STANDARD_INPUT else path.stat().st_size for path in paths]
    return None if None in sizes else sum(size for size in sizes if size is not None)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO | None, BinaryIO]]:
    """The file as it is on disk (``None`` where there is none), and its unpacked content."""
    if path == STANDARD_INPUT:
        source = sys.stdin.buffer
        packed = source.peek(2)[:2] == _GZIP_MAGIC if isinstance(source, io.BufferedReader) else False
        yield None, gzip.GzipFile(fileobj=source) if packed else source  # type: ignore[misc]
        return
    with path.open("rb") as file:
        if file.read(2) == _GZIP_MAGIC:
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield file, unpacked  # type: ignore[misc]
        else:
            file.seek(0)
            yield file, file
