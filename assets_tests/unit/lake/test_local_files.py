"""Appends to a lake on this machine: what the log says of the files, and that a disk keeps them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake
from polars.testing import assert_frame_equal

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake import files as files_module
from adx_platform.lake.errors import LakeUnavailable, RangeAlreadyCommitted
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.local_files import committed_version, write_files
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, events_table, raw_table

FrameMaker = Callable[..., pl.DataFrame]
TOPIC = "ad_impressions"
ID = "topic-a"


@pytest.fixture
def events(storage: LakeStorage) -> LakeTable:
    return events_table(storage, TOPIC, ENVELOPE_SCHEMA)


def _root(table: LakeTable) -> Path:
    return Path(table.storage.table_uri(table.name))


def _files(table: LakeTable) -> set[str]:
    return {path.relative_to(_root(table)).as_posix() for path in _root(table).rglob("*.parquet")}


def _appended(table: LakeTable, frame: pl.DataFrame) -> dict[tuple[tuple[str, str], ...], Any]:
    """Statistics by partition, as the log of a new table has them after ``frame`` is appended."""
    handle = table.open()
    handle.create_write_transaction(
        list(write_files(table, frame)),
        mode="append",
        schema=handle.schema(),
        partition_by=list(table.partition_by),
    )
    return _logged(table, 1)


def _logged(table: LakeTable, version: int) -> dict[tuple[tuple[str, str], ...], Any]:
    entry = (_root(table) / f"_delta_log/{version:020}.json").read_text(encoding="utf-8")
    adds = [json.loads(line).get("add") for line in entry.splitlines()]
    return {
        tuple(sorted(add["partitionValues"].items())): json.loads(add["stats"])
        for add in adds
        if add
    }


def test_the_log_says_of_the_files_what_the_clients_own_writer_says(
    tmp_path: Path, event_rows: FrameMaker, raw_rows: FrameMaker, gap_row: FrameMaker
) -> None:
    ours, theirs = (LakeStorage.at(str(tmp_path / name)) for name in ("ours", "theirs"))
    # The client leaves out a fraction of zero.
    later = pl.col("kafka_timestamp") + pl.duration(milliseconds=pl.col("offset") + 1)
    raw = pl.concat([raw_rows(0, 0, 40), gap_row(0, 40, 3)]).with_columns(later)
    for frame, make in (
        (
            event_rows(0, 0, 40).with_columns(later),
            lambda at: events_table(at, TOPIC, ENVELOPE_SCHEMA),
        ),
        (raw, lambda at: raw_table(at, TOPIC)),
    ):
        expected_table = make(theirs)
        write_deltalake(expected_table.open(), frame, mode="append")
        expected = _logged(expected_table, 1)
        assert _appended(make(ours), frame) == expected
        assert len(expected) == (4 if "event_date" in frame.columns else 1)


def test_bounds_of_microseconds_are_widened_to_the_milliseconds_that_a_log_has(
    events: LakeTable, event_rows: FrameMaker
) -> None:
    at = datetime(2026, 3, 2, 12, 0, 0, 1_500, tzinfo=UTC)
    frame = event_rows(0, 1, 2).with_columns(kafka_timestamp=pl.lit(at))
    (stats,) = _appended(events, frame).values()
    assert stats["minValues"]["kafka_timestamp"] == "2026-03-02T12:00:00.001Z"
    assert stats["maxValues"]["kafka_timestamp"] == "2026-03-02T12:00:00.002Z"
    found = pl.scan_delta(str(_root(events))).filter(
        pl.col("kafka_timestamp") > at - timedelta(microseconds=1)
    )
    assert found.collect().height == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open a folder to keep its names")
def test_files_their_folders_and_then_the_log_are_on_disk_before_a_commit_returns(
    storage: LakeStorage, raw_rows: FrameMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = raw_table(storage, TOPIC)
    LandingHandle.open(storage, TOPIC).commit(raw_rows(0, 0, 5), ID, [OffsetRange(0, 0, 5)])
    before = _files(table)
    kept: list[tuple[int, int]] = []
    entry = _root(table) / "_delta_log" / f"{2:020}.json"
    seen_early: list[bool] = []
    really = os.fsync

    def counted(descriptor: int) -> None:
        status = os.fstat(descriptor)
        kept.append((status.st_dev, status.st_ino))
        seen_early.append(entry.exists())
        really(descriptor)

    monkeypatch.setattr(files_module.os, "fsync", counted)
    LandingHandle.open(storage, TOPIC).commit(raw_rows(0, 5, 9), ID, [OffsetRange(0, 5, 9)])
    (new,) = _files(table) - before
    order = [
        (status.st_dev, status.st_ino)
        for status in ((_root(table) / new).stat(), _root(table).stat(), entry.stat())
    ]
    places = [kept.index(item) for item in order]
    assert places == sorted(places)
    assert not any(seen_early[: places[2]])
    assert (entry.parent.stat().st_dev, entry.parent.stat().st_ino) in kept[places[2] :]


def test_the_loser_of_a_range_leaves_no_file(storage: LakeStorage, raw_rows: FrameMaker) -> None:
    winner, loser = (LandingHandle.open(storage, TOPIC) for _ in range(2))
    winner.commit(raw_rows(0, 0, 5), ID, [OffsetRange(0, 0, 5)])
    before = _files(winner.table)
    with pytest.raises(RangeAlreadyCommitted):
        loser.commit(raw_rows(0, 0, 5), ID, [OffsetRange(0, 0, 5)])
    assert _files(winner.table) == before


def test_a_disk_that_is_full_is_told_and_not_kept_full(
    events: LakeTable, event_rows: FrameMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.open()
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files_module.os, "fsync", full)
    with pytest.raises(LakeUnavailable, match="the disk is full: free space, then run again"):
        write_files(events, event_rows(0, 0, 40))
    assert _files(events) == set()


def test_the_version_is_that_of_our_commit_whoever_commits_beside_us(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    table = raw_table(storage, TOPIC)
    handles = [LandingHandle.open(storage, TOPIC) for _ in range(3)]
    versions = [
        handle.commit(raw_rows(p, 0, 5), ID, [OffsetRange(p, 0, 5)])
        for p, handle in enumerate(handles)
    ]
    assert versions == [1, 2, 3]
    written = write_files(table, raw_rows(3, 0, 5))
    LandingHandle.open(storage, TOPIC).commit(raw_rows(4, 0, 5), ID, [OffsetRange(4, 0, 5)])
    handle = table.open()
    handle.create_write_transaction(list(written), mode="append", schema=handle.schema())
    assert committed_version(table, 0, written[0].path) == 5


def test_a_partition_without_value_and_one_with_signs_are_read_back(storage: LakeStorage) -> None:
    frame = pl.DataFrame({"place": [None, "a/b c=%", "plain"], "number": [1, 2, 3]})
    table = LakeTable(storage, "odd", frame.schema, partition_by=("place",), statistics=("number",))
    assert len(_appended(table, frame)) == 3
    stored = pl.scan_delta(str(_root(table))).collect().select("place", "number")
    assert_frame_equal(stored, frame, check_row_order=False)
