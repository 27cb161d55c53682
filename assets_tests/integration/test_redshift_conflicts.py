"""Loads into Redshift that meet each other or are killed: each comes once, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adx_platform.faultpoints import VARIABLE
from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse import redshift_connection
from adx_platform.warehouse.base import StaleLoadError
from adx_platform.warehouse.redshift_connection import RedshiftConflictError, connect
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from assets_tests.integration.redshift_batches import (
    batch,
    left_behind,
    offsets,
)
from assets_tests.servers.redshift_shaped import Cluster
from assets_tests.servers.seaweedfs import SeaweedFS

pytestmark = [pytest.mark.postgres, pytest.mark.s3]


@pytest.fixture
def settings(redshift_cluster: Cluster, seaweedfs: SeaweedFS, tmp_path: Path) -> Settings:
    return load_settings(
        home=tmp_path,
        lake=seaweedfs.settings(tmp_path.name),
        warehouse=redshift_cluster.settings(),
    )


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[RedshiftWarehouse]:
    with RedshiftWarehouse.from_settings(settings) as opened:
        opened.ensure_schema()
        yield opened


def conflicts(cluster: Cluster, words: str, times: int) -> list[str]:
    """Let the first ``times`` statements with ``words`` fail as error 1023; those that did."""
    failed: list[str] = []

    def refusal(sql: str) -> str | None:
        if words in sql and len(failed) < times:
            failed.append(sql)
            return "Serializable isolation violation on table - 1, transactions forming the cycle"
        return None

    cluster.wire.refusal = refusal
    return failed


@pytest.mark.parametrize("words", ["COPY ", "INSERT INTO raw.", "COMMIT"])
def test_a_conflict_is_tried_again_and_loads_once(
    warehouse: RedshiftWarehouse,
    redshift_cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
) -> None:
    monkeypatch.setattr(redshift_connection, "_FIRST_PAUSE_SECONDS", 0.01)
    failed = conflicts(redshift_cluster, words, times=3)
    assert warehouse.load(batch(0, 3)).load_id == 1
    assert len(failed) == 3
    assert offsets(redshift_cluster) == [(0, 0), (1, 0), (2, 0)]


def test_conflicts_without_end_are_told_and_change_nothing(
    warehouse: RedshiftWarehouse,
    redshift_cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redshift_connection, "_FIRST_PAUSE_SECONDS", 0.01)
    failed = conflicts(redshift_cluster, "COMMIT", times=100)
    with pytest.raises(RedshiftConflictError, match=r"1023: Serializable.*run again"):
        warehouse.load(batch(0, 3))
    assert len(failed) == redshift_connection.CONFLICT_ATTEMPTS
    redshift_cluster.wire.refusal = lambda sql: None
    assert offsets(redshift_cluster) == []
    assert warehouse.load(batch(0, 3)).load_id == 1


def test_a_conflict_of_the_server_itself_is_one(
    warehouse: RedshiftWarehouse, settings: Settings
) -> None:
    """The classical write skew, as the server's own serializable isolation finds it."""
    one, other = connect(settings.warehouse), connect(settings.warehouse)
    try:
        with one.transaction():
            one.rows("select count(*) from control.builds")
            one.execute("insert into control.loads values (1, 's', 0, getdate(), 0)")
            with other.transaction():
                other.rows("select count(*) from control.loads")
                other.execute("insert into control.builds values ('b', 1, getdate())")
            with pytest.raises(RedshiftConflictError, match="1023"):
                one.execute("select count(*) from control.builds")
            one.execute("ROLLBACK")
            one.execute("BEGIN")
    finally:
        one.close()
        other.close()


def test_two_loaders_race_and_each_load_has_its_own_id(
    settings: Settings, warehouse: RedshiftWarehouse, redshift_cluster: Cluster
) -> None:
    """Each range is offered twice, at once: one of the two wins, and nothing is doubled."""
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def loader() -> None:
        with RedshiftWarehouse.from_settings(settings) as own:
            for start in range(0, 40, 5):
                barrier.wait(timeout=60)
                try:
                    own.load(batch(start, start + 5))
                except StaleLoadError:
                    outcomes.append("stale")
                else:
                    outcomes.append("loaded")

    threads = [threading.Thread(target=loader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(outcomes) == ["loaded"] * 8 + ["stale"] * 8
    assert [offset for offset, _ in offsets(redshift_cluster)] == list(range(40))
    assert redshift_cluster.execute("select load_id from control.loads order by 1") == [
        (number,) for number in range(1, 9)
    ]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(
    ("kill_at", "loaded"),
    [("load.files_written", 5), ("load.in_transaction", 5), ("load.after_commit", 9)],
)
def test_killed_and_started_again(
    warehouse: RedshiftWarehouse,
    redshift_cluster: Cluster,
    settings: Settings,
    kill_at: str,
    loaded: int,
) -> None:
    warehouse.load(batch(0, 5))
    section = settings.warehouse
    environment = {
        "ADX_LAKE__URI": settings.lake_uri,
        "ADX_LAKE__S3_ENDPOINT": settings.lake.s3_endpoint,
        "ADX_LAKE__S3_ACCESS_KEY_ID": settings.lake.s3_access_key_id,
        "ADX_LAKE__S3_SECRET_ACCESS_KEY": settings.lake.s3_secret_access_key.get_secret_value(),
        "ADX_LAKE__S3_ALLOW_HTTP": "true",
        **{
            f"ADX_WAREHOUSE__{name.upper()}": str(getattr(section, name))
            for name in ("engine", "host", "port", "database", "user", "sslmode", "iam_role")
        },
        "ADX_WAREHOUSE__PASSWORD": section.password.get_secret_value(),
        VARIABLE: kill_at,
    }
    killed = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [offset for offset, _ in offsets(redshift_cluster)] == list(range(loaded))
    if loaded == 5:
        warehouse.load(batch(5, 9))
    else:
        with pytest.raises(StaleLoadError, match="the warehouse is at 9"):
            warehouse.load(batch(5, 9))
    assert [offset for offset, _ in offsets(redshift_cluster)] == list(range(9))
    assert warehouse.latest_load() == 2
    # They are young: no load takes away what another may still be copying.
    assert len(left_behind(settings)) == 2
    with RedshiftWarehouse.from_settings(settings) as later:
        later.leftover_age = timedelta(seconds=-60)
        later.load(batch(9, 10))
    assert left_behind(settings) == []


if __name__ == "__main__":
    with RedshiftWarehouse.from_settings(load_settings()) as own_warehouse:
        own_warehouse.load(batch(5, 9))
