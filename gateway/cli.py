"""The ``ocr-gateway`` command: ``serve``, ``worker``, ``recognize FILE…``, ``check``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from gateway import __version__
from gateway.config import Settings, SettingsError, load_settings


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
    chosen = parser.parse_args(arguments)
    overrides = {name: getattr(chosen, name, None) for name in ("host", "port")}
    try:
        settings = load_settings(**{name: value for name, value in overrides.items() if value is not None})
    except SettingsError as error:
        print(f"The settings are not valid:\n{error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if chosen.command == "serve":
        return _serve(settings)
    if chosen.command == "worker":
        return _worker(settings)
    if chosen.command == "recognize":
        return _recognize(settings, chosen)
    return _check_worker(settings) if chosen.worker else _check(settings)


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
    from gateway.errors import BadRequest, Refusal
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
        except (OSError, Refusal) as error:
            print(f"{file}: {error.detail if isinstance(error, Refusal) else error.strerror}", file=sys.stderr)
            failed += 1
            continue
        read = [
            (number, reader.read(page, chosen.layout))
            for number, page in zip(document.numbers, document.pages, strict=True)
        ]
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
    from worker.reader import ReaderSpec

    problems = 0
    try:
        store = open_store(settings)
        for name, state in store.statuses().items():
            print(f"store {name}: {state}")
            problems += state != "ok"
        for advice in store.check():
            print(f"store {store.name}: {advice}")
        store.close()
    except StoreError as error:
        print(f"store: {error}")
        problems += 1
    if settings.reader == "local":
        spec = ReaderSpec(engine=settings.engine)
        spec.build()
        print(f"model {spec.revision()}: ok")
    else:
        from gateway.readers.queue import QueuedReadings

        readings = QueuedReadings.connect(settings)
        warm = readings.ready()
        readings.close()
        print(f"workers: {'ok' if warm else 'none is ready'}")
        problems += not warm
    return 1 if problems else 0


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
