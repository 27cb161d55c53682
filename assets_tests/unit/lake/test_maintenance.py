"""Upkeep changes no row that is kept and no cursor, and gives way to everybody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.maintenance import (
    UpkeepReport,
    delete_replaced_files,
    drop_expired_raw,
    merge_small_files,
)
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.restatements import announce
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import events_table, raw_table

from .conftest import NOON, TOPIC_ID

Frames = Callable[..., pl.DataFrame]
TOPIC = "ad_impressions"
KEY = (TOPIC_ID, 0)
BIG = 1 << 30


def land(storage: LakeStorage, frame: pl.DataFrame, span: OffsetRange) -> None:
    LandingHandle.open(storage, TOPIC).commit(frame, TOPIC_ID, [span])


def refine(storage: LakeStorage, frame: pl.DataFrame, span: OffsetRange) -> None:
    register_sources(storage, TOPIC, TOPIC_ID, [0])
    RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA).commit(frame, TOPIC_ID, [span])


def events_of(storage: LakeStorage, end: int) -> pl.DataFrame:
    snapshot = events_snapshot(storage, TOPIC, ENVELOPE_SCHEMA)
    assert snapshot is not None
    return snapshot.read(*KEY, 0, end)


def files_of(storage: LakeStorage) -> int:
    handle = events_table(storage, TOPIC, ENVELOPE_SCHEMA).find()
    assert handle is not None
    return len(handle.file_uris())


def test_merging_leaves_rows_and_cursors_as_they_were(
    storage: LakeStorage, event_rows: Frames
) -> None:
    for start in range(0, 60, 6):
        refine(storage, event_rows(0, start, start + 6), OffsetRange(0, start, start + 6))
    before, files = events_of(storage, 60), files_of(storage)
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)

    report = merge_small_files(table, below=BIG, at_least=16)

    # Two dispositions on two days: a file for each.
    assert (report.merged, report.into) == (files, 4)
    assert files_of(storage) == 4
    assert_frame_equal(events_of(storage, 60), before)
    assert refined_offsets(storage, TOPIC) == {KEY: 60}
    refine(storage, event_rows(0, 60, 61), OffsetRange(0, 60, 61))
    assert refined_offsets(storage, TOPIC) == {KEY: 61}


def test_few_small_files_are_left_alone(storage: LakeStorage, event_rows: Frames) -> None:
    refine(storage, event_rows(0, 0, 6), OffsetRange(0, 0, 6))
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    files = files_of(storage)
    assert merge_small_files(table, below=BIG, at_least=files + 1) == UpkeepReport(table.name)
    assert merge_small_files(table, below=1, at_least=2) == UpkeepReport(table.name)
    assert files_of(storage) == files


def test_a_range_planned_before_a_merge_is_committed_after_it(
    storage: LakeStorage, event_rows: Frames
) -> None:
    for start in range(0, 20, 2):
        refine(storage, event_rows(0, start, start + 2), OffsetRange(0, start, start + 2))
    planned = RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA)
    assert merge_small_files(planned.table, below=BIG, at_least=2).merged
    planned.commit(event_rows(0, 20, 22), TOPIC_ID, [OffsetRange(0, 20, 22)])
    assert events_of(storage, 22)["offset"].to_list() == list(range(22))


def test_a_restatement_planned_before_a_merge_replaces_the_merged_rows(
    storage: LakeStorage, event_rows: Frames
) -> None:
    for start in range(0, 20, 2):
        refine(storage, event_rows(0, start, start + 2), OffsetRange(0, start, start + 2))
    restatement = announce(storage, TOPIC, TOPIC_ID, OffsetRange(0, 4, 9), reason="test")
    planned = RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA)
    assert merge_small_files(planned.table, below=BIG, at_least=2).merged
    planned.replace(event_rows(0, 4, 9, revision=1), restatement)
    rows = events_of(storage, 20)
    assert rows["offset"].to_list() == list(range(20))
    assert rows.filter(pl.col("revision") == 1)["offset"].to_list() == list(range(4, 9))


def test_an_open_snapshot_reads_on_after_the_clean_up(
    storage: LakeStorage, event_rows: Frames
) -> None:
    for start in range(0, 20, 2):
        refine(storage, event_rows(0, start, start + 2), OffsetRange(0, start, start + 2))
    snapshot = events_snapshot(storage, TOPIC, ENVELOPE_SCHEMA)
    assert snapshot is not None
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    merge_small_files(table, below=BIG, at_least=2)
    # The replaced files are minutes old: they stay for an hour.
    assert delete_replaced_files(table, timedelta(hours=1)).deleted == 0
    assert snapshot.read(*KEY, 0, 20).height == 20
    with pytest.raises(ValueError, match="an hour at least"):
        delete_replaced_files(table, timedelta(minutes=59))


def aged(frame: pl.DataFrame, hours_before_noon: list[int]) -> pl.DataFrame:
    times = [NOON - timedelta(hours=hours) for hours in hours_before_noon]
    return frame.with_columns(
        pl.Series("kafka_timestamp", times, dtype=frame.schema["kafka_timestamp"])
    )


def test_only_a_whole_beginning_that_is_old_and_refined_is_dropped(
    storage: LakeStorage, raw_rows: Frames
) -> None:
    # Offset 3 is old but stands behind a young one: it stays with it.
    land(storage, aged(raw_rows(0, 0, 6), [50, 49, 3, 48, 1, 0]), OffsetRange(0, 0, 6))
    table = raw_table(storage, TOPIC)
    keep_day = timedelta(days=1)
    assert drop_expired_raw(table, keep_day, refined={}).dropped == 0
    assert drop_expired_raw(table, keep_day, refined={KEY: 1}).dropped == 1
    assert drop_expired_raw(table, keep_day, refined={KEY: 6}).dropped == 1
    assert drop_expired_raw(table, keep_day, refined={KEY: 6}).dropped == 0
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    assert snapshot.read(*KEY, 0, 6)["offset"].to_list() == [2, 3, 4, 5]
    assert landed_offsets(storage, TOPIC) == {KEY: 6}


@pytest.mark.parametrize(("refined", "dropped"), [(1, 1), (3, 1), (5, 2), (6, 2)])
def test_a_gap_across_the_bound_stays(
    storage: LakeStorage, raw_rows: Frames, gap_row: Frames, refined: int, dropped: int
) -> None:
    """A message, a gap of four offsets, and a young message."""
    old, young = aged(raw_rows(0, 0, 1), [50]), aged(raw_rows(0, 5, 6), [0])
    land(storage, pl.concat([old, gap_row(0, 1, 4), young]), OffsetRange(0, 0, 6))
    report = drop_expired_raw(raw_table(storage, TOPIC), timedelta(days=1), refined={KEY: refined})
    assert report.dropped == dropped


def test_a_table_that_is_not_there_needs_nothing(storage: LakeStorage) -> None:
    table = raw_table(storage, TOPIC)
    nothing = UpkeepReport(table.name)
    assert merge_small_files(table, below=BIG, at_least=2) == nothing
    assert drop_expired_raw(table, timedelta(days=1), refined={}) == nothing
    assert delete_replaced_files(table, timedelta(hours=1)) == nothing
    assert nothing.explain() == "raw/ad_impressions: nothing to do"
