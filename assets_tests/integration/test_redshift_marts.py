"""A market through lake, load and ``dbt build`` on Redshift's shape and on DuckDB: equal rows.

The adapter, the driver, the SQL and the rows are real; what is not is in docs/redshift.md. Every
statement that went over the wire is read afterwards: Redshift lacks much of what PostgreSQL runs.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration.dbt_project import ensure_manifest
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.erasure import Person, erase_from_lake
from adx_platform.pipeline.platform import open_platform
from adx_platform.quality.anomaly.marts import read_marts
from adx_platform.quality.marts_rows import event_balances, marts_equations, unbuilt
from adx_platform.quality.metrics import correlation_share
from adx_platform.quality.warehouse_rows import recount_warehouse
from adx_platform.settings import Settings, load_settings
from adx_platform.warehouse.erasure import forget_person
from adx_platform.warehouse.published import query_published
from adx_platform.warehouse.tables import RECORD_TABLES
from adx_platform.warehouse.tracing import newest_loads
from assets_tests.integration.redshift_batches import places_of
from assets_tests.redshift_proof import (
    Build,
    arrive,
    differences,
    load_and_build,
    make_market,
    plain,
    restate,
    tables,
    with_duckdb,
)
from assets_tests.servers.redshift_shaped import Cluster, RedshiftShaped
from assets_tests.servers.seaweedfs import SeaweedFS

with warnings.catch_warnings():
    # sqlglot loads its retired accelerator, which another package brings, and that one complains.
    warnings.simplefilter("ignore", DeprecationWarning)
    import sqlglot
    from sqlglot import exp

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(600),
    # dbt and its dependencies warn about their own future; that is not ours to fix.
    pytest.mark.filterwarnings("default"),
    # Each start of dbt replaces the log file of the one before without closing it.
    pytest.mark.filterwarnings("ignore:unclosed file .*dbt.log:ResourceWarning"),
]

READER, RESTRICTED = "adx_reader", "adx_restricted"
# Facts and figures that must not be empty, or their equality says nothing.
FILLED = (
    "fct_impressions", "fct_clicks", "fct_conversions", "fct_auctions", "fct_attribution",
    "agg_campaign_hourly", "agg_campaign_daily", "agg_quality_hourly", "agg_rejects_hourly",
    "agg_arrivals_hourly", "agg_exchange_hourly", "conservation_offsets", "dim_campaigns",
)  # fmt: skip

# PostgreSQL runs these, Redshift does not.
FORBIDDEN = (
    exp.Filter,
    exp.Lateral,
    exp.Unnest,
    exp.Array,
    exp.ArrayAgg,
    exp.Bracket,
    exp.OnConflict,
    exp.Returning,
    exp.GenerateSeries,
    exp.Merge,
)
# The parser reads these as functions that Redshift has under another name.
FORBIDDEN_WORDS = re.compile(
    r"\b(string_agg|array_agg|group_concat|make_interval)\s*\(", re.IGNORECASE
)
STATEMENTS = (
    *(exp.Query, exp.Create, exp.Drop, exp.Alter, exp.Insert, exp.Update, exp.Delete, exp.Copy),
    *(exp.Transaction, exp.Commit, exp.Rollback, exp.Set, exp.Grant, exp.Analyze, exp.Comment),
)
# Unknown to the parser, and Redshift's own: dbt's adapter asks its catalogue.
KNOWN_FUNCTIONS = frozenset({"pg_get_late_binding_view_cols", "pg_backend_pid"})
# What the parser leaves unread: statements of one form each, checked here as text.
UNREAD = (
    re.compile(r"LOCK control\.load_lock"),
    re.compile(r"VACUUM [a-z_]+\.\"[a-z_]+\""),
    re.compile(r"VACUUM DELETE ONLY \w+\.\"\w+\" TO 100 PERCENT"),
    re.compile(r"ANALYZE [a-z_]+\.\"[a-z_]+\""),
    re.compile(r"GRANT (USAGE|SELECT( \([\w\", ]+\))?) ON (SCHEMA )?[\w.\"]+ TO ROLE \"\w+\""),
)


@dataclass(frozen=True)
class Proof:
    """A cluster to which the market came in two parts, and a DuckDB warehouse beside it."""

    cluster: Cluster
    settings: Settings
    first: Build
    after_first: list[str]
    second: Build


@pytest.fixture(scope="module")
def proof(
    redshift: RedshiftShaped, seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proof]:
    name = f"c{uuid.uuid4().hex}"
    cluster = redshift.new_cluster(name, f"http://{seaweedfs.address}")
    for role in (READER, RESTRICTED):
        cluster.execute(f"drop role if exists {role}; create role {role}")
    settings = load_settings(
        home=tmp_path_factory.mktemp("home"),
        lake=seaweedfs.settings(name),
        warehouse={
            **cluster.settings(),
            "threads": 4,
            "reader_role": READER,
            "restricted_role": RESTRICTED,
        },
    )
    duckdb = with_duckdb(settings)
    make_market(settings)
    arrive(settings, 0, 0.6)
    first = load_and_build(settings, "b1")
    assert not first.problems, first.problems
    Line(settings).publish("b1")
    assert not load_and_build(duckdb, "b1", *_WITHOUT_TESTS).problems
    after_first = differences(tables(Line(settings)), tables(Line(duckdb)))

    arrive(settings, 0.6, 1)
    restate(settings, "ad_impressions", 0.4)
    second = load_and_build(settings, "b2")
    assert not load_and_build(duckdb, "b2", *_WITHOUT_TESTS).problems
    yield Proof(cluster, settings, first, after_first, second)
    cluster.stop()


_WITHOUT_TESTS = ("--exclude-resource-type", "test")


def test_a_first_build_is_green_and_equals_duckdb(proof: Proof) -> None:
    assert set(proof.first.statuses) == {"success", "pass"}
    assert proof.first.statuses["success"] >= 55, "models"
    assert proof.first.statuses["pass"] >= 45, "tests"
    assert proof.after_first == []


def test_an_incremental_build_after_a_restatement_equals_duckdb(proof: Proof) -> None:
    assert proof.second.problems == []
    ours = tables(Line(proof.settings))
    assert [name for name in FILLED if not ours[f"marts.{name}"][1]] == []
    removed = proof.cluster.execute("select count(*) from control.removed_rows")
    assert removed[0][0] > 0
    assert differences(ours, tables(Line(with_duckdb(proof.settings)))) == []


def test_the_checks_read_the_same_figures(proof: Proof) -> None:
    ours, theirs = _checked(proof.settings), _checked(with_duckdb(proof.settings))
    assert set(ours) == set(theirs)
    for name, figures in ours.items():
        assert figures == theirs[name], name
    assert ours["conservation of the marts"]
    assert all(not equation.missing for equation in ours["conservation of the marts"])


def _checked(settings: Settings) -> dict[str, Any]:
    """What each check that asks the warehouse gets to judge."""
    tables_of = {
        stream: [table.qualified_name for table in of_type.values()]
        for stream, of_type in RECORD_TABLES.items()
    }
    names = [table.name for of_type in RECORD_TABLES.values() for table in of_type.values()]
    with Line(settings).warehouse() as warehouse:
        query = warehouse.query
        marts = read_marts(query, training=timedelta(days=30))
        return {
            **{
                f"conservation of {stream}": recount_warehouse(query, stream, tables_of[stream])
                for stream in STREAMS
            },
            "conservation of the marts": marts_equations(query),
            "balances": event_balances(query, names),
            "correlation": correlation_share(query),
            "unbuilt": unbuilt(query).loads,
            "arrivals": _sorted_rows(marts.arrivals),
            "exchanges": _sorted_rows(marts.exchanges),
            "loads": [
                (load.stream, load.lake_version, load.rows, load.ranges)
                for load in newest_loads(query, up_to=warehouse.latest_load())
            ],
        }


def _sorted_rows(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    rows = frame.select(sorted(frame.columns)).iter_rows()
    return sorted((tuple(plain(value) for value in row) for row in rows), key=repr)


def test_readers_see_the_last_published_build_until_the_next(proof: Proof) -> None:
    def seen() -> tuple[int, int]:
        ((rows, load),) = proof.cluster.execute(
            "select count(*), max(load_id) from published.fct_impressions"
        )
        return rows, load

    before = seen()
    built = proof.cluster.execute("select count(*), max(load_id) from marts.fct_impressions")[0]
    assert before != built
    report = Line(proof.settings).publish("b2")
    assert seen() == built
    assert report.rows["fct_impressions"] == built[0]
    Line(proof.settings).publish("b2")
    schemas = proof.cluster.execute(
        "select nspname from pg_namespace where nspname like 'published\\_%'"
    )
    assert len(schemas) == 2


@pytest.mark.parametrize(
    ("role", "sql", "may"),
    [
        (READER, "select impression_key, campaign_id from published.fct_impressions", True),
        (READER, "select user_id from published.fct_impressions", False),
        (READER, "select * from published.fct_impressions", False),
        (READER, "select * from published.agg_campaign_daily", True),
        (READER, "select * from marts.agg_campaign_daily", False),
        (READER, "select user_id from raw.clicks", False),
        (RESTRICTED, "select * from published.fct_impressions", True),
        (RESTRICTED, "select user_id from published.fct_clicks", True),
        (RESTRICTED, "select * from marts.fct_impressions", False),
    ],
)
def test_personal_columns_are_for_one_role(proof: Proof, role: str, sql: str, may: bool) -> None:
    asked = f"set role {role}; select count(*) from ({sql}) as asked"
    if may:
        assert proof.cluster.execute(asked)[0][0] >= 0
    else:
        with pytest.raises(Exception, match="permission denied"):
            proof.cluster.execute(asked)


def test_adx_build_takes_an_erasure_to_the_report(proof: Proof) -> None:
    """The jobs of the command line let go of the person, and of nothing else.

    The tidying up is shown in ``test_redshift_erasure``; here, that the models let go.
    """
    from adx_platform.orchestration.run import run_warehouse  # noqa: PLC0415 Dagster is slow

    settings, cluster = proof.settings, proof.cluster
    (person,) = cluster.execute(
        "select user_id from marts.fct_clicks where user_id is not null "
        "group by user_id order by count(*) desc, user_id limit 1"
    )[0]
    assert len(places_of(cluster, person)) > 5
    totals = (
        (
            "select count(*), sum(spend_micros), sum(case when is_givt then 1 else 0 end), "
            "count(viewable_at) from marts.fct_impressions"
        ),
        (
            "select stream, partition_id, accepted, rejected, duplicate, is_conserved "
            "from marts.conservation_offsets order by 1, 2"
        ),
    )
    before = [cluster.execute(sql) for sql in totals]
    erased = list(erase_from_lake(open_platform(settings), Person(frozenset({person}))))
    assert sum(item.events for item in erased) > 0

    ensure_manifest(settings)
    summary = run_warehouse(settings)
    assert summary.success, [(run.step.name, run.error) for run in summary.runs]
    forget_person(settings, [person])

    assert places_of(cluster, person) == []
    assert [cluster.execute(sql) for sql in totals] == before
    for name in ("agg_campaign_daily", "conservation_offsets", "fct_attribution"):
        (rows,) = cluster.execute(f"select count(*) from marts.{name}")[0]
        found = query_published(settings.published_dir, f"select count(*) from marts.{name}")
        assert found.item() == rows > 0
    assert settings.report_path.is_file()


def test_every_statement_is_redshifts(proof: Proof) -> None:
    """Read as Redshift's dialect, without what only PostgreSQL has."""
    statements = {_bare(sql) for sql in proof.cluster.wire.log.statements}
    assert len(statements) > 400
    assert any(sql.startswith("COPY incoming_") for sql in statements)
    problems = [problem for sql in sorted(statements) for problem in _problems(sql)]
    assert problems == []


