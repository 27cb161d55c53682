"""Numbers become micros exactly, and totals are divided without losing one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.attribution.amounts import (
    MAX_TOTAL_MICROS,
    apportion,
    decimal_text,
    micros_column,
)
from adx_platform.attribution.errors import AttributionError

NAMES = st.text("abcdef", min_size=1, max_size=3)
WEIGHTS = st.dictionaries(NAMES, st.fractions(0, 1000, max_denominator=10**6), min_size=1)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("3", 3_000_000),
        (" 0.1 ", 100_000),
        ("4.5", 4_500_000),
        (".25", 250_000),
        ("7.", 7_000_000),
        ("+2", 2_000_000),
        ("1e3", 1_000_000_000),
        ("1.5E-2", 15_000),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0e999", 0),
        (None, 0),
        ("", 0),
    ],
)
def test_a_number_is_read_exactly(text: str | None, micros: int) -> None:
    assert micros_column("value", [text], blank=0) == [micros]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-1", "it must be a number, 0 or more"),
        ("abc", "it must be a number"),
        ("nan", "it must be a number"),
        ("inf", "it must be a number"),
        ("1_000", "it must be a number"),
        ("1,5", "it must be a number"),
        ("1e12", "the limit is 10^12"),
        ("1e999", "the limit is 10^12"),
        ("1e9999", "it must be a number"),
        ("", "value is empty; write 0"),
        (None, "value is empty; write 0"),
    ],
)
def test_what_is_no_number_is_named_with_its_row(text: str | None, said: str) -> None:
    with pytest.raises(AttributionError) as caught:
        micros_column("value", ["1", text], blank=None)
    assert str(caught.value).startswith("row 2: value")
    assert said in str(caught.value)


def test_a_sum_that_does_not_fit_is_refused() -> None:
    largest = "999999999999"
    assert len(micros_column("value", [largest] * 4, blank=0)) == 4
    with pytest.raises(AttributionError, match="adds up to more than"):
        micros_column("value", [largest] * 5, blank=0)
    assert 4 * int(largest) * 10**6 <= MAX_TOTAL_MICROS < 5 * int(largest) * 10**6


def test_what_is_left_goes_to_the_largest_fractions_then_by_name() -> None:
    # Quotas 10/3, 10/3, 10/3: one is left.
    assert apportion(10, dict.fromkeys("cba", Fraction(1))) == {"a": 4, "b": 3, "c": 3}
    # Quotas 1.6, 3.2, 3.2.
    parts = apportion(8, {"a": Fraction(1), "b": Fraction(2), "c": Fraction(2)})
    assert parts == {"a": 2, "b": 3, "c": 3}


def test_a_negative_weight_takes_from_the_others() -> None:
    assert apportion(100, {"a": Fraction(3), "b": Fraction(-1)}) == {"a": 150, "b": -50}
    assert sum(apportion(100, {"a": Fraction(10), "b": Fraction(-3)}).values()) == 100


def test_nothing_is_divided_into_nothings() -> None:
    assert apportion(0, {"a": Fraction(0), "b": Fraction(2)}) == {"a": 0, "b": 0}


def test_a_total_that_nobody_deserves_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        apportion(5, {"a": Fraction(0)})


@given(total=st.integers(0, 2**62), weights=WEIGHTS.filter(lambda weights: any(weights.values())))
def test_parts_add_up_and_are_less_than_one_from_their_quota(
    total: int, weights: dict[str, Fraction]
) -> None:
    parts = apportion(total, weights)
    assert sum(parts.values()) == total
    whole = sum(weights.values())
    for name, weight in weights.items():
        assert abs(parts[name] - total * weight / whole) < 1


@given(total=st.integers(0, 10**9), weights=WEIGHTS.filter(lambda weights: any(weights.values())))
def test_the_order_of_weights_changes_nothing(total: int, weights: dict[str, Fraction]) -> None:
    assert apportion(total, weights) == apportion(total, dict(reversed(weights.items())))


@given(st.integers(-(10**15), 10**15))
def test_the_text_of_micros_is_their_exact_value(micros: int) -> None:
    assert Decimal(decimal_text(micros)) == Decimal(micros) / 1_000_000
    assert len(decimal_text(micros).partition(".")[2]) == 6
