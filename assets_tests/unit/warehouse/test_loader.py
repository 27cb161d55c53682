from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.events import RefineHandle
from adx_platform.warehouse.base import LoadRange, LoadReceipt
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.loader import load_pending
from adx_platform.warehouse.tables import tables_of_stream

Rows = Callable[..., pl.DataFrame]
STREAM = "ad_impressions"
TOPIC_ID = "topic-a"


def stored(warehouse: DuckDBWarehouse, stream: str = STREAM) -> list[tuple[Any, ...]]:
    """Offsets of every raw row of the stream, whichever table holds it."""
    parts = []
    for table in tables_of_stream(stream):
        revision = "revision" if "revision" in table.frame_schema else "0"
        if table.name != "bid_request_imps":
            parts.append(
                f"SELECT partition_id, kafka_offset, {revision} FROM {table.qualified_name}"
            )
    return warehouse.query(" UNION ALL ".join(parts) + " ORDER BY ALL").rows()


def plain(partition: int, offsets: range, revision: int = 0) -> list[tuple[int, int, int]]:
    return [(partition, offset, revision) for offset in offsets]


def test_nothing_to_load(warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows) -> None:
    assert load_pending(warehouse, lake.storage, STREAM) is None
    lake.append(STREAM, rows_of(STREAM, [{"offset": 0}]))
    assert load_pending(warehouse, lake.storage, STREAM) is not None
    assert load_pending(warehouse, lake.storage, STREAM) is None
    assert load_pending(warehouse, lake.storage, "bid_requests") is None
    assert warehouse.latest_load() == 1


def test_new_rows_are_loaded_once(warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows) -> None:
    rows = [{"offset": n, "partition": p} for p in (0, 1) for n in range(10)]
    lake.append(STREAM, rows_of(STREAM, rows))
    report = load_pending(warehouse, lake.storage, STREAM)
    assert report is not None
    assert report.rows == 20
    assert report.load_ids == (1,)
    assert report.forward == (LoadRange(TOPIC_ID, 0, 0, 10), LoadRange(TOPIC_ID, 1, 0, 10))
    assert report.replaced == ()
    lake.append(STREAM, rows_of(STREAM, [{"offset": n, "partition": 1} for n in range(10, 13)]))
    second = load_pending(warehouse, lake.storage, STREAM)
    assert second is not None
    assert second.forward == (LoadRange(TOPIC_ID, 1, 10, 13),)
    assert second.lake_version == report.lake_version + 1
    assert stored(warehouse) == plain(0, range(10)) + plain(1, range(13))


def test_transactions_are_bounded_by_rows(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    rows = [{"offset": n, "partition": p} for p in (0, 1, 2) for n in range(7)]
    lake.append(STREAM, rows_of(STREAM, rows))
    receipts: list[LoadReceipt] = []
    report = load_pending(
        warehouse, lake.storage, STREAM, max_rows=5, on_transaction=receipts.append
    )
    assert report is not None
    assert [sum(receipt.inserted.values()) for receipt in receipts] == [5, 5, 5, 5, 1]
    assert report.load_ids == (1, 2, 3, 4, 5)
    assert stored(warehouse) == [row for p in (0, 1, 2) for row in plain(p, range(7))]
    # Consecutive ranges of each partition, without a hole or an overlap.
    for partition in (0, 1, 2):
        ranges = [(r.start, r.end) for r in report.forward if r.partition == partition]
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 7
        assert all(before[1] == after[0] for before, after in pairwise(ranges))


def test_a_gap_row_may_stand_for_billions_of_offsets(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    far = 10 + 3_000_000_000
    rows = [
        *({"offset": n} for n in range(10)),
        {"offset": 10, "disposition": "lost", "gap_length": far - 10},
        *({"offset": far + n} for n in range(2)),
    ]
    # Times are made from offsets by default, and these would leave the calendar.
    at = rows_of(STREAM, [{"offset": 0}]).row(0, named=True)
    fixed = {"kafka_timestamp": at["kafka_timestamp"], "event_date": at["event_date"]}
    lake.append(
        STREAM,
        rows_of(
            STREAM,
            [
                {**row, **fixed, "event_time": None if "gap_length" in row else at["event_time"]}
                for row in rows
            ],
        ),
    )
    report = load_pending(warehouse, lake.storage, STREAM, max_rows=4)
    assert report is not None
    assert len(report.load_ids) == 4
    assert report.rows == 13
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): far + 2}
    assert warehouse.query("SELECT kafka_offset, gap_length FROM raw.gaps").rows() == [
        (10, far - 10)
    ]


