"""The settings as a command needs them: read, or told what is wrong with them."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import Settings

log = logging.getLogger(__name__)


def load(**overrides: object) -> Settings | None:
    """The settings from the environment, ``overrides`` that are not ``None`` first; sets up logging.

    ``None`` when they are not valid: every mistake was printed then, and the exit status is 2.
    """
    from gateway import logs
    from gateway.config import SettingsError, load_settings

    try:
        settings = load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        print(f"The settings are not valid:\n{error}", file=sys.stderr)
        return None
    logs.configure(settings.log_level)
    _warn_of_unknown_settings()
    return settings


def store_opens(settings: Settings) -> bool:
    """Whether the store can be opened; told in one line when it cannot."""
    from gateway.store import open_store
    from gateway.store.base import StoreError

    try:
        open_store(settings).close()
    except StoreError as error:
        print(f"The store cannot be opened: {error}", file=sys.stderr)
        return False
    return True


def keys_are_usable(settings: Settings) -> bool:
    """Whether the files of API and signing keys, where there are any, can be used; told in one line when not."""
    from gateway.tenants import KeysError
    from gateway.wiring import check_keys

    try:
        check_keys(settings)
    except KeysError as error:
        print(f"The API keys cannot be used: {error}", file=sys.stderr)
        return False
    return True


def can_listen(settings: Settings) -> bool:
    """Whether the address is this machine's and free; told in one line when not. (gunicorn would try for seconds.)"""
    try:
        family, kind, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        place = f"{settings.host} port {settings.port}"
        print(f"Cannot listen on {place}: {error.strerror}. OCR_HOST and OCR_PORT choose another.", file=sys.stderr)
        return False
    return True


def _warn_of_unknown_settings() -> None:
    from gateway.config import ENV_PREFIX, Settings

    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    others = (ENV_PREFIX + "EDGE_", ENV_PREFIX + "CLIENT_")  # the edge's own, and those of `lookup`
    for name in sorted(os.environ):
        if name.startswith(ENV_PREFIX) and name not in known and not name.startswith(others):
            log.warning("%s is no setting", name)
