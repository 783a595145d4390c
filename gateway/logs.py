"""Where the log goes and who may speak in it."""

from __future__ import annotations

import logging

# At DEBUG these quote what they carry: object keys, whole bodies, addresses with ids.
CARRIERS = ("PIL", "boto3", "botocore", "dramatiq", "s3transfer", "urllib3")


def configure(level: str) -> None:
    """Log to standard error from ``level`` on; libraries that carry documents from WARNING on, at the least."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in CARRIERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
