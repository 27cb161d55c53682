"""Snapshot reads: stable, pruned, and never by listing a folder."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
import xxhash
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.reading import last_message, raw_snapshot
from adx_platform.lake.sources import known_sources, register_sources
from adx_platform.lake.storage import LakeStorage

FrameMaker = Callable[..., pl.DataFrame]
TOPIC = "clicks_conversions"
ID = "topic-a"


def _land(storage: LakeStorage, frame: pl.DataFrame, *spans: OffsetRange) -> None:
    LandingHandle.open(storage, TOPIC).commit(frame, ID, spans)


def test_nothing_landed_is_no_snapshot(storage: LakeStorage) -> None:
    assert raw_snapshot(storage, TOPIC) is None
    assert known_sources(storage, TOPIC) == ()


def test_a_snapshot_does_not_move(storage: LakeStorage, raw_rows: FrameMaker) -> None:
    _land(storage, raw_rows(0, 0, 10), OffsetRange(0, 0, 10))
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    _land(storage, raw_rows(0, 10, 20), OffsetRange(0, 10, 20))
    assert snapshot.next_offset(ID, 0) == 10
    assert snapshot.read(ID, 0, 0, 100).height == 10


def test_reads_survive_compaction_and_do_not_see_replaced_files(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    for start in range(0, 40, 10):
        _land(storage, raw_rows(0, start, start + 10), OffsetRange(0, start, start + 10))
    DeltaTable(storage.table_uri(f"raw/{TOPIC}")).optimize.compact()
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    assert snapshot.read(ID, 0, 5, 35)["offset"].to_list() == list(range(5, 35))
    assert snapshot.next_offset(ID, 0) == 40
    assert snapshot.first_offset(ID, 0) == 0
    assert snapshot.first_offset(ID, 9) is None


def test_a_read_selects_topic_id_partition_and_range(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    frame = pl.concat([raw_rows(0, 0, 30), raw_rows(1, 0, 30)])
    _land(storage, frame, OffsetRange(0, 0, 30), OffsetRange(1, 0, 30))
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    assert snapshot.read(ID, 1, 10, 12).equals(raw_rows(1, 10, 12))
    assert snapshot.read("other", 1, 10, 12).is_empty()
    assert snapshot.read(ID, 1, 10, 12, columns=["value"]).columns == ["value"]


@pytest.mark.parametrize("gap", [1, 5_000, 300_000])
def test_the_last_message_is_found_behind_any_gap(
    storage: LakeStorage, raw_rows: FrameMaker, gap_row: FrameMaker, gap: int
) -> None:
    frame = pl.concat([raw_rows(0, 0, 20), gap_row(0, 20, gap)])
    _land(storage, frame, OffsetRange(0, 0, 20 + gap))
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    found = last_message(snapshot, ID, 0, 20 + gap)
    assert found is not None
    assert found.offset == 19
    assert found.payload_fingerprint == xxhash.xxh3_128_hexdigest(b"topic-a/0/19")
    assert found.kafka_timestamp_ms == 1_772_452_800_000
    assert last_message(snapshot, ID, 0, 0) is None
    earlier = last_message(snapshot, ID, 0, 7)
    assert earlier is not None
    assert earlier.offset == 6


def test_sources_are_registered_once_per_partition(storage: LakeStorage) -> None:
    register_sources(storage, TOPIC, ID, [1, 0])
    register_sources(storage, TOPIC, ID, [0, 1])
    register_sources(storage, TOPIC, "topic-b", [0])
    register_sources(storage, "another", ID, [0])
    found = [(s.topic_id, s.partition) for s in known_sources(storage, TOPIC)]
    assert found == [(ID, 0), (ID, 1), ("topic-b", 0)]
    table = DeltaTable(storage.table_uri("sources"))
    assert table.count() == 4
