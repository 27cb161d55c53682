"""Weights learned from counted steps are those of the generic models on the paths themselves."""

from __future__ import annotations

from collections import Counter
from datetime import date
from fractions import Fraction
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.attribution.amounts import apportion
from adx_platform.attribution.markov import markov
from adx_platform.attribution.rules import shared_by_channels
from adx_platform.attribution.training import (
    BILLION,
    MEMBERS_SCHEMA,
    STEPS_SCHEMA,
    WEIGHTS_SCHEMA,
    trained_weights,
)

MARCH = date(2026, 3, 1)
APRIL = date(2026, 4, 1)

# (campaigns in the order of the touches, whether the path converted)
PATHS = st.lists(
    st.tuples(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), st.booleans()),
    min_size=1,
    max_size=12,
).filter(lambda paths: any(converted for _, converted in paths))


def counted(
    paths: list[tuple[list[str], bool]], advertiser: str = "adv", window: date = MARCH
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What dbt counts of these paths."""
    steps: Counter[tuple[str | None, str]] = Counter()
    conversions: Counter[tuple[str | None, str]] = Counter()
    losses: Counter[tuple[str | None, str]] = Counter()
    members = []
    for number, (path, converted) in enumerate(paths):
        pairs = list(zip([None, *path], path, strict=False))
        steps.update(pairs)
        (conversions if converted else losses).update([pairs[-1]])
        if converted:
            members += [(advertiser, window, str(number), campaign) for campaign in path]
    rows = [
        (advertiser, window, *pair, count, conversions[pair], 0, losses[pair])
        for pair, count in steps.items()
    ]
    return (
        pl.DataFrame(rows, schema=STEPS_SCHEMA, orient="row"),
        pl.DataFrame(members, schema=MEMBERS_SCHEMA, orient="row"),
    )


def weights_by_model(weights: pl.DataFrame) -> dict[str, dict[str, int]]:
    return {
        model: dict(
            weights.filter(pl.col("model") == model).select("campaign_id", "weight").iter_rows()
        )
        for model in weights["model"].unique()
    }


@given(PATHS)
def test_the_same_weights_as_the_generic_models_give(
    paths_of: Any, paths: list[tuple[list[str], bool]]
) -> None:
    generic = paths_of(
        *((" > ".join(path), int(yes), int(yes), int(not yes)) for path, yes in paths)
    )
    converting = {name for path, yes in paths if yes for name in path}

    weights = trained_weights(*counted(paths))

    assert weights.schema == WEIGHTS_SCHEMA
    learned = weights_by_model(weights)
    effects = markov(generic, "conversions_micros", order=1)
    assert learned["markov"] == apportion(BILLION, effects)
    shares = shared_by_channels(generic, "conversions_micros")
    assert learned["shapley"] == apportion(BILLION, {name: shares[name] for name in converting})
    for of_model in learned.values():
        assert sum(of_model.values()) == BILLION
        assert min(of_model.values()) >= 0


def test_a_chain_by_hand() -> None:
    # P(conversion) = 1/2. Without b nobody converts; without a, half go to b, and 2/3 of these do.
    steps, members = counted([(["a", "b"], True), (["b"], True), (["a"], False), (["b"], False)])

    learned = weights_by_model(trained_weights(steps, members))

    removed_a, removed_b = 1 - Fraction(1, 3) / Fraction(1, 2), Fraction(1)
    whole = removed_a + removed_b
    assert learned["markov"] == {
        "a": round(BILLION * removed_a / whole),
        "b": round(BILLION * removed_b / whole),
    }
    assert learned["shapley"] == {"a": BILLION // 4, "b": BILLION * 3 // 4}


def test_advertisers_and_months_are_worlds_of_their_own_and_order_means_nothing() -> None:
    parts = [
        counted([(["a"], True)], "first", MARCH),
        counted([(["b"], True), (["a"], False)], "first", APRIL),
        counted([(["a", "b"], True)], "second", MARCH),
        # Nobody converted: nothing is learned.
        counted([(["a"], False)], "third", MARCH),
    ]
    steps = pl.concat([steps for steps, _ in parts])
    members = pl.concat([members for _, members in parts])

    weights = trained_weights(steps, members)

    assert weights.rows() == [
        ("first", "markov", MARCH, "a", BILLION),
        ("first", "markov", APRIL, "a", 0),
        ("first", "markov", APRIL, "b", BILLION),
        ("first", "shapley", MARCH, "a", BILLION),
        ("first", "shapley", APRIL, "b", BILLION),
        ("second", "markov", MARCH, "a", BILLION // 2),
        ("second", "markov", MARCH, "b", BILLION // 2),
        ("second", "shapley", MARCH, "a", BILLION // 2),
        ("second", "shapley", MARCH, "b", BILLION // 2),
    ]
    assert trained_weights(steps.reverse(), members.reverse()).equals(weights)


def test_nothing_gives_nothing() -> None:
    assert trained_weights(STEPS_SCHEMA.to_frame(), MEMBERS_SCHEMA.to_frame()).is_empty()
