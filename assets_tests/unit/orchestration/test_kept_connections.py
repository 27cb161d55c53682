"""Connections to Dagster's files are kept, few, and closed; what is written is as Dagster's own."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage, sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.kept_connections import OPEN_FILES
from adx_platform.settings import Settings

SEEN = dg.AssetKey("seen")
OPEN = Path("/proc/self/fd")

# In a process of its own, where Dagster's own methods are at work.
DAGSTERS_OWN = f"""
import sys
import dagster as dg
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    runs = instance.get_runs()
    print(len(runs), all(run.is_success for run in runs))
    print(sum(len(instance.all_logs(run.run_id)) for run in runs))
    key = dg.AssetKey("{SEEN.to_user_string()}")
    print(len(instance.fetch_materializations(key, 1000).records))
"""
A_CHILD = f"""
import os, sys
import dagster as dg
from adx_platform.orchestration.kept_connections import keep_connections
keep_connections()
seen = dg.AssetMaterialization("{SEEN.to_user_string()}")
instance = dg.DagsterInstance.from_config(sys.argv[1])
instance.report_runless_asset_event(seen)
child = os.fork()
instance.report_runless_asset_event(seen)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
instance.report_runless_asset_event(seen)
print(len(instance.fetch_materializations(seen.asset_key, 1000).records))
instance.dispose()
"""


@dg.asset(key=SEEN, check_specs=[dg.AssetCheckSpec("fine", asset=SEEN)])
def seen() -> Iterator[dg.MaterializeResult[None]]:
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = dg.Definitions([seen]).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance)


def told(program: str, home: Path) -> list[str]:
    command = [sys.executable, "-W", "ignore", "-c", program, str(home)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120
    ).stdout.split()


def open_databases(folder: Path) -> set[str]:
    """The database files in a folder that this process has open."""
    found = set()
    for entry in OPEN.iterdir():
        try:
            target = entry.readlink()
        except FileNotFoundError:
            continue  # the listing's own
        if target.suffix == ".db" and target.is_relative_to(folder):
            found.add(target.name)
    return found


def test_dagsters_own_methods_read_what_was_written(settings: Settings) -> None:
    with ensure_instance(settings) as instance:
        results = [run(instance) for _ in range(3)]
        events = sum(len(instance.all_logs(result.run_id)) for result in results)
        assert events > 3 * 8

        # Our connections are still open, and what was written is there for everybody.
        assert told(DAGSTERS_OWN, settings.dagster_home) == ["3", "True", str(events), "3"]


@pytest.mark.skipif(not OPEN.exists(), reason="only Linux says which files a process has open")
def test_few_files_are_open_and_none_after_the_end(settings: Settings) -> None:
    home = settings.dagster_home.resolve()
    with ensure_instance(settings) as instance:
        for _ in range(OPEN_FILES + 3):
            last = run(instance).run_id
        still_open = open_databases(home / "history" / "runs")
        assert len(still_open) == OPEN_FILES
        assert {"index.db", f"{last}.db"} <= still_open
    assert open_databases(home) == set()


@pytest.mark.skipif(not OPEN.exists(), reason="only Linux says which files a process has open")
def test_a_storage_that_nobody_disposed_of_closes_its_files(settings: Settings) -> None:
    instance: dg.DagsterInstance | None = ensure_instance(settings)
    assert instance is not None
    instance.report_runless_asset_event(dg.AssetMaterialization(SEEN))
    assert open_databases(settings.home.resolve())
    instance = None
    assert open_databases(settings.home.resolve()) == set()


def test_many_threads_write_without_losing_an_event(settings: Settings) -> None:
    with ensure_instance(settings) as instance:
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda number: instance.report_runless_asset_event(
                        dg.AssetMaterialization(SEEN, metadata={"number": number})
                    ),
                    range(40),
                )
            )
        records = instance.fetch_materializations(SEEN, 1000).records
    numbers = [
        record.asset_materialization.metadata["number"].value
        for record in records
        if record.asset_materialization is not None
    ]
    assert sorted(numbers) == list(range(40))  # type: ignore[type-var] # they are the integers


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_connections_of_its_own(tmp_path: Path) -> None:
    assert told(A_CHILD, tmp_path) == ["4"]


def delete_all_and_fail(storage: SqliteEventLogStorage) -> None:
    with storage.index_connection() as connection:
        connection.execute(sa.text("delete from event_logs"))
        raise ZeroDivisionError


def test_a_failed_statement_leaves_a_connection_that_works(settings: Settings) -> None:
    with ensure_instance(settings) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(SEEN))
        storage = instance.event_log_storage
        assert isinstance(storage, SqliteEventLogStorage)
        with pytest.raises(ZeroDivisionError):
            delete_all_and_fail(storage)
        assert len(instance.fetch_materializations(SEEN, 10).records) == 1


@pytest.mark.parametrize(
    ("module", "cls", "method", "digest"),
    [
        (sqlite_event_log, "SqliteEventLogStorage", "_connect", "a825ad170b8b"),
        (sqlite_event_log, "SqliteEventLogStorage", "dispose", "bc852454705c"),
        (sqlite_run_storage, "SqliteRunStorage", "connect", "3634e1da8cc6"),
    ],
)
def test_dagsters_methods_are_those_that_ours_were_written_for(
    module: ModuleType, cls: str, method: str, digest: str
) -> None:
    """If this fails after an upgrade, compare the new method with ``kept_connections``."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    (defined,) = [
        ast.get_source_segment(source, part)
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == cls
        for part in node.body
        if isinstance(part, ast.FunctionDef) and part.name == method
    ]
    assert hashlib.sha256(str(defined).encode()).hexdigest()[:12] == digest
