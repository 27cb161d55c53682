"""`python -m assets_tests.bench.warehouse`: what building the marts costs, and what it follows.

Belongs here: building a large warehouse with dbt as a user does, in processes of their own, and the
table. Does not belong here: its rows (``warehouse_rows``).

Three questions: a full build, its time and memory; an hour of new data after a history, and after
one of a tenth; last-touch attribution next to one bare ASOF join of the same rows.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import duckdb
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from assets_tests.bench.peers.measuring import Cost, cost_of
from assets_tests.bench.warehouse_rows import Volumes, add_load, create_tables

PROJECT: Final = Path(__file__).parents[2] / "dbt_project"
_DAYS: Final = 20
_HOURS: Final = 24
_REPETITIONS: Final = 3
_SLOWEST: Final = 8

# What an analyst without a platform would write: the latest touch, of either type, and no windows.
_BARE_JOIN: Final = """
select conversions.event_id, touches.touch_event_id
from marts.fct_conversions as conversions
asof join (
    select event_id as touch_event_id, user_id, advertiser_id, clicked_at as touched_at
    from marts.fct_clicks where has_consent and not is_givt and user_id is not null
    union all
    select rendered_event_id, user_id, advertiser_id, rendered_at
    from marts.fct_impressions
    where rendered_at is not null and has_consent and not is_givt and user_id is not null
) as touches
    on conversions.user_id = touches.user_id
    and conversions.advertiser_id = touches.advertiser_id
    and conversions.converted_at >= touches.touched_at
