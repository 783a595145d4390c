from __future__ import annotations

import pytest

from gateway.image import ImageLimits


@pytest.fixture
def limits() -> ImageLimits:
    """The gateway's defaults."""
    return ImageLimits(max_pixels=50_000_000, max_pages=20, pdf_dpi=200)
