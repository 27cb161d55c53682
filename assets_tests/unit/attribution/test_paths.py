"""A path table becomes paths, or says which row is wrong."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.paths import PATHS_SCHEMA, paths_of_table

COLUMNS = {"path": "path", "conversions": "conversions"}


def table(*rows: tuple[str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def test_channels_are_read_in_order_without_white_space(paths_of: Any) -> None:
    paths = paths_of((" a > b>a ", 2, 1.5, 3), ("b", 0, 0, 1))
    assert paths.frame.schema == PATHS_SCHEMA
    assert paths.frame.rows() == [
        (["a", "b", "a"], None, 2_000_000, 1_500_000, 3_000_000),
        (["b"], None, 0, 0, 1_000_000),
    ]
    assert paths.channels == ["a", "b"]
    assert paths.has_value
    assert not paths.has_times


def test_rows_of_one_path_add_up(paths_of: Any) -> None:
    paths = paths_of(("a>b", 1, 2, 3), ("b", 1), ("a > b", 4, 5, 6))
    assert paths.distinct().rows() == [
        (["a", "b"], 5_000_000, 7_000_000, 9_000_000),
        (["b"], 1_000_000, 0, 0),
    ]


def test_a_table_may_have_conversions_alone() -> None:
    paths = paths_of_table(table(("a", "1")), COLUMNS)
    assert paths.frame.rows() == [(["a"], None, 1_000_000, 0, 0)]
    assert not paths.has_value


@pytest.mark.parametrize("separator", ["->", " -> "])
def test_the_separator_may_be_another(separator: str) -> None:
    paths = paths_of_table(table(("a > b -> c", "1")), COLUMNS, separator=separator)
    assert paths.frame["path"].to_list() == [["a > b", "c"]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(None, "1")], "row 1: the path is empty"),
        ([("a", "1"), ("  ", "1")], "row 2: the path is empty"),
        ([("a > ", "1")], "row 1: a channel is empty in 'a > '"),
        ([(">a", "1")], "row 1: a channel is empty"),
        ([("a>>b", "1")], "a channel is empty in 'a>>b'; channels are separated by '>'"),
        ([("a", "x")], "row 1: conversions is 'x'"),
        ([("a", None)], "row 1: conversions is empty"),
        ([("a", "0")], "there are no conversions"),
        ([], "there are no conversions"),
    ],
)
def test_a_bad_row_is_named(rows: list[tuple[str | None, str | None]], said: str) -> None:
    with pytest.raises(AttributionError, match=said):
        paths_of_table(table(*rows), COLUMNS)


def test_a_value_needs_a_conversion(paths_of: Any) -> None:
    with pytest.raises(AttributionError, match="row 2: there is a value but no conversion"):
        paths_of(("a", 1, 1), ("b", 0, 5))


def test_a_separator_needs_a_character() -> None:
    with pytest.raises(AttributionError, match="the separator is empty"):
        paths_of_table(table(("a", "1")), COLUMNS, separator="  ")
