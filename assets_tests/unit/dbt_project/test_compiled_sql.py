"""Every model compiles for the three engines, in both branches, to SQL that the engine can read.

No server is asked: the branch is forced by a variable and dbt may not introspect.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from assets_tests.dbt_in_process import invoke

with warnings.catch_warnings():
    # 2026-11: the lock brings sqlglotrs, which says on import that sqlglotc replaces it.
    warnings.simplefilter("ignore", DeprecationWarning)
    import sqlglot
    from sqlglot import exp

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # dbt parses the project once per engine
    # dbt and its dependencies warn about their own future; that is not ours to fix.
    pytest.mark.filterwarnings("default"),
    # Each start of dbt replaces the log file of the one before without closing it.
    pytest.mark.filterwarnings("ignore:unclosed file .*dbt.log:ResourceWarning"),
]

PROJECT = Path(__file__).parents[3] / "dbt_project"

# What Hive or Redshift lack, or what the engines understand differently. A command is SQL that the
# parser could not read.
FORBIDDEN = (
    exp.Command,
    exp.Filter,
    exp.Qualify,
    exp.Lateral,
    exp.Unnest,
    exp.Array,
    exp.Bracket,
    exp.OnConflict,
    exp.RegexpLike,
)
# `/` gives a float, a truncated integer or an error, depending on the engine: macros only.
DIVISIONS_ALLOWED = {
    "agg_ivt_daily",
    "agg_bid_landscape_daily",
    "agg_campaign_daily",
    "agg_campaign_pacing_daily",
    "agg_freshness_hourly",
    "agg_invoice_reconciliation",
    "agg_slo_daily",
    "fct_sessions",
    "int_touched_days",
    "int_rebuild_limit",
    "int_attribution_touches",
    "fct_attribution",
}
# Spelled out in plain SQL or known to the parser; anything else needs a dispatch macro.
FUNCTIONS_ALLOWED: dict[str, set[str]] = {
    "duckdb": {"bit_count", "epoch_us", "getvariable", "hash"},
    "redshift": set(),
    "spark": set(),
}


@pytest.fixture(scope="module", params=["duckdb", "redshift", "spark"])
def compiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[tuple[str, str], str]]:
    """Engine, and (branch, model) -> SQL. One parse serves both branches."""
    engine = request.param
    scratch = tmp_path_factory.mktemp(f"compile_{engine}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADX_DUCKDB_PATH", str(scratch / "never_built.duckdb"))
        manifest = _dbt(engine, scratch, "parse")
        sql: dict[tuple[str, str], str] = {}
        for branch in ("never", "always"):
            result = _dbt(
                engine, scratch, "compile", "--no-introspect", "--no-populate-cache",
                "--vars", f"{{adx_incremental: {branch}}}", manifest=manifest,
            )  # fmt: skip
            sql |= {
                (branch, r.node.name): r.node.compiled_code
                for r in result.results
                if r.node.resource_type == "model"
            }
    return engine, sql


def _dbt(engine: str, scratch: Path, *arguments: str, manifest: Any = None) -> Any:
    result = invoke(
        *arguments, "--target", engine, "--project-dir", str(PROJECT),
        "--profiles-dir", str(PROJECT), "--target-path", str(scratch / "target"),
        "--log-path", str(scratch / "logs"), manifest=manifest,
    )  # fmt: skip
    assert result.success, f"dbt {arguments[0]} for {engine}: {result.exception or result.result}"
    return result.result


def test_every_model_is_compiled_in_both_branches(
    compiled: tuple[str, dict[tuple[str, str], str]],
) -> None:
    engine, sql = compiled
    models = {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    assert {model for _, model in sql} == models, engine
    incremental = {
        path.stem
        for path in (PROJECT / "models").rglob("*.sql")
        if re.search("touched_days_config|materialized='incremental'", path.read_text("utf-8"))
    }
    for model in models:
        differs = sql["never", model] != sql["always", model]
        assert differs == (model in incremental), f"{model}: do the branches differ?"


def test_every_model_parses_and_uses_only_what_all_engines_have(
    compiled: tuple[str, dict[tuple[str, str], str]],
) -> None:
    engine, sql = compiled
    for (branch, model), text in sql.items():
        where = f"{model} ({engine}, {branch})"
        assert "::" not in text, f"{where}: write cast(), `::` is PostgreSQL"
        if engine == "spark":
            assert '"' not in text, f"{where}: a double quote is a string on Spark"
        statements = sqlglot.parse(text, read=engine)
        assert len(statements) == 1, where
        for node in statements[0].walk():
            assert not isinstance(node, FORBIDDEN), f"{where}: {type(node).__name__}: {node.sql()}"
            if isinstance(node, exp.Anonymous):
                assert node.name.lower() in FUNCTIONS_ALLOWED[engine], f"{where}: {node.name}()"
            if isinstance(node, exp.Ordered) and node.args.get("desc"):
                assert _order_of_nulls_is_certain(node, text), f"{where}: nulls: {node.sql()}"


def test_money_is_never_a_float(compiled: tuple[str, dict[tuple[str, str], str]]) -> None:
    engine, sql = compiled
    floats = {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}
    for (_, model), text in sql.items():
        for cast in sqlglot.parse_one(text, read=engine).find_all(exp.Cast):
            if cast.to.this in floats:
                # A share of pixels is a float by contract. The weight of time decay is irrational:
                # it is rounded to a whole number before it divides anything.
                allowed = ["pixels_in_view_pct"]
                if model == "fct_attribution":
                    allowed += ["micros_to_conversion", "0.5"]
                assert any(name in cast.sql() for name in allowed), f"{model}: {cast.sql()}"
        if model not in DIVISIONS_ALLOWED:
            assert not list(sqlglot.parse_one(text, read=engine).find_all(exp.Div)), model


def _order_of_nulls_is_certain(node: exp.Ordered, text: str) -> bool:
    """Engines differ on nulls: a descending key says where they go, or has none."""
    never_null = {"touched_at", "touch_event_id", "impression_date"}
    return "nulls last" in text.lower() or node.this.name in never_null
