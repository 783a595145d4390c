"""Serve HTTP; with the default settings everything runs in this one place."""

from __future__ import annotations

import argparse

from gateway.cli.settings import can_listen, keys_are_usable, load, store_opens

NAME = "serve"
HELP = "serve HTTP; with the defaults everything runs in one place"


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--host", help="instead of OCR_HOST")
    parser.add_argument("--port", type=int, help="instead of OCR_PORT")


def run(chosen: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    settings = load(host=chosen.host, port=chosen.port)
    if settings is None:
        return 2
    if not store_opens(settings) or not keys_are_usable(settings) or not can_listen(settings):
        return 1
    from gateway.server import run as serve

    return serve(settings)
