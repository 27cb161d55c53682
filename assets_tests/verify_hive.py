"""`make verify-hive`: a market through lake, load and dbt on Hive's protocol, held against DuckDB.

Belongs here: the command, its server, and what it prints. Does not belong here: the market and the
comparison (``redshift_proof``).

HiveServer2's protocol and the Hive metastore are real; Spark runs the statements, by its Thrift
Server. A build is some ninety models at seconds each, so this is no test of every change.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import polars as pl
from rich.console import Console

from adx_platform.cli.runs import problems_of
from adx_platform.orchestration.dbt_project import ensure_manifest
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.run import run_warehouse
from adx_platform.quality.warehouse_rows import recount_warehouse
from adx_platform.settings import Settings, load_settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.warehouse.publish import TOO_LARGE_TO_CARRY
from adx_platform.warehouse.published import open_published
from adx_platform.warehouse.retention import expire
from adx_platform.warehouse.retention_rules import DAY_COLUMNS
from adx_platform.warehouse.tables import EXPIRED_OFFSETS, RECORD_TABLES, RETENTION
from assets_tests.redshift_proof import (
    Rows,
    arrive,
    build,
    content,
    contents,
    differences,
    load_all,
    make_market,
    restate,
    tables,
    with_duckdb,
)
from assets_tests.servers.ports import free_port
from assets_tests.servers.spark_thrift import missing, spark_thrift

EVENTS = 3_000
_WITHOUT_TESTS = ("--exclude-resource-type", "test")
_BOOKS = (EXPIRED_OFFSETS.qualified_name, RETENTION.qualified_name)
# The hour of a copy is a column of the copies alone, and each engine has its own clock.
_NO_RESULT = frozenset({"partition_hour", "applied_at"})

Tables: TypeAlias = dict[str, tuple[list[str], Rows]]

console = Console(highlight=False)


def main() -> int:
    """Start the server, go through the steps, and say what they showed; 1 if one failed."""
    reason = missing()
    if reason is not None:
        console.print(f"not shown: {reason}")
        return 1
    with tempfile.TemporaryDirectory(prefix="adx-verify-hive-") as scratch:
        server = Path(scratch) / "server"
        server.mkdir()
        with spark_thrift(server, free_port()) as port:
            settings = load_settings(
                home=Path(scratch) / "home",
                warehouse={"engine": "hive", "host": "127.0.0.1", "port": port, "threads": 4},
            )
            return _verify(settings)


def _verify(settings: Settings) -> int:
    make_market(settings, events=EVENTS)
    arrive(settings, 0, 0.6)
    if not _turn(settings, "first"):
        return 1
    arrive(settings, 0.6, 0.9)
    restate(settings, "ad_impressions", 0.4)
    if not _turn(settings, "incremental, after more rows and a restatement"):
        return 1
    arrive(settings, 0.9, 1)
    if not _whole_build(settings) or not _expiry(settings):
        return 1
    console.print("Hive's protocol and metastore, Spark's engine: DuckDB's marts, four times")
    return 0


def _expiry(settings: Settings) -> bool:
    """Rows expire, some are restated and come back, and go again after the next build."""
    if not _expire(settings, "first"):
        return False
    restate(settings, "clicks_conversions", 0.4)
    built = _turn(settings, "after rows expired, and some came back")
    return built and _conserved(settings) and _expire(settings, "again")


def _whole_build(settings: Settings) -> bool:
    """`adx build`: load, models and their tests, every asset check, and publication."""
    ensure_manifest(settings)
    started = time.monotonic()
    summary = run_warehouse(settings)
    if problems := problems_of(summary):
        console.print("adx build is not green:", *problems, sep="\n  ", markup=False)
        return False
    seconds = time.monotonic() - started
    console.print(f"adx build: green, {summary.checks} asset checks, in {seconds:.0f} s")
    other = Line(with_duckdb(settings))
    load_all(other)
    assert not build(other.settings, *_WITHOUT_TESTS).problems
    other.record_build("whole", other.newest_load())
    marts = tables(other, ("marts",))
    if not _equal("marts after adx build", contents(Line(settings), marts), marts):
        return False
    carried = {
        n: rows for n, rows in marts.items() if n.partition(".")[2] not in TOO_LARGE_TO_CARRY
    }
    with open_published(settings.published_dir) as snapshot:
        found = {
            n: content(pl.DataFrame(snapshot.sql(f"from {n}").to_arrow_table())) for n in carried
        }
    return _equal("published snapshot", found, carried)


def _expire(settings: Settings, what: str) -> bool:
    """The first day of every table that may have a retention goes, on both engines."""
    config = MarketConfig()
    today = config.start.date() + timedelta(days=1 + 100)
    line, other = Line(settings), Line(with_duckdb(settings))
    done = []
    for each in (line, other):
        started = time.monotonic()
        with each.warehouse() as warehouse:
            done.append(expire(warehouse, dict.fromkeys(DAY_COLUMNS, 100), today=today))
        rows = sum(item.rows for item in done[-1])
        seconds = time.monotonic() - started
        engine = each.settings.warehouse.engine
        console.print(
            f"{rows:,} rows of {len(done[-1])} tables expired on {engine} in {seconds:.0f} s"
        )
    if done[0] != done[1] or not done[0]:
        console.print(*done, sep="\n", markup=False)
        return False
    rest = tables(other, ("raw", "intermediate", "marts")) | contents(
        other, _BOOKS, without=_NO_RESULT
    )
    return _equal(f"all tables, expired {what}", contents(line, rest, without=_NO_RESULT), rest)


def _conserved(settings: Settings) -> bool:
    """Every offset that was loaded has its row, or what stands for it."""
    with Line(settings).warehouse() as warehouse:
        equations = [
            equation
            for stream, of_stream in RECORD_TABLES.items()
            for equation in recount_warehouse(
                warehouse.query, stream, [table.qualified_name for table in of_stream.values()]
            )
        ]
    broken = [item.explain() for item in equations if item.verdict != "holds"]
    expired = sum(item.expired for item in equations)
    console.print(f"{len(equations)} partitions, {expired:,} offsets expired; broken: {broken}")
    return not broken and expired > 0


def _turn(settings: Settings, what: str) -> bool:
    """One load and build on both engines, and whether their tables are equal."""
    line, other = Line(settings), Line(with_duckdb(settings))
    started = time.monotonic()
    rows = load_all(line)
    console.print(f"loaded {rows:,} rows in {time.monotonic() - started:.0f} s")
    load_all(other)
    raw = tables(other, ("raw", "reference")) | contents(other, _BOOKS, without=_NO_RESULT)
    ours = contents(line, raw, without=_NO_RESULT)
    if not _equal(f"raw and reference, {what}", ours, raw):
        return False
    started = time.monotonic()
    done = build(settings, *_WITHOUT_TESTS)
    if done.problems:
        console.print("dbt build failed:", *done.problems, sep="\n  ", markup=False)
        return False
    console.print(f"dbt build, {what}: {done.statuses} in {time.monotonic() - started:.0f} s")
    assert not build(other.settings, *_WITHOUT_TESTS).problems
    for each in (line, other):
        each.record_build(what.split(",", maxsplit=1)[0], each.newest_load())
    built = tables(other)
    return _equal(f"intermediate and marts, {what}", contents(line, built), built)


def _equal(what: str, ours: Tables, theirs: Tables) -> bool:
    found = differences(ours, theirs)
    for problem in found:
        console.print(problem[:600], markup=False)
    console.print(f"{what}: {'EQUAL' if not found else 'DIFFERENT'}")
    return not found


if __name__ == "__main__":
    sys.exit(main())
