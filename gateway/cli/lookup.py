"""Ask a gateway, or the edge in front of it, for files by their fingerprints: the files stay here.

With --upload those that are unknown are sent and read. The exit status is 0 when every file has a result, 3 when some
are unknown, 1 when some could not be asked for. OCR_CLIENT_API_KEY gives the key of a gateway that wants one: what
stands on a command line can be seen by others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import reading
from gateway.units import size

if TYPE_CHECKING:
    from gateway.client import Answer, Client

NAME = "lookup"
HELP = "ask a gateway for files by their fingerprints; upload only what is unknown, and only with --upload"

UNKNOWN_STATUS = 3
_AT_ONCE = 4


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the edge or the gateway (default: %(default)s)")
    parser.add_argument("--upload", action="store_true", help="send the files that are unknown, to be read")
    parser.add_argument("--job", action="store_true", help="have uploads read as jobs, for documents of many pages")
    reading.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a file instead of its text")
    parser.add_argument("--id", action="store_true", help="print the files' result ids alone and ask nobody")


def run(chosen: argparse.Namespace) -> int:
    """Print what is known of each file, in the order given; a summary goes to standard error."""
    from gateway.client import Client, fingerprint

    # An empty variable is one that is not set, as compose passes it on.
    lookup_key = os.environ.get("OCR_CLIENT_LOOKUP_KEY") or None
    api_key = os.environ.get("OCR_CLIENT_API_KEY") or None
    try:
        fingerprint(b"", **_options(chosen), lookup_key=lookup_key)
    except ValueError as error:
        print(f"--pages or OCR_CLIENT_LOOKUP_KEY: {error}", file=sys.stderr)
        return 2
    if chosen.id:
        if api_key and not lookup_key:
            print("--id asks nobody, so it needs OCR_CLIENT_LOOKUP_KEY: a tenant's ids depend on it.", file=sys.stderr)
            return 2
        return _print_ids(chosen, lookup_key)
    try:
        client = Client(chosen.url, api_key=api_key, lookup_key=lookup_key)
    except ValueError as error:
        print(f"--url: {error}", file=sys.stderr)
        return 2
    with client, ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lookup") as pool:
        asked = [(file, pool.submit(_ask, client, file, chosen)) for file in chosen.files]
        known = unknown = failed = uploaded = saved = 0
        for file, asking in asked:
            answer = asking.result()
            if isinstance(answer, str):
                print(f"{file}: {answer}", file=sys.stderr)
                failed += 1
                continue
            if answer is None:
                unknown += 1
            else:
                known += not answer.uploaded
                uploaded += answer.uploaded
                saved += answer.bytes_saved
            _print(file, answer, chosen)
    print(
        f"{known} known, {uploaded} uploaded, {unknown} unknown, {failed} failed; {size(saved)} not uploaded",
        file=sys.stderr,
    )
    return 1 if failed else UNKNOWN_STATUS if unknown else 0


def _options(chosen: argparse.Namespace) -> dict[str, str]:
    return {name: getattr(chosen, name) for name in ("layout", "pages", "charset", "lexicon", "pattern")}


def _ask(client: Client, file: Path, chosen: argparse.Namespace) -> Answer | str | None:
    """The answer, ``None`` for an unknown file, or why there is none."""
    from gateway.client import ClientError

    try:
        if chosen.upload:
            return client.recognise(file, **_options(chosen), job=chosen.job)
        return client.look_up(file, **_options(chosen))
    except ClientError as error:
        return str(error)
    except OSError as error:
        return error.strerror or type(error).__name__


def _print(file: Path, answer: Answer | None, chosen: argparse.Namespace) -> None:
    if chosen.json:
        facts = {"file": str(file), "known": answer is not None and not answer.uploaded}
        if answer is not None:
            facts |= {"uploaded": answer.uploaded, "cache": answer.word, "bytes_saved": answer.bytes_saved}
            facts |= {"seconds": round(answer.seconds, 4), "result": answer.result}
        print(json.dumps(facts, ensure_ascii=False), flush=True)
        return
    if len(chosen.files) > 1:
        state = "unknown" if answer is None else f"{answer.word}, uploaded" if answer.uploaded else answer.word
        print(f"== {file} ({state})")
    elif answer is None:
        print(f"{file}: unknown", file=sys.stderr)
    if answer is not None:
        print(answer.result["text"], flush=True)


def _print_ids(chosen: argparse.Namespace, lookup_key: str | None) -> int:
    from gateway.client import fingerprint

    failed = 0
    for file in chosen.files:
        try:
            own = fingerprint(file, **_options(chosen), lookup_key=lookup_key)
        except OSError as error:
            print(f"{file}: {error.strerror or type(error).__name__}", file=sys.stderr)
            failed += 1
            continue
        print(f"{own.id}  {file}")
    return 1 if failed else 0