def test_a_topic_that_was_old_when_the_platform_came(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in range(500, 503)]))
    report = load_pending(warehouse, lake.storage, STREAM)
    assert report is not None
    assert report.forward == (LoadRange(TOPIC_ID, 0, 500, 503),)


def test_a_recreated_topic_is_another_topic(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    lake.append(STREAM, rows_of(STREAM, [{"offset": 0}, {"offset": 1}]))
    load_pending(warehouse, lake.storage, STREAM)
    lake.append(STREAM, rows_of(STREAM, [{"offset": 0, "topic_id": "topic-b"}]))
    report = load_pending(warehouse, lake.storage, STREAM)
    assert report is not None
    assert report.forward == (LoadRange("topic-b", 0, 0, 1),)
    assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): 2, ("topic-b", 0): 1}


def test_all_streams_arrive_whole(warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows) -> None:
    imp = {"imp_id": "1", "media_type": "video", "width": 640, "height": 360}
    lake.append(
        "bid_requests",
        rows_of(
            "bid_requests",
            [
                {"offset": 0, "request_id": "r", "exchange_id": "x", "imps": [imp, imp]},
                {"offset": 1, "record_type": "bid_response", "price_cpm_micros": 1_500_000},
                {"offset": 2, "record_type": "bid_notice", "notice_type": "billing"},
                {"offset": 3, "disposition": "rejected", "reason_code": "bad_magic"},
            ],
        ),
    )
    lake.append(
        "clicks_conversions",
        rows_of(
            "clicks_conversions",
            [
                {"offset": 0, "disposition": "duplicate", "is_givt": True},
                {"offset": 1, "record_type": "conversion", "value_micros": 12_340_000},
            ],
        ),
    )
    for stream in ("bid_requests", "clicks_conversions"):
        load_pending(warehouse, lake.storage, stream)
    one = warehouse.query(
        "SELECT (SELECT count(*) FROM raw.bid_request_imps WHERE media_type = 'video') AS imps, "
        "(SELECT price_cpm_micros FROM raw.bid_responses) AS price, "
        "(SELECT notice_type FROM raw.bid_notices) AS notice, "
        "(SELECT reason_code FROM raw.rejects) AS reason, "
        "(SELECT disposition FROM raw.clicks WHERE is_givt) AS click, "
        "(SELECT value_micros FROM raw.conversions) AS value"
    )
    assert one.row(0) == (2, 1_500_000, "billing", "bad_magic", "duplicate", 12_340_000)


def test_a_lake_older_than_the_contract_gives_nulls(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    full = STREAMS[STREAM].events_schema
    schema = pl.Schema({n: t for n, t in full.items() if n not in {"givt_reason", "os"}})
    frame = rows_of(STREAM, [{"offset": 0, "user_id": "u"}]).select(schema.names())
    handle = RefineHandle.open(lake.storage, STREAM, schema)
    handle.commit(frame, TOPIC_ID, [LoadRange(TOPIC_ID, 0, 0, 1)])
    lake.append(STREAM, rows_of(STREAM, [{"offset": 1, "os": "Linux"}]))
    load_pending(warehouse, lake.storage, STREAM)
    rows = warehouse.query("SELECT kafka_offset, user_id, os FROM raw.ad_impressions ORDER BY 1")
    assert rows.rows() == [(0, "u", None), (1, None, "Linux")]


def test_a_restatement_behind_the_cursor_is_replaced(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in range(10)]))
    load_pending(warehouse, lake.storage, STREAM)
    restated = [
        {"offset": n, "disposition": "rejected" if n == 4 else "accepted"} for n in range(3, 7)
    ]
    lake.restate(STREAM, rows_of(STREAM, restated), 3, 7)
    report = load_pending(warehouse, lake.storage, STREAM)
    assert report is not None
    assert report.forward == ()
    assert report.replaced == (LoadRange(TOPIC_ID, 0, 3, 7, 1),)
    assert report.removed["ad_impressions"] == 4
    assert stored(warehouse) == sorted(
        plain(0, range(3)) + plain(0, range(3, 7), 1) + plain(0, range(7, 10))
    )
    assert warehouse.query("SELECT kafka_offset FROM raw.rejects").rows() == [(4,)]
    assert warehouse.query(
        "SELECT load_id, event_id FROM control.removed_rows ORDER BY 2"
    ).rows() == [(2, f"e-0-{n}") for n in range(3, 7)]
    assert load_pending(warehouse, lake.storage, STREAM) is None


