"""A service for each tenant: the same machine, with everything that is kept apart kept apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from gateway.archive import Archive, tenant_prefix
from gateway.nomination import Nominator
from gateway.readers.base import Readings
from gateway.service import Service
from gateway.store.journal import Journal
from gateway.store.scoped import ScopedJournal
from gateway.tenants import Tenant, Tenants

Build = Callable[[Tenant, Archive, Readings, Nominator], Service]


class Services:
    """The services of ``tenants`` over parts of ``archive``, ``readings`` and ``journal`` that are each tenant's own.

    ``everybody`` is who serves in open mode, where there are no ``tenants``; ``build`` makes a tenant's.
    """

    def __init__(
        self,
        everybody: Service,
        tenants: Tenants | None = None,
        *,
        archive: Archive | None = None,
        readings: Readings | None = None,
        journal: Journal | None = None,
        build: Build | None = None,
    ) -> None:
        self.everybody = everybody
        self.tenants = tenants
        self._archive, self._readings, self._journal, self._build = archive, readings, journal, build
        self._lock = threading.Lock()
        self._built: dict[str, tuple[Service, Nominator]] = {}

    def start(self) -> None:
        """Build every tenant's service now, so that its index is loaded before it is asked for."""
        for tenant in self.tenants or ():
            self.of(tenant)

    def of(self, tenant: Tenant | None) -> Service:
        """The service of ``tenant``, or everybody's. It is built anew when the tenant's lookup key has changed."""
        if tenant is None:
            return self.everybody
        with self._lock:
            service, nominator = self._built.get(tenant.name, (None, None))
            if service is None or service.tenant != tenant:
                if nominator is not None:
                    nominator.close()
                service, nominator = self._new(tenant)
                self._built[tenant.name] = service, nominator
            return service

    def named(self, name: str) -> Service | None:
        """The service of the tenant called ``name``, everybody's for ``""``; ``None`` when there is no such tenant."""
        if not name:
            return self.everybody
        tenant = self.tenants.named(name) if self.tenants is not None else None
        return self.of(tenant) if tenant is not None else None

    def nominators(self) -> Iterator[tuple[str, Nominator]]:
        """The index of each tenant that has a service, by the tenant's name."""
        with self._lock:
            built = tuple(self._built.items())
        for name, (_, nominator) in built:
            yield name, nominator

    def close(self) -> None:
        """Stop what was started for the tenants."""
        for _, nominator in self.nominators():
            nominator.close()

    def _new(self, tenant: Tenant) -> tuple[Service, Nominator]:
        assert self._archive and self._readings and self._journal and self._build
        archive = self._archive.within(tenant.name)
        nominator = Nominator(archive.index_keys, ScopedJournal(self._journal, tenant_prefix(tenant.name)))
        nominator.start()
        return self._build(tenant, archive, self._readings.within(tenant.name), nominator), nominator
