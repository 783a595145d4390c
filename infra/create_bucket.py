"""Create the bucket that the OCR_S3_* settings name, with a rule that removes what has expired. Safe to repeat."""

from __future__ import annotations

import sys
import time

from gateway.config import load_settings
from gateway.store.base import StoreError
from gateway.store.s3_service import connect, ensure_bucket

# A server that has just started may answer for a while without knowing a bucket that it has just made.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.5


def main() -> int:
    """The exit status: 1 when it could not be created."""
    settings = load_settings()
    if settings.s3_bucket is None:
        print("OCR_S3_BUCKET is not set", file=sys.stderr)
        return 2
    client = connect(settings)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            ensure_bucket(client, settings.s3_bucket, settings.s3_prefix, region=settings.s3_region)
        except StoreError as error:
            if time.monotonic() > deadline:
                print(error, file=sys.stderr)
                return 1
            time.sleep(PAUSE_SECONDS)
        else:
            print(f"bucket {settings.s3_bucket} is there")
            return 0


if __name__ == "__main__":
    sys.exit(main())
