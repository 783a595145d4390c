"""Where things are on this machine instead of in the containers: ports and folders."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parent


def free_ports(count: int) -> list[int]:
    """``count`` different loopback ports that nothing listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class Places:
    """What a service's addresses and folders are replaced by. ``folder``: where its data are."""

    folder: Path
    ports: dict[str, int]  # "edge:8080" -> a loopback port

    def localise(self, text: str, service: str, mounts: Mapping[str, str]) -> str:
        """``text`` of ``service`` with its addresses and mounted folders replaced."""
        for address, port in self.ports.items():
            name, _, inner = address.partition(":")
            spellings = [address] + ([f"0.0.0.0:{inner}", f"127.0.0.1:{inner}"] if name == service else [])
            for spelling in spellings:
                text = re.sub(rf"(?<![\w.-]){re.escape(spelling)}(?!\d)", f"127.0.0.1:{port}", text)
        for inside, outside in mounts.items():
            text = re.sub(rf"(?<![\w./-]){re.escape(inside)}(?![\w.-])", outside, text)
        return text

    def mounts(self, service: Mapping[str, Any]) -> dict[str, str]:
        """Container path to path here, for the volumes and files that ``service`` mounts."""
        found = {}
        for volume in service.get("volumes", ()):
            source, inside, *_ = volume.split(":")
            outside = INFRA / source if source.startswith(".") else self.folder / source
            if not source.startswith("."):
                outside.mkdir(parents=True, exist_ok=True)
            found[inside] = str(outside.resolve())
        return found
