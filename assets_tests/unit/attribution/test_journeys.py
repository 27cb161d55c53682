"""Touches and conversions become the paths that a person would draw."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.journeys import (
    Windows,
    conversions_of_table,
    paths_of_journeys,
    touches_of_table,
)
from adx_platform.attribution.paths import PATHS_SCHEMA, Paths

HOUR = 3_600_000_000
TOUCHES = {name: name for name in ("user_id", "channel", "touch_time", "touch_type")}
CONVERSIONS = {name: name for name in ("user_id", "conversion_time", "value")}
Rows = list[tuple[Any, ...]]


def frame(rows: Rows, columns: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def touches_of(rows: Rows) -> pl.DataFrame:
    whole = [(user, channel, time, *(kind or ["click"])) for user, channel, time, *kind in rows]
    return touches_of_table(frame(whole, TOUCHES), TOUCHES)


def conversions_of(rows: Rows) -> pl.DataFrame:
    whole = [(user, time, *(value or ["1"])) for user, time, *value in rows]
    return conversions_of_table(frame(whole, CONVERSIONS), CONVERSIONS)


def paths(touches: Rows, conversions: Rows, **windows: timedelta) -> Paths:
    return paths_of_journeys(
        touches_of(touches), conversions_of(conversions), Windows(**windows), has_value=True
    )


def drawn(found: Paths) -> list[tuple[str, int, int]]:
    """Paths as text with their conversions and non-conversions."""
    return sorted(
        (" > ".join(row["path"]), row["conversions_micros"], row["nulls_micros"])
        for row in found.frame.iter_rows(named=True)
    )


def test_a_conversion_looks_back_in_the_order_of_time() -> None:
    found = paths(
        [
            ("u", "search", "2026-03-02T10:00:00Z"),
            ("u", "display", "2026-03-01T10:00:00Z"),
            ("v", "mail", "2026-03-02T09:00:00Z"),
        ],
        [("u", "2026-03-02T12:00:00+01:00", "4.5")],
    )
    assert found.frame.schema == PATHS_SCHEMA
    assert found.frame.rows() == [
        (["display", "search"], [25 * HOUR, 1 * HOUR], 1_000_000, 4_500_000, 0),
        (["mail"], None, 0, 0, 1_000_000),
    ]
    assert found.has_times


@pytest.mark.parametrize(
    ("touched", "is_inside"),
    [
        ("2026-03-01T10:00:00Z", True),
        ("2026-03-01T09:59:59.999999Z", False),
        ("2026-03-02T10:00:00Z", True),
        ("2026-03-02T10:00:00.000001Z", False),
    ],
)
def test_both_edges_of_a_window_are_inside(touched: str, is_inside: bool) -> None:
    found = paths(
        [("u", "edge", touched), ("u", "sure", "2026-03-02T09:00:00Z")],
        [("u", "2026-03-02T10:00:00Z")],
        lookback=timedelta(days=1),
    )
    converted = [channels for channels, conversions, _ in drawn(found) if conversions]
    assert ("edge" in converted[0]) is is_inside
    assert [nulls for channels, _, nulls in drawn(found) if channels == "edge"] == (
        [] if is_inside else [1_000_000]
    )


def test_views_may_have_a_window_of_their_own() -> None:
    touches = [
        ("u", "seen", "2026-03-01T10:00:00Z", "VIEW"),
        ("u", "clicked", "2026-03-01T10:00:00Z", "click"),
        ("u", "seen lately", "2026-03-02T09:00:00Z", "view"),
    ]
    conversions = [("u", "2026-03-02T10:00:00Z")]
    together = paths(touches, conversions, lookback=timedelta(days=2))
    assert drawn(together) == [("seen > clicked > seen lately", 1_000_000, 0)]
    apart = paths(
        touches, conversions, lookback=timedelta(days=2), view_lookback=timedelta(hours=1)
    )
    assert drawn(apart) == [("clicked > seen lately", 1_000_000, 0), ("seen", 0, 1_000_000)]


def test_touches_of_one_time_keep_the_order_of_the_table() -> None:
    time = "2026-03-01T10:00:00Z"
    rows = [("u", name, time) for name in ("c", "a", "b")]
    assert drawn(paths(rows, [("u", time)])) == [("c > a > b", 1_000_000, 0)]


def test_conversions_do_not_take_touches_from_each_other() -> None:
    found = paths(
        [("u", "a", "2026-03-01"), ("u", "b", "2026-03-03"), ("u", "c", "2026-03-05")],
        [("u", "2026-03-02"), ("u", "2026-03-04"), ("u", "2026-03-04")],
    )
    assert drawn(found) == [
        ("a", 1_000_000, 0),
        ("a > b", 1_000_000, 0),
        ("a > b", 1_000_000, 0),
        ("c", 0, 1_000_000),
    ]


def test_a_pause_longer_than_the_window_begins_another_path_to_nothing() -> None:
    found = paths(
        [
            ("v", "a", "2026-03-01T00:00:00"),
            ("v", "b", "2026-03-02T00:00:00"),
            ("v", "c", "2026-03-03T00:00:01"),
            ("w", "d", "2026-03-03T00:00:00"),
            ("u", "e", "2026-03-03T00:00:00"),
        ],
        [("u", "2026-03-03T00:00:00")],
        lookback=timedelta(days=1),
    )
    assert drawn(found) == [
        ("a > b", 0, 1_000_000),
        ("c", 0, 1_000_000),
        ("d", 0, 1_000_000),
        ("e", 1_000_000, 0),
    ]


def test_conversions_without_a_touch_are_counted_apart() -> None:
    found = paths(
        [("u", "a", "2026-03-01")],
        [("u", "2026-03-02", "5"), ("u", "2026-02-01", "7"), ("x", "2026-03-02", "0.25")],
    )
    assert found.total("conversions_micros") == 1_000_000
    assert found.unattributed_micros == 2_000_000
    assert found.unattributed_value_micros == 7_250_000


def test_if_no_conversion_has_a_touch_the_tables_do_not_fit() -> None:
    with pytest.raises(AttributionError, match="none of 2 conversions has a touch"):
        paths([("u", "a", "2026-03-01")], [("x", "2026-03-02"), ("y", "2026-03-02")])
    with pytest.raises(AttributionError, match="none of 1 conversions has a touch"):
        paths([], [("x", "2026-03-02")])
    with pytest.raises(AttributionError, match="there are no conversions"):
        paths([("u", "a", "2026-03-01")], [])


def test_a_table_of_touches_may_have_no_types() -> None:
    columns = {name: name for name in ("user_id", "channel", "touch_time")}
    rows = [(" u ", " a ", "2026-03-01T10:00:00.000001+00:00")]
    assert touches_of_table(frame(rows, columns), columns).rows() == [
        (0, "u", "a", 1_772_359_200_000_001, False)
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("", "a", "2026-03-01"), "row 1: user_id is empty"),
        (("u", None, "2026-03-01"), "row 1: channel is empty"),
        (("u", "a", "yesterday"), "row 1: touch_time is 'yesterday'; write times as"),
        (("u", "a", "2026-03-01", "hover"), "row 1: touch_type is 'hover'; it is click or view"),
        (("u", "a", "2026-03-01", ""), "row 1: touch_type is empty"),
    ],
)
def test_a_bad_touch_is_named(row: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AttributionError, match=said):
        touches_of([row])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((None, "2026-03-01"), "row 1: user_id is empty"),
        (("u", "2026-13-01"), "row 1: conversion_time is '2026-13-01'"),
        (("u", "2026-03-01", "-3"), "row 1: value is '-3'"),
    ],
)
def test_a_bad_conversion_is_named(row: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AttributionError, match=said):
        conversions_of([row])
