"""Whoever reads: a process beside the gateway (``local``) or workers behind a queue (``queue``, ``worker``)."""
