"""The edge's epoch: a number in every cache key. Another number, and nothing that was stored before is found again."""

from __future__ import annotations

import os
from pathlib import Path

from edge_config.settings import MistakesError


def current(folder: Path) -> int:
    """The number kept in ``folder`` (``OCR_EDGE_DIR``); 0 before the first :func:`begin`.

    Raises :class:`MistakesError` when what is kept there is no number: starting again from 0 would bring back what was
    purged.
    """
    try:
        text = (folder / "epoch").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return 0
    if not text.isdecimal():
        raise MistakesError(f"OCR_EDGE_DIR: {folder / 'epoch'} holds no number; empty the cache folder and remove it")
    return int(text)


def begin(folder: Path) -> int:
    """Keep and return the next number."""
    number = current(folder) + 1
    new = folder / "epoch.new"
    with new.open("w", encoding="ascii") as file:
        file.write(f"{number}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / "epoch")
    return number
