"""The parts of a gateway, chosen by the settings and put together; known only to the app and the command line."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace

from gateway.archive import Archive
from gateway.config import Settings
from gateway.image import ImageLimits
from gateway.jobs import Jobs
from gateway.matching import DEFAULT_THRESHOLDS, Thresholds, use_one_thread
from gateway.metrics import Metrics
from gateway.near import NearMatcher
from gateway.nomination import Nominator
from gateway.purge import EdgePurger, open_purger
from gateway.readers.base import Readings
from gateway.reading import warm_up
from gateway.service import Service
from gateway.shadow import Shadow
from gateway.signing import Signer
from gateway.store import open_journal, open_store
from gateway.store.base import Store
from gateway.tenancy import Services
from gateway.tenants import Tenant, Tenants
from worker import memory

JOB_THREADS = 4
# A job's lease outlasts one reading; then another process may take the job over.
LEASE_MARGIN_SECONDS = 30.0
# Of the matcher's thresholds, those that settings named `match_...` may make stricter.
CHOSEN_THRESHOLDS = (
    "least_limit",
    "most_limit",
    "least_ideograph_limit",
    "most_ideograph_limit",
    "most_outside",
    "doubtful_share",
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the HTTP layer is built over. :meth:`close` stops it all."""

    settings: Settings
    store: Store
    archive: Archive
    readings: Readings
    nominator: Nominator
    metrics: Metrics
    purger: EdgePurger
    service: Service
    shadow: Shadow
    jobs: Jobs
    services: Services
    signer: Signer | None = None

    def report(self) -> tuple[bool, dict[str, object]]:
        """Whether a reading asked for now would run, and the state of each part by name.

        In key mode nobody is told how many documents there are: those of others would show in it.
        """
        stores = self.store.statuses()
        reading = self.readings.ready()
        index: dict[str, object]
        if self.services.tenants is None:
            self.metrics.indexed(len(self.nominator))
            index = {"loaded": self.nominator.loaded, "entries": len(self.nominator)}
        else:
            nominators = dict(self.services.nominators())
            for name, nominator in nominators.items():
                self.metrics.indexed(len(nominator), name)
            index = {"loaded": all(nominator.loaded for nominator in nominators.values())}
        return reading, {
            "reader": "warm" if reading else "not ready",
            "stores": stores,
            "degraded": sorted(name for name, state in stores.items() if state != "ok"),
            "index": index,
        }

    def close(self) -> None:
        """Finish what runs, then release everything."""
        self.jobs.close()
        self.services.close()
        self.nominator.close()
        self.readings.close()
        self.shadow.close()
        self.purger.close()
        self.store.close()


def assemble(settings: Settings) -> Parts:
    """Open the stores, start the reader, load the index.

    Raises :class:`StoreError` when no store can be opened, :class:`gateway.tenants.KeysError` when a file of keys
    cannot be used.
    """
    use_one_thread()
    memory.restrain()
    metrics = Metrics()
    store = open_store(settings, on_degraded=metrics.degraded)
    archive = Archive(store, on_failure=lambda operation: metrics.degraded(store.name, operation))
    readings = open_readings(settings, archive)
    tenants = open_tenants(settings)
    journal = open_journal(settings)
    nominator = Nominator(archive.index_keys, journal)
    if tenants is None:
        nominator.start()
    purger = open_purger(settings)
    shadow = Shadow(readings, metrics, settings.match_shadow)
    at_once = uploads_at_once(settings.web_threads)
    admissions = threading.BoundedSemaphore(at_once)

    def build(tenant: Tenant | None, archive: Archive, readings: Readings, nominator: Nominator) -> Service:
        matcher = NearMatcher(archive, readings, nominator, metrics, thresholds(settings))
        return Service(
            archive,
            readings,
            nominator,
            purger.within(tenant.name if tenant else ""),
            metrics,
            image_limits(settings),
            near=matcher if settings.match == "near" else None,
            shadow=shadow,
            admissions=admissions,
            tenant=tenant,
        )

    service = build(None, archive, readings, nominator)
    services = Services(service, tenants, archive=archive, readings=readings, journal=journal, build=build)
    services.start()
    jobs = Jobs(
        service,
        store,
        workers=JOB_THREADS,
        limit=settings.queue_limit,
        lease=settings.read_timeout + LEASE_MARGIN_SECONDS,
        service_named=services.named,
    )
    jobs.resume()
    warm_up()
    return Parts(
        settings, store, archive, readings, nominator, metrics, purger, service, shadow, jobs, services,
        open_signer(settings),
    )


def thresholds(settings: Settings) -> Thresholds:
    """The measured ones, where the settings are not stricter."""
    chosen = {name: getattr(settings, f"match_{name}") for name in CHOSEN_THRESHOLDS}
    return replace(DEFAULT_THRESHOLDS, **{name: value for name, value in chosen.items() if value is not None})


def open_tenants(settings: Settings) -> Tenants | None:
    """The tenants of key mode; ``None`` in open mode. Raises :class:`gateway.tenants.KeysError`."""
    return Tenants(settings.api_keys_file) if settings.api_keys_file is not None else None


def check_keys(settings: Settings) -> None:
    """Raises :class:`gateway.tenants.KeysError` when a file of keys cannot be used."""
    open_tenants(settings)
    open_signer(settings)


def open_signer(settings: Settings) -> Signer | None:
    """Who signs links, where links are signed. Raises :class:`gateway.tenants.KeysError`."""
    if settings.signing_key_file is None:
        return None
    return Signer.from_file(settings.signing_key_file, settings.signed_url_seconds)


def image_limits(settings: Settings) -> ImageLimits:
    """What may be decoded."""
    return ImageLimits(max_pixels=settings.max_pixels, max_pages=settings.max_pages, pdf_dpi=settings.pdf_dpi)


def open_readings(settings: Settings, archive: Archive) -> Readings:
    """The reader the settings choose, started."""
    if settings.reader == "queue":
        from gateway.readers.queue import QueuedReadings

        return QueuedReadings.connect(settings, archive)
    from gateway.readers.local import LocalReadings, PooledPageReader

    reader = PooledPageReader.from_settings(settings, cores())
    return LocalReadings(reader, archive, ttl=settings.ttl, timeout=settings.read_timeout)


def uploads_at_once(web_threads: int) -> int:
    """How many threads may be busy with unknown uploads: a quarter stays free for look-ups, hits and health."""
    return max(1, web_threads - max(1, web_threads // 4))


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))
