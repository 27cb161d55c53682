"""Retention and clean-up take no row that is kept and no file that is needed."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake.exceptions import DeltaError
from polars.testing import assert_frame_equal

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.maintenance import (
    UpkeepReport,
    delete_orphans,
    delete_replaced_files,
    drop_expired_raw,
    keep_log_short,
    merge_small_files,
)
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import events_table, raw_table
from assets_tests.unit.lake.upkept import (
    BIG,
    DAY,
    KEY,
    TOPIC,
    Frames,
    aged,
    commit_ten_times,
    events_of,
    land,
    refine,
)

from .conftest import TOPIC_ID


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


def stray(storage: LakeStorage, path: str, age: timedelta) -> Path:
    file = Path(storage.table_uri(f"events/{TOPIC}"), path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"PAR1 never committed")
    moment = time.time() - age.total_seconds()
    os.utime(file, (moment, moment))
    return file


def test_a_file_without_a_commit_is_deleted_once_it_is_old(
    storage: LakeStorage, event_rows: Frames
) -> None:
    table = commit_ten_times(storage, event_rows)
    folder = "disposition=accepted/event_date=2026-03-01"
    old = stray(storage, f"{folder}/part-old.parquet", timedelta(days=2))
    elsewhere = stray(storage, "disposition=lost/event_date=2020-01-01/a.parquet", 2 * DAY)
    young = stray(storage, f"{folder}/part-young.parquet", timedelta(hours=5))
    others = [
        stray(storage, f"{folder}/notes.txt", timedelta(days=2)),
        stray(storage, "_delta_log/00000000000000000000.something.parquet", timedelta(days=2)),
        # Where a repair puts what it has moved aside.
        stray(storage, "../../quarantine/1/part.parquet", timedelta(days=2)),
    ]
    before = events_of(storage, 20)
    # What merges have replaced is not an orphan: its own retention decides.
    merge_small_files(table, below=BIG, at_least=2)
    root = Path(storage.table_uri(table.name))
    committed = [file for file in root.rglob("part-00*.parquet") if "_delta_log" not in file.parts]
    for file in [*committed, *root.rglob("merged-*.parquet")]:
        os.utime(file, (time.time() - 172_800,) * 2)
    assert delete_replaced_files(table, DAY).deleted == 0
    assert old.exists()

    report = delete_orphans(table, DAY)

    assert report.orphans == 2
    assert "2 files that no commit refers to" in report.explain()
    assert not old.exists()
    assert not elsewhere.exists()
    assert all(file.exists() for file in (young, *others, *committed))
    assert_frame_equal(events_of(storage, 20), before)
    assert delete_orphans(table, DAY).orphans == 0
    with pytest.raises(ValueError, match="an hour at least"):
        delete_orphans(table, timedelta(minutes=59))


def test_the_log_is_kept_short_and_an_overtaken_handle_writes_nothing(
    storage: LakeStorage, event_rows: Frames
) -> None:
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    refine(storage, event_rows(0, 0, 1), OffsetRange(0, 0, 1))
    overtaken = RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA)
    idle = RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA)
    for start in range(1, 60):
        refine(storage, event_rows(0, start, start + 1), OffsetRange(0, start, start + 1))
    log = Path(storage.table_uri(table.name), "_delta_log")
    for file in log.iterdir():
        os.utime(file, (time.time() - 3_600,) * 2)
    newest = refined_offsets(storage, TOPIC)

    keep_log_short(table, timedelta(minutes=30), replaced_for=timedelta(hours=6))

    assert len(list(log.glob("*.json"))) < 20
    assert refined_offsets(storage, TOPIC) == newest == {KEY: 60}
    assert events_of(storage, 60).height == 60
    # What a lane of the loop catches, and tries again.
    with pytest.raises(DeltaError):
        overtaken.commit(event_rows(0, 1, 2), TOPIC_ID, [OffsetRange(0, 1, 2)])
    # The loop's lane that had nothing to do for so long goes on by its handle.
    awake = RefineHandle.open(storage, TOPIC, ENVELOPE_SCHEMA, after=idle)
    assert awake.committed(*KEY) == 60
    awake.commit(event_rows(0, 60, 61), TOPIC_ID, [OffsetRange(0, 60, 61)])
    assert events_of(storage, 61)["offset"].to_list() == list(range(61))
    with pytest.raises(ValueError, match="five minutes at least"):
        keep_log_short(table, timedelta(minutes=4), replaced_for=timedelta(hours=6))


def test_between_two_upkeeps_a_commit_now_and_then_keeps_the_log_short(
    storage: LakeStorage, event_rows: Frames
) -> None:
    table = events_table(storage, TOPIC, ENVELOPE_SCHEMA)
    refine(storage, event_rows(0, 0, 1), OffsetRange(0, 0, 1))
    keep_log_short(table, timedelta(minutes=30), replaced_for=timedelta(hours=6))
    log = Path(storage.table_uri(table.name), "_delta_log")
    lengths = []
    for start in range(1, 160):
        refine(storage, event_rows(0, start, start + 1), OffsetRange(0, start, start + 1))
        lengths.append(len(list(log.glob("*.json"))))
        for file in log.iterdir():
            os.utime(file, (time.time() - 3_600,) * 2)
    # Nothing was cleaned up at most commits, and everything in a checkpoint at some.
    shorter = [start for start in range(1, len(lengths)) if lengths[start] < lengths[start - 1]]
    assert 1 <= len(shorter) <= 160 // 50
    assert max(lengths) <= 150
    assert refined_offsets(storage, TOPIC) == {KEY: 160}
    assert events_of(storage, 160).height == 160


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
    assert delete_orphans(table, timedelta(hours=1)) == nothing
    keep_log_short(table, timedelta(hours=1), replaced_for=timedelta(hours=6))
    assert table.find() is None
    assert nothing.explain() == "raw/ad_impressions: nothing to do"
