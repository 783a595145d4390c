"""Read documents for gateways that run with OCR_READER=queue."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from gateway.cli.settings import load, store_opens

if TYPE_CHECKING:
    from gateway.config import Settings

NAME = "worker"
HELP = "read for gateways that run with OCR_READER=queue"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments of its own."""


def run(chosen: argparse.Namespace) -> int:
    """Read until a signal ends it."""
    settings = load()
    if settings is None:
        return 2
    return _work(settings) if store_opens(settings) else 1


def _work(settings: Settings) -> int:
    import signal
    import threading

    from gateway.readers import queue
    from gateway.readers.local import PooledPageReader
    from gateway.readers.worker import QueueWorker
    from gateway.store import open_store
    from gateway.wiring import cores, image_limits

    if settings.redis_url is None:
        print("The settings are not valid:\nOCR_REDIS_URL: a worker needs the queue's Redis", file=sys.stderr)
        return 2
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    store = open_store(settings)
    reader = PooledPageReader.from_settings(settings, cores())
    worker = QueueWorker(settings, queue.connect(settings), store, reader, image_limits(settings))
    worker.start()
    print(f"worker {worker.name} is ready", flush=True)
    stop.wait()
    worker.stop()
    store.close()
    return 0
