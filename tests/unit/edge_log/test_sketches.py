"""Summaries of streams keep the bounds that they promise."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge_log.sketches import Frequent, Quantiles


@given(st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=300), st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_the_exact_one(values, share):
    sketch = Quantiles()
    for value in values:
        sketch.add(value)
    exact = sorted(values)[int(share * (len(values) - 1))]
    assert sketch.quantile(share) == pytest.approx(exact, rel=0.0101)
    assert sketch.mean == pytest.approx(sum(values) / len(values))


def test_without_values_there_is_no_quantile():
    assert (Quantiles().quantile(0.5), Quantiles().mean) == (None, None)


@given(st.lists(st.floats(), max_size=500))
def test_any_float_is_taken_and_the_buckets_stay_few(values):
    sketch = Quantiles()
    for value in [*values, float("nan"), float("inf"), -1.0]:
        sketch.add(value)
    assert 0 <= sketch.quantile(1) <= 1.02e6
    assert len(sketch._buckets) < 1500


@given(st.lists(st.integers(0, 40), max_size=400), st.integers(1, 12))
def test_frequent_items_are_counted_within_the_bound_and_none_is_lost(stream, size):
    frequent = Frequent(size)
    for item in stream:
        frequent.add(item)
    assert len(frequent) <= 2 * size
    assert frequent.error <= len(stream) / size
    exact, told = Counter(stream), dict(frequent.top(100))
    for item, count in exact.items():
        assert told.get(item, 0) <= count <= told.get(item, 0) + frequent.error


@given(st.lists(st.integers(0, 15), max_size=200))
def test_few_different_items_are_counted_exactly(stream):
    frequent = Frequent(8)
    for item in stream:
        frequent.add(item)
    assert frequent.error == 0
    assert dict(frequent.top(100)) == Counter(stream)
