"""What is stored for a result id: a versioned, self-describing record of one reading.

A record is written once and never changed. Anything that cannot be read back (another version, broken bytes)
raises :class:`RecordError`, which callers take for a miss.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from worker.types import Character, characters_from

RECORD_VERSION = 1

MatchKind = Literal["none", "exact", "pixels", "near", "partial"]
Point = tuple[float, float]


class RecordError(ValueError):
    """The bytes are no record of this version."""


@dataclass(frozen=True, slots=True)
class PageLine:
    """One text line. ``box``: four corners clockwise from the text's top-left, pixels of the upright page.

    ``score``: confidence of the whole line in 0..1. ``page``: 1-based number in the upload. ``reader``: which
    recogniser's reading it is. ``characters``: those of ``text``, where they were asked for.
    """

    text: str
    score: float
    box: tuple[Point, ...]
    page: int = 1
    reader: str = "crnn"
    characters: tuple[Character, ...] = ()

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """``(x1, y1, x2, y2)`` around the box, pixels."""
        xs, ys = [x for x, _ in self.box], [y for _, y in self.box]
        return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """``width``, ``height`` of the first page that was read, pixels; ``pages`` in the upload.

    ``sha256``: pixel digest, 64 hex digits. ``phash``: 64-bit DCT hash of the first page, 16 hex digits.
    ``page_sizes``: number, width and height of every page that was read.
    """

    width: int
    height: int
    sha256: str
    phash: str
    pages: int = 1
    page_sizes: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Where the lines came from: ``source`` is the id of the document that was read.

    ``distance``: bits between the two pHashes. ``reread_lines``: lines read again from this upload's own pixels;
    ``changed_lines`` of them have another text than the source's.
    """

    kind: MatchKind
    source: str
    distance: int = 0
    reread_lines: int = 0
    changed_lines: int = 0

    @property
    def of_another_document(self) -> bool:
        """Whether the source differs from this document: who has this one may not learn the other one's id."""
        return self.changed_lines > 0

    def answered_as(self, kind: MatchKind) -> Match:
        """How an upload matched that is answered with the lines of a stored record which matched like this."""
        return Match(kind, self.source, changed_lines=self.changed_lines)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The recogniser that read the lines; ``revision`` changes whenever it could read something else."""

    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class Record:
    """One stored result. Times are POSIX seconds; ``expires_at`` is whole and set once, at the reading."""

    id: str
    lines: tuple[PageLine, ...]
    image: ImageFacts
    match: Match
    engine: EngineFacts
    processing_time_ms: float
    created_at: float
    expires_at: int
    index_key: str = ""
    """The key of this record's nomination entry; empty when it nominates nothing."""
    options: str = ""
    """The digest of the options that it was read with (:meth:`gateway.identity.Options.digest`). An id has eight digits
    of it, for which others can be found that have the same; empty as well in what older versions stored."""

    @property
    def text(self) -> str:
        """The lines in reading order, joined by newlines."""
        return "\n".join(line.text for line in self.lines)

    def was_read_with(self, digest: str) -> bool:
        """Whether nothing speaks against these lines having been read with the options of ``digest``."""
        return self.options in ("", digest)

    def copied_to(self, result_id: str, image: ImageFacts, match: Match, lines: Sequence[PageLine]) -> Record:
        """This reading under the id of another upload of the same document. Its lifetime stays the reading's."""
        return replace(self, id=result_id, image=image, match=match, lines=tuple(lines), index_key="")

    def to_bytes(self) -> bytes:
        """UTF-8 JSON."""
        fields = asdict(self)
        if not self.options:  # as before there was such a field, so that older gateways beside this one can read it
            del fields["options"]
        for line in fields["lines"]:
            if not line["characters"]:  # for the same reason, and most lines have none
                del line["characters"]
        return json.dumps({"version": RECORD_VERSION, **fields}, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Raises :class:`RecordError` for anything :meth:`to_bytes` of this version did not write."""
        try:
            fields: dict[str, Any] = json.loads(data)
            if fields.pop("version") != RECORD_VERSION:
                raise RecordError("another record version")
            lines = tuple(
                PageLine(
                    **line
                    | {
                        "box": tuple((x, y) for x, y in line["box"]),
                        "characters": characters_from(line.get("characters", ())),
                    }
                )
                for line in fields.pop("lines")
            )
            image = fields.pop("image")
            image["page_sizes"] = tuple((number, width, height) for number, width, height in image["page_sizes"])
            return cls(
                lines=lines,
                image=ImageFacts(**image),
                match=Match(**fields.pop("match")),
                engine=EngineFacts(**fields.pop("engine")),
                **fields,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordError(f"not a record: {type(error).__name__}") from error
