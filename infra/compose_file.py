"""What a Compose file says once its variables are filled in (compose-spec: interpolation, profiles, durations)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<other>[^}]*))?\})")


class ComposeError(RuntimeError):
    """The file cannot be used as it is; the message says what it lacks."""


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """``value`` with Compose's ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` filled in, at any depth."""
    if isinstance(value, dict):
        return {key: interpolate(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        given = variables.get(match["name"])
        how = match["how"] or ""
        if given is not None and not (how.startswith(":") and given == ""):
            return given
        if how.endswith("?"):
            raise ComposeError(f"{match['name']}: {match['other']}")
        return match["other"] or ""

    return _VARIABLE.sub(fill, value)


def chosen(services: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """The services that Compose starts: those without a profile, and those of the profiles in ``COMPOSE_PROFILES``.

    What they depend on and is not among them is left out, as ``required: false`` has it.
    """
    profiles = set(variables.get("COMPOSE_PROFILES", "").split(","))
    found = {
        name: service
        for name, service in services.items()
        if not service.get("profiles") or profiles & set(service["profiles"])
    }
    for name, service in found.items():
        waits = service.get("depends_on", {})
        if absent := [other for other, how in waits.items() if other not in found and how.get("required", True)]:
            raise ComposeError(f"{name} depends on {', '.join(absent)}, which is not started")
        if waits:
            found[name] = service | {"depends_on": {other: how for other, how in waits.items() if other in found}}
    return found


def required_variables(text: str) -> set[str]:
    """The variables without which Compose refuses the file."""
    return {match["name"] for match in _VARIABLE.finditer(text) if (match["how"] or "").endswith("?")}


def seconds(duration: str) -> float:
    """A Compose duration such as ``1m30s``."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ComposeError(f"{duration!r} is no duration")
    return sum(float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
