"""The files of nginx's cache (``http/cache.conf``): found by their keys, told apart by their epochs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

_KEY = re.compile(rb"\nKEY: ([0-9a-z]+\.[0-9]+)/([0-9a-f/a-z.-]+)\n")


def remove(cache: Path, key: str) -> bool:
    """Remove the entry with that key; whether it was there.

    nginx stays right without it: a file that is not there is an entry that is not there, and is fetched anew.
    """
    # nginx's name for it, with levels=1:2.
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    try:
        (cache / digest[-1] / digest[-3:-1] / digest).unlink()
    except FileNotFoundError:
        return False
    return True


def entries(cache: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Epoch and entry of every file in ``cache`` whose epoch is ``wanted``."""
    for folder, _, names in os.walk(cache):
        for name in names:
            with contextlib.suppress(OSError):
                with open(os.path.join(folder, name), "rb") as file:
                    found = _KEY.search(file.read(1024))
                if found and wanted(found[1].decode()):
                    yield found[1].decode(), found[2].decode()
