"""The Shapley value of both games, against its definition over all orders of joining."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.paths import Paths
from adx_platform.attribution.rules import shared_by_channels
from adx_platform.attribution.shapley import MAX_CHANNELS, shapley_of_rate

MICROS = 1_000_000
ROWS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(" > ".join),
        st.integers(1, 9),
        st.integers(0, 50),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=8,
)
COLUMNS = st.sampled_from(["conversions_micros", "value_micros"])


def inside(paths: Paths, coalition: frozenset[str], column: str) -> int:
    """The sum of a column over the paths that need nobody outside ``coalition``."""
    return sum(
        row[column] for row in paths.frame.iter_rows(named=True) if set(row["path"]) <= coalition
    )


def by_definition(
    channels: list[str], worth: Callable[[frozenset[str]], Fraction]
) -> dict[str, Fraction]:
    gained = dict.fromkeys(channels, Fraction(0))
    orders = list(permutations(channels))
    for order in orders:
        for place, channel in enumerate(order):
            before = frozenset(order[:place])
            gained[channel] += worth(before | {channel}) - worth(before)
    return {channel: total / len(orders) for channel, total in gained.items()}


def rate(paths: Paths, coalition: frozenset[str], column: str) -> Fraction:
    walked = inside(paths, coalition, "conversions_micros") + inside(
        paths, coalition, "nulls_micros"
    )
    return Fraction(inside(paths, coalition, column), walked) if walked else Fraction(0)


def test_a_published_example(paths_of: Any) -> None:
    # "Data-Driven Marketing Attribution" (Towards Data Science; recomputed in tomgorb/misc): of 100
    # conversions facebook earns 45.5, organic 20.5, linkedin 34. By hand, for facebook:
    # 20 + 17/2 + 30/2 + 6/3.
    paths = paths_of(
        ("F", 20), ("O", 10), ("L", 17), ("F > O", 17), ("L > F", 30), ("O > F > L", 6)
    )
    earned = shared_by_channels(paths, "conversions_micros")
    assert {name: micros / MICROS for name, micros in earned.items()} == {
        "F": Fraction(91, 2),
        "L": Fraction(34),
        "O": Fraction(41, 2),
    }


def test_a_rate_worked_out_by_hand(paths_of: Any) -> None:
    # v(a) = 1/4, v(b) = 1/2, v(ab) = (1 + 2 + 3) / (4 + 4 + 4) = 1/2.
    # a: (1/4 + 1/2 - 1/2) / 2 = 1/8; b: (1/2 + 1/2 - 1/4) / 2 = 3/8. As parts of 1/2: 1/4 and 3/4.
    paths = paths_of(("a", 1, 0, 3), ("b", 2, 0, 2), ("a > b", 3, 0, 1))
    assert shapley_of_rate(paths, "conversions_micros") == {
        "a": Fraction(1, 4),
        "b": Fraction(3, 4),
    }


def test_a_channel_that_spoils_a_rate_has_a_negative_part(paths_of: Any) -> None:
    # v(a) = 1, v(b) = 0, v(ab) = 1/10: b gives (0 + 1/10 - 1) / 2 = -9/20, a the rest.
    paths = paths_of(("a", 1), ("a > b", 0, 0, 9))
    assert shapley_of_rate(paths, "conversions_micros") == {
        "a": Fraction(11, 2),
        "b": Fraction(-9, 2),
    }


def test_a_small_rate_keeps_its_digits(paths_of: Any) -> None:
    paths = paths_of(("a", 1, 0, 10**9 - 1), ("b", 2, 0, 10**9 - 2), ("a > b", 3, 0, 10**9 - 3))
    parts = shapley_of_rate(paths, "conversions_micros")
    # v(a) = 1, v(b) = 2, v(ab) = 2 per 10^9: (1 + 0) / 2 and (2 + 1) / 2, of 2.
    assert float(parts["a"]) == pytest.approx(1 / 4, rel=1e-9)
    assert float(parts["b"]) == pytest.approx(3 / 4, rel=1e-9)


def test_no_value_has_no_parts(paths_of: Any) -> None:
    assert shapley_of_rate(paths_of(("a > b", 1)), "value_micros") == {"a": 0, "b": 0}


def test_the_limit_of_channels(paths_of: Any) -> None:
    names = [f"c{number:02}" for number in range(MAX_CHANNELS + 1)]
    at_limit = paths_of(*((name, 1, 0, 1) for name in names[:-1]))
    assert set(shapley_of_rate(at_limit, "conversions_micros").values()) == {
        Fraction(1, MAX_CHANNELS)
    }
    beyond = paths_of(*((name, 1) for name in names))
    with pytest.raises(AttributionError, match=r"21 channels .* merge rare channels"):
        shapley_of_rate(beyond, "conversions_micros")
    assert len(shared_by_channels(beyond, "conversions_micros")) == MAX_CHANNELS + 1


@given(rows=ROWS, column=COLUMNS)
def test_the_closed_form_is_the_definition(
    paths_of: Any, rows: list[tuple[str, int, int, int]], column: str
) -> None:
    paths = paths_of(*rows)
    expected = by_definition(paths.channels, lambda group: Fraction(inside(paths, group, column)))
    assert shared_by_channels(paths, column) == expected


@given(rows=ROWS, column=COLUMNS)
def test_the_rate_is_the_definition_and_efficient(
    paths_of: Any, rows: list[tuple[str, int, int, int]], column: str
) -> None:
    paths = paths_of(*rows)
    whole = rate(paths, frozenset(paths.channels), column)
    expected = by_definition(paths.channels, lambda group: rate(paths, group, column))
    parts = shapley_of_rate(paths, column)
    for channel, part in parts.items():
        assert float(part * whole) == pytest.approx(float(expected[channel]), abs=1e-9)
    assert float(sum(parts.values())) == pytest.approx(1 if whole else 0, abs=1e-9)


@given(rows=ROWS)
@pytest.mark.parametrize("value", [shared_by_channels, shapley_of_rate])
def test_twins_earn_the_same(
    paths_of: Any, rows: list[tuple[str, int, int, int]], value: Any
) -> None:
    # Every path is there again with a and b exchanged, so that nothing tells the two apart.
    exchange = str.maketrans("ab", "ba")
    mirrored = [(path.translate(exchange), *counts) for path, *counts in rows]
    parts = value(paths_of(*rows, *mirrored, ("a > b", 1)), "conversions_micros")
    assert float(parts["a"]) == pytest.approx(float(parts["b"]), abs=1e-9)


@given(rows=ROWS)
def test_who_adds_nothing_to_any_coalition_earns_nothing(
    paths_of: Any, rows: list[tuple[str, int, int, int]]
) -> None:
    # A channel whose paths never converted adds no conversion to any coalition.
    paths = paths_of(*rows, ("dummy", 0, 0, 3), ("a > dummy", 0, 0, 2))
    assert shared_by_channels(paths, "conversions_micros")["dummy"] == 0
    # It adds nothing to a rate either if everybody's rate is one and it walked no path.
    unused = paths_of(*rows, ("dummy", 0))
    assert float(shapley_of_rate(unused, "conversions_micros")["dummy"]) == pytest.approx(0)
