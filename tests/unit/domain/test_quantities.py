from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.quantities import spelled


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234.5, "1234"),
        (99.95, "100"),
        (12.345, "12.3"),
        (2.0, "2"),
        (0.0833, "0.0833"),
        (0.00004, "0.00004"),
        (0.000012349, "0.0000123"),
        (1e20, "100000000000000000000"),
    ],
)
def test_a_number_reads_like_this(value: float, text: str) -> None:
    assert spelled(value) == text


@given(st.floats(min_value=0, max_value=1e15, allow_nan=False))
def test_a_number_has_no_exponent_and_is_near_what_it_was(value: float) -> None:
    text = spelled(value)

    assert re.fullmatch(r"\d+(\.\d+)?", text)
    assert float(text) == pytest.approx(value, rel=0.006)
