"""The envelope that carries a value's expiry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.envelope import HEADER_BYTES, unwrap, wrap


@given(value=st.binary(max_size=100), expires_at=st.integers(0, 2**64 - 1))
def test_what_was_wrapped_is_unwrapped(value: bytes, expires_at: int) -> None:
    assert unwrap(wrap(value, expires_at)) == (value, expires_at)


def test_the_format_is_frozen() -> None:
    assert wrap(b"value", 1_800_000_000) == b"OCR\x01\x00\x00\x00\x00\x6b\x49\xd2\x00value"


@given(blob=st.binary(max_size=2 * HEADER_BYTES).filter(lambda blob: not blob.startswith(b"OCR\x01")))
def test_what_was_not_wrapped_is_not_there(blob: bytes) -> None:
    assert unwrap(blob) is None


@given(kept=st.integers(0, HEADER_BYTES - 1))
def test_a_truncated_envelope_is_not_there(kept: int) -> None:
    assert unwrap(wrap(b"value", 1_800_000_000)[:kept]) is None


@given(value=st.binary(max_size=20), first=st.integers(0, 2**40), second=st.integers(0, 2**40))
def test_equal_values_of_different_expiry_are_different_bytes(value: bytes, first: int, second: int) -> None:
    assert (wrap(value, first) == wrap(value, second)) == (first == second)
