"""A table is told by its columns."""

from __future__ import annotations

import pytest

from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.tables import Layout, TableKind, layout_of


@pytest.mark.parametrize(
    ("header", "layout"),
    [
        (
            ["path", "conversions"],
            Layout(TableKind.PATHS, {"path": "path", "conversions": "conversions"}),
        ),
        # The names that the R package ChannelAttribution uses.
        (
            ["path", "total_conversions", "total_conversion_value", "total_null"],
            Layout(
                TableKind.PATHS,
                {
                    "path": "path",
                    "conversions": "total_conversions",
                    "value": "total_conversion_value",
                    "nulls": "total_null",
                },
            ),
        ),
        (
            ["Path ", "Total Conversions", "cost", "NULL"],
            Layout(
                TableKind.PATHS,
                {"path": "Path ", "conversions": "Total Conversions", "nulls": "NULL"},
            ),
        ),
        (
            ["channel", "user_id", "touched-at", "touch_type"],
            Layout(
                TableKind.TOUCHES,
                {
                    "user_id": "user_id",
                    "channel": "channel",
                    "touch_time": "touched-at",
                    "touch_type": "touch_type",
                },
            ),
        ),
        (
            ["user_id", "conversion_time", "revenue"],
            Layout(
                TableKind.CONVERSIONS,
                {"user_id": "user_id", "conversion_time": "conversion_time", "value": "revenue"},
            ),
        ),
    ],
)
def test_a_header_tells_what_a_table_is(header: list[str], layout: Layout) -> None:
    assert layout_of(header) == layout


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ([], r"the columns \(none\) make no table that is known"),
        (["a", "b"], "the columns a, b make no table"),
        (["path", "channel"], "make no table that is known"),
        (["path", "value"], "a table of paths, but it has no column conversions"),
        (["channel", "user_id"], r"has no column touch_time \(touch_time or touched_at"),
        (["conversion_time"], "a table of conversions, but it has no column user_id"),
        (["path", "conv", "conversions"], "conv and conversions both mean conversions"),
        (["path", "conv", "Value", "value"], "Value and value both mean value"),
    ],
)
def test_a_header_that_does_not_tell_is_refused(header: list[str], said: str) -> None:
    with pytest.raises(AttributionError, match=said):
        layout_of(header)
