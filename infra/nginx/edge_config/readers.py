"""What a setting's text may be: readers that return its value, or raise ValueError saying what it must be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_WILDCARD_NAME = re.compile(r"(?:\*\.)?(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_SIZE = re.compile(r"[1-9][0-9]{0,8}[kmg]")
_PATH = re.compile(r"/[A-Za-z0-9._/+@-]*")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\*")


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 3600:
        raise ValueError("must be a number of seconds above 0, up to 3600")
    return value


def matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {what}")
        return text

    return parse


def path(text: str) -> str:
    absolute = text if text.startswith("/") else str(Path.cwd() / text)
    if not _PATH.fullmatch(absolute):
        raise ValueError("must be a path of plain characters: nginx would read others as syntax")
    return absolute


def path_or(word: str) -> Callable[[str], str]:
    return lambda text: text if text == word else path(text)


def address(text: str) -> str:
    """``host:port``, ``[IPv6]:port``."""
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} must be host:port")
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError(f"{text!r} must be host:port") from None
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{text!r} must be host:port")
    return text


def network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(f"{text!r} must be an address or a network such as 10.0.0.0/24") from None


def listed(parse: Callable[[str], str], at_least: int = 0) -> Callable[[str], tuple[str, ...]]:
    def parse_list(text: str) -> tuple[str, ...]:
        values = tuple(parse(part.strip()) for part in text.split(",") if part.strip())
        if len(values) < at_least:
            raise ValueError("must not be empty")
        return values

    return parse_list


host_name = matching(_HOST_NAME, "a host name")
server_name = matching(_WILDCARD_NAME, "host names, such as ocr.example.org or *.example.org")
switch = matching(re.compile(r"off|on"), "on or off")
size = matching(_SIZE, "a size such as 64m or 10g")
origin = matching(_ORIGIN, "origins such as https://erp.example.org, or *")
