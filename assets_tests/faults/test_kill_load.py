"""The loader and the publisher, killed at their named instants in a process of their own.

The process that is killed runs this file as a script.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.faultpoints import VARIABLE
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.restatements import announce
from adx_platform.lake.sources import register_sources
from adx_platform.lake.storage import LakeStorage
from adx_platform.warehouse.base import TopicPartition
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.loader import load_pending
from adx_platform.warehouse.publish import publish
from adx_platform.warehouse.published import query_published

STREAM = "ad_impressions"
TOPIC_ID = "topic-a"
PARTITIONS = 2
LOADED, END = 60, 110
RESTATED = range(20, 90)
START = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Prepared:
    """A lake that is ahead of the warehouse in ``home``, forwards and by a restatement."""

    lake: Path
    home: Path


def _events(partition: int, offsets: range, revision: int = 0) -> pl.DataFrame:
    rows = [
        {
            "topic_id": TOPIC_ID,
            "partition": partition,
            "offset": offset,
            "kafka_timestamp": START + timedelta(seconds=offset),
            "revision": revision,
            "disposition": "accepted",
            "record_type": "ad_impression",
            "event_id": f"e-{partition}-{offset}",
            "event_time": START + timedelta(seconds=offset),
            "event_date": START.date(),
        }
        for offset in offsets
    ]
    return pl.DataFrame(rows, schema=STREAMS[STREAM].events_schema)


def _append(storage: LakeStorage, offsets: range) -> None:
    handle = RefineHandle.open(storage, STREAM, STREAMS[STREAM].events_schema)
    frame = pl.concat([_events(partition, offsets) for partition in range(PARTITIONS)])
    spans = [OffsetRange(partition, offsets.start, offsets.stop) for partition in range(PARTITIONS)]
    handle.commit(frame, TOPIC_ID, spans)


def turn(prepared: Prepared, build_id: str) -> None:
    """One turn of the warehouse: load, build (a stand-in for dbt), publish."""
    with DuckDBWarehouse(prepared.home / "adx.duckdb") as warehouse:
        warehouse.ensure_schema()
        load_pending(warehouse, LakeStorage.at(str(prepared.lake)), STREAM, max_rows=25)
        warehouse.connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        warehouse.connection.execute(
            "CREATE OR REPLACE TABLE marts.counts AS "
            "SELECT count(*) AS events, count(DISTINCT (partition_id, kafka_offset)) AS offsets, "
            "max(revision) AS revision FROM raw.ad_impressions"
        )
        warehouse.record_build(build_id, warehouse.latest_load())
        publish(warehouse, prepared.home / "published", build_id)


def _process(
    prepared: Prepared, build_id: str, *, kill_at: str = ""
) -> subprocess.CompletedProcess[str]:
    """The same turn in a process of its own."""
    return subprocess.run(
        [sys.executable, __file__, str(prepared.lake), str(prepared.home), build_id],
        env={**os.environ, VARIABLE: kill_at},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("kill_load")
    prepared = Prepared(folder / "lake", folder / "home")
    storage = LakeStorage.at(str(prepared.lake))
    register_sources(storage, STREAM, TOPIC_ID, range(PARTITIONS))
    _append(storage, range(LOADED))
    turn(prepared, "b1")
    _append(storage, range(LOADED, END))
    # It reaches over the warehouse's cursor: one part is replaced, the other arrives restated.
    span = OffsetRange(0, RESTATED.start, RESTATED.stop)
    restatement = announce(storage, STREAM, TOPIC_ID, span, reason="test")
    handle = RefineHandle.open(storage, STREAM, STREAMS[STREAM].events_schema)
    handle.replace(_events(0, RESTATED, restatement.revision), restatement)
    return prepared


@pytest.fixture
def prepared(template: Prepared, tmp_path: Path) -> Prepared:
    """The template with a warehouse of the test's own; the lake is only read."""
    shutil.copytree(template.home, tmp_path / "home")
    return Prepared(template.lake, tmp_path / "home")


def _published(prepared: Prepared) -> tuple[int, ...]:
    return query_published(prepared.home / "published", "SELECT * FROM marts.counts").row(0)


def _assert_loaded_exactly_once(prepared: Prepared) -> None:
    with DuckDBWarehouse(prepared.home / "adx.duckdb") as warehouse:
        rows = warehouse.query(
            "SELECT topic_id, partition_id, kafka_offset, revision FROM raw.ad_impressions "
            "ORDER BY ALL"
        ).rows()
        assert rows == [
            (TOPIC_ID, partition, offset, int(partition == 0 and offset in RESTATED))
            for partition in range(PARTITIONS)
            for offset in range(END)
        ]
        assert warehouse.cursors(STREAM) == {
            TopicPartition(TOPIC_ID, partition): END for partition in range(PARTITIONS)
        }
        removed = warehouse.query("SELECT event_id FROM control.removed_rows ORDER BY load_id")
        assert sorted(removed["event_id"]) == sorted(
            f"e-0-{offset}" for offset in range(RESTATED.start, LOADED)
        )
        written = warehouse.query("SELECT sum(row_count) FROM control.loads").item()
        assert written == len(rows) + removed.height
        forward = warehouse.query(
            "SELECT partition_id, start_offset, end_offset FROM control.load_ranges "
            "WHERE kind = 'forward' ORDER BY ALL"
        )
        for partition in range(PARTITIONS):
            at = 0
            for _, start, end in forward.filter(pl.col("partition_id") == partition).iter_rows():
                assert start == at
                at = end
            assert at == END
        assert warehouse.latest_load() == warehouse.completed_load()


OLD = (PARTITIONS * LOADED, PARTITIONS * LOADED, 0)
NEW = (PARTITIONS * END, PARTITIONS * END, 1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(
    ("kill_at", "readers_see"),
    [
        ("load.in_transaction:1", OLD),  # replacing the restated part
        ("load.after_commit:1", OLD),
        ("load.in_transaction:2", OLD),  # its second portion
        ("load.in_transaction:3", OLD),  # going forward
        ("load.after_commit:4", OLD),
        ("publish.before_swap", OLD),
        ("publish.after_swap", NEW),
    ],
)
def test_killed_and_started_again(
    prepared: Prepared, kill_at: str, readers_see: tuple[int, ...]
) -> None:
    killed = _process(prepared, "b2", kill_at=kill_at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert _published(prepared) == readers_see
    # A build that was recorded before the kill keeps its id: its publication is finished.
    turn(prepared, "b2")
    _assert_loaded_exactly_once(prepared)
    assert _published(prepared) == NEW


def test_a_doubled_run_changes_nothing(prepared: Prepared) -> None:
    for build_id in ("b2", "b3"):
        turn(prepared, build_id)
        _assert_loaded_exactly_once(prepared)
        assert _published(prepared) == NEW


def test_two_at_once_one_is_refused_and_nothing_doubles(prepared: Prepared) -> None:
    with DuckDBWarehouse(prepared.home / "adx.duckdb"):
        refused = _process(prepared, "b2")
    assert refused.returncode == 1
    assert "WarehouseBusyError: another process has the warehouse" in refused.stderr
    turn(prepared, "b2")
    _assert_loaded_exactly_once(prepared)


if __name__ == "__main__":
    lake, home, build = sys.argv[1:]
    turn(Prepared(Path(lake), Path(home)), build)
