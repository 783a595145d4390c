"""Page ranges as clients write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, BrokenImage
from gateway.image import ImageLimits, PageRange
from gateway.image.pages import select_pages


@pytest.mark.parametrize(("text", "first", "last"), [("2", 2, 2), ("1-3", 1, 3), ("7-7", 7, 7)])
def test_a_page_or_a_range(text: str, first: int, last: int) -> None:
    assert PageRange.parse(text) == PageRange(first, last)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1-", "-", "3-1", "1,3", "1-3,5", "1 - 3", " 1", "1\n", "01", "+1", "1.0", "all", "١", "9" * 30],
)
def test_anything_else_is_a_bad_request_that_names_the_parameter(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^`pages`"):
        PageRange.parse(text)


@given(st.integers(1, 10**6), st.integers(0, 10**3))
def test_the_canonical_form_parses_to_the_same_range(first: int, more: int) -> None:
    pages = PageRange(first, first + more)
    assert PageRange.parse(str(pages)) == pages
    assert len(pages) == more + 1


def test_a_range_of_one_page_is_written_as_that_page() -> None:
    assert str(PageRange.parse("4-4")) == "4"


def test_a_document_without_pages_is_broken() -> None:
    with pytest.raises(BrokenImage):
        select_pages(0, ImageLimits(1, 1, 200), None)
