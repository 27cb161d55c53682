from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.frames import conform
from adx_platform.warehouse.projection import project
from adx_platform.warehouse.tables import CLICKS, RECORD_TABLES, tables_of_stream

Rows = Callable[..., pl.DataFrame]
DISPOSITIONS = ("accepted", "duplicate", "conflict", "rejected", "absent", "lost")
IMP = {
    "imp_id": "1",
    "media_type": "banner",
    "width": 300,
    "height": 250,
    "floor_cpm_micros": 500_000,
    "floor_currency": "USD",
    "placement_id": "p1",
    "deal_count": 0,
}


@settings(max_examples=40, deadline=None)
@given(
    stream=st.sampled_from(sorted(RECORD_TABLES)),
    picks=st.lists(st.tuples(st.sampled_from(DISPOSITIONS), st.integers(0, 2)), max_size=30),
)
def test_every_row_is_in_exactly_one_table(
    rows_of: Rows, stream: str, picks: list[tuple[str, int]]
) -> None:
    types = list(RECORD_TABLES[stream])
    events = rows_of(
        stream,
        [
            {
                "offset": offset,
                "disposition": disposition,
                "record_type": types[pick % len(types)],
                "gap_length": 1 if disposition in {"absent", "lost"} else None,
            }
            for offset, (disposition, pick) in enumerate(picks)
        ],
    )
    frames = project(stream, events)
    assert set(frames) == {table.name for table in tables_of_stream(stream)}
    offsets = [o for name, f in frames.items() for o in f["kafka_offset"] if "imps" not in name]
    assert sorted(offsets) == list(range(len(picks)))
    for record_type, table in RECORD_TABLES[stream].items():
        expected = [
            offset
            for offset, (disposition, pick) in enumerate(picks)
            if disposition in {"accepted", "duplicate", "conflict"}
            and types[pick % len(types)] == record_type
        ]
        assert frames[table.name]["kafka_offset"].to_list() == expected


@pytest.mark.parametrize("stream", sorted(RECORD_TABLES))
def test_frames_fit_their_tables(rows_of: Rows, stream: str) -> None:
    events = rows_of(
        stream,
        [
            {
                "offset": 0,
                "record_type": None,
                "disposition": "rejected",
                "reason_code": "too_deep",
            },
            {"offset": 1, "disposition": "lost", "gap_length": 7},
            *(
                {"offset": 2 + n, "record_type": record_type}
                for n, record_type in enumerate(RECORD_TABLES[stream])
            ),
        ],
    )
    frames = project(stream, events)
    for table in tables_of_stream(stream):
        frame = frames[table.name].with_columns(load_id=pl.lit(1, pl.Int64))
        assert conform(frame, table).columns == [c.name for c in table.columns]
    assert frames["rejects"].select("stream", "reason_code").rows() == [(stream, "too_deep")]
    assert frames["gaps"].select("stream", "gap_kind", "gap_length").rows() == [(stream, "lost", 7)]


def test_impressions_are_unfolded_in_their_order(rows_of: Rows) -> None:
    second = {**IMP, "imp_id": "2", "floor_cpm_micros": None}
    events = rows_of(
        "bid_requests",
        [
            {"offset": 0, "request_id": "r0", "exchange_id": "x", "imps": [IMP, second]},
            {"offset": 1, "request_id": "r1", "exchange_id": "x", "imps": []},
            {"offset": 2, "request_id": "r2", "exchange_id": "x", "imps": None},
            {"offset": 3, "request_id": "r3", "exchange_id": "x", "imps": [IMP]},
            {"offset": 4, "request_id": "r4", "imps": [IMP], "disposition": "rejected"},
            {"offset": 5, "request_id": "r5", "imps": [IMP], "disposition": "duplicate"},
        ],
    )
    imps = project("bid_requests", events)["bid_request_imps"]
    found = imps.select("kafka_offset", "request_id", "imp_index", "imp_id", "floor_cpm_micros")
    assert found.rows() == [
        (0, "r0", 0, "1", 500_000),
        (0, "r0", 1, "2", None),
        (3, "r3", 0, "1", 500_000),
        (5, "r5", 0, "1", 500_000),
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"record_type": "refund"}, "offset 7 .*record type 'refund'"),
        ({"record_type": None}, "record type None"),
        ({"disposition": "parked"}, "disposition 'parked'"),
    ],
)
def test_a_row_without_a_table_stops_the_load(
    rows_of: Rows, row: dict[str, str], words: str
) -> None:
    events = rows_of("clicks_conversions", [{"offset": 6}, {"offset": 7, **row}])
    with pytest.raises(WarehouseError, match=f"1 rows of events/clicks_conversions.*{words}"):
        project("clicks_conversions", events)


def test_conform_names_what_does_not_fit(rows_of: Rows) -> None:
    clicks = project("clicks_conversions", rows_of("clicks_conversions", [{"offset": 0}]))["clicks"]
    frame = clicks.drop("click_id").with_columns(
        load_id=pl.lit(1, pl.Int64), surplus=pl.lit(1), revision=pl.lit("1")
    )
    with pytest.raises(WarehouseError) as caught:
        conform(frame, CLICKS)
    message = str(caught.value)
    assert "click_id is missing" in message
    assert "surplus is not a column of the table" in message
    assert "revision is String, not Int64" in message
