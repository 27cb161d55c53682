"""Every DDL statement of the Hive engine and every query of an expiry, for Hive's own parser."""

from __future__ import annotations

import importlib.util
import subprocess
from datetime import date
from pathlib import Path

import pytest

from adx_platform.warehouse import hive_sql
from adx_platform.warehouse.expired_offsets import leaving_by_stream, runs_query
from adx_platform.warehouse.retention_rules import RAW_BY_NAME
from adx_platform.warehouse.tables import ALL_TABLES
from assets_tests.servers.spark_thrift import missing

pytestmark = pytest.mark.java
DAY = date(2026, 3, 2)
PROGRAM = Path(__file__).parents[1] / "servers" / "hive_grammar" / "Grammar.java"


def verdicts(statements: list[str]) -> list[str]:
    """``taken`` or ``refused`` for each of ``statements``."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    spec = importlib.util.find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    jars = Path(spec.origin).parent / "jars" / "*"
    done = subprocess.run(
        ["java", "-cp", str(jars), str(PROGRAM)],
        input="\n".join(statements),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line in {"taken", "refused"}]


def test_what_the_engine_sends_is_hive_and_what_is_not_is_refused() -> None:
    ours = [
        hive_sql.create_schema("raw"),
        *(hive_sql.create_table(table, "file:///a b/it's") for table in ALL_TABLES),
        hive_sql.add_columns(ALL_TABLES[0], [c.name for c in ALL_TABLES[0].columns]),
        hive_sql.add_partition("raw.clicks", "2026-03-02-00", "file:///a"),
        hive_sql.set_location("raw.clicks", "2026-03-02-00", "file:///a"),
        hive_sql.set_location("control.loads", "", "file:///a"),
        hive_sql.drop_partitions("raw.clicks", ["2026-03-02-00", "2026-03-02-01"]),
        hive_sql.count_days("marts.fct_clicks", "click_date", DAY),
        hive_sql.drop_days("marts.fct_clicks", "click_date", [DAY, DAY]),
        *(runs_query(leaving, 7) for leaving in leaving_by_stream(dict.fromkeys(RAW_BY_NAME, DAY))),
        hive_sql.set_applied(7),
        hive_sql.truncate("intermediate.int_touched_events"),
        "SHOW TABLES IN raw",
        "SHOW TBLPROPERTIES control.loads",
        "DESCRIBE raw.clicks",
    ]
    foreign = [
        "SELECT a FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
        "SELECT sum(a) FILTER (WHERE a > 1) FROM t",
        "CREATE TABLE t USING parquet AS SELECT 1 AS a",
    ]
    assert verdicts([*ours, *foreign]) == ["taken"] * len(ours) + ["refused"] * len(foreign)
