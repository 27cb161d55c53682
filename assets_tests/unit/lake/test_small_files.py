"""Merging changes no row and no cursor, and gives way to everybody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake import maintenance
from adx_platform.lake.cursors import refined_offsets
from adx_platform.lake.errors import LakeError
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.maintenance import (
    UpkeepReport,
    drop_expired_raw,
    merge_small_files,
)
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.restatements import announce
from adx_platform.lake.rewriting import live_files
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, events_table, raw_table
from assets_tests.unit.lake.upkept import (
    BIG,
    DAY,
    KEY,
    TOPIC,
    Frames,
    aged,
    commit_ten_times,
    events_of,
    files_of,
    land,
    refine,
)

from .conftest import NOON, TOPIC_ID


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


def timed(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with event times in another order than their offsets, and one without."""
    minutes = [None if o % 11 == 0 else o * 7 % 60 for o in frame["offset"]]
    times = [None if m is None else NOON + timedelta(minutes=m) for m in minutes]
    return frame.with_columns(
        pl.Series("event_time", times, dtype=frame.schema["event_time"]),
    )


def stored_order(table: LakeTable, *columns: str) -> list[list[tuple[object, ...]]]:
    """The rows of each file as they lie in it."""
    handle = table.find()
    assert handle is not None
    root = table.storage.table_uri(table.name)
    return [
        pl.read_parquet(f"{root}/{file.path}", hive_partitioning=False).select(columns).rows()
        for file in live_files(table, handle)
    ]


