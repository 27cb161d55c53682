"""The same SELECTs of two models on DuckDB and on Spark, over the same Parquet files.

Belongs here: writing the files, running the compiled SQL on each engine in a process of its own,
and comparing the answers. Does not belong here: building the marts (``warehouse``).

As a program it is one engine's process: ``python -m assets_tests.bench.warehouse_engines ENGINE
FOLDER`` runs the SQL of ``FOLDER/ENGINE/*.sql`` and leaves Parquet and seconds beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import duckdb

from assets_tests.bench.peers.measuring import Cost, cost_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MODELS: Final = ("int_attribution_touches", "agg_delivery_daily")
_TABLES: Final = (
    "staging.stg_advertisers",
    "staging.stg_time_zone_offsets",
    "marts.fct_conversions",
    "marts.fct_clicks",
    "marts.fct_impressions",
    "marts.fct_attribution",
)
_REPETITIONS: Final = 3
_MEMORY: Final = "3"  # GB: dbt's limit for DuckDB, and Spark's heap


class Built(Protocol):
    """A warehouse whose marts are built."""

    folder: Path

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Of its database."""
        ...

    def compiled(self, model: str, engine: str = "duckdb") -> str:
        """The SQL of a model over all days."""
        ...


@dataclass(frozen=True, slots=True)
class Engines:
    """One engine: median seconds of each model, and what its process took with its start.

    ``is_equal`` is whether its rows are DuckDB's, all of them.
    """

    name: str
    seconds: dict[str, float]
    cost: Cost
    is_equal: bool

    def __str__(self) -> str:
        """One line."""
        shown = ", ".join(f"{model} {seconds:.1f} s" for model, seconds in self.seconds.items())
        rows = "the same rows" if self.is_equal else "OTHER ROWS"
        return (
            f"{self.name} over Parquet: {shown} (medians of {_REPETITIONS}); with its start and "
            f"all repetitions {self.cost.wall_seconds:.0f} s, {self.cost.cpu_seconds:.0f} CPU s, "
            f"{self.cost.peak_mb:,.0f} MB; {rows}"
        )


def side_by_side(place: Built) -> list[Engines]:
    """Run both models on both engines.

    Args:
        place: with its facts built.

    Raises:
        ContenderFailedError: an engine failed.
    """
    folder = place.folder / "engines"
    folder.mkdir()
    with place.connection() as connection:
        for table in _TABLES:
            path = folder / f"{table}.parquet"
            connection.execute(f"copy (select * from {table}) to '{path}' (format parquet)")
    found: list[Engines] = []
    for engine in ("duckdb", "spark"):
        (folder / engine).mkdir()
        for model in _MODELS:
            sql = place.compiled(model, engine)
            (folder / engine / f"{model}.sql").write_text(sql, encoding="utf-8")
        program = [sys.executable, "-m", "assets_tests.bench.warehouse_engines", engine]
        cost = cost_of([[*program, str(folder)]], os.environ, folder)
        seconds = json.loads((folder / engine / "seconds.json").read_text(encoding="utf-8"))
        is_equal = all(_is_equal(folder, engine, model) for model in _MODELS)
        found.append(Engines(engine, seconds, cost, is_equal))
    return found


def _is_equal(folder: Path, engine: str, model: str) -> bool:
    with duckdb.connect() as connection:
        # Spark's times name their zone, and its files are several.
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set memory_limit = '{_MEMORY}GB'")
        columns = connection.execute(
            f"describe from read_parquet('{folder}/duckdb/{model}.parquet')"
        ).fetchall()
        names = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind, *_ in columns)
        paths = [
            f"{folder}/duckdb/{model}.parquet",
            f"{folder}/{engine}/{model}.parquet" + ("/*.parquet" if engine == "spark" else ""),
        ]
        sides = [f"(select {names} from read_parquet('{path}'))" for path in paths]
        ((different,),) = connection.execute(
            f"select (select count(*) from (from {sides[0]} except all from {sides[1]})) + "
            f"(select count(*) from (from {sides[1]} except all from {sides[0]}))"
        ).fetchall()
    return int(different) == 0


def _run(engine: str, folder: Path) -> None:
    write = {"duckdb": _on_duckdb, "spark": _on_spark}[engine](folder)
    seconds: dict[str, float] = {}
    for model in _MODELS:
        sql = (folder / engine / f"{model}.sql").read_text(encoding="utf-8")
        taken: list[float] = []
        for _ in range(_REPETITIONS):
            started = time.perf_counter()
            write(sql, folder / engine / f"{model}.parquet")
            taken.append(time.perf_counter() - started)
        seconds[model] = statistics.median(taken)
    (folder / engine / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


def _on_duckdb(folder: Path) -> Callable[[str, Path], None]:
    connection = duckdb.connect()
    connection.execute("set threads = 2")
    connection.execute(f"set memory_limit = '{_MEMORY}GB'")
    connection.execute("attach ':memory:' as adx")
    connection.execute("use adx")
    for table in _TABLES:
        connection.execute(f"create schema if not exists {table.partition('.')[0]}")
        connection.execute(
            f"create view {table} as select * from read_parquet('{folder / table}.parquet')"
        )

    def write(sql: str, path: Path) -> None:
        connection.execute(f"copy ({sql}) to '{path}' (format parquet)")

    return write


def _on_spark(folder: Path) -> Callable[[str, Path], None]:
    session = _spark(folder)
    for table in _TABLES:
        session.sql(f"create database if not exists {table.partition('.')[0]}")
        session.sql(f"create table {table} using parquet location '{folder / table}.parquet'")

    def write(sql: str, path: Path) -> None:
        session.sql(sql).write.mode("overwrite").parquet(str(path))

    return write


def _spark(folder: Path) -> SparkSession:
    from pyspark.sql import SparkSession  # noqa: PLC0415  half a second that DuckDB need not pay

    settings = {
        "spark.driver.memory": f"{_MEMORY}g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        # Its default of 200 is meant for a cluster.
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "spark" / "tables"),
        "spark.local.dir": str(folder / "spark" / "scratch"),
        # Naive timestamps are UTC, as dbt's profile has it.
        "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    }
    builder = SparkSession.builder.master("local[2]").appName("adx-bench")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]))
