"""What readers of schema ``published`` see: one green build as a whole, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adx_platform.faultpoints import VARIABLE
from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.published import query_published
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_publish import snapshot_schema
from adx_platform.warehouse.selection import publish_build
from assets_tests.servers.redshift_shaped import Cluster

pytestmark = [pytest.mark.postgres, pytest.mark.s3]


@pytest.fixture
def settings(redshift_cluster: Cluster, tmp_path: Path) -> Settings:
    warehouse = {**redshift_cluster.settings(), "load_uri": "s3://lake/never-used"}
    return load_settings(home=tmp_path, warehouse=warehouse)


@pytest.fixture
def cluster(redshift_cluster: Cluster, settings: Settings) -> Cluster:
    """A cluster with one published build."""
    with RedshiftWarehouse.from_settings(settings) as warehouse:
        warehouse.ensure_schema()
    redshift_cluster.execute("create schema marts")
    build(redshift_cluster, "b1", figure=1)
    publish_build(settings, "b1")
    return redshift_cluster


def build(cluster: Cluster, build_id: str, *, figure: int, is_green: bool = True) -> None:
    """A stand-in for dbt: two marts that must be seen together."""
    for name in ("agg_a", "fct_clicks"):
        cluster.execute(
            f"drop table if exists marts.{name}; "
            f"create table marts.{name} as select {figure} as figure, 'x'::varchar(9) as user_id"
        )
    if is_green:
        cluster.execute(f"insert into control.builds values ('{build_id}', 0, now())")


def seen(cluster: Cluster) -> list[tuple[int, ...]]:
    return cluster.execute(
        "select a.figure, f.figure from published.agg_a a, published.fct_clicks f"
    )


def snapshots(cluster: Cluster) -> set[str]:
    rows = cluster.execute("select nspname from pg_namespace where nspname like 'published\\_%'")
    return {name for (name,) in rows}


def test_a_red_build_is_not_seen(cluster: Cluster, settings: Settings) -> None:
    build(cluster, "b2", figure=2, is_green=False)
    assert seen(cluster) == [(1, 1)]
    with pytest.raises(WarehouseError, match="b2 is not recorded as green"):
        publish_build(settings, "b2")
    assert seen(cluster) == [(1, 1)]


def test_a_publication_moves_all_marts_and_keeps_one_more(
    cluster: Cluster, settings: Settings
) -> None:
    cluster.execute(f"create schema {snapshot_schema('killed')}")
    for number in (2, 3):
        build(cluster, f"b{number}", figure=number)
        report = publish_build(settings, f"b{number}")
        assert report.rows == {"agg_a": 1, "fct_clicks": 1}
        assert report.snapshot == snapshot_schema(f"b{number}")
    assert seen(cluster) == [(3, 3)]
    assert snapshots(cluster) == {snapshot_schema("b2"), snapshot_schema("b3")}
    # A mart that is gone is gone for readers too.
    cluster.execute("drop table marts.agg_a")
    cluster.execute("insert into control.builds values ('b4', 0, now())")
    publish_build(settings, "b4")
    views = cluster.execute(
        "select table_name from information_schema.views where table_schema = 'published'"
    )
    assert ("agg_a",) not in views
    assert ("fct_clicks",) in views


def test_this_machine_has_the_figures_and_not_the_large_facts(
    cluster: Cluster, settings: Settings
) -> None:
    assert query_published(settings.published_dir, "select figure from marts.agg_a").rows() == [
        (1,)
    ]
    builds = query_published(settings.published_dir, "select build_id from control.builds")
    assert builds.rows() == [("b1",)]
    with pytest.raises(WarehouseError, match="there is no table"):
        query_published(settings.published_dir, "select * from marts.fct_clicks")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(
    ("kill_at", "figure"),
    [("publish.before_swap:1", 1), ("publish.after_swap:1", 2), ("publish.before_swap:2", 2)],
)
def test_killed_and_published_again(
    cluster: Cluster, settings: Settings, kill_at: str, figure: int
) -> None:
    build(cluster, "b2", figure=2)
    section = settings.warehouse
    environment = {
        "ADX_HOME": str(settings.home),
        **{
            f"ADX_WAREHOUSE__{name.upper()}": str(getattr(section, name))
            for name in (
                "engine", "host", "port", "database", "user", "sslmode", "iam_role", "load_uri"
            )
        },
        "ADX_WAREHOUSE__PASSWORD": section.password.get_secret_value(),
        VARIABLE: kill_at,
    }  # fmt: skip
    killed = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert seen(cluster) == [(figure, figure)]
    publish_build(settings, "b2")
    assert seen(cluster) == [(2, 2)]
    assert snapshots(cluster) == {snapshot_schema("b1"), snapshot_schema("b2")}
    assert query_published(settings.published_dir, "select figure from marts.agg_a").rows() == [
        (2,)
    ]


if __name__ == "__main__":
    publish_build(load_settings(), "b2")
