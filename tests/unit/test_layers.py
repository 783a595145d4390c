"""Imports point one way: what is listed lower never imports what is listed higher."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the top down. A module may import its own layer (but see the test of circles) and any below.
LAYERS = (
    ("gateway.cli",),
    ("gateway.server",),
    ("gateway.gunicorn_worker",),
    ("gateway.app",),
    ("gateway.wiring",),
    ("gateway.http",),
    ("gateway.jobs",),
    ("gateway.tenancy",),
    ("gateway.service",),
    ("gateway.near", "gateway.shadow"),
    ("gateway.deletion", "gateway.sweep"),
    ("gateway.readers",),
    ("gateway.reading", "gateway.nomination"),
    ("gateway.archive",),
    ("gateway.metrics", "gateway.renderings", "gateway.signing", "gateway.singleflight"),
    ("gateway.purge", "gateway.cdn"),
    ("gateway.agreement", "gateway.rereading", "gateway.fields"),
    ("gateway.store", "gateway.matching", "gateway.image", "gateway.thumbnail", "gateway.identity", "gateway.record"),
    ("gateway.edge_log", "gateway.warming"),
    ("gateway.tenants", "gateway.units", "gateway.client"),
    ("gateway.config", "gateway.errors", "gateway.logs"),
    ("worker",),
)


def modules() -> dict[str, Path]:
    found = {}
    for package in ("gateway", "worker"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The project's own modules that ``name`` imports when it is imported."""
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    lazy = {id(node) for block in ast.walk(tree) if isinstance(block, ast.FunctionDef) for node in ast.walk(block)}
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in lazy | typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {each for each in found if each in MODULES and each != name}


def layer(name: str) -> int | None:
    for number, prefixes in enumerate(LAYERS):
        if any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes):
            return number
    return None


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"gateway"}))
def test_a_module_has_a_layer_and_imports_downwards(name):
    own = layer(name)
    assert own is not None, "a new module needs a place in LAYERS"
    for other in imports(name) - {"gateway"}:
        assert layer(other) >= own, f"{name} imports {other}, which is above it"


def test_there_are_no_circles():
    graph = {name: imports(name) for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in done:
            for other in graph[name]:
                # A package's __init__ gathers its own modules; importing one of them is no circle.
                if not name.startswith(other + "."):
                    visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_serving_never_imports_pytorch():
    for name in MODULES:
        if name.startswith("worker.training") or name == "worker.crnn":
            continue
        tree = ast.parse(MODULES[name].read_text("utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in top for alias in node.names} | {getattr(node, "module", "") for node in top}
        assert not {"torch", "worker.crnn"} & names, name
