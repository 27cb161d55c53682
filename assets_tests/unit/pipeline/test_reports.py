"""Counts are derived from the rows, gap rows with their length."""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.reports import (
    disposition_counts,
    late_count,
    noted_names,
    offset_ranges,
    reason_counts,
)

ROWS = pl.DataFrame(
    {
        "disposition": ["accepted", "accepted", "rejected", "absent", "lost", "rejected"],
        "gap_length": [None, None, None, 7, 1000, None],
        "reason_code": [None, None, "malformed_json", None, None, "tombstone"],
        "is_late": [True, False, None, None, None, None],
    }
)


def test_every_disposition_is_named_and_gaps_count_with_their_length() -> None:
    assert disposition_counts(ROWS) == {
        "accepted": 2,
        "rejected": 2,
        "duplicate": 0,
        "conflict": 0,
        "absent": 7,
        "lost": 1000,
    }


def test_reasons_and_late_rows() -> None:
    assert reason_counts(ROWS) == {"malformed_json": 1, "tombstone": 1}
    assert late_count(ROWS) == 1
    assert late_count(ROWS.clear()) == 0


def test_ranges_become_the_streams_value_type() -> None:
    assert offset_ranges([OffsetRange(1, 2, 3)]) == (OffsetRange(1, 2, 3),)


def test_made_up_field_names_do_not_fill_the_report() -> None:
    assert noted_names(["b", "a", "b"]) == ("a", "b")
    assert noted_names([]) == ()
    many = noted_names(f"{number:06}{'x' * 1_000}" for number in range(5_000))
    assert many[-1] == "and 4,980 more"
    assert len(many) == 21
    assert max(map(len, many)) < 100
