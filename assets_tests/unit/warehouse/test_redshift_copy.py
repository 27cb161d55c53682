"""COPY, its manifest and its files, byte for byte."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pyarrow.parquet as pq
import pytest

from adx_platform.lake.storage import LakeStorage
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.redshift_copy import (
    CopySource,
    LoadFolder,
    copy_statement,
    manifest_of,
    parquet_of,
)
from adx_platform.warehouse.tables import ALL_TABLES, Table

AT = datetime(2026, 3, 29, 1, 0, 0, 123456, tzinfo=UTC).replace(tzinfo=None)


def test_the_statement_is_what_the_manual_allows() -> None:
    source = CopySource("s3://lake/load/abc-clicks.manifest.json", 3)
    assert copy_statement("incoming_clicks", source, "arn:aws:iam::123456789012:role/copy") == (
        "COPY incoming_clicks FROM 's3://lake/load/abc-clicks.manifest.json' "
        "IAM_ROLE 'arn:aws:iam::123456789012:role/copy' FORMAT AS PARQUET MANIFEST"
    )
    assert copy_statement("t", source, "default").endswith(
        " IAM_ROLE default FORMAT AS PARQUET MANIFEST"
    )
    assert "IAM_ROLE 'it''s'" in copy_statement("t", source, "it's")


def test_the_manifest_names_every_file_with_its_size() -> None:
    assert manifest_of({"s3://b/a.parquet": 12, "s3://b/c.parquet": 3}) == (
        b'{"entries":['
        b'{"url":"s3://b/a.parquet","mandatory":true,"meta":{"content_length":12}},'
        b'{"url":"s3://b/c.parquet","mandatory":true,"meta":{"content_length":3}}]}'
    )


def test_a_file_is_stored_as_redshift_reads_it() -> None:
    frame = pl.DataFrame(
        {
            "text": ["ü€😀", None],
            "flag": [True, None],
            "small": pl.Series([1, None], dtype=pl.Int32),
            "large": [2**62, None],
            "share": [0.5, None],
            "day": [date(2026, 3, 29), None],
            "at": pl.Series([AT, None], dtype=pl.Datetime("us")),
            "rate": pl.Series([Decimal("1.08765432"), None], dtype=pl.Decimal(18, 8)),
        }
    )
    content = parquet_of(frame)
    file = pq.ParquetFile(io.BytesIO(content))
    stored = [file.schema.column(position) for position in range(len(file.schema))]
    assert [(column.name, column.physical_type) for column in stored] == [
        ("text", "BYTE_ARRAY"),
        ("flag", "BOOLEAN"),
        ("small", "INT32"),
        ("large", "INT64"),
        ("share", "DOUBLE"),
        ("day", "INT32"),
        ("at", "INT96"),
        ("rate", "FIXED_LEN_BYTE_ARRAY"),
    ]
    assert [column.converted_type for column in stored] == [
        "UTF8",
        "NONE",
        "NONE",
        "NONE",
        "NONE",
        "DATE",
        "NONE",
        "DECIMAL",
    ]
    group = file.metadata.row_group(0)
    assert {group.column(i).compression for i in range(len(stored))} == {"SNAPPY"}
    assert b"ARROW:schema" not in content
    back = pl.from_arrow(pq.read_table(io.BytesIO(content), coerce_int96_timestamp_unit="us"))
    assert isinstance(back, pl.DataFrame)
    assert back.rows() == frame.rows()


@pytest.mark.parametrize("year", [1, 1677, 1900, 2262, 9999])
def test_no_year_is_beyond_a_file(year: int) -> None:
    at = datetime(year, 12, 31, 23, 59, 59, 999999, tzinfo=UTC).replace(tzinfo=None)
    frame = pl.DataFrame({"at": pl.Series([at], dtype=pl.Datetime("us"))})
    back = pq.read_table(io.BytesIO(parquet_of(frame)), coerce_int96_timestamp_unit="us")
    assert back["at"].to_pylist() == [at]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.qualified_name)
def test_every_table_has_a_file_with_its_columns_in_their_order(table: Table) -> None:
    empty = pl.DataFrame(
        schema={
            name: pl.Datetime("us") if isinstance(dtype, pl.Datetime) else dtype
            for name, dtype in table.frame_schema.items()
        }
    )
    schema = pq.ParquetFile(io.BytesIO(parquet_of(empty))).schema
    assert [schema.column(i).name for i in range(len(schema))] == [c.name for c in table.columns]
    assert schema.names == [c.name for c in table.columns], "nothing is nested"


@pytest.mark.parametrize("uri", ["hdfs://name/lake", "/a/folder"])
def test_only_s3_can_be_copied_from(uri: str) -> None:
    with pytest.raises(WarehouseError, match=r"copies from S3 only.*ADX_WAREHOUSE__LOAD_URI"):
        LoadFolder(LakeStorage.at(uri))


def test_another_name_of_the_scheme_is_written_as_redshift_knows_it() -> None:
    assert LoadFolder(LakeStorage("s3a://bucket/load")).url == "s3://bucket/load"
