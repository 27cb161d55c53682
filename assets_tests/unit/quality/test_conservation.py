"""Every kind of damage is found, and an undamaged layer never raises an alarm."""

from __future__ import annotations

from random import Random
from typing import TypeAlias

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.contracts.dispositions import Disposition
from adx_platform.quality.conservation import (
    STORED_ROWS_SCHEMA,
    OffsetEquation,
    compare_layers,
    recount,
)

TOPIC = "6f0c6a0e"
KEY = (TOPIC, 0)


def stored(*rows: tuple[int, str] | tuple[int, str, int], partition: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "topic_id": TOPIC,
                "partition": partition,
                "offset": row[0],
                "gap_length": row[2] if len(row) == 3 else None,
                "term": row[1],
            }
            for row in rows
        ],
        schema=STORED_ROWS_SCHEMA,
    )


def events(rows: pl.DataFrame, end: int = 10, **options: object) -> OffsetEquation:
    (equation,) = recount(rows, {KEY: end}, layer="events", stream="ad_impressions", **options)
    return equation


HEALTHY = stored(
    (4, "accepted"),
    (5, "rejected"),
    (6, "absent", 2),
    (8, "duplicate"),
    (9, "conflict"),
)


def test_the_equation_holds_and_shows_its_terms() -> None:
    equation = events(HEALTHY)

    assert equation.verdict == "holds"
    assert equation.difference == 0
    assert (equation.start, equation.end) == (4, 10)
    assert (equation.accepted, equation.rejected, equation.absent) == (1, 1, 2)
    assert "10 - 4 = 6 offsets" in equation.explain()
    assert "absent 2" in equation.explain()
    assert "landed" not in equation.explain()


def test_a_missing_row_is_found() -> None:
    equation = events(HEALTHY.filter(pl.col("offset") != 5))

    assert equation.verdict == "broken"
    assert (equation.missing, equation.first_missing, equation.difference) == (1, 5, 1)
    assert "1 missing, the first at offset 5" in equation.explain()


def test_a_missing_last_row_is_a_cursor_beyond_the_rows() -> None:
    equation = events(HEALTHY.filter(pl.col("offset") != 9))

    assert (equation.verdict, equation.missing, equation.first_missing) == ("broken", 1, 9)


def test_a_missing_first_row_is_found_where_the_start_is_known() -> None:
    damaged = HEALTHY.filter(pl.col("offset") != 4)

    equation = events(damaged, starts={KEY: 4})

    assert (equation.verdict, equation.missing, equation.first_missing) == ("broken", 1, 4)


def test_a_doubled_row_is_found() -> None:
    equation = events(pl.concat([HEALTHY, HEALTHY.filter(pl.col("offset") == 8)]))

    assert equation.verdict == "broken"
    assert (equation.doubled, equation.first_doubled, equation.difference) == (1, 8, -1)


def test_one_missing_and_one_doubled_row_do_not_cancel() -> None:
    damaged = pl.concat(
        [HEALTHY.filter(pl.col("offset") != 5), HEALTHY.filter(pl.col("offset") == 9)]
    )

    equation = events(damaged)

    assert equation.difference == 0
    assert (equation.missing, equation.doubled, equation.verdict) == (1, 1, "broken")


def test_a_gap_row_over_a_message_is_found() -> None:
    equation = events(pl.concat([HEALTHY, stored((6, "lost", 3))]))

    assert (equation.verdict, equation.doubled, equation.first_doubled) == ("broken", 3, 6)


def test_rows_beyond_the_committed_offset_are_found() -> None:
    equation = events(HEALTHY, end=9)

    assert (equation.verdict, equation.outside) == ("broken", 1)


def test_rows_without_a_committed_offset_are_found() -> None:
    (equation,) = recount(HEALTHY, {}, layer="events", stream="ad_impressions")

    assert equation.verdict == "broken"
    assert "without a committed offset" in equation.explain()


def test_a_committed_offset_without_any_row_is_found() -> None:
    equation = events(HEALTHY.clear(), end=7)

    assert (equation.verdict, equation.missing) == ("broken", 7)
    assert "accepted 0" in equation.explain()


