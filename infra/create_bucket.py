"""Create the bucket that the OCR_S3_* settings name, with a rule that removes what has expired. Safe to repeat."""

from __future__ import annotations

import sys

from gateway.config import load_settings
from gateway.store.base import StoreError
from gateway.store.s3 import connect, ensure_bucket


def main() -> int:
    """The exit status: 1 when it could not be created."""
    settings = load_settings()
    if settings.s3_bucket is None:
        print("OCR_S3_BUCKET is not set", file=sys.stderr)
        return 2
    try:
        ensure_bucket(connect(settings), settings.s3_bucket, settings.s3_prefix, region=settings.s3_region)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"bucket {settings.s3_bucket} is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