def test_rows_lie_where_the_models_say(proof: Proof) -> None:
    """As it was sent: PostgreSQL has no nodes, so what it made of it says nothing."""
    # dbt builds a table under another name and then renames it.
    created = {
        f"{found['schema']}.{found['name'].removesuffix('__dbt_tmp')}": " ".join(
            found["layout"].lower().split()
        )
        for sql in proof.cluster.wire.log.statements
        if (found := _CREATED.search(_bare(sql))) is not None
    }
    for model, layout in {
        "marts.fct_impressions": "diststyle key distkey (impression_key) "
        "compound sortkey(impression_date)",
        "intermediate.int_clicks_copies": "diststyle key distkey (event_id) "
        "compound sortkey(event_date)",
        "marts.fct_attribution": "diststyle key distkey (conversion_event_id) "
        "compound sortkey(conversion_date)",
        # dbt leaves AUTO out, which is Redshift's own choice.
        "marts.agg_campaign_daily": "compound sortkey(local_date)",
        "marts.conservation_offsets": "diststyle all",
        "marts.dim_campaigns": "diststyle all",
        "intermediate.int_touched_events": "diststyle even",
    }.items():
        assert created[model] == layout, model
    present = proof.cluster.execute(
        "select table_schema || '.' || table_name || '.' || column_name "
        "from information_schema.columns"
    )
    for model, layout in created.items():
        for column in re.findall(r"\((\w+)\)", layout):
            assert (f"{model}.{column}",) in present, (model, column)
    assert created["marts.dim_campaigns"] == "diststyle all"
    raw = next(s for s in proof.cluster.wire.log.statements if "EXISTS raw.clicks (" in s)
    assert raw.endswith(" DISTKEY(event_id) COMPOUND SORTKEY(event_date, load_id)")


