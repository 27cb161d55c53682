"""Refined rows: appended behind their own cursor, replaced by restatements."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adx_platform.contracts.envelope import ENVELOPE_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.cursors import refined_offsets
from adx_platform.lake.errors import (
    IncompatibleTableSchema,
    LakeError,
    RangeAlreadyCommitted,
    UnaccountedOffsets,
)
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.restatements import announce, pending_restatements
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage

FrameMaker = Callable[..., pl.DataFrame]
TOPIC = "ad_impressions"
ID = "topic-a"


def _open(storage: LakeStorage, schema: pl.Schema = ENVELOPE_SCHEMA) -> RefineHandle:
    return RefineHandle.open(storage, TOPIC, schema)


def _append(storage: LakeStorage, frame: pl.DataFrame) -> int:
    partition = frame["partition"][0]
    start, end = frame["offset"][0], frame["offset"][-1] + 1
    schema = frame.schema
    return _open(storage, schema).commit(frame, ID, [OffsetRange(partition, start, end)])


def _stored(storage: LakeStorage, schema: pl.Schema = ENVELOPE_SCHEMA) -> pl.DataFrame:
    snapshot = events_snapshot(storage, TOPIC, schema)
    assert snapshot is not None
    return snapshot.scan().select(schema.names()).sort("partition", "offset").collect()


def test_all_dispositions_and_dates_come_in_one_commit(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    register_sources(storage, TOPIC, ID, [0])
    frame = event_rows(0, 0, 100)
    assert _append(storage, frame) == 1
    assert _stored(storage).equals(frame)
    assert refined_offsets(storage, TOPIC) == {(ID, 0): 100}


def test_a_second_refiner_of_the_same_range_is_refused(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    first, second = _open(storage), _open(storage)
    first.commit(event_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    with pytest.raises(RangeAlreadyCommitted):
        second.commit(event_rows(0, 0, 10), ID, [OffsetRange(0, 0, 10)])
    assert _stored(storage).height == 10


def test_a_restatement_replaces_exactly_its_range(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    for frame in (event_rows(0, 0, 40), event_rows(1, 0, 40), event_rows(0, 40, 80)):
        _append(storage, frame)
    before = _stored(storage)
    restatement = announce(storage, TOPIC, ID, OffsetRange(0, 30, 50), reason="test")
    handle = _open(storage)
    assert handle.restated(ID, 0) == 0
    handle.replace(event_rows(0, 30, 50, revision=1, disposition="accepted"), restatement)
    after = _stored(storage)
    inside = (pl.col("partition") == 0) & pl.col("offset").is_between(30, 49)
    assert after.filter(~inside).equals(before.filter(~inside))
    replaced = after.filter(inside)
    assert replaced["offset"].to_list() == list(range(30, 50))
    assert replaced["revision"].unique().to_list() == [1]
    assert replaced["disposition"].unique().to_list() == ["accepted"]
    snapshot = events_snapshot(storage, TOPIC, ENVELOPE_SCHEMA)
    assert snapshot is not None
    assert pending_restatements(storage, TOPIC, snapshot) == ()
    # The forward cursor does not notice.
    _append(storage, event_rows(0, 80, 90))


def test_a_restatement_is_applied_once(storage: LakeStorage, event_rows: FrameMaker) -> None:
    _append(storage, event_rows(0, 0, 10))
    restatement = announce(storage, TOPIC, ID, OffsetRange(0, 0, 5), reason="test")
    stale = _open(storage)
    _open(storage).replace(event_rows(0, 0, 5, revision=1), restatement)
    with pytest.raises(RangeAlreadyCommitted):
        stale.replace(event_rows(0, 0, 5, revision=1), restatement)
    with pytest.raises(RangeAlreadyCommitted, match="applied already"):
        _open(storage).replace(event_rows(0, 0, 5, revision=1), restatement)
    assert _stored(storage).height == 10


def test_a_lane_that_appends_meanwhile_does_not_stop_a_restatement(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    _append(storage, event_rows(0, 0, 10))
    restatement = announce(storage, TOPIC, ID, OffsetRange(0, 0, 5), reason="test")
    handle = _open(storage)
    _append(storage, event_rows(0, 10, 20))
    _append(storage, event_rows(1, 0, 10))
    handle.replace(event_rows(0, 0, 5, revision=1), restatement)
    assert _stored(storage).height == 30


@pytest.mark.parametrize(
    "frame_of",
    [
        lambda rows: rows(0, 4, 11, revision=1),
        lambda rows: rows(1, 5, 8, revision=1),
        lambda rows: rows(0, 5, 8, revision=2),
        lambda rows: pl.concat([rows(0, 5, 8, revision=1), rows(0, 6, 7, revision=1)]),
    ],
    ids=["beyond the range", "another partition", "another revision", "a double"],
)
def test_rows_that_do_not_belong_to_the_restatement_are_refused(
    storage: LakeStorage, event_rows: FrameMaker, frame_of: Callable[[FrameMaker], pl.DataFrame]
) -> None:
    _append(storage, event_rows(0, 0, 20))
    restatement = announce(storage, TOPIC, ID, OffsetRange(0, 5, 10), reason="test")
    with pytest.raises(UnaccountedOffsets):
        _open(storage).replace(frame_of(event_rows), restatement)
    assert _stored(storage)["revision"].max() == 0


def test_what_was_never_refined_cannot_be_restated(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    _append(storage, event_rows(0, 0, 10))
    restatement = announce(storage, TOPIC, ID, OffsetRange(0, 5, 15), reason="test")
    with pytest.raises(LakeError, match="is refined up to 10; ingest first"):
        _open(storage).replace(event_rows(0, 5, 15, revision=1), restatement)


def test_added_columns_and_struct_fields_pass_and_old_rows_read_null(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    narrow = event_rows(0, 0, 5).with_columns(pl.struct(pl.lit("a").alias("x")).alias("nested"))
    wide = event_rows(0, 5, 10).with_columns(
        pl.struct(pl.lit("b").alias("x"), pl.lit(1, pl.Int64).alias("y")).alias("nested"),
        pl.lit("new").alias("added"),
    )
    _append(storage, narrow)
    _append(storage, wide)
    rows = _stored(storage, wide.schema)
    assert rows["added"].to_list() == [None] * 5 + ["new"] * 5
    assert rows["nested"].struct.field("y").to_list() == [None] * 5 + [1] * 5
    assert rows["nested"].struct.field("x").to_list() == ["a"] * 5 + ["b"] * 5
    # A writer of the release before goes on.
    _append(storage, event_rows(0, 10, 12))
    assert _stored(storage, wide.schema)["added"].to_list()[-2:] == [None, None]


def test_two_lanes_that_add_the_same_column_at_once_both_succeed(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    _append(storage, event_rows(0, 0, 5))
    wide = [event_rows(p, 5 * (1 - p), 10).with_columns(added=pl.lit("x")) for p in (0, 1)]
    handles = [_open(storage, wide[0].schema) for _ in wide]
    handles[0].commit(wide[0], ID, [OffsetRange(0, 5, 10)])
    handles[1].commit(wide[1], ID, [OffsetRange(1, 0, 10)])
    assert _stored(storage, wide[0].schema).height == 20


def test_a_changed_type_is_refused_and_named(storage: LakeStorage, event_rows: FrameMaker) -> None:
    # Delta's merge would cast in silence.
    _append(storage, event_rows(0, 0, 5))
    changed = event_rows(0, 5, 10).with_columns(pl.col("revision").cast(pl.String))
    with pytest.raises(IncompatibleTableSchema, match="column revision is stored as Int64"):
        _append(storage, changed)


def test_a_read_names_columns_that_the_table_does_not_have_yet(
    storage: LakeStorage, event_rows: FrameMaker
) -> None:
    _append(storage, event_rows(0, 0, 5))
    wide = pl.Schema({**ENVELOPE_SCHEMA, "added": pl.Int64})
    snapshot = events_snapshot(storage, TOPIC, wide)
    assert snapshot is not None
    rows = snapshot.read(ID, 0, 1, 3)
    assert rows.schema == wide
    assert rows["offset"].to_list() == [1, 2]
    assert rows["added"].to_list() == [None, None]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_sequence_of_restatements_keeps_one_row_per_offset(
    tmp_path_factory: pytest.TempPathFactory, event_rows: FrameMaker, data: st.DataObject
) -> None:
    storage = LakeStorage.at(str(tmp_path_factory.mktemp("lake")))
    size = 60
    _append(storage, event_rows(0, 0, size))
    expected = [0] * size
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, size - 1))
        end = data.draw(st.integers(start + 1, size))
        restatement = announce(storage, TOPIC, ID, OffsetRange(0, start, end), reason="any")
        rows = event_rows(0, start, end, revision=restatement.revision)
        _open(storage).replace(rows, restatement)
        expected[start:end] = [restatement.revision] * (end - start)
    stored = _stored(storage)
    assert stored["offset"].to_list() == list(range(size))
    assert stored["revision"].to_list() == expected
