"""The landing: exactly once, and the traps of the fence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.cursors import landed_offsets
from adx_platform.lake.errors import RangeAlreadyCommitted, UnaccountedOffsets
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.reading import raw_snapshot
from adx_platform.lake.storage import LakeStorage

FrameMaker = Callable[..., pl.DataFrame]
TOPIC = "ad_impressions"
ID = "topic-a"


def _open(storage: LakeStorage) -> LandingHandle:
    return LandingHandle.open(storage, TOPIC)


def _stored(storage: LakeStorage) -> pl.DataFrame:
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    return snapshot.scan().sort("partition", "offset").collect()


def test_what_is_landed_is_read_back_byte_for_byte(
    storage: LakeStorage, raw_rows: FrameMaker, gap_row: FrameMaker
) -> None:
    frame = pl.concat([raw_rows(0, 0, 50), gap_row(0, 50, 1_000_000), raw_rows(2, 7, 20)])
    handle = _open(storage)
    assert handle.committed(ID, 0) is None
    version = handle.commit(frame, ID, [OffsetRange(0, 0, 1_000_050), OffsetRange(2, 7, 20)])
    assert version == 1
    assert _stored(storage).equals(frame)
    assert landed_offsets(storage, TOPIC) == {(ID, 0): 1_000_050, (ID, 2): 20}


def test_a_lanes_batch_is_one_file(storage: LakeStorage, raw_rows: FrameMaker) -> None:
    frame = pl.concat([raw_rows(p, 0, 30_000) for p in (0, 2)])
    _open(storage).commit(frame, ID, [OffsetRange(0, 0, 30_000), OffsetRange(2, 0, 30_000)])
    assert len(DeltaTable(storage.table_uri(f"raw/{TOPIC}")).file_uris()) == 1


def test_an_older_handle_on_the_same_partition_is_refused(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    winner, zombie = _open(storage), _open(storage)
    winner.commit(raw_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    with pytest.raises(RangeAlreadyCommitted, match="plan again"):
        zombie.commit(raw_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    assert _stored(storage).height == 10


def test_a_zombie_is_refused_after_many_commits(storage: LakeStorage, raw_rows: FrameMaker) -> None:
    _open(storage).commit(raw_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    zombie = _open(storage)
    for start in range(10, 50, 10):
        span = OffsetRange(0, start, start + 10)
        _open(storage).commit(raw_rows(0, span.start, span.end), ID, [span])
    with pytest.raises(RangeAlreadyCommitted):
        zombie.commit(raw_rows(0, 10, 30), ID, [OffsetRange(0, 10, 30)])
    assert _stored(storage)["offset"].to_list() == list(range(50))


def test_a_lane_that_shares_one_partition_loses_all_of_its_commit(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    winner, loser = _open(storage), _open(storage)
    winner.commit(raw_rows(1, 0, 5), ID, [OffsetRange(1, 0, 5)])
    both = pl.concat([raw_rows(0, 0, 5), raw_rows(1, 0, 5)])
    with pytest.raises(RangeAlreadyCommitted):
        loser.commit(both, ID, [OffsetRange(0, 0, 5), OffsetRange(1, 0, 5)])
    assert landed_offsets(storage, TOPIC) == {(ID, 1): 5}


def test_different_partitions_do_not_disturb_each_other(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    handles = [_open(storage) for _ in range(4)]
    for partition, handle in enumerate(handles):
        handle.commit(raw_rows(partition, 0, 10), ID, [OffsetRange(partition, 0, 10)])
    assert landed_offsets(storage, TOPIC) == {(ID, p): 10 for p in range(4)}
    assert _stored(storage).height == 40


def test_a_recreated_topic_is_another_topic(storage: LakeStorage, raw_rows: FrameMaker) -> None:
    _open(storage).commit(raw_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    again = _open(storage)
    assert again.committed("topic-b", 0) is None
    again.commit(raw_rows(0, 0, 3, topic_id="topic-b"), "topic-b", [OffsetRange(0, 0, 3)])
    assert landed_offsets(storage, TOPIC) == {(ID, 0): 10, ("topic-b", 0): 3}


@pytest.mark.parametrize(("start", "end"), [(0, 10), (5, 15), (12, 20)])
def test_a_fresh_handle_accepts_only_what_continues_the_cursor(
    storage: LakeStorage, raw_rows: FrameMaker, start: int, end: int
) -> None:
    # Delta itself would accept all three: again, overlapping, and with a hole.
    _open(storage).commit(raw_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    with pytest.raises(RangeAlreadyCommitted, match="the cursor stands at 10"):
        _open(storage).commit(raw_rows(0, start, end), ID, [OffsetRange(0, start, end)])
    assert _stored(storage).height == 10


def test_a_frame_that_does_not_account_for_its_range_writes_nothing(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    with pytest.raises(UnaccountedOffsets):
        _open(storage).commit(raw_rows(0, 0, 9), ID, [OffsetRange(0, 0, 10)])
    with pytest.raises(UnaccountedOffsets, match="not a raw frame"):
        _open(storage).commit(raw_rows(0, 0, 10).drop("headers"), ID, [OffsetRange(0, 0, 10)])
    assert landed_offsets(storage, TOPIC) == {}


def test_a_loss_and_a_read_of_one_partition_are_one_range(
    storage: LakeStorage, raw_rows: FrameMaker, gap_row: FrameMaker
) -> None:
    _open(storage).commit(raw_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    frame = pl.concat([gap_row(0, 10, 5, kind="lost"), raw_rows(0, 15, 20)])
    _open(storage).commit(frame, ID, [OffsetRange(0, 10, 15), OffsetRange(0, 15, 20)])
    assert landed_offsets(storage, TOPIC) == {(ID, 0): 20}


def test_cursors_survive_checkpoints_and_statistics_prune_files(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    for start in range(0, 70, 10):
        handle = LandingHandle.open(storage, TOPIC, checkpoint_interval=3)
        handle.commit(raw_rows(0, start, start + 10), ID, [OffsetRange(0, start, start + 10)])
    log = Path(storage.table_uri(f"raw/{TOPIC}")) / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    assert landed_offsets(storage, TOPIC) == {(ID, 0): 70}
    snapshot = raw_snapshot(storage, TOPIC)
    assert snapshot is not None
    plan = snapshot.scan().filter(pl.col("offset") >= 65).explain()
    assert plan.count(".parquet") == 1
    assert "other sources" not in plan


def test_the_history_names_the_ranges_for_people(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    _open(storage).commit(raw_rows(3, 5, 9), ID, [OffsetRange(3, 5, 9)])
    (newest, *_) = DeltaTable(storage.table_uri(f"raw/{TOPIC}")).history(1)
    assert newest["adx.ranges"] == "3:[5, 9)"
    assert newest["adx.topic_id"] == ID


def _after(storage: LakeStorage, handle: LandingHandle) -> LandingHandle:
    return LandingHandle.open(storage, TOPIC, after=handle)


def test_a_handle_by_one_that_is_given_up_is_at_the_newest_version(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    mine = _open(storage)
    mine.commit(raw_rows(0, 0, 5), ID, [OffsetRange(0, 0, 5)])
    _open(storage).commit(raw_rows(1, 0, 7), ID, [OffsetRange(1, 0, 7)])
    mine = _after(storage, mine)
    assert (mine.committed(ID, 0), mine.committed(ID, 1)) == (5, 7)
    mine.commit(raw_rows(0, 5, 9), ID, [OffsetRange(0, 5, 9)])
    assert landed_offsets(storage, TOPIC) == {(ID, 0): 9, (ID, 1): 7}
    assert _stored(storage).height == 16


def test_a_handle_by_one_of_a_table_that_was_made_anew_is_of_the_new_table(
    storage: LakeStorage, raw_rows: FrameMaker
) -> None:
    former = _open(storage)
    former.commit(raw_rows(0, 0, 5), ID, [OffsetRange(0, 0, 5)])
    former = _after(storage, former)
    shutil.rmtree(storage.table_uri(f"raw/{TOPIC}"))
    _open(storage).commit(raw_rows(0, 0, 3), ID, [OffsetRange(0, 0, 3)])
    handle = _after(storage, former)
    assert handle.committed(ID, 0) == 3
    handle.commit(raw_rows(0, 3, 4), ID, [OffsetRange(0, 3, 4)])
    assert _stored(storage)["offset"].to_list() == [0, 1, 2, 3]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(("a", "b", "fresh")), st.sampled_from(("plan", "commit"))),
        min_size=4,
        max_size=14,
    )
)
def test_workers_that_keep_their_handles_land_each_offset_once(
    steps: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory, raw_rows: FrameMaker
) -> None:
    storage = LakeStorage.at(str(tmp_path_factory.mktemp("lake")))
    handles = {name: _open(storage) for name in ("a", "b", "fresh")}
    planned = dict.fromkeys(handles, 0)
    landed = 0
    for name, step in steps:
        if step == "plan":
            before = handles[name]
            handles[name] = _open(storage) if name == "fresh" else _after(storage, before)
            planned[name] = handles[name].committed(ID, 0) or 0
            assert planned[name] == landed
            continue
        span = OffsetRange(0, planned[name], planned[name] + 3)
        rows = raw_rows(0, span.start, span.end)
        if planned[name] == landed:
            handles[name].commit(rows, ID, [span])
            landed = span.end
        else:
            with pytest.raises(RangeAlreadyCommitted):
                handles[name].commit(rows, ID, [span])
    stored = _stored(storage)["offset"].to_list() if landed else []
    assert stored == list(range(landed))