where conversions.has_consent
"""


@dataclass(frozen=True, slots=True)
class Build:
    """One run of dbt over a warehouse: new raw rows, its cost, and seconds of each model."""

    name: str
    rows: int
    cost: Cost
    models: dict[str, float]


class Place:
    """One warehouse in a folder of its own."""

    def __init__(self, folder: Path, threads: int) -> None:
        """An empty warehouse."""
        self.folder = folder
        self.threads = threads
        folder.mkdir()
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

    def build(self, name: str, rows: int) -> Build:
        """Run every model, and note the build as green."""
        cost = self._dbt("build", "--exclude-resource-type", "test", "unit_test")
        with self.connection() as connection:
            connection.execute(
                "insert into control.builds "
                "select $name, max(load_id), now()::timestamp from control.loads",
                {"name": name},
            )
        return Build(name, rows, cost, self._seconds_by_model())

    def test(self, name: str) -> Build:
        """Run the data tests of what the last build rebuilt."""
        return Build(name, 0, self._dbt("test", "--exclude-resource-type", "unit_test"), {})

    def compiled(self, model: str) -> str:
        """The SQL of a model, as the last build ran it."""
        (path,) = (self.folder / "target" / "compiled").rglob(f"{model}.sql")
        return path.read_text(encoding="utf-8")

    def _dbt(self, command: str, *arguments: str) -> Cost:
        environment = {
            **os.environ,
            "ADX_DUCKDB_PATH": str(self.database),
            "ADX_DBT_THREADS": str(self.threads),
        }
        project = str(PROJECT)
        program = [str(Path(sys.executable).with_name("dbt")), command, *arguments]
        places = [
            "--project-dir", project, "--profiles-dir", project, "--target", "duckdb",
            "--target-path", str(self.folder / "target"),
            "--log-path", str(self.folder / "logs"), "--quiet",
        ]  # fmt: skip
        return cost_of([[*program, *places]], environment, self.folder)

    def _seconds_by_model(self) -> dict[str, float]:
        path = self.folder / "target" / "run_results.json"
        results = json.loads(path.read_text(encoding="utf-8"))["results"]
        return {
            result["unique_id"].rsplit(".", 1)[-1]: float(result["execution_time"])
            for result in results
        }


def warehouse(
    impressions: Annotated[int, typer.Option(min=10_000)] = 10_000_000,
    requests: Annotated[
        int, typer.Option(min=0, help="Slim bid requests, in a warehouse of their own.")
    ] = 100_000_000,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    folder: Annotated[
        Path | None, typer.Option(help="Where the databases are made; they are large.")
    ] = None,
) -> None:
    """Build large warehouses, whole and by an hour, and say what that took."""
    volumes = Volumes(
        impressions=impressions,
        clicks=impressions // 10,
        conversions=impressions // 100,
        requests=0,
        users=impressions // 10,
        days=_DAYS,
    )
    builds: list[Build] = []
    with tempfile.TemporaryDirectory(prefix="adx-warehouse-", dir=folder) as scratch:
        short = Place(Path(scratch) / "short", threads)
        builds += _full_and_hour(short, _part(volumes, 10, _DAYS // 10))[0]
        long = Place(Path(scratch) / "long", threads)
        more, (ours, bare) = _full_and_hour(long, volumes)
        builds += more
        if requests:
            auctions = Place(Path(scratch) / "auctions", threads)
            size = Volumes(requests // 100, 0, 0, requests, 1000, 1)
            with auctions.connection() as connection:
                rows = sum(add_load(connection, size).values())
            builds.append(auctions.build(f"all of {requests:,} bid requests", rows))
    console = Console(width=120)
    console.print(_table(builds))
    console.print(
        f"last touch of all conversions: {ours:.2f} s; one bare ASOF join of the same rows: "
        f"{bare:.2f} s; ratio {ours / bare:.2f} (medians of {_REPETITIONS})",
        highlight=False,
    )
    for build in (builds[3], *builds[6:]):
        slowest = sorted(build.models.items(), key=lambda item: -item[1])[:_SLOWEST]
        shown = ", ".join(f"{model} {seconds:.1f}" for model, seconds in slowest)
        console.print(f"{build.name}, seconds by model: {shown}", highlight=False)


def _full_and_hour(place: Place, volumes: Volumes) -> tuple[list[Build], tuple[float, float]]:
    with place.connection() as connection:
        rows = sum(add_load(connection, volumes).values())
    full = place.build(f"all of {volumes.days} days", rows)
    joins = _next_to_a_bare_join(place)
    hour = _part(volumes, volumes.days * _HOURS, 1)
    with place.connection() as connection:
        new = add_load(
            connection,
            hour,
            first=volumes.impressions,
            day=volumes.days,
            fraction=1 / _HOURS,
        )
    name = f"an hour after {volumes.days} days"
    return [full, place.build(name, sum(new.values())), place.test("its data tests")], joins


def _part(volumes: Volumes, parts: int, days: int) -> Volumes:
    return replace(
        volumes,
        impressions=volumes.impressions // parts,
        clicks=volumes.clicks // parts,
        conversions=volumes.conversions // parts,
        days=days,
    )


def _next_to_a_bare_join(place: Place) -> tuple[float, float]:
    ours = (
        "select conversion_event_id, touch_event_id "
        f"from ({place.compiled('int_attribution_touches')}) where last_touch_rank = 1"
    )
    with place.connection() as connection:
        return _seconds(connection, ours), _seconds(connection, _BARE_JOIN)


def _seconds(connection: duckdb.DuckDBPyConnection, select: str) -> float:
    taken = []
    for _ in range(_REPETITIONS):
        started = time.perf_counter()
        connection.execute(f"create or replace temp table measured as {select}")
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def _table(builds: Sequence[Build]) -> Table:
    table = Table(
        "build", "new raw rows", "wall s", "CPU s", "peak MB", "wall s per\nmillion rows",
        title="Building the marts with dbt on DuckDB, dbt's own start included",
        title_justify="left", box=SIMPLE,
    )  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    for build in builds:
        per_million = build.cost.wall_seconds / build.rows * 1e6 if build.rows else None
        table.add_row(
            build.name,
            f"{build.rows:,}",
            f"{build.cost.wall_seconds:.1f}",
            f"{build.cost.cpu_seconds:.1f}",
            f"{build.cost.peak_mb:,.0f}",
            "" if per_million is None else f"{per_million:.2f}",
        )
    return table


if __name__ == "__main__":
    typer.run(warehouse)
