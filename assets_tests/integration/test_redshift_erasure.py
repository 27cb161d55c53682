"""An erased person is gone from a Redshift warehouse: bookkeeping, and former publications."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse.base import LoadBatch, LoadRange, WarehouseError
from adx_platform.warehouse.erasure import forget_person
from adx_platform.warehouse.projection import project
from adx_platform.warehouse.published import query_published
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_publish import snapshot_schema
from adx_platform.warehouse.selection import publish_build
from assets_tests.integration.redshift_batches import STREAM, TOPIC_ID, events, places_of
from assets_tests.servers.redshift_shaped import Cluster
from assets_tests.servers.seaweedfs import SeaweedFS

pytestmark = [pytest.mark.postgres, pytest.mark.s3]
THEIRS, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def settings(redshift_cluster: Cluster, seaweedfs: SeaweedFS, tmp_path: Path) -> Settings:
    lake = seaweedfs.settings(tmp_path.name)
    return load_settings(home=tmp_path, lake=lake, warehouse=redshift_cluster.settings())


@pytest.fixture
def cluster(redshift_cluster: Cluster, settings: Settings) -> Cluster:
    """Two clicks were loaded, built and published, and one person's was replaced since."""
    with RedshiftWarehouse.from_settings(settings) as warehouse:
        warehouse.ensure_schema()
        warehouse.load(clicks(0))
        build(redshift_cluster, settings, "b1")
        warehouse.load(clicks(1))
    return redshift_cluster


def clicks(revision: int) -> LoadBatch:
    rows = events(range(2), revision).with_columns(
        user_id=pl.Series([THEIRS if revision == 0 else None, OTHER])
    )
    span = LoadRange(TOPIC_ID, 0, 0, 2, revision)
    ranges = {"replaced": (span,)} if revision else {"forward": (span,)}
    return LoadBatch(STREAM, 5 + revision, project(STREAM, rows), **ranges)


def build(cluster: Cluster, settings: Settings, build_id: str) -> None:
    """A stand-in for dbt: one mart of clicks, and the model of what was touched."""
    cluster.execute(
        "create schema if not exists marts; create schema if not exists intermediate; "
        "drop table if exists marts.dim_clicks; "
        "create table marts.dim_clicks as select event_id, user_id from raw.clicks; "
        "drop table if exists intermediate.int_touched_events; "
        "create table intermediate.int_touched_events as "
        "select event_id, user_id from control.removed_rows; "
        "insert into control.builds select "
        f"'{build_id}', max(load_id), now() from control.loads"
    )
    publish_build(settings, build_id)


def test_a_person_who_is_still_in_a_model_is_not_half_forgotten(
    cluster: Cluster, settings: Settings
) -> None:
    with pytest.raises(WarehouseError, match=r'marts."dim_clicks" has 1 rows of the person'):
        forget_person(settings, [THEIRS])
    assert "control.removed_rows" in places_of(cluster, THEIRS)


def test_a_person_is_forgotten_everywhere_and_nobody_else(
    cluster: Cluster, settings: Settings
) -> None:
    build(cluster, settings, "b2")
    assert places_of(cluster, THEIRS) == [
        "control.removed_rows",
        "intermediate.int_touched_events",
        f"{snapshot_schema('b1')}.dim_clicks",
    ]
    others = set(places_of(cluster, OTHER)) - {f"{snapshot_schema('b1')}.dim_clicks"}

    assert forget_person(settings, [THEIRS]) == 2

    assert places_of(cluster, THEIRS) == []
    assert set(places_of(cluster, OTHER)) == others
    assert cluster.execute("select count(*) from published.dim_clicks") == [(2,)]
    assert len(list(settings.published_dir.glob("*.duckdb"))) == 1
    found = query_published(settings.published_dir, "select user_id from marts.dim_clicks")
    assert set(found["user_id"].to_list()) == {None, OTHER}
    vacuumed = [sql for sql in cluster.wire.log.statements if sql.startswith("VACUUM DELETE ONLY")]
    assert {sql.split()[3].replace('"', "") for sql in vacuumed} >= {
        "raw.clicks",
        "control.removed_rows",
        "marts.dim_clicks",
    }
    assert forget_person(settings, [THEIRS]) == 0


def test_a_warehouse_without_publications_is_tidied_too(
    redshift_cluster: Cluster, settings: Settings
) -> None:
    with RedshiftWarehouse.from_settings(settings) as warehouse:
        warehouse.ensure_schema()
        warehouse.load(clicks(0))
        warehouse.load(clicks(1))
    assert forget_person(settings, [THEIRS]) == 1
    assert places_of(redshift_cluster, THEIRS) == []
