"""What nginx can't do by itself: begin a new epoch while it runs, take up changed keys, and purge without a module.

A small process beside nginx, started by ``render.py --run`` and ended with it. The admin server passes ``POST /epoch``
on to its socket; it writes the configuration again with the next epoch, lets nginx reload, and answers when no worker
of the old configuration takes requests any more: from then on nothing that was cached before is found. What is left on
disk is then purged, entry by entry. Where nginx has no purge module (``OCR_EDGE_PURGE_MODULE=none``) this process
purges: it removes the entry's file, which nginx then takes for an entry that it doesn't have. Once a second it looks at
the files of keys, and lets nginx reload when they have changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import http.server
import json
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from edge_config import cache_files, epoch, keys
from edge_config.reload import Nginx
from edge_config.settings import described
from edge_config.templates import SETTINGS_FILE, render

# As often as a gateway looks at its files of keys.
_LOOK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def socket_path(folder: Path) -> Path:
    """Where the process listens; ``folder`` is ``OCR_EDGE_DIR``."""
    return folder / "control.sock"


def start(folder: Path, state: Path) -> None:
    """Fork the process that serves this one, which then becomes nginx.

    ``folder``: of the rendered configuration; ``state``: ``OCR_EDGE_DIR``.
    """
    nginx = os.getpid()
    sys.stdout.flush()
    if os.fork():
        return
    # The child never returns: it serves until its parent ends.
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == nginx:
            _serve(folder, state, Nginx(nginx))
        status = 0
    finally:
        os._exit(status)


def _serve(folder: Path, state: Path, nginx: Nginx) -> None:
    path = socket_path(state)
    path.unlink(missing_ok=True)
    turn = threading.Lock()
    threading.Thread(target=watch_keys, args=(folder, nginx, turn), daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_POST(self) -> None:
            with turn:
                try:
                    # As it was rendered last, which may be after this process began.
                    values = described((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
                    number = epoch.begin(state)
                    render(folder, values)
                    done = nginx.reload()
                except (OSError, ValueError) as error:
                    print(f"edge control: no new epoch: {error}", file=sys.stderr, flush=True)
                    done, number = False, -1
                if done:
                    threading.Thread(target=_sweep, args=(values, number), daemon=True).start()
            self._answer(200 if done else 500, {"epoch": number if done else None})

        def do_DELETE(self) -> None:
            values = described((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            key = self.path.removeprefix("/purge/")
            removed = cache_files.remove(Path(str(values["OCR_EDGE_CACHE_DIR"])), key)
            self._answer(200 if removed else 204, {"purged": key})

        def _answer(self, status: int, document: dict[str, object]) -> None:
            body = json.dumps(document).encode() if status != 204 else b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """nginx's access log has it."""

        def address_string(self) -> str:
            return "nginx"

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 128  # purges come many at a time

    with Server(str(path), Handler) as server:
        # nginx's workers may be another user; who may ask is decided by the admin server's allow-list.
        path.chmod(0o666)
        server.serve_forever()


def watch_keys(folder: Path, nginx: Nginx, turn: threading.Lock) -> None:
    """Have nginx check with what the files of keys say now. One that breaks leaves the keys from before in force; an
    nginx that does not take them up is asked again."""
    seen = None
    while True:
        # First of all: nginx has to be there to be told.
        time.sleep(_LOOK_SECONDS)
        try:
            settings = (folder / SETTINGS_FILE).read_text(encoding="utf-8")
            found = settings, keys.file_states(settings)
            if found != seen or nginx.behind:
                seen = found
                with turn:
                    if keys.write(folder, described(settings)) or nginx.behind:
                        done = nginx.reload()
                        word = "the keys were read again" if done else "the keys from before hold: see nginx's own log"
                        print(f"edge control: {word}", file=sys.stderr, flush=True)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                seen = None  # a full disk, say, which need not stay so; a file that is wrong does until it changes
            print(f"edge control: the keys from before hold: {error}", file=sys.stderr, flush=True)


def _sweep(values: Mapping[str, object], number: int) -> None:
    """Remove what older epochs left, through nginx where it has the module, so that its own accounts stay right."""
    current = f"{values['OCR_EDGE_EPOCH']}.{number}"
    host, _, port = str(values["OCR_EDGE_ADMIN_LISTEN"]).rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))
    removed = 0
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=10)) as connection:
        for old, entry in cache_files.entries(Path(str(values["OCR_EDGE_CACHE_DIR"])), lambda found: found != current):
            try:
                connection.request("DELETE", f"/purge/{old}/{entry}")
                connection.getresponse().read()
                removed += 1
            except (OSError, http.client.HTTPException):
                connection.close()
    print(f"edge control: epoch {current}, {removed} entries of older ones removed", file=sys.stderr, flush=True)
