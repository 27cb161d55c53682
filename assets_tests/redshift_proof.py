"""A seeded market through lake, load and dbt on two engines, and whether their tables are equal.

Belongs here: what the test against the Redshift-shaped server, ``make verify-redshift`` and
``make verify-hive`` share.
Does not belong here: either server, or what is printed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.pipeline.reprocess import reprocess_range
from adx_platform.settings import Settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.simulator import simulate
from adx_platform.warehouse.profiles import DBT_TARGETS, dbt_environment
from assets_tests.dbt_in_process import invoke

PROJECT = Path(__file__).parents[1] / "dbt_project"
EVENTS, DAYS = 8_000, 3
TOPIC_ID = "topic"
# What one build knows of itself, and not a result.
BOOKKEEPING = frozenset({"int_changed_loads", "int_touched_events", "int_touched_days"})

Rows = Counter[tuple[Any, ...]]


def with_duckdb(settings: Settings) -> Settings:
    """The same lake, and a DuckDB warehouse under the same home."""
    section = type(settings.warehouse)(threads=settings.warehouse.threads)
    return settings.model_copy(update={"warehouse": section})


def make_market(settings: Settings, *, events: int = EVENTS) -> None:
    """Simulate a market, with its ordinary dirt, into the home of ``settings``."""
    registry = FileSchemaRegistry(settings.registry_dir)
    simulate(MarketConfig(events=events, days=DAYS), settings.home, registry=registry)


def arrive(settings: Settings, start: float, end: float) -> None:
    """Land and refine the messages from share ``start`` to ``end`` of every partition."""
    platform = open_platform(settings)
    try:
        for stream in STREAMS.values():
            _land(platform, stream, start, end)
            for lane in range(settings.kafka.lanes_per_topic):
                while refine_pending(platform, stream, lane) is not None:
                    pass
    finally:
        platform.kafka.close()


def restate(settings: Settings, stream: str, share: float) -> None:
    """Refine the first ``share`` of a partition anew, under a bound that makes more rows late."""
    stricter = settings.refine.model_copy(update={"late_after": timedelta(seconds=5)})
    platform = open_platform(settings.model_copy(update={"refine": stricter}))
    try:
        count = _wire(platform, STREAMS[stream])["sequence"].max() or 0
        span = OffsetRange(0, 0, max(1, int(count * share)))
        reprocess_range(platform, stream, [span], reason="proof")
    finally:
        platform.kafka.close()


def load_all(line: Line) -> int:
    """Load reference data and every stream; rows written to the raw tables."""
    line.load_reference()
    reports = [line.load(stream) for stream in STREAMS]
    return sum(report.rows for report in reports if report is not None)


@dataclass(frozen=True)
class Build:
    """How one ``dbt build`` ended: nodes by status, and what those said that failed."""

    statuses: dict[str, int]
    problems: list[str]
    seconds: dict[str, float]


def build(settings: Settings, *arguments: str, with_unit_tests: bool = False) -> Build:
    """Run dbt with the environment that the platform gives it; it leaves unit tests out, too."""
    if not with_unit_tests:
        arguments = ("--exclude-resource-type", "unit_test", *arguments)
    engine = settings.warehouse.engine
    folder = settings.home / f"dbt-{engine}"
    with _environment(dbt_environment(settings)):
        done = invoke(
            "build", *arguments,
            "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
            "--target", DBT_TARGETS[engine], "--target-path", str(folder / "target"),
            "--log-path", str(folder / "logs"),
        )  # fmt: skip
    # dbt lists exposures among the results and runs nothing for them.
    results = [
        result for result in getattr(done.result, "results", None) or [] if result.status != "no-op"
    ]
    problems = [
        f"{result.node.name}: {result.status} {result.message}"
        for result in results
        if result.status not in {"success", "pass", "warn"}
    ]
    if not done.success and not problems:
        problems.append(str(done.exception))
    return Build(
        dict(Counter(str(result.status) for result in results)),
        problems,
        {result.node.name: result.execution_time for result in results},
    )


def load_and_build(settings: Settings, build_id: str, *arguments: str) -> Build:
    """A turn of the warehouse: load, build, and record the build if it is green."""
    line = Line(settings)
    load_all(line)
    done = build(settings, *arguments)
    if not done.problems:
        line.record_build(build_id, line.newest_load())
    return done


def tables(
    line: Line,
    schemas: tuple[str, ...] = ("intermediate", "marts"),
    *,
    without: frozenset[str] = frozenset(),
) -> dict[str, tuple[list[str], Rows]]:
    """Every table of ``schemas`` whose content is a result: its columns and rows.

    Columns ``without`` are left out.
    """
    with line.warehouse() as warehouse:
        named = [
            f"{schema}.{name}"
            for schema in schemas
            for name in warehouse.built_tables(schema)
            if name not in BOOKKEEPING
        ]
    return contents(line, named, without=without)


def contents(
    line: Line, names: Iterable[str], *, without: frozenset[str] = frozenset()
) -> dict[str, tuple[list[str], Rows]]:
    """Columns and rows of tables, each ``schema.name``; columns ``without`` are left out."""
    with line.warehouse() as warehouse:
        return {
            name: content(warehouse.query(f"select * from {name}").drop(without, strict=False))
            for name in sorted(names)
        }


def differences(
    ours: dict[str, tuple[list[str], Rows]], theirs: dict[str, tuple[list[str], Rows]]
) -> list[str]:
    """How two engines differ, a line for each table; none if they are equal row for row."""
    found = [f"{name} is on one engine only" for name in sorted(set(ours) ^ set(theirs))]
    for name in sorted(set(ours) & set(theirs)):
        (columns, mine), (others, other) = ours[name], theirs[name]
        if columns != others:
            found.append(f"{name}: columns {columns} and {others}")
        elif mine != other:
            found.append(
                f"{name}: {(mine - other).total()} rows of {mine.total()} differ, "
                f"such as {list(mine - other)[:1]} and {list(other - mine)[:1]} of {columns}"
            )
    return found


def plain(value: Any) -> Any:
    """``value`` as it is on every engine."""
    # 1.50 and 1.5000 are one number; sums of integers are decimals on one engine only.
    return value.normalize() + 0 if isinstance(value, Decimal) else value


def content(frame: pl.DataFrame) -> tuple[list[str], Rows]:
    """Columns and rows of ``frame`` as they are on every engine."""
    columns = sorted(frame.columns)
    rows = frame.select(columns).iter_rows()
    return columns, Counter(tuple(plain(value) for value in row) for row in rows)


def _wire(platform: Platform, stream: Stream) -> pl.DataFrame:
    home = platform.settings.home
    return pl.read_parquet(home / "wire" / f"{stream.topic}.parquet")


def _land(platform: Platform, stream: Stream, start: float, end: float) -> None:
    """Land messages as if the broker had them."""
    wire = _wire(platform, stream).with_columns(
        count=pl.col("sequence").max().over("partition") + 1
    )
    bounds = {
        partition: (int(count * start), int(count * end))
        for partition, count in wire.select("partition", "count").unique().sort("partition").rows()
    }
    between = pl.col("sequence").is_between(
        (pl.col("count") * start).cast(pl.Int64),
        (pl.col("count") * end).cast(pl.Int64),
        closed="left",
    )
    raw = (
        wire.filter(between)
        .sort("partition", "sequence")
        .select(
            topic_id=pl.lit(TOPIC_ID),
            partition="partition",
            offset="sequence",
            gap_kind=pl.lit(None),
            gap_length=pl.lit(None),
            kafka_timestamp=pl.from_epoch("timestamp_ms", time_unit="ms").dt.replace_time_zone(
                "UTC"
            ),
            key="key",
            value="value",
            headers="headers",
        )
        .cast(RAW_SCHEMA)
    )
    spans = [OffsetRange(p, first, last) for p, (first, last) in bounds.items() if last > first]
    platform.landing(stream).commit(raw, TOPIC_ID, spans)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
