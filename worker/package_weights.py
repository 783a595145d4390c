"""Where the weights are that an installed package carries. Imports nothing, so that a web process may ask."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "rapidocr"
DETECTOR = "models/PP-OCRv6_det_small.onnx"
SECOND_READER = "models/PP-OCRv6_rec_small.onnx"


def weights_path(file: str) -> Path:
    """A weights file inside the installed package, which is not imported for it.

    Raises ``FileNotFoundError`` when the package is missing or carries other models.
    """
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError(f"the package {PACKAGE}, which carries the weights, is not installed")
    path = Path(package.submodule_search_locations[0], file)
    if not path.is_file():
        raise FileNotFoundError(f"the installed {PACKAGE} has no {file}")
    return path
