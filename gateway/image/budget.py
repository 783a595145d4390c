"""How much memory all threads together may decode with."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from gateway.errors import Overloaded
from gateway.image.pages import ImageLimits

# Peak memory of decoding, bytes a pixel, the result's three included; measured on pages of 49 megapixels.
# Pillow holds RGB in 4; libwebp two canvases and a copy beside that; AVIF, HEIC and PDF count their child process.
BYTES_PER_PIXEL = {"WEBP": 16, "AVIF": 16, "HEIC": 12, "PDF": 10}
OTHER_BYTES_PER_PIXEL = 8
WAIT_SECONDS = 20.0


class Budget:
    """Room that threads take in the order they asked for it. Who wants more than there is waits to be alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0
        self._waiting: deque[object] = deque()

    @contextmanager
    def reserve(self, size: int, capacity: int) -> Iterator[None]:
        """Hold ``size`` of ``capacity`` bytes. Raises ``Overloaded`` after :data:`WAIT_SECONDS` in the queue."""
        ticket = object()
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket or (self._taken and self._taken + size > capacity):
                    if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                        raise Overloaded("Too many large images are being decoded now.", retry_after=5)
                self._taken += size
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


_BUDGET = Budget()


def room_for(pixels: int, image_format: str, limits: ImageLimits) -> AbstractContextManager[None]:
    """Wait until ``pixels`` can be decoded; together no more are than one ordinary image at the pixel limit costs."""
    size = pixels * BYTES_PER_PIXEL.get(image_format, OTHER_BYTES_PER_PIXEL)
    return _BUDGET.reserve(size, limits.max_pixels * OTHER_BYTES_PER_PIXEL)
