"""The stand-in refuses what Redshift's manual refuses, so that a load that works there is one.

And the files that killed loads have left.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import boto3
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import WarehouseSettings, load_settings
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.redshift_connection import RedshiftConnection, connect
from adx_platform.warehouse.redshift_copy import LoadFolder, parquet_of
from assets_tests.servers.redshift_copy import ROLE
from assets_tests.servers.redshift_shaped import Cluster
from assets_tests.servers.seaweedfs import ACCESS_KEY, BUCKET, SECRET, SeaweedFS

pytestmark = [pytest.mark.postgres, pytest.mark.s3]

COPY = "COPY t FROM '{url}' IAM_ROLE '{role}' FORMAT AS PARQUET MANIFEST"
ROWS = pl.DataFrame(
    {
        "id": ["a", "b"],
        "n": [1, 2],
        "at": [datetime(2026, 3, 2, 1, 2, 3, 4), None],  # noqa: DTZ001 the warehouse's are naive
        "day": [date(2026, 3, 2), None],
    }
)


class Store:
    """One prefix of the S3 store, written past the platform."""

    def __init__(self, server: SeaweedFS) -> None:
        self.prefix = uuid.uuid4().hex
        self.client = boto3.client(
            "s3", endpoint_url=f"http://{server.address}", region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET,
        )  # fmt: skip

    def put(self, name: str, content: bytes) -> str:
        key = f"{self.prefix}/{name}"
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"s3://{BUCKET}/{key}"

    def manifest(self, *entries: dict[str, Any]) -> str:
        return self.put("manifest", json.dumps({"entries": entries}).encode())

    def names(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return sorted(entry["Key"].rpartition("/")[2] for entry in listed.get("Contents", []))


@pytest.fixture
def store(seaweedfs: SeaweedFS) -> Iterator[Store]:
    made = Store(seaweedfs)
    yield made
    made.client.close()


@pytest.fixture
def connection(redshift_cluster: Cluster) -> Iterator[RedshiftConnection]:
    section: WarehouseSettings = load_settings(warehouse=redshift_cluster.settings()).warehouse
    opened = connect(section)
    opened.execute("CREATE TABLE t (id VARCHAR(4), n BIGINT, at TIMESTAMP, day DATE)")
    yield opened
    opened.close()


def entry(url: str, size: int, **given: Any) -> dict[str, Any]:
    return {"url": url, "mandatory": True, "meta": {"content_length": size}, **given}


def copied(connection: RedshiftConnection, store: Store, content: bytes) -> str:
    url = store.put("rows.parquet", content)
    return COPY.format(url=store.manifest(entry(url, len(content))), role=ROLE)


def test_rows_are_copied_and_the_transaction_holds_them(
    connection: RedshiftConnection, store: Store
) -> None:
    sql = copied(connection, store, parquet_of(ROWS))
    connection.execute("BEGIN")
    connection.execute(sql)
    connection.execute("ROLLBACK")
    assert connection.rows("SELECT count(*) FROM t") == [(0,)]
    connection.execute(sql)
    assert connection.rows("SELECT id, n, at, day FROM t ORDER BY id") == ROWS.rows()


def test_an_optional_file_may_be_missing(connection: RedshiftConnection, store: Store) -> None:
    content = parquet_of(ROWS)
    there = entry(store.put("rows.parquet", content), len(content))
    gone = entry(f"s3://{BUCKET}/{store.prefix}/gone", 5, mandatory=False)
    connection.execute(COPY.format(url=store.manifest(gone, there), role=ROLE))
    assert connection.rows("SELECT count(*) FROM t") == [(2,)]
    gone["mandatory"] = True
    with pytest.raises(WarehouseError, match=r"Problem reading manifest file: no s3://.*gone"):
        connection.execute(COPY.format(url=store.manifest(there, gone), role=ROLE))
    assert connection.rows("SELECT count(*) FROM t") == [(2,)]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (ROWS.drop("day"), "Table columns: 4, Data columns: 3"),
        (ROWS.with_columns(more=1), "Table columns: 4, Data columns: 5"),
        (ROWS.select("n", "id", "at", "day"), "incompatible Parquet schema for column 'id'"),
        (ROWS.with_columns(pl.col("n").cast(pl.Int32)), "schema for column 'n'"),
        (ROWS.with_columns(pl.col("n").cast(pl.Float64)), "schema for column 'n'"),
        (ROWS.with_columns(day=pl.lit(3, pl.Int32)), "schema for column 'day'"),
        (ROWS.with_columns(id=pl.lit("üüü")), "length of the data column id is longer"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    connection: RedshiftConnection, store: Store, frame: pl.DataFrame, told: str
) -> None:
    with pytest.raises(WarehouseError, match=told):
        connection.execute(copied(connection, store, parquet_of(frame)))
    assert connection.rows("SELECT count(*) FROM t") == [(0,)]


def test_times_as_int64_are_refused(connection: RedshiftConnection, store: Store) -> None:
    """Redshift would read another time."""
    table = pa.table(ROWS.to_arrow(compat_level=pl.CompatLevel.oldest()))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, store_schema=False)
    with pytest.raises(WarehouseError, match="schema for column 'at'"):
        connection.execute(copied(connection, store, buffer.getvalue()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"meta": {}}, "must have meta.content_length"),
        ({"meta": {"content_length": 1}}, "the manifest says 1"),
    ],
)
def test_sizes_must_be_right(
    connection: RedshiftConnection, store: Store, change: dict[str, Any], told: str
) -> None:
    content = parquet_of(ROWS)
    named = {**entry(store.put("rows.parquet", content), len(content)), **change}
    with pytest.raises(WarehouseError, match=told):
        connection.execute(COPY.format(url=store.manifest(named), role=ROLE))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("FORMAT AS PARQUET MANIFEST", "COPY needs IAM_ROLE"),
        ("IAM_ROLE 'arn:aws:iam::1:role/x' FORMAT AS PARQUET MANIFEST", "not authorized to assume"),
        (f"IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST GZIP", "not supported for PARQUET: GZIP"),
        (f"IAM_ROLE '{ROLE}' FORMAT AS PARQUET MANIFEST MAXERROR 3", "PARQUET: MAXERROR 3"),
        (f"IAM_ROLE '{ROLE}' CSV MANIFEST", "only FORMAT AS PARQUET"),
        (f"IAM_ROLE '{ROLE}' FORMAT AS PARQUET", "only by MANIFEST"),
    ],
)
def test_other_ways_to_copy_are_refused(
    connection: RedshiftConnection, store: Store, options: str, told: str
) -> None:
    content = parquet_of(ROWS)
    url = store.manifest(entry(store.put("rows.parquet", content), len(content)))
    with pytest.raises(WarehouseError, match=told):
        connection.execute(f"COPY t FROM '{url}' {options}")


def test_a_manifest_must_be_there_and_be_one(connection: RedshiftConnection, store: Store) -> None:
    for url, told in (
        (f"s3://{BUCKET}/{store.prefix}/none", "manifest does not exist"),
        (store.put("broken", b"{}"), "Invalid manifest"),
    ):
        with pytest.raises(WarehouseError, match=told):
            connection.execute(COPY.format(url=url, role=ROLE))


def test_only_old_files_of_loads_are_swept(seaweedfs: SeaweedFS, store: Store) -> None:
    storage = LakeStorage.at(f"s3://{BUCKET}/{store.prefix}", seaweedfs.settings("unused"))
    folder = LoadFolder(storage)
    assert folder.sweep() == 0
    store.put("somebody.csv", b"x")
    with folder.new_load() as files:
        files.write("clicks", ROWS)
        assert len(store.names()) == 3
        assert folder.sweep() == 0
        # The store's clock and ours are one here; a file of this instant is not yet older than it.
        assert folder.sweep(older_than=timedelta(seconds=-60)) == 2
    assert store.names() == ["somebody.csv"]