@pytest.mark.parametrize("span_bytes", [1, BIG])
def test_merged_events_are_sorted_by_event_time(
    storage: LakeStorage, event_rows: Frames, span_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one piece, and in spans of three rows as a file has them that does not fit."""
    monkeypatch.setattr("adx_platform.lake.rewriting._FEWEST", 3)
    for start in range(0, 60, 6):
        refine(storage, timed(event_rows(0, start, start + 6)), OffsetRange(0, start, start + 6))
    before = events_of(storage, 60)
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    assert merge_small_files(table, below=BIG, at_least=2, span_bytes=span_bytes).into == 4
    assert_frame_equal(events_of(storage, 60), before)
    for rows in stored_order(table, "event_time", "kafka_timestamp", "offset"):
        keys = [(event or kafka, offset) for event, kafka, offset in rows]
        assert keys == sorted(keys)


@pytest.mark.parametrize("span_bytes", [1, BIG])
def test_merged_raw_rows_are_sorted_by_offset(
    storage: LakeStorage,
    raw_rows: Frames,
    gap_row: Frames,
    span_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adx_platform.lake.rewriting._FEWEST", 3)
    for start in range(0, 20, 4):
        for partition in (1, 0):
            land(
                storage,
                pl.concat(
                    [
                        raw_rows(partition, start, start + 3),
                        gap_row(partition, start + 3, 1),
                    ]
                ),
                OffsetRange(partition, start, start + 4),
            )
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    before = [snapshot.read(TOPIC_ID, partition, 0, 20) for partition in (0, 1)]
    table = raw_table(storage, TOPIC)
    assert merge_small_files(table, below=BIG, at_least=2, span_bytes=span_bytes).into == 1
    merged = raw_snapshot(storage, TOPIC)
    assert merged is not None
    for partition in (0, 1):
        assert_frame_equal(merged.read(TOPIC_ID, partition, 0, 20), before[partition])
    [rows] = stored_order(table, "partition", "offset")
    assert rows == [(partition, offset) for partition in (0, 1) for offset in range(20)]
    # What a range read goes by to skip files is there for a merged one too.
    handle = table.find()
    assert handle is not None
    actions = pl.DataFrame(handle.get_add_actions(flatten=True)).row(0, named=True)
    assert (actions["min.offset"], actions["max.offset"], actions["num_records"]) == (0, 19, 40)
    assert actions["min.kafka_timestamp"] == actions["max.kafka_timestamp"] == NOON


def test_no_file_becomes_larger_than_the_bound(storage: LakeStorage, event_rows: Frames) -> None:
    for start in range(0, 200, 10):
        rows = event_rows(0, start, start + 10, disposition="accepted")
        refine(storage, rows, OffsetRange(0, start, start + 10))
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    handle = table.find()
    assert handle is not None
    one = max(file.size for file in live_files(table, handle))
    before = events_of(storage, 200)
    merge_small_files(table, below=one + 1, into=3 * one, at_least=2)
    handle = table.find()
    assert handle is not None
    assert 2 < len(live_files(table, handle)) < 40
    assert all(file.size <= 3 * one for file in live_files(table, handle))
    assert_frame_equal(events_of(storage, 200), before)


def test_a_column_that_came_later_is_null_in_older_rows(
    storage: LakeStorage, event_rows: Frames
) -> None:
    wider = pl.Schema(
        {**ENVELOPE_SCHEMA, "extra": pl.String, "device": pl.Struct({"make": pl.String})}
    )
    widest = pl.Schema({**wider, "device": pl.Struct({"make": pl.String, "model": pl.String})})
    device = pl.struct(make=pl.lit("m"))
    frames = [
        (ENVELOPE_SCHEMA, event_rows(0, 0, 2)),
        (wider, event_rows(0, 2, 4).with_columns(extra=pl.lit("x"), device=device)),
        (
            widest,
            event_rows(0, 4, 6).with_columns(
                extra=pl.lit("y"), device=pl.struct(make=pl.lit("n"), model=pl.lit("o"))
            ),
        ),
    ]
    register_sources(storage, TOPIC, TOPIC_ID, [0])
    for number, (schema, frame) in enumerate(frames):
        span = OffsetRange(0, 2 * number, 2 * number + 2)
        RefineHandle.open(storage, TOPIC, schema).commit(frame, TOPIC_ID, [span])
    snapshot = events_snapshot(storage, TOPIC, widest)
    assert snapshot is not None
    before = snapshot.read(*KEY, 0, 6)
    table = events_table(storage, TOPIC, widest)
    assert merge_small_files(table, below=BIG, at_least=2).merged
    merged = events_snapshot(storage, TOPIC, widest)
    assert merged is not None
    assert_frame_equal(merged.read(*KEY, 0, 6), before)


Race = Callable[[], object]


def during_a_merge(monkeypatch: pytest.MonkeyPatch, race: Race) -> None:
    """Call ``race`` once the files are written again and before they are committed."""
    commit = maintenance._commit_merges
    races = [race]

    def raced(*args: object) -> None:
        if races:
            races.pop()()
        commit(*args)  # type: ignore[arg-type] # passed on as is

    monkeypatch.setattr(maintenance, "_commit_merges", raced)


@pytest.fixture
def ten_commits(storage: LakeStorage, event_rows: Frames) -> LakeTable:
    return commit_ten_times(storage, event_rows)


def test_an_append_during_a_merge_is_not_lost(
    storage: LakeStorage,
    event_rows: Frames,
    ten_commits: LakeTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    during_a_merge(
        monkeypatch, lambda: refine(storage, event_rows(0, 20, 22), OffsetRange(0, 20, 22))
    )
    report = merge_small_files(ten_commits, below=BIG, at_least=2)
    assert report.merged
    assert not report.skipped
    assert events_of(storage, 22)["offset"].to_list() == list(range(22))
    assert refined_offsets(storage, TOPIC) == {KEY: 22}


def test_a_restatement_during_a_merge_wins(
    storage: LakeStorage,
    event_rows: Frames,
    ten_commits: LakeTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restatement = announce(storage, TOPIC, TOPIC_ID, OffsetRange(0, 4, 9), reason="test")

    def restate() -> None:
        planned = RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA)
        planned.replace(event_rows(0, 4, 9, revision=1), restatement)

    during_a_merge(monkeypatch, restate)
    report = merge_small_files(ten_commits, below=BIG, at_least=2)
    assert report.skipped == "merging gave way to another writer"
    rows = events_of(storage, 20)
    assert rows["offset"].to_list() == list(range(20))
    assert rows.filter(pl.col("revision") == 1)["offset"].to_list() == list(range(4, 9))
    # The next one does its work.
    assert merge_small_files(ten_commits, below=BIG, at_least=2).merged
    assert_frame_equal(events_of(storage, 20), rows)


def test_of_two_merges_at_once_one_gives_way(
    storage: LakeStorage, ten_commits: LakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delta itself takes both, and every row would be there twice."""
    before = events_of(storage, 20)
    during_a_merge(monkeypatch, lambda: merge_small_files(ten_commits, below=BIG, at_least=2))
    report = merge_small_files(ten_commits, below=BIG, at_least=2)
    assert report.skipped == "merging gave way to another writer"
    assert_frame_equal(events_of(storage, 20), before)


def test_a_retention_during_a_merge_wins(
    storage: LakeStorage, raw_rows: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start, hours in ((0, 50), (2, 49), (4, 1), (6, 0)):
        rows = aged(raw_rows(0, start, start + 2), [hours, hours])
        land(storage, rows, OffsetRange(0, start, start + 2))
    table = raw_table(storage, TOPIC)
    during_a_merge(monkeypatch, lambda: drop_expired_raw(table, DAY, refined={KEY: 8}))
    assert merge_small_files(table, below=BIG, at_least=2).skipped
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    assert snapshot.read(*KEY, 0, 8)["offset"].to_list() == [4, 5, 6, 7]


def test_files_with_fewer_rows_than_the_log_says_are_not_merged(
    storage: LakeStorage, ten_commits: LakeTable
) -> None:
    handle = ten_commits.find()
    assert handle is not None
    path = Path(storage.table_uri(ten_commits.name), live_files(ten_commits, handle)[0].path)
    pl.read_parquet(path, hive_partitioning=False).clear().write_parquet(path)
    files = files_of(storage)
    with pytest.raises(LakeError):
        merge_small_files(ten_commits, below=BIG, at_least=2)
    assert files_of(storage) == files


def test_late_rows_of_many_days_leave_few_files(storage: LakeStorage, event_rows: Frames) -> None:
    """Each batch has rows of twenty of a hundred days; the files do not grow with the batches."""
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    days, left = 100, []
    for number in range(60):
        start = number * 20
        dates = [date(2025, 6, 1) + timedelta((number * 37 + row * 5) % days) for row in range(20)]
        rows = event_rows(0, start, start + 20, disposition="accepted").with_columns(
            event_date=pl.Series(dates)
        )
        refine(storage, rows, OffsetRange(0, start, start + 20))
        if (number + 1) % 20 == 0:
            merge_small_files(table, below=BIG, at_least=16)
            left.append(files_of(storage))
    # Twelve batches have had each day by the end: without merging there are 1,200 files.
    assert max(left) <= 3 * days
    assert events_of(storage, 1_200)["offset"].to_list() == list(range(1_200))
