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

from benchmarks.edge import RENDER, free_ports, wait_until_up

HERE = Path(__file__).resolve().parent
JS_MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"


def start_edge(folder: Path, listen: int, admin: int, origin: int, js_module: str) -> subprocess.Popen[bytes]:
    """nginx with the edge's configuration and the generic server in it."""
    environment = {
        "PATH": os.environ["PATH"],
        "OCR_EDGE_LISTEN": f"127.0.0.1:{free_ports(1)[0]}",
        "OCR_EDGE_ADMIN_LISTEN": f"127.0.0.1:{admin}",
        "OCR_EDGE_DIR": str(folder),
        "OCR_EDGE_ACCESS_LOG": str(folder / "access.log"),
        "OCR_EDGE_ERROR_LOG": str(folder / "error.log"),
    }
    configuration = folder / "conf"
    subprocess.run([sys.executable, RENDER, configuration], env=environment, check=True, stdout=subprocess.DEVNULL)
    main = configuration / "nginx.conf"
    main.write_text(f"load_module {js_module};\n{main.read_text()}")
    generic = (HERE / "generic.conf").read_text()
    for word, value in {"listen": f"127.0.0.1:{listen}", "origin": f"127.0.0.1:{origin}", "folder": folder}.items():
        generic = generic.replace(f"@{word}@", str(value))
    (configuration / "servers" / "generic.conf").write_text(generic)
    shutil.copy(HERE / "by_the_book.js", folder)
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if nginx is None:
        sys.exit("nginx is not installed")
    return subprocess.Popen([nginx, "-p", configuration, "-c", main, "-g", "daemon off;"])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="a checkout of the suite, its packages installed")
    parser.add_argument("--js-module", default=JS_MODULE, help="nginx's njs module")
    parser.add_argument("--test", default="", help="one test only, with what was sent and answered")
    parser.add_argument("--goal", type=int, default=120, help="least number of required tests passed")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="edge-conformance-"))
    folder.chmod(0o755)
    listen, admin, origin = free_ports(3)
    settings = {"base": f"http://127.0.0.1:{listen}", "id": arguments.test, "port": str(origin), "protocol": "http"}
    environment = os.environ | {f"npm_package_config_{name}": value for name, value in settings.items()}
    environment["npm_package_config_pidfile"] = str(folder / "origin.pid")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        engine = ["node", "--no-warnings", "test-engine/server/server.mjs"]
        server = subprocess.Popen(engine, cwd=arguments.suite, env=environment, stdout=subprocess.DEVNULL)
        stack.callback(stop, server)
        nginx = start_edge(folder, listen, admin, origin, arguments.js_module)
        stack.callback(stop, nginx)
        wait_until_up(f"http://127.0.0.1:{admin}/healthz", nginx)
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
