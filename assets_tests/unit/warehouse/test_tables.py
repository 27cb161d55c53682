from __future__ import annotations

import warnings

import polars as pl
import pytest

from adx_platform.contracts.columns import Column
from adx_platform.contracts.openrtb import OPENRTB_COLUMNS
from adx_platform.contracts.streams import STREAMS
from adx_platform.warehouse.projection import needed_columns
from adx_platform.warehouse.tables import (
    ALL_TABLES,
    EVENT_HEAD,
    RAW_TABLES,
    RECORD_TABLES,
    RENAMED,
    STREAM_TABLES,
    Table,
    schema_statements,
    tables_of_stream,
)
from adx_platform.warehouse.types import sql_type

with warnings.catch_warnings():
    # sqlglot loads its retired accelerator, which another package brings, and that one complains.
    warnings.simplefilter("ignore", DeprecationWarning)
    import sqlglot
    from sqlglot import exp


@pytest.mark.parametrize("dialect", ["duckdb", "redshift", "spark"])
def test_every_statement_is_sql_of_its_dialect(dialect: str) -> None:
    statements = schema_statements(dialect)
    assert len(statements) == len(ALL_TABLES) + 3
    for statement in statements:
        (parsed,) = sqlglot.parse(statement, dialect=dialect)
        assert isinstance(parsed, exp.Create), statement
        columns = [c.name for c in parsed.find_all(exp.ColumnDef)]
        assert len(columns) == len(set(columns)), f"a column twice in {statement}"


@pytest.mark.parametrize("stream", sorted(STREAM_TABLES))
def test_the_lake_has_every_column_that_the_warehouse_reads(stream: str) -> None:
    schema = STREAMS[stream].events_schema
    for column in needed_columns(stream):
        assert schema[column.name] == column.dtype, column.name


@pytest.mark.parametrize("stream", sorted(STREAM_TABLES))
def test_every_scalar_column_of_a_stream_has_a_place(stream: str) -> None:
    held = {c.name for table in tables_of_stream(stream) for c in table.columns}
    scalars = {
        name for name, dtype in STREAMS[stream].events_schema.items() if not dtype.is_nested()
    } - {column.name for column in OPENRTB_COLUMNS}
    # Provenance that only the lake keeps.
    expected = {RENAMED.get(n, n) for n in scalars} - {"schema_id", "reference_version"}
    assert expected <= held


def test_every_record_type_has_a_table() -> None:
    assert {s: set(types) for s, types in RECORD_TABLES.items()} == {
        name: set(stream.record_types) for name, stream in STREAMS.items()
    }


def test_event_tables_share_their_head() -> None:
    head = [column.name for column in EVENT_HEAD]
    for tables in RECORD_TABLES.values():
        for table in tables.values():
            assert [c.name for c in table.columns[: len(head)]] == head


def test_raw_tables_hold_the_pointer_of_every_row() -> None:
    for table in RAW_TABLES:
        assert {"topic_id", "partition_id", "kafka_offset", "load_id"} <= set(table.frame_schema)


def test_an_unknown_stream_is_named() -> None:
    with pytest.raises(KeyError, match="known are ad_impressions, bid_requests"):
        tables_of_stream("clicks")


def test_nested_types_are_refused_with_advice() -> None:
    with pytest.raises(TypeError, match=r"column 'imps'.*flatten it"):
        sql_type(Column("imps", pl.List(pl.String), ""), "duckdb")


def test_types_by_dialect() -> None:
    table = Table(
        "raw",
        "t",
        "",
        (
            Column("name", pl.String, ""),
            Column("id", pl.String, ""),
            Column("share", pl.Float64, ""),
            Column("rate", pl.Decimal(18, 8), ""),
            Column("at", pl.Datetime("us", "UTC"), ""),
        ),
    )
    assert table.ddl("redshift").endswith(
        "raw.t (name VARCHAR(65535), id VARCHAR(1024), share DOUBLE PRECISION, "
        "rate DECIMAL(18,8), at TIMESTAMP)"
    )
    assert table.ddl("spark").endswith(
        "(name STRING, id STRING, share DOUBLE, rate DECIMAL(18,8), at TIMESTAMP)"
    )
    assert table.ddl("duckdb").endswith(
        "(name VARCHAR, id VARCHAR, share DOUBLE, rate DECIMAL(18,8), at TIMESTAMP)"
    )
