"""The ``ocr-gateway`` command: ``serve``, ``worker``, ``recognize FILE…``, ``check``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from gateway import __version__, keys_command, logs
from gateway.config import ENV_PREFIX, Settings, SettingsError, load_settings

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status (2: usage or settings)."""
    parser = argparse.ArgumentParser(
        prog="ocr-gateway", description="A caching OCR gateway. Settings: OCR_* variables."
    )
    parser.add_argument("--version", action="version", version=f"ocr-gateway {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve HTTP; with the defaults everything runs in one place")
    serve.add_argument("--host", help="instead of OCR_HOST")
    serve.add_argument("--port", type=int, help="instead of OCR_PORT")
    commands.add_parser("worker", help="read for gateways that run with OCR_READER=queue")
    recognize = commands.add_parser("recognize", help="read files here and print their text; nothing is stored")
    recognize.add_argument("files", nargs="+", type=Path, metavar="FILE")
    recognize.add_argument("--json", action="store_true", help="print lines with boxes and scores, one object a file")
    recognize.add_argument(
        "--layout", choices=["auto", "line"], default="auto", help="line: the image is one text line"
    )
    recognize.add_argument("--pages", default="", help="pages of a PDF or TIFF, such as 2 or 1-3")
    check = commands.add_parser("check", help="check the settings, the stores and the model; exit 0 when all is well")
    check.add_argument("--worker", action="store_true", help="check that a worker of this host is alive instead")
    keys = commands.add_parser(keys_command.NAME, help=keys_command.HELP)
    keys_command.configure(keys)
    chosen = parser.parse_args(arguments)
    if chosen.command == keys_command.NAME:
        return keys_command.run(chosen)
    overrides = {name: getattr(chosen, name, None) for name in ("host", "port")}
    try:
        settings = load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        print(f"The settings are not valid:\n{error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    _warn_of_unknown_settings()
    if chosen.command in ("serve", "worker"):
        from gateway.store import open_store
        from gateway.store.base import StoreError
        from gateway.tenants import KeysError
        from gateway.wiring import check_keys

        try:
            open_store(settings).close()
            if chosen.command == "serve":
                check_keys(settings)
        except StoreError as error:
            print(f"The store cannot be opened: {error}", file=sys.stderr)
            return 1
        except KeysError as error:
            print(f"The API keys cannot be used: {error}", file=sys.stderr)
            return 1
        return _serve(settings) if chosen.command == "serve" else _worker(settings)
    if chosen.command == "recognize":
        return _recognize(settings, chosen)
    return _check_worker(settings) if chosen.worker else _check(settings)


def _warn_of_unknown_settings() -> None:
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(ENV_PREFIX) and name not in known and not name.startswith(ENV_PREFIX + "EDGE_"):
            log.warning("%s is no setting", name)


def _serve(settings: Settings) -> int:
    from gateway.server import run

    return run(settings)


def _worker(settings: Settings) -> int:
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


def _recognize(settings: Settings, chosen: argparse.Namespace) -> int:
    from gateway.errors import BadRequest
    from gateway.image import PageRange, decode
    from gateway.wiring import cores, image_limits
    from worker.reader import ReaderSpec

    try:
        pages = PageRange.parse(chosen.pages) if chosen.pages else None
    except BadRequest as error:
        print(error.detail, file=sys.stderr)
        return 2
    reader = ReaderSpec(engine=settings.engine, threads=settings.reader_threads or cores()).build()
    failed = 0
    for file in chosen.files:
        try:
            document = decode(file.read_bytes(), image_limits(settings), pages)
            read = [
                (number, reader.read(page, chosen.layout))
                for number, page in zip(document.numbers, document.pages, strict=True)
            ]
        except Exception as error:  # one file's trouble is not the next one's
            advice = getattr(error, "detail", None) or getattr(error, "strerror", None) or type(error).__name__
            print(f"{file}: {advice}", file=sys.stderr)
            failed += 1
            continue
        if chosen.json:
            lines = [
                {"text": line.text, "score": round(line.score, 4), "box": line.box, "page": number}
                for number, page_lines in read
                for line in page_lines
            ]
            print(json.dumps({"file": str(file), "lines": lines}, ensure_ascii=False))
        else:
            if len(chosen.files) > 1:
                print(f"== {file}")
            print("\n".join(line.text for _, page_lines in read for line in page_lines))
    return 1 if failed else 0


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
    from worker.reader import ReaderSpec

    spec = ReaderSpec(engine=settings.engine)
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


if __name__ == "__main__":
    sys.exit(main())