def test_an_announcement_alone_changes_nothing(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in range(4)]))
    load_pending(warehouse, lake.storage, STREAM)
    announced = lake.announce(STREAM, 0, 2)
    assert load_pending(warehouse, lake.storage, STREAM) is None
    lake.apply(STREAM, announced, rows_of(STREAM, [{"offset": 0}, {"offset": 1}]))
    report = load_pending(warehouse, lake.storage, STREAM)
    assert report is not None
    assert report.replaced == (LoadRange(TOPIC_ID, 0, 0, 2, 1),)


def test_rows_that_arrive_restated_are_not_replaced_again(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in range(10)]))
    lake.restate(STREAM, rows_of(STREAM, [{"offset": n} for n in range(3, 7)]), 3, 7)
    report = load_pending(warehouse, lake.storage, STREAM, max_rows=5)
    assert report is not None
    assert report.replaced == ()
    assert warehouse.query("SELECT * FROM control.removed_rows").is_empty()
    assert warehouse.applied_restatements(STREAM) == [
        LoadRange(TOPIC_ID, 0, 3, 5, 1),
        LoadRange(TOPIC_ID, 0, 5, 7, 1),
    ]
    assert load_pending(warehouse, lake.storage, STREAM) is None


def test_a_restatement_across_the_cursor(
    warehouse: DuckDBWarehouse, lake: Any, rows_of: Rows
) -> None:
    lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in range(5)]))
    load_pending(warehouse, lake.storage, STREAM)
    lake.append(STREAM, rows_of(STREAM, [{"offset": n} for n in range(5, 10)]))
    lake.restate(STREAM, rows_of(STREAM, [{"offset": n} for n in range(3, 8)]), 3, 8)
    report = load_pending(warehouse, lake.storage, STREAM)
    assert report is not None
    assert report.replaced == (LoadRange(TOPIC_ID, 0, 3, 5, 1),)
    assert report.forward == (LoadRange(TOPIC_ID, 0, 5, 10),)
    assert stored(warehouse) == sorted(
        plain(0, range(3)) + plain(0, range(3, 8), 1) + plain(0, range(8, 10))
    )
    assert load_pending(warehouse, lake.storage, STREAM) is None


def test_max_rows_must_leave_room(warehouse: DuckDBWarehouse, lake: Any) -> None:
    with pytest.raises(ValueError, match="max_rows is 0"):
        load_pending(warehouse, lake.storage, STREAM, max_rows=0)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), max_rows=st.integers(7, 60))
def test_any_history_ends_with_the_lakes_rows(
    tmp_path_factory: pytest.TempPathFactory,
    new_lake: Callable[[Path], Any],
    rows_of: Rows,
    seed: int,
    max_rows: int,
) -> None:
    """Batches, restatements and loads in any order: the warehouse ends equal to the lake."""
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("history")
    lake = new_lake(folder / "lake")
    current: dict[int, tuple[int, str]] = {}
    end = 0
    with DuckDBWarehouse(folder / "adx.duckdb") as warehouse:
        warehouse.ensure_schema()
        for _ in range(8):
            action = chance.choice(["append", "append", "restate", "load"])
            if action == "append" or end == 0:
                fresh = range(end, end + chance.randint(1, 30))
                kinds = {n: chance.choice(["accepted", "rejected", "duplicate"]) for n in fresh}
                rows = [{"offset": n, "disposition": kinds[n]} for n in fresh]
                lake.append(STREAM, rows_of(STREAM, rows))
                current |= {n: (0, kinds[n]) for n in fresh}
                end = fresh.stop
            elif action == "restate":
                first = chance.randrange(end)
                again = range(first, chance.randint(first + 1, end))
                kinds = {n: chance.choice(["accepted", "rejected"]) for n in again}
                rows = [{"offset": n, "disposition": kinds[n]} for n in again]
                done = lake.restate(STREAM, rows_of(STREAM, rows), again.start, again.stop)
                current |= {n: (done.revision, kinds[n]) for n in again}
            else:
                load_pending(warehouse, lake.storage, STREAM, max_rows=max_rows)
        load_pending(warehouse, lake.storage, STREAM, max_rows=max_rows)
        found = warehouse.query(
            "SELECT kafka_offset, revision, disposition FROM raw.ad_impressions UNION ALL "
            "SELECT kafka_offset, revision, 'rejected' FROM raw.rejects ORDER BY ALL"
        ).rows()
        assert found == [(offset, *current[offset]) for offset in range(end)]
        assert warehouse.cursors(STREAM) == {(TOPIC_ID, 0): end}
        written = warehouse.query("SELECT coalesce(sum(row_count), 0) FROM control.loads").item()
        removed = warehouse.query("SELECT count(*) FROM control.removed_rows").item()
        assert written - removed == end
        assert load_pending(warehouse, lake.storage, STREAM) is None
