"""Keeps a process's resident memory flat between pages of many sizes."""

from __future__ import annotations

import ctypes
import os
import sys

# glibc's <malloc.h>.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 1 << 20


def restrain() -> None:
    """Has glibc's malloc keep less of what is freed: for a process in which many threads handle large pages.

    Blocks from 1 MiB on come from the system and go back to it when freed (by itself glibc raises that bound to
    32 MiB), and threads share two arenas instead of filling eight a core. Does nothing without glibc.
    """
    if sys.platform.startswith("linux") and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, 2)


def release() -> None:
    """Gives the memory that malloc keeps of what was freed back to the system. Does nothing without glibc."""
    if sys.platform.startswith("linux") and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def resident(pid: int | None = None) -> int:
    """Resident memory of a process (this one by default) in bytes; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid or os.getpid()}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
