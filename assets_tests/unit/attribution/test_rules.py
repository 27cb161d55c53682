"""The rules give what a person works out by hand, as exact fractions."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from adx_platform.attribution import rules
from adx_platform.attribution.paths import PATHS_SCHEMA, Paths

MICROS = 1_000_000
DAY = 24 * 3600 * MICROS


def units(credits_: rules.Credits) -> dict[str, Fraction]:
    return {channel: micros / MICROS for channel, micros in credits_.items()}


def decay(paths: Paths, *, half_life_days: float = 7, touches: float = 1) -> dict[str, float]:
    credits_ = rules.time_decay(
        paths,
        "conversions_micros",
        half_life=timedelta(days=half_life_days),
        half_life_touches=touches,
    )
    return {channel: float(share) for channel, share in units(credits_).items()}


def timed(channels: list[str], ages_days: list[float]) -> Paths:
    ages = [round(age * DAY) for age in ages_days]
    frame = pl.DataFrame([(channels, ages, MICROS, 0, 0)], schema=PATHS_SCHEMA, orient="row")
    return Paths(frame, has_value=False, has_times=True)


@pytest.mark.parametrize(
    ("rule", "a", "b", "c"),
    [
        (rules.last_touch, Fraction(2), Fraction(5), Fraction(1)),
        (rules.first_touch, Fraction(6), Fraction(2), Fraction(0)),
        # a > b > a > c gives a half and two quarters; a > b three halves each.
        (
            rules.linear,
            Fraction(1, 2) + Fraction(3, 2) + 2,
            Fraction(1, 4) + Fraction(3, 2) + 2,
            Fraction(1, 4),
        ),
        # 40 % a, 10 % b, 10 % a, 40 % c.
        (
            rules.position_based,
            Fraction(1, 2) + Fraction(3, 2) + 2,
            Fraction(1, 10) + Fraction(3, 2) + 2,
            Fraction(2, 5),
        ),
        # Of three channels each a third, though a has two touches.
        (
            rules.shared_by_channels,
            Fraction(1, 3) + Fraction(3, 2) + 2,
            Fraction(1, 3) + Fraction(3, 2) + 2,
            Fraction(1, 3),
        ),
    ],
)
def test_a_worked_example(paths_of: Any, rule: Any, a: Fraction, b: Fraction, c: Fraction) -> None:
    paths = paths_of(("a > b > a > c", 1), ("a > b", 3), ("b", 2), ("a", 2), ("d", 0, 0, 9))
    assert units(rule(paths, "conversions_micros")) == {"a": a, "b": b, "c": c, "d": 0}
    assert a + b + c == 8


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", {"a": Fraction(1)}),
        ("a > b", {"a": Fraction(1, 2), "b": Fraction(1, 2)}),
        ("a > b > c", {"a": Fraction(2, 5), "b": Fraction(1, 5), "c": Fraction(2, 5)}),
        (
            "a > b > c > d",
            {"a": Fraction(2, 5), "b": Fraction(1, 10), "c": Fraction(1, 10), "d": Fraction(2, 5)},
        ),
        ("a > b > b > b > a", {"a": Fraction(4, 5), "b": Fraction(1, 5)}),
    ],
)
def test_position_based_of_every_length(
    paths_of: Any, path: str, expected: dict[str, Fraction]
) -> None:
    assert units(rules.position_based(paths_of((path, 1)), "conversions_micros")) == expected


def test_value_follows_the_same_shares_of_its_own_path(paths_of: Any) -> None:
    paths = paths_of(("a > b", 2, 10), ("b", 1, 0.5), ("c", 1, 0))
    assert units(rules.linear(paths, "value_micros")) == {
        "a": Fraction(5),
        "b": Fraction(11, 2),
        "c": Fraction(0),
    }
    assert units(rules.last_touch(paths, "value_micros")) == {"a": 0, "b": Fraction(21, 2), "c": 0}


def test_the_linear_example_of_the_reference_package(paths_of: Any) -> None:
    # The three paths of ChannelAttribution's own introduction; its heuristic_models (2.2.5) gives
    # 2.1 and 0.9.
    paths = paths_of(("A > B > A > B > B > A", 1), ("A > B > B > A > A", 1), ("A > A", 1))
    assert units(rules.linear(paths, "conversions_micros")) == {
        "A": Fraction(21, 10),
        "B": Fraction(9, 10),
    }


def test_time_decay_halves_with_each_later_touch(paths_of: Any) -> None:
    # Weights 1/4, 1/2, 1.
    assert decay(paths_of(("a > b > c", 1))) == pytest.approx({"a": 1 / 7, "b": 2 / 7, "c": 4 / 7})
    # Half a life per touch: 1/2, 1/sqrt 2, 1.
    shares = decay(paths_of(("a > b > c", 1)), touches=2)
    assert shares["c"] / shares["a"] == pytest.approx(2)
    assert shares["c"] / shares["b"] == pytest.approx(2**0.5)


def test_time_decay_halves_with_each_half_life() -> None:
    # 14, 7 and 0 days before: weights 1/4, 1/2, 1.
    path = timed(["a", "b", "c"], [14, 7, 0])
    assert decay(path) == pytest.approx({"a": 1 / 7, "b": 2 / 7, "c": 4 / 7})
    assert decay(path, half_life_days=14)["a"] == pytest.approx(0.5 / (0.5 + 0.5**0.5 + 1))


def test_touches_at_one_time_decay_alike() -> None:
    assert decay(timed(["a", "b"], [3, 3])) == {"a": 0.5, "b": 0.5}


def test_touches_that_are_thousands_of_half_lives_old_do_not_vanish() -> None:
    path = timed(["a", "b"], [40_000, 39_999])
    assert decay(path, half_life_days=1) == pytest.approx({"a": 1 / 3, "b": 2 / 3})


def test_large_sums_are_exact(paths_of: Any) -> None:
    # More than a 64-bit product could hold, and more digits than a float has.
    paths = paths_of(("a > b > c", 999_999_999_999), ("b", "0.000001"))
    total = sum(rules.linear(paths, "conversions_micros").values())
    assert total == 999_999_999_999 * MICROS + 1
    assert decay(paths)["c"] == pytest.approx(999_999_999_999 * 4 / 7)
