"""A caching OCR gateway: the text of an image, from a cache when the document is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.app import create_app

__version__ = "0.1.0"
__all__ = ["create_app"]


def __getattr__(name: str) -> object:
    # Lazily, so that the command line and the workers start without the web framework.
    if name == "create_app":
        from gateway.app import create_app

        return create_app
    raise AttributeError(name)
