"""Check the settings, the stores and the model; the exit status is 0 when all is well."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from gateway.cli.settings import load

if TYPE_CHECKING:
    from gateway.config import Settings

NAME = "check"
HELP = "check the settings, the stores and the model; exit 0 when all is well"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--worker", action="store_true", help="check that a worker of this host is alive instead")


def run(chosen: argparse.Namespace) -> int:
    """Print the state of each part."""
    settings = load()
    if settings is None:
        return 2
    return _check_worker(settings) if chosen.worker else _check(settings)


def _check(settings: Settings) -> int:
    from gateway.store import open_store
    from gateway.store.base import StoreError

    try:
        store = open_store(settings)
    except StoreError as error:
        print(f"store: {error}")
        return 1
    problems = 0
    for name, state in store.statuses().items():
        print(f"store {name}: {state}")
        problems += state != "ok"
    try:
        for advice in store.check():
            print(f"store {store.name}: {advice}")
    except StoreError as error:
        print(f"store {store.name}: {error}")
        problems += 1
    problems += _check_model(settings) if settings.reader == "local" else _check_queue(settings)
    store.close()
    return 1 if problems else 0


def _check_model(settings: Settings) -> int:
    from gateway.readers.local import reader_spec

    spec = reader_spec(settings)
    try:
        spec.build()
    except (OSError, ImportError, ValueError) as error:
        print(f"model: {error}")
        return 1
    print(f"model {spec.revision()}: ok")
    return 0


def _check_queue(settings: Settings) -> int:
    from gateway.archive import Archive
    from gateway.readers.queue import QueuedReadings
    from gateway.store import open_store

    readings = QueuedReadings.connect(settings, Archive(open_store(settings)))
    warm = readings.ready()
    readings.close()
    print(f"workers: {'ok' if warm else 'none is ready'}")
    return 0 if warm else 1


def _check_worker(settings: Settings) -> int:
    import socket
    import time

    import redis

    from gateway.readers import queue

    if settings.redis_url is None:
        print("OCR_REDIS_URL is not set", file=sys.stderr)
        return 2
    try:
        since = time.time() - 3 * queue.WORKER_BEAT_SECONDS
        alive = queue.connect(settings).zrangebyscore(queue.workers_key(), since, "+inf")
    except redis.RedisError as error:
        print(f"queue: {type(error).__name__}")
        return 1
    here = [name for name in alive if name.decode().partition(":")[0] == socket.gethostname()]
    print("worker: ok" if here else "worker: none of this host has been heard of lately")
    return 0 if here else 1
