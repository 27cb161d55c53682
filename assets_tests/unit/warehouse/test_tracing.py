from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.loader import load_pending
from adx_platform.warehouse.tracing import (
    TracedRange,
    UnknownLoadError,
    newest_loads,
    trace_loads,
)

STREAM = "ad_impressions"
TOPIC_ID = "topic-a"


@pytest.fixture
def loaded(
    lake: Any, warehouse: DuckDBWarehouse, rows_of: Callable[..., pl.DataFrame]
) -> DuckDBWarehouse:
    """Offsets 0 to 2 in one load, 3 and 4 in the next."""
    for offsets in (range(3), range(3, 5)):
        lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in offsets]))
        load_pending(warehouse, lake.storage, STREAM)
    return warehouse


def test_a_row_is_traced_to_its_commit_and_offsets(loaded: DuckDBWarehouse) -> None:
    rows = loaded.query(
        "select load_id, min(kafka_offset), max(kafka_offset) from raw.ad_impressions group by 1"
    )
    assert rows.height == 2
    for load_id, low, high in rows.iter_rows():
        (load,) = trace_loads(loaded.query, [load_id])
        assert (load.stream, load.rows) == (STREAM, high - low + 1)
        assert load.ranges == (TracedRange(TOPIC_ID, 0, low, high + 1, "forward", 0),)


def test_the_newest_load_of_a_stream_is_the_last_not_after_the_bound(
    loaded: DuckDBWarehouse,
) -> None:
    (last,) = newest_loads(loaded.query, up_to=1_000)
    (earlier,) = newest_loads(loaded.query, up_to=last.load_id - 1)
    assert last.lake_version > earlier.lake_version
    assert [part.start for part in (*earlier.ranges, *last.ranges)] == [0, 3]
    assert newest_loads(loaded.query, up_to=0) == ()


def test_a_restatement_is_traced_as_one(
    loaded: DuckDBWarehouse, lake: Any, rows_of: Callable[..., pl.DataFrame]
) -> None:
    lake.restate(STREAM, rows_of(STREAM, [{"offset": n} for n in (1, 2)]), 1, 3)
    load_pending(loaded, lake.storage, STREAM)
    (load,) = newest_loads(loaded.query, up_to=1_000)
    assert [(p.kind, p.start, p.end, p.revision) for p in load.ranges] == [("restatement", 1, 3, 1)]


def test_an_unknown_load_is_named(loaded: DuckDBWarehouse) -> None:
    with pytest.raises(UnknownLoadError, match="no load 999"):
        trace_loads(loaded.query, [1, 999])
    assert trace_loads(loaded.query, []) == ()
