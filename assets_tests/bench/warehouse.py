"""`python -m assets_tests.bench.warehouse`: what building the marts costs, and what it follows.

Belongs here: building a large warehouse with dbt as a user does, in processes of their own, and the
tables. Does not belong here: its rows (``warehouse_rows``), other engines (``warehouse_engines``).

Five questions: a full build, its time and memory, of delivery and attribution and of everything;
an hour of new data after it; an hour after a history and after one ten times as long, at as many
rows a day; last-touch attribution next to one bare ASOF join of the same rows; the same SQL on
Spark. Beside the full build stands what no build could leave out (``warehouse_least``).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import duckdb
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from adx_platform.orchestration.dbt_project import (
    BUILD_ARGUMENTS,
    DBT_COMMAND,
    DIGEST_VARIABLE,
    WITHOUT_VIEWS,
)
from assets_tests.bench.peers.measuring import Cost, cost_of
from assets_tests.bench.warehouse_engines import Engines, side_by_side
from assets_tests.bench.warehouse_least import BARE_JOIN
from assets_tests.bench.warehouse_rows import Volumes, add_load, create_tables

PROJECT: Final = Path(__file__).parents[2] / "dbt_project"
_TARGET: Final = "target"
_PARSE: Final = "partial_parse.msgpack"
_DAYS: Final = 20
# More than the month that attribution reaches back: until then an hour grows with the days before.
_HISTORY_DAYS: Final = 40
_HOURS: Final = 24
_REPETITIONS: Final = 3
_SLOWEST: Final = 8
_NO_TESTS: Final = ("--exclude-resource-type", "test")
_CORE: Final = ("--select", "+group:delivery", "+group:attribution")
_NO_SERVER: Final = ("--no-introspect", "--no-populate-cache", "--vars", "{adx_incremental: never}")


@dataclass(frozen=True, slots=True)
class Build:
    """One run of dbt over a warehouse: new raw rows, its cost, and seconds of each model."""

    name: str
    rows: int
    cost: Cost
    models: dict[str, float]


class Place:
    """One warehouse in a folder of its own."""

    def __init__(
        self, folder: Path, threads: int, like: Place | None = None, parsed: Place | None = None
    ) -> None:
        """An empty warehouse, or one with the rows of another, or with its parse of the project."""
        self.folder = folder
        self.threads = threads
        folder.mkdir()
        if parsed is not None:
            (folder / _TARGET).mkdir()
            shutil.copyfile(parsed.folder / _TARGET / _PARSE, folder / _TARGET / _PARSE)
        if like is not None:
            shutil.copyfile(like.database, self.database)
            return
        with self.connection() as connection:
            create_tables(connection)

    @property
    def database(self) -> Path:
        """The file."""
        return self.folder / "adx.duckdb"

    def connection(self) -> duckdb.DuckDBPyConnection:
        """A writer's; close it before dbt runs."""
        connection = duckdb.connect(str(self.database))
        connection.execute(f"set threads = {self.threads}")
        return connection

    def build(self, name: str, rows: int, *selection: str) -> Build:
        """Run every model that is selected, and note the build as green."""
        cost = self._dbt(*BUILD_ARGUMENTS, *_NO_TESTS, *selection)
        with self.connection() as connection:
            connection.execute(
                "insert into control.builds "
                "select $name, max(load_id), now()::timestamp from control.loads",
                {"name": name},
            )
        # The tables come at the end, an hour later; what a run that ends before has found is here.
        Console(stderr=True).print(
            f"{name}: {cost.wall_seconds:.1f} s, {cost.cpu_seconds:.1f} CPU s, "
            f"{cost.peak_mb:,.0f} MB",
            highlight=False,
        )
        return Build(name, rows, cost, self._seconds_by_model())

    def parse(self) -> None:
        """Parse the project, as the platform has done before it builds."""
        self._dbt("parse")

    def test(self, name: str) -> Build:
        """Run the data tests of what the last build rebuilt."""
        return Build(name, 0, self._dbt("test", "--exclude-resource-type", "unit_test"), {})

    def least(self, name: str) -> Build:
        """What a build of these marts cannot leave out: a process of its own, as dbt is."""
        program = f"{__package__}.warehouse_least"
        command = [sys.executable, "-m", program, str(self.database), str(self.threads)]
        cost = cost_of([command], os.environ, self.folder)
        return Build(name, 0, cost, {line["piece"]: line["seconds"] for line in self._said()})

    def compiled(self, model: str, engine: str = "duckdb") -> str:
        """The SQL of a model over all days."""
        self._dbt("compile", *_NO_SERVER, "--select", model, engine=engine)
        (path,) = (self.folder / f"{_TARGET}_{engine}" / "compiled").rglob(f"{model}.sql")
        return path.read_text(encoding="utf-8")

    def _dbt(self, command: str, *arguments: str, engine: str | None = None) -> Cost:
        target = _TARGET if engine is None else f"{_TARGET}_{engine}"
        environment = {
            **os.environ,
            "ADX_DUCKDB_PATH": str(self.database),
            "ADX_DBT_THREADS": str(self.threads),
            # As Dagster has it.
            "DBT_LOG_FORMAT": "json",
            DIGEST_VARIABLE: "bench",
        }
        project = str(PROJECT)
        places = [
            "--project-dir", project, "--profiles-dir", project, "--target", engine or "duckdb",
            "--target-path", str(self.folder / target),
            "--log-path", str(self.folder / "logs"),
        ]  # fmt: skip
        return cost_of([[*DBT_COMMAND, command, *arguments, *places]], environment, self.folder)

    def _seconds_by_model(self) -> dict[str, float]:
        return {
            event["data"]["node_info"]["node_name"]: float(event["data"]["execution_time"])
            for event in self._said()
            if event["info"]["name"] == "LogModelResult"
        }

    def _said(self) -> list[Any]:
        """What the last program has said in JSON."""
        lines = (self.folder / "log.txt").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def warehouse(
    impressions: Annotated[int, typer.Option(min=10_000)] = 10_000_000,
    requests: Annotated[
        int, typer.Option(min=0, help="Slim bid requests, in a warehouse of their own.")
    ] = 100_000_000,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    folder: Annotated[
        Path | None, typer.Option(help="Where the databases are made; they are large.")
    ] = None,
    *,
    everything: Annotated[
        bool, typer.Option(help="All marts as well, and not only delivery and attribution.")
    ] = True,
    history: Annotated[
        bool, typer.Option(help="An hour after a history, and after one ten times as long.")
    ] = True,
    spark: Annotated[bool, typer.Option(help="The same SQL on Spark.")] = True,
    core_hour: Annotated[
        float | None, typer.Option(help="Price of an hour of one core, to say costs in money.")
    ] = None,
) -> None:
    """Build large warehouses, whole and by an hour, and say what that took."""
    console = Console(width=130)
    console.print(f"load before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores", highlight=False)
    volumes = Volumes(
        impressions=impressions,
        clicks=impressions // 10,
        conversions=impressions // 100,
        requests=0,
        users=impressions // 10,
        days=_DAYS,
    )
    builds: list[Build] = []
    engines: list[Engines] = []
    ratios: list[str] = []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="adx-warehouse-", dir=folder) as scratch:
        empty = Place(Path(scratch) / "empty", threads)
        empty.parse()
        builds.append(empty.build("delivery and attribution, no rows", 0, *_CORE))
        for size in (_part(volumes, 10, _DAYS // 10), volumes):
            raw = Place(Path(scratch) / "raw", threads)
            with raw.connection() as connection:
                rows = sum(add_load(connection, size).values())
            core = Place(Path(scratch) / "core", threads, like=raw, parsed=empty)
            builds += _full_and_hour(core, size, rows, "delivery and attribution", *_CORE)
            if size is volumes:
                builds.append(core.least("the least that any build does"))
                ratios.append(_next_to_a_bare_join(core))
                engines += side_by_side(core) if spark else []
            shutil.rmtree(core.folder)
            if everything:
                whole = Place(Path(scratch) / "whole", threads, like=raw, parsed=empty)
                builds += _full_and_hour(whole, size, rows, "everything")
                builds.append(whole.test(f"its data tests, {size.days} days"))
                shutil.rmtree(whole.folder)
            shutil.rmtree(raw.folder)
        if history:
            ratios.append(_after_histories(Path(scratch), volumes, empty, builds))
        if requests:
            auctions = Place(Path(scratch) / "auctions", threads, parsed=empty)
            size = Volumes(requests // 100, 0, 0, requests, 1000, 1)
            with auctions.connection() as connection:
                rows = sum(add_load(connection, size).values())
            builds.append(auctions.build(f"everything, {requests:,} bid requests", rows))
    console.print(f"load after: {os.getloadavg()[0]:.1f}", highlight=False)
    console.print(_table(builds, core_hour))
    for line in (*ratios, *map(str, engines), *filter(None, map(_slowest, builds))):
        console.print(line, highlight=False)


def _full_and_hour(
    place: Place, volumes: Volumes, rows: int, what: str, *selection: str
) -> list[Build]:
    full = place.build(f"{what}, {volumes.days} days", rows, *selection)
    hour = _part(volumes, volumes.days * _HOURS, 1)
    with place.connection() as connection:
        new = add_load(
            connection,
            hour,
            first=volumes.impressions,
            day=volumes.days,
            fraction=1 / _HOURS,
        )
    # Whose views are the project's already, as the platform finds out.
    again = place.build("an hour after them", sum(new.values()), *selection, *WITHOUT_VIEWS)
    return [full, again]


def _after_histories(scratch: Path, volumes: Volumes, parsed: Place, builds: list[Build]) -> str:
    """Build an hour after a history and after a longer one of the same rows a day."""
    short = _part(volumes, 10, _HISTORY_DAYS)
    hours = []
    for size in (short, replace(volumes, days=10 * _HISTORY_DAYS)):
        place = Place(scratch / "history", parsed.threads, parsed=parsed)
        with place.connection() as connection:
            rows = sum(add_load(connection, size).values())
        both = _full_and_hour(place, size, rows, "delivery and attribution", *_CORE)
        builds += both
        hours.append(both[1].cost)
        shutil.rmtree(place.folder)
    before, after = hours
    return (
        f"an hour after {10 * _HISTORY_DAYS} days next to one after {_HISTORY_DAYS}, "
        f"{volumes.impressions // (10 * _HISTORY_DAYS):,} impressions a day: "
        f"{after.wall_seconds:.1f} and {before.wall_seconds:.1f} s, ratio "
        f"{after.wall_seconds / before.wall_seconds:.2f}; "
        f"{after.cpu_seconds:.1f} and {before.cpu_seconds:.1f} CPU s, ratio "
        f"{after.cpu_seconds / before.cpu_seconds:.2f}"
    )


def _part(volumes: Volumes, parts: int, days: int) -> Volumes:
    return replace(
        volumes,
        impressions=volumes.impressions // parts,
        clicks=volumes.clicks // parts,
        conversions=volumes.conversions // parts,
        days=days,
    )


def _next_to_a_bare_join(place: Place) -> str:
    ours = (
        "select conversion_event_id, touch_event_id "
        f"from ({place.compiled('int_attribution_touches')}) where last_touch_rank = 1"
    )
    with place.connection() as connection:
        mine, bare = _seconds(connection, ours), _seconds(connection, BARE_JOIN)
    return (
        f"last touch of all conversions: {mine:.2f} s; one bare ASOF join of the same rows: "
        f"{bare:.2f} s; ratio {mine / bare:.2f} (medians of {_REPETITIONS})"
    )


def _seconds(connection: duckdb.DuckDBPyConnection, select: str) -> float:
    taken = []
    for _ in range(_REPETITIONS):
        started = time.perf_counter()
        connection.execute(f"create or replace temp table measured as {select}")
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _slowest(build: Build) -> str:
    if not build.models:
        return ""
    slowest = sorted(build.models.items(), key=lambda item: -item[1])[:_SLOWEST]
    shown = ", ".join(f"{model} {seconds:.1f}" for model, seconds in slowest)
    return f"{build.name}, seconds by part: {shown}"


def _table(builds: Sequence[Build], core_hour: float | None) -> Table:
    table = Table(
        "build", "new raw rows", "wall s", "CPU s", "peak MB", "CPU s per\nmillion rows",
        title="Building the marts with dbt on DuckDB, dbt's own start included",
        title_justify="left", box=SIMPLE,
    )  # fmt: skip
    if core_hour is not None:
        table.add_column(f"money per million rows,\n{core_hour:g} an hour of a core")
    for column in table.columns[1:]:
        column.justify = "right"
    for build in builds:
        cells = [
            build.name,
            f"{build.rows:,}",
            f"{build.cost.wall_seconds:.1f}",
            f"{build.cost.cpu_seconds:.1f}",
            f"{build.cost.peak_mb:,.0f}",
        ]
        if build.rows:
            per_million = build.cost.cpu_seconds / build.rows * 1e6
            cells.append(f"{per_million:.2f}")
            if core_hour is not None:
                cells.append(f"{per_million / 3600 * core_hour:.6f}")
        table.add_row(*cells)
    return table


if __name__ == "__main__":
    typer.run(warehouse)
