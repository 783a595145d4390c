"""Drawn documents, and a scripted reader over otherwise real parts."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gateway.archive import Archive
from gateway.identity import pixel_digest
from gateway.image import ImageLimits
from gateway.matching import DEFAULT_THRESHOLDS, Thresholds
from gateway.metrics import Metrics
from gateway.near import NearMatcher
from gateway.nomination import Nominator
from gateway.purge import EdgePurger
from gateway.readers.base import no_progress
from gateway.reading import Reading, ReadingTask, read_and_store
from gateway.record import EngineFacts
from gateway.service import Service
from gateway.shadow import Shadow
from gateway.store.journal import NoJournal
from gateway.tenancy import Services
from gateway.tenants import Tenants
from worker.constraints import UNCONSTRAINED, Constraints
from worker.types import Found, Line, LineReading

ROWS = (
    "INVOICE 2026-{number:04d}",
    "Sold to: Northern Paper Mills Ltd.",
    "12 reels of kraft paper, 80 g/m2",
    "3 pallets, returned empty",
    "Net amount 1,{number:04d}.00",
    "VAT 13% 166.40",
    "Due within thirty days of receipt",
    "Thank you for your order",
)


PAGE_WIDTH = 900


@dataclass(frozen=True)
class Drawing:
    """A drawn page with its true lines."""

    page: np.ndarray
    lines: tuple[Line, ...]

    def encoded(self, image_format: str = "PNG", **options: object) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(self.page).save(buffer, image_format, **options)
        return buffer.getvalue()


def draw_invoice(number: int, rows: int = len(ROWS)) -> Drawing:
    """One filling of a template, or its first ``rows``: two of its lines show ``number``."""
    return draw_page([template.format(number=number) for template in ROWS[:rows]], height=96 + 68 * rows)


def draw_page(texts: Sequence[str], height: int = 640) -> Drawing:
    """``texts`` one below the other; an empty one leaves its place blank."""
    image = Image.new("RGB", (PAGE_WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(30)
    lines = []
    for row, text in enumerate(texts):
        left, top = 60, 50 + 68 * row
        if text:
            draw.text((left, top), text, "black", font)
            x1, y1, x2, y2 = draw.textbbox((left, top), text, font)
            lines.append(Line(text, 0.97, ((x1, y1), (x2, y1), (x2, y2), (x1, y2))))
    return Drawing(np.asarray(image), tuple(lines))


@dataclass
class ScriptedReader:
    """Reads drawn pages from memory, by their pixels; counts what it did."""

    engine: EngineFacts = field(default_factory=lambda: EngineFacts("scripted", "1"))
    known: dict[str, tuple[Line, ...]] = field(default_factory=dict)
    reread_text: Callable[[str], str] = lambda text: text
    reread_score: float = 0.9
    on_read: Callable[[], None] = lambda: None
    reads: int = 0
    rereads: int = 0
    constraints: Constraints = UNCONSTRAINED

    def knows(self, drawing: Drawing) -> Drawing:
        self.known[pixel_digest([drawing.page])] = drawing.lines
        return drawing

    def read(
        self, page: np.ndarray, layout: str, timeout: float, constraints: Constraints, found: Found | None = None
    ) -> list[Line]:
        self.reads += 1
        self.constraints = constraints
        self.on_read()
        lines = list(self.known.get(pixel_digest([page]), ()))
        if found:
            found([line.box for line in lines])
        return lines

    def read_lines(self, page: np.ndarray, boxes, timeout: float, constraints: Constraints) -> list[LineReading]:
        self.rereads += len(boxes)
        self.constraints = constraints
        everything = tuple(line for lines in self.known.values() for line in lines)
        lines = self.known.get(pixel_digest([page]), everything)
        scale = page.shape[1] / PAGE_WIDTH if lines is everything else 1.0
        return [self._read_at(lines, scale, box) for box in boxes]

    def _read_at(self, lines: Sequence[Line], scale: float, box) -> LineReading:
        """The line whose middle is at the box's height; in an unknown page, which is taken for a copy, scaled."""
        x, y = np.mean(box, axis=0)
        top, bottom = min(y for _, y in box), max(y for _, y in box)
        places = {line: np.mean(line.box, axis=0) * scale for line in lines}
        there = [line for line, (_, middle) in places.items() if top <= middle <= bottom]
        if not there:
            return LineReading("", 0.0)
        nearest = min(there, key=lambda line: float(np.hypot(places[line][0] - x, places[line][1] - y)))
        return LineReading(self.reread_text(nearest.text), self.reread_score)


class ScriptedReadings:
    """The real reading procedure over a scripted reader."""

    is_idle = True

    def __init__(self, reader: ScriptedReader, archive: Archive, ttl: int) -> None:
        self.reader, self._archive, self._ttl = reader, archive, ttl

    def obtain(self, task: ReadingTask, progress=no_progress) -> Reading:
        return read_and_store(
            task, self.reader, self._archive, ttl=self._ttl, timeout=10, progress=progress
        )

    def reread(self, task: ReadingTask, boxes) -> list[LineReading]:
        return self.reader.read_lines(task.document.pages[0], boxes, 10, task.options.constraints)

    def read_anew(self, task: ReadingTask) -> list[Line]:
        return self.reader.read(task.document.pages[0], task.options.layout, 10, task.options.constraints)

    def idle(self) -> bool:
        return self.is_idle

    def within(self, tenant: str) -> ScriptedReadings:
        return ScriptedReadings(self.reader, self._archive.within(tenant), self._ttl)

    def ready(self) -> bool:
        return True

    def close(self) -> None:
        pass


@dataclass
class Gateway:
    """A service with its parts in reach."""

    service: Service
    reader: ScriptedReader
    archive: Archive
    nominator: Nominator
    metrics: Metrics
    purger: EdgePurger
    readings: ScriptedReadings
    shadow: Shadow


def build_services(gateway: Gateway, tenants: Tenants) -> Services:
    """A service for each tenant over the parts of ``gateway``, their indexes loaded."""

    def build(tenant, archive, readings, nominator) -> Service:
        limits = ImageLimits(20_000_000, 20, 150)
        near = NearMatcher(archive, readings, nominator, gateway.metrics)
        return Service(
            archive,
            readings,
            nominator,
            gateway.purger.within(tenant.name),
            gateway.metrics,
            limits,
            near=near,
            tenant=tenant,
        )

    services = Services(
        gateway.service,
        tenants,
        archive=gateway.archive,
        readings=gateway.readings,
        journal=NoJournal(),
        build=build,
    )
    services.start()
    deadline = time.monotonic() + 10
    while not all(nominator.loaded for _, nominator in services.nominators()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return services


def build_gateway(
    store,
    ttl: int = 3600,
    purger: EdgePurger | None = None,
    at_once: int = 12,
    shadow: float = 0.0,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Gateway:
    """``shadow``: the share of the answers by look that are read afterwards."""
    reader = ScriptedReader()
    archive, metrics = Archive(store), Metrics()
    nominator = Nominator(archive.index_keys, NoJournal())
    assert nominator.load()
    readings = ScriptedReadings(reader, archive, ttl)
    purger = purger or EdgePurger(())
    near = NearMatcher(archive, readings, nominator, metrics, thresholds)
    limits = ImageLimits(20_000_000, 20, 150)
    shadows = Shadow(readings, metrics, shadow)
    service = Service(
        archive, readings, nominator, purger, metrics, limits, near=near, shadow=shadows, at_once=at_once
    )
    return Gateway(service, reader, archive, nominator, metrics, purger, readings, shadows)
