"""The web server: gunicorn with threads, one application a process."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
import time

from gunicorn.app.base import BaseApplication

from gateway.config import Settings
from gateway.gunicorn_worker import Worker

log = logging.getLogger(__name__)

GRACE_SECONDS = 30
# An HTTP/1.1 client's idle connection is kept this long; nginx's upstream keep-alive must be shorter.
KEEPALIVE_SECONDS = 75
READY_POLL_SECONDS = (0.02, 1.0)


class _Server(BaseApplication):
    """gunicorn, configured from the settings instead of a file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        for name, value in {
            "bind": f"{settings.host}:{settings.port}"
            if ":" not in settings.host
            else f"[{settings.host}]:{settings.port}",
            "workers": settings.web_processes,
            "threads": settings.web_threads,
            "worker_class": Worker,
            # Never preloaded: the reader is spawned by each web process itself, after the fork.
            "preload_app": False,
            # A reading may take its whole deadline; gthread's heartbeat does not depend on requests.
            "timeout": 60,
            "graceful_timeout": GRACE_SECONDS,
            "keepalive": KEEPALIVE_SECONDS,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,
            "loglevel": "warning",
            "proc_name": "ocr-gateway",
            "control_socket_disable": True,
            "post_worker_init": _announce_when_ready,
            "worker_exit": _close,
        }.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self):
        from gateway.app import create_app

        return create_app(self._settings)


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status."""
    shared = None
    if settings.web_processes > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        shared = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="ocr-metrics-")
    try:
        _Server(settings).run()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        if shared:
            shutil.rmtree(shared, ignore_errors=True)
    return 0


def _announce_when_ready(worker) -> None:
    """Print the address once the model is warm; the socket answers before that, ``/readyz`` says no."""
    if worker.age > 1:  # once is enough, whether it is one of several or a successor
        return
    parts = worker.wsgi.extensions["parts"]
    address = worker.sockets[0].getsockname()

    def announce() -> None:
        # A queue's readiness is asked of its Redis: not too often while there is no worker.
        pause, longest = READY_POLL_SECONDS
        while not parts.readings.ready():
            time.sleep(pause)
            pause = min(2 * pause, longest)
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        print(f"ready on http://{host}:{address[1]}", flush=True, file=sys.stdout)

    threading.Thread(target=announce, name="announce", daemon=True).start()


def _close(server, worker) -> None:
    application = getattr(worker, "wsgi", None)
    if application is not None:
        application.extensions["parts"].close()
