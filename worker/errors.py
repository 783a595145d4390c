"""What can go wrong with a reading. Messages never quote a document."""

from __future__ import annotations


class ReaderError(Exception):
    """Base of every failure of a reading."""


class ReaderBusy(ReaderError):
    """The queue of readings is full; nothing was started."""


class ReaderTimeout(ReaderError):
    """The reading, waiting for its turn included, ran over its deadline."""


class ReaderFailed(ReaderError):
    """The reader raised, crashed or could not start. The message has the exception's type name only."""
