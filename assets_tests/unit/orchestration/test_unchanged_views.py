"""Views that are left out of a build: which ones, and when their events come."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from adx_platform.orchestration import dbt_project
from adx_platform.orchestration.dbt_project import (
    BUILD_ARGUMENTS,
    WITHOUT_VIEWS,
    ensure_manifest,
    project_digest,
    run_dbt,
)
from adx_platform.orchestration.unchanged_views import View, are_unchanged, views_of, with_unchanged
from adx_platform.settings import Settings
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse

_VIEW_SQL = Path(__file__).parents[3] / "dbt_project/macros/build/view.sql"


def _view(name: str, *reads: str) -> View:
    return View(name, dg.AssetKey(["warehouse", "staging", name]), reads)


def _built(name: str) -> dg.Output[None]:
    return dg.Output(None, output_name=name, metadata={"unique_id": name})


def _names(events: list[Any]) -> list[str]:
    return [e.metadata["unique_id"].value if isinstance(e, dg.Output) else e for e in events]


VIEWS = (_view("over_both", "source_view", "table"), _view("source_view"), _view("leaf", "other"))


def test_a_views_event_comes_after_those_of_what_it_reads_and_before_its_readers() -> None:
    events = [_built("table"), "a test", _built("reader"), _built("other")]
    assert _names(list(with_unchanged(events, VIEWS))) == [
        "source_view",
        "table",
        "over_both",
        "a test",
        "reader",
        "other",
        "leaf",
    ]


def test_a_view_of_a_table_that_failed_has_no_event() -> None:
    assert _names(list(with_unchanged([_built("table")], VIEWS))) == [
        "source_view",
        "table",
        "over_both",
    ]


def test_nothing_comes_on_top_where_nothing_was_left_out() -> None:
    assert _names(list(with_unchanged([_built("table")], ()))) == ["table"]


def test_views_are_left_out_all_or_none() -> None:
    names = frozenset(view.unique_id for view in VIEWS)
    assert are_unchanged(VIEWS, names)
    assert are_unchanged(VIEWS, names | {"of_no_model_any_more"})
    assert not are_unchanged(VIEWS, names - {"leaf"})


def test_the_projects_views_and_what_they_read(parsed_home: Path) -> None:
    manifest = json.loads((parsed_home / "dbt" / "manifest.json").read_text(encoding="utf-8"))
    keys = {
        name: dg.AssetKey([node["name"]])
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
    }
    found = {view.key.path[-1]: view.reads for view in views_of(manifest, keys)}
    assert found["stg_clicks"] == ()
    assert set(found["int_clicks_classified"]) == {
        "model.adx.stg_clicks",
        "model.adx.int_clicks_copies",
        "model.adx.int_changed_loads",
    }
    assert "fct_clicks" not in found


def test_a_view_says_which_project_made_it_and_its_tests_run_without_it(
    tiny_dbt_project: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny_dbt_project / "macros").mkdir()
    (tiny_dbt_project / "macros" / "view.sql").write_text(
        _VIEW_SQL.read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tiny_dbt_project / "models" / "one.yml").write_text(
        "models: [{name: one, columns: [{name: one, data_tests: [not_null]}]}]", encoding="utf-8"
    )
    (tiny_dbt_project / "models" / "two.sql").write_text(
        "{{ config(materialized='table') }} select one + 1 as two from {{ ref('one') }}",
        encoding="utf-8",
    )
    ensure_manifest(settings)

    def build(*options: str) -> dict[str, Any]:
        target = settings.dbt_target_dir
        arguments = [argument for argument in BUILD_ARGUMENTS if argument != "--no-write-json"]
        done = run_dbt(
            settings, tiny_dbt_project, target, *arguments, "--select", "fqn:*", *options
        )
        assert done.returncode == 0, done.stdout
        results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]
        return {result["unique_id"].split(".")[2]: result["status"] for result in results}

    def made(project: str) -> frozenset[str]:
        with DuckDBWarehouse(tiny_dbt_project / "tiny.duckdb") as warehouse:
            return warehouse.views_made_from(project)

    digest = project_digest(settings)
    build()
    assert made(digest) == frozenset(), "made by hand"

    monkeypatch.setenv(dbt_project.DIGEST_VARIABLE, digest)
    assert build() == {"one": "success", "not_null_one_one": "pass", "two": "success"}
    assert made(digest) == {"one"}
    assert build(*WITHOUT_VIEWS) == {"not_null_one_one": "pass", "two": "success"}
    assert made(digest) == {"one"}, "it was not made again"

    (tiny_dbt_project / "models" / "one.sql").write_text("select 5 as one\n", encoding="utf-8")
    assert made(project_digest(settings)) == frozenset(), "the project has changed"
    monkeypatch.delenv(dbt_project.DIGEST_VARIABLE)
    build()
    assert made(digest) == frozenset(), "made anew by hand"
    with duckdb.connect(os.fspath(tiny_dbt_project / "tiny.duckdb"), read_only=True) as connection:
        assert connection.execute("select two from two").fetchall() == [(6,)]
