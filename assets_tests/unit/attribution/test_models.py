"""What holds for every model: exact sums, and that names and the order of rows say nothing."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.attribution.models import (
    CREDITS_SCHEMA,
    Model,
    ModelOptions,
    Worth,
    attribute,
    weights_of,
)

COUNTS = st.one_of(st.integers(0, 20), st.decimals("0.000001", "3", places=6))
ROWS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcde"), min_size=1, max_size=6).map(" > ".join),
        st.one_of(st.integers(1, 20), st.decimals("0.000001", "3", places=6)),
        st.decimals("0", "999", places=6),
        COUNTS,
    ),
    min_size=1,
    max_size=10,
)
OPTIONS = st.builds(
    ModelOptions,
    order=st.integers(1, 3),
    worth=st.sampled_from(Worth),
    half_life_touches=st.floats(0.05, 20),
)
Rows = list[tuple[Any, ...]]


def test_credit_of_a_small_table(paths_of: Any) -> None:
    paths = paths_of(("C1 > C2 > C3", 1, 10.05), ("C1", 0, 0, 1), ("C2 > C3", 0, 0, 1))
    earned = attribute(paths, [Model.LINEAR, Model.MARKOV])
    assert earned.schema == CREDITS_SCHEMA
    assert earned.rows() == [
        ("linear", "C1", 333_334, 3_350_000),
        ("linear", "C2", 333_333, 3_350_000),
        ("linear", "C3", 333_333, 3_350_000),
        ("markov", "C2", 400_000, 4_020_000),
        ("markov", "C3", 400_000, 4_020_000),
        ("markov", "C1", 200_000, 2_010_000),
    ]


def test_all_models_each_once_in_the_order_asked_for(paths_of: Any) -> None:
    paths = paths_of(("a > b", 1))
    assert attribute(paths)["model"].unique(maintain_order=True).to_list() == list(Model)
    asked = [Model.SHAPLEY, Model.LINEAR, Model.SHAPLEY]
    assert attribute(paths, asked)["model"].to_list() == ["shapley"] * 2 + ["linear"] * 2


def test_the_worth_of_a_coalition_can_be_chosen(paths_of: Any) -> None:
    paths = paths_of(("a", 1, 0, 3), ("b", 2, 0, 2), ("a > b", 3, 0, 1))
    by_rate = attribute(paths, [Model.SHAPLEY], ModelOptions(worth=Worth.RATE))
    by_count = attribute(paths, [Model.SHAPLEY])
    assert by_rate["conversions_micros"].to_list() == [4_500_000, 1_500_000]
    assert by_count["conversions_micros"].to_list() == [3_500_000, 2_500_000]


@given(rows=ROWS, options=OPTIONS)
def test_credits_add_up_to_exactly_the_total(
    paths_of: Any, rows: Rows, options: ModelOptions
) -> None:
    paths = paths_of(*rows)
    earned = attribute(paths, options=options)
    sums = earned.group_by("model").agg(pl.col("conversions_micros", "value_micros").sum())
    assert sums.height == len(Model)
    assert set(sums["conversions_micros"]) == {paths.total("conversions_micros")}
    assert set(sums["value_micros"]) == {paths.total("value_micros")}
    assert earned.select("model", "channel").n_unique() == len(Model) * len(paths.channels)


@given(rows=ROWS, options=OPTIONS, seed=st.integers(0, 99))
def test_the_order_of_rows_says_nothing(
    paths_of: Any, rows: Rows, options: ModelOptions, seed: int
) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert attribute(paths_of(*rows), options=options).equals(
        attribute(paths_of(*shuffled), options=options)
    )


@given(rows=ROWS, options=OPTIONS, names=st.permutations("abcde"))
@pytest.mark.parametrize("model", list(Model))
def test_the_names_of_channels_say_nothing(
    paths_of: Any, model: Model, rows: Rows, options: ModelOptions, names: list[str]
) -> None:
    new_name = dict(zip("abcde", names, strict=True))
    table = str.maketrans(new_name)
    renamed = paths_of(*((path.translate(table), *counts) for path, *counts in rows))
    for column in ("conversions_micros", "value_micros"):
        before = weights_of(paths_of(*rows), model, column, options)
        after = weights_of(renamed, model, column, options)
        assert {new_name[channel] for channel in before} == set(after)
        for channel, weight in before.items():
            assert float(after[new_name[channel]]) == pytest.approx(float(weight), abs=1e-9)


@given(rows=ROWS, options=OPTIONS)
def test_paths_of_one_channel_leave_nothing_to_argue_about(
    paths_of: Any, rows: Rows, options: ModelOptions
) -> None:
    alone = paths_of(*((f"{path[0]} > {path[0]}", *counts[:2], 0) for path, *counts in rows))
    same = [model for model in Model if model not in {Model.MARKOV, Model.SHAPLEY}]
    earned = attribute(alone, [*same, Model.SHAPLEY])
    per_model = earned.sort("channel").partition_by("model", include_key=False)
    assert all(one.equals(per_model[0]) for one in per_model)
