"""Where the text detector's weights are. Imports nothing, so that a web process may ask."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "rapidocr"
FILE = "models/PP-OCRv6_det_small.onnx"


def weights_path() -> Path:
    """The weights file inside the installed package, which is not imported for it.

    Raises ``FileNotFoundError`` when the package is missing or carries other models.
    """
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(f"the package {PACKAGE}, which carries the text detector, is not installed")
    path = Path(package.submodule_search_locations[0], FILE)
    if not path.is_file():
        raise FileNotFoundError(f"the installed {PACKAGE} has no {FILE}")
    return path