def test_raw_rows_shed_by_retention_are_no_damage() -> None:
    (equation,) = recount(HEALTHY.clear(), {KEY: 7}, layer="raw", stream="ad_impressions")

    assert (equation.verdict, equation.start, equation.end) == ("holds", 7, 7)


def test_a_gap_row_without_length_is_found() -> None:
    equation = events(pl.concat([HEALTHY, stored((7, "lost", 0))]))

    assert "length is not positive" in equation.explain()
    assert equation.verdict == "broken"


def test_an_unknown_disposition_is_found() -> None:
    rows = HEALTHY.with_columns(
        pl.when(pl.col("offset") == 5).then(pl.lit("mislaid")).otherwise("term").alias("term")
    )

    assert events(rows).verdict == "broken"


def test_a_recount_of_the_tail_clips_the_gap_row_across_its_start() -> None:
    tail = HEALTHY.filter(pl.col("offset") >= 6)

    equation = events(tail, since={KEY: 7})

    assert (equation.verdict, equation.start, equation.absent) == ("holds", 7, 1)
    assert events(tail.filter(pl.col("offset") != 6), since={KEY: 7}).first_missing == 7


def test_partitions_are_counted_apart() -> None:
    rows = pl.concat([HEALTHY, stored((0, "accepted"), partition=1)])

    first, second = recount(rows, {KEY: 10, (TOPIC, 1): 2}, layer="events", stream="ad_impressions")

    assert first.verdict == "holds"
    assert (second.partition, second.verdict, second.missing) == (1, "broken", 1)


def raw_equation(start: int, end: int, partition: int = 0) -> OffsetEquation:
    return OffsetEquation("raw", "ad_impressions", TOPIC, partition, start, end, landed=end - start)


def test_layers_agree_when_the_feeding_one_is_ahead() -> None:
    assert compare_layers([events(HEALTHY)], [raw_equation(6, 12)]) == ()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (raw_equation(4, 9), "committed to offset 10, raw only to 9"),
        (raw_equation(2, 12), "begins at offset 4, raw at 2"),
        (raw_equation(4, 12, partition=3), "knows nothing of it"),
    ],
)
def test_layers_that_disagree_are_told(raw: OffsetEquation, words: str) -> None:
    (finding,) = compare_layers([events(HEALTHY)], [raw])

    assert words in finding


Spans: TypeAlias = list[tuple[Disposition, int]]
TERM = st.sampled_from([*Disposition])
SPANS = st.lists(st.tuples(TERM, st.integers(1, 5)), min_size=1, max_size=30)


def layout(spans: Spans, start: int) -> tuple[pl.DataFrame, int]:
    rows: list[tuple[int, str, int]] = []
    position = start
    for disposition, length in spans:
        is_gap = disposition in {Disposition.ABSENT, Disposition.LOST}
        size = length if is_gap else 1
        rows.append((position, disposition.value, size))
        position += size
    return stored(*rows), position


@given(SPANS, st.integers(0, 1000), st.randoms())
def test_contiguous_rows_always_hold_in_any_order(spans: Spans, start: int, random: Random) -> None:
    rows, end = layout(spans, start)
    order = list(range(rows.height))
    random.shuffle(order)

    assert events(rows[order], end=end).verdict == "holds"


@given(SPANS, st.integers(0, 1000), st.data())
def test_any_removed_or_repeated_row_breaks_the_verdict(
    spans: Spans, start: int, data: st.DataObject
) -> None:
    rows, end = layout(spans, start)
    victim = data.draw(st.integers(0, rows.height - 1))
    length = rows["gap_length"][victim]

    removed = events(pl.concat([rows[:victim], rows[victim + 1 :]]), end=end, starts={KEY: start})
    repeated = events(pl.concat([rows, rows[victim : victim + 1]]), end=end)

    assert (removed.verdict, removed.missing, removed.difference) == ("broken", length, length)
    assert (repeated.verdict, repeated.doubled, repeated.difference) == (
        "broken",
        length,
        -length,
    )


@given(SPANS, SPANS, st.integers(0, 20))
def test_the_difference_is_what_the_positions_say(first: Spans, second: Spans, shift: int) -> None:
    rows, end = layout(first, 10)
    more, _ = layout(second, 10 + shift)

    equation = events(pl.concat([rows, more]), end=end)

    assert equation.difference == equation.missing - equation.doubled - equation.outside
