"""A frame is committed only if it accounts for every offset once."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.errors import UnaccountedOffsets
from adx_platform.lake.ranges import accounted_ranges, contiguous, require_accounted

TOPIC_ID = "t"


def _rows(*rows: tuple[int, int, int | None], topic_id: str = TOPIC_ID) -> pl.DataFrame:
    return pl.DataFrame(
        [(topic_id, *row) for row in rows],
        schema={
            "topic_id": pl.String,
            "partition": pl.Int32,
            "offset": pl.Int64,
            "gap_length": pl.Int64,
        },
        orient="row",
    )


def test_adjoining_spans_become_one_and_empty_ones_vanish() -> None:
    spans = [OffsetRange(1, 7, 9), OffsetRange(0, 4, 4), OffsetRange(1, 5, 7), OffsetRange(0, 4, 6)]
    assert contiguous(spans) == (OffsetRange(0, 4, 6), OffsetRange(1, 5, 9))


@pytest.mark.parametrize("second", [OffsetRange(0, 6, 9), OffsetRange(0, 4, 9)])
def test_holes_and_overlaps_between_spans_are_errors(second: OffsetRange) -> None:
    with pytest.raises(ValueError, match="do not continue"):
        contiguous([OffsetRange(0, 0, 5), second])


def test_messages_and_gaps_together_account_for_a_range() -> None:
    rows = _rows((0, 12, None), (0, 10, 2), (0, 13, 7), (1, 0, None))
    require_accounted(rows, TOPIC_ID, [OffsetRange(0, 10, 20), OffsetRange(1, 0, 1)])
    assert accounted_ranges(rows) == (OffsetRange(0, 10, 20), OffsetRange(1, 0, 1))


@pytest.mark.parametrize(
    "rows",
    [
        _rows((0, 10, None), (0, 12, None)),  # a hole
        _rows((0, 10, None), (0, 11, None), (0, 11, None), (0, 12, None)),  # a double
        _rows((0, 11, None), (0, 12, None)),  # the beginning is missing
        _rows((0, 10, None), (0, 11, None)),  # the end is missing
        _rows((0, 10, 4)),  # a gap that reaches beyond the end
        _rows((0, 9, None), (0, 10, 3)),  # a row before the start
        _rows((0, 10, 3), (1, 0, None)),  # another partition
        _rows((0, 10, 3), topic_id="other"),
        _rows(),
    ],
)
def test_anything_else_is_refused(rows: pl.DataFrame) -> None:
    with pytest.raises(UnaccountedOffsets, match="nothing was written"):
        require_accounted(rows, TOPIC_ID, [OffsetRange(0, 10, 13)])


@pytest.mark.parametrize(
    ("rows", "passes"),
    [
        (_rows((0, 11, None)), True),
        (_rows(), True),
        (_rows((0, 11, None), (0, 11, None)), False),
        (_rows((0, 13, None)), False),
        (_rows((0, 9, None)), False),
    ],
)
def test_a_restatement_may_have_holes_but_no_doubles_or_strangers(
    rows: pl.DataFrame, passes: bool
) -> None:
    span = [OffsetRange(0, 10, 13)]
    if passes:
        require_accounted(rows, TOPIC_ID, span, holes=True)
    else:
        with pytest.raises(UnaccountedOffsets):
            require_accounted(rows, TOPIC_ID, span, holes=True)


@given(
    start=st.integers(0, 10**12),
    lengths=st.lists(st.one_of(st.none(), st.integers(1, 50)), min_size=1, max_size=30),
    damage=st.sampled_from(["none", "drop", "double", "shift"]),
    where=st.integers(0, 29),
)
def test_every_single_damage_is_found(
    start: int, lengths: list[int | None], damage: str, where: int
) -> None:
    rows: list[tuple[int, int, int | None]] = []
    offset = start
    for length in lengths:
        rows.append((0, offset, length))
        offset += length or 1
    span = [OffsetRange(0, start, offset)]
    index = where % len(rows)
    if damage == "drop":
        rows.pop(index)
    elif damage == "double":
        rows.append(rows[index])
    elif damage == "shift":
        rows[index] = (0, rows[index][1] + 1, rows[index][2])
    frame = _rows(*rows)
    if damage == "none":
        require_accounted(frame, TOPIC_ID, span)
    else:
        with pytest.raises(UnaccountedOffsets):
            require_accounted(frame, TOPIC_ID, span)
