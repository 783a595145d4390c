#!/usr/bin/env python3
"""The public conformance suite for HTTP caches (github.com/http-tests/cache-tests) against the edge's nginx.

    git clone https://github.com/http-tests/cache-tests && npm --prefix cache-tests install
    python -m benchmarks.conformance.run cache-tests

The rendered edge gets one more server (``generic.conf``) that caches any address of the suite's origin. Needs node, and
nginx with njs (Debian: libnginx-mod-http-js) and the purge module. Prints how many tests of each kind were passed, and
every required one that was not; exit status 1 under ``--goal``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from infra.places import free_ports
from tests.edge import running_edge

HERE = Path(__file__).resolve().parent
JS_MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"


def add_generic(conf: Path, listen: int, origin: int) -> None:
    """Add the server that caches anything, on ``listen``, to the edge's configuration."""
    generic = (HERE / "generic.conf").read_text()
    words = {"listen": f"127.0.0.1:{listen}", "origin": f"127.0.0.1:{origin}", "folder": conf.parent}
    for word, value in words.items():
        generic = generic.replace(f"@{word}@", str(value))
    (conf / "servers" / "generic.conf").write_text(generic)
    shutil.copy(HERE / "by_the_book.js", conf.parent)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="a checkout of the suite, its packages installed")
    parser.add_argument("--js-module", default=JS_MODULE, help="nginx's njs module")
    parser.add_argument("--test", default="", help="one test only, with what was sent and answered")
    parser.add_argument("--goal", type=int, default=120, help="least number of required tests passed")
    arguments = parser.parse_args()
    listen, origin = free_ports(2)
    settings = {"base": f"http://127.0.0.1:{listen}", "id": arguments.test, "port": str(origin), "protocol": "http"}
    environment = os.environ | {f"npm_package_config_{name}": value for name, value in settings.items()}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-conformance-")))
        environment["npm_package_config_pidfile"] = str(folder / "origin.pid")
        engine = ["node", "--no-warnings", "test-engine/server/server.mjs"]
        server = subprocess.Popen(engine, cwd=arguments.suite, env=environment, stdout=subprocess.DEVNULL)
        stack.callback(stop, server)
        generic = functools.partial(add_generic, listen=listen, origin=origin)
        # The setting loads njs, which the generic server needs.
        modules = {"OCR_EDGE_AGE": "on", "OCR_EDGE_JS_MODULE": arguments.js_module}
        stack.enter_context(running_edge(f"127.0.0.1:{origin}", adapt=generic, **modules))
        wait_for_origin(origin)
        client = ["node", "--no-warnings", "test-engine/cli.mjs"]
        run = subprocess.run(client, cwd=arguments.suite, env=environment, capture_output=True, text=True, timeout=600)
        if run.returncode or arguments.test:
            print(run.stdout + run.stderr)
            return run.returncode
        results = folder / "results.json"
        results.write_text(run.stdout)
        told = subprocess.run(
            ["node", HERE / "summary.mjs", arguments.suite, results], check=True, capture_output=True, text=True
        )
    return report(json.loads(told.stdout), arguments.goal)


def report(verdicts: list[dict[str, str]], goal: int) -> int:
    """Print the verdicts; the exit status."""
    counts = collections.Counter((each["kind"], each["verdict"]) for each in verdicts)
    for kind in ("required", "optimal", "check"):
        of_kind = {verdict: count for (found, verdict), count in counts.items() if found == kind}
        print(f"{kind}: {of_kind} of {sum(of_kind.values())}")
    for each in verdicts:
        if each["kind"] == "required" and each["verdict"] != "pass":
            print(f"{each['verdict']:>15} {each['group']}/{each['id']}: {each['said']}")
    return 0 if counts["required", "pass"] >= goal else 1


def wait_for_origin(port: int) -> None:
    """Return when the suite's server answers."""
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the suite's server did not start")


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and wait."""
    process.send_signal(signal.SIGTERM)
    process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