_CREATED = re.compile(
    r"create\s+table\s+\"\w+\"\.\"(?P<schema>\w+)\"\.\"(?P<name>\w+)\"(?P<layout>.*?)\bas\s*\(",
    re.IGNORECASE | re.DOTALL,
)


def test_what_redshift_lacks_is_found() -> None:
    """The reading above would notice: each of these PostgreSQL runs, and Redshift does not."""
    for sql in (
        "select count(*) filter (where a > 1) from t",
        "select string_agg(a, ',') from t",
        "select * from t, lateral (select 1) as x",
        "select array[1, 2]",
        "insert into t values (1) on conflict do nothing",
        "select * from generate_series(1, 3)",
        "delete from t returning a",
        "listen something",
        "select cast('1' as jsonb)",
    ):
        assert _problems(sql), sql


def _bare(sql: str) -> str:
    return re.sub(r"/\*.*?\*/", "", sql, flags=re.DOTALL).strip().rstrip(";")


def _problems(sql: str) -> list[str]:
    if any(form.fullmatch(sql) for form in UNREAD):
        return []
    if FORBIDDEN_WORDS.search(sql):
        return [f"function: {sql}"]
    # A bound value; the parser takes $1 for the beginning of a quoted text.
    readable = re.sub(r"\$\d+", "null", sql)
    try:
        trees = sqlglot.parse(readable, read="redshift")
    except sqlglot.ParseError as error:
        return [f"unreadable ({error}): {sql}"]
    if not all(isinstance(tree, STATEMENTS) for tree in trees):
        return [f"no statement: {sql}"]
    return [
        f"{found}: {sql[:300]}"
        for tree in trees
        if tree is not None
        for node in tree.walk()
        if (found := _foreign(node)) is not None
    ]


def _foreign(node: exp.Expression) -> str | None:
    if isinstance(node, exp.Command):
        return "a statement that is not read"
    if isinstance(node, FORBIDDEN):
        return type(node).__name__
    if isinstance(node, exp.DataType) and node.this in {
        exp.DataType.Type.JSONB,
        exp.DataType.Type.JSON,
        exp.DataType.Type.ARRAY,
    }:
        return f"type {node.sql()}"
    if isinstance(node, exp.Anonymous) and node.name.lower() not in KNOWN_FUNCTIONS:
        return f"function {node.name}"
    return None
