"""The project says what it is: one description per model, every column, sources as the loader's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adx_platform.warehouse.tables import ALL_TABLES

PROJECT = Path(__file__).parents[3] / "dbt_project"
MODELS = sorted((PROJECT / "models").rglob("*.sql"))
PERSONAL = {"user_id", "user_id_previous", "ip_prefix", "user_agent"}


def _yaml(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict), path
    return loaded


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_a_model_has_its_own_yaml_with_grain_and_columns(model: Path) -> None:
    (described,) = _yaml(model.with_suffix(".yml"))["models"]
    assert described["name"] == model.stem
    assert described["description"].startswith("One row"), "the description begins with the grain"
    columns = described["columns"]
    assert all(column["description"] and column["data_type"] for column in columns)
    names = [column["name"] for column in columns]
    assert len(names) == len(set(names))
    is_personal = bool(PERSONAL & set(names))
    assert is_personal == ("pii" in described.get("config", {}).get("tags", []))
    if "marts" in model.relative_to(PROJECT).parts:
        assert described.get("data_tests"), "a mart has at least the test of its grain"
        assert any("unique_combination" in test for test in described["data_tests"])


def test_sources_are_the_tables_that_the_loader_writes() -> None:
    declared = {
        (source["name"], table["name"]): [column["name"] for column in table["columns"]]
        for path in (PROJECT / "models" / "staging").glob("sources_*.yml")
        for source in _yaml(path)["sources"]
        for table in source["tables"]
    }
    assert declared == {
        (table.schema, table.name): [column.name for column in table.columns]
        for table in ALL_TABLES
    }


def test_staging_has_one_view_per_table_and_only_staging_reads_sources() -> None:
    staged = {path.stem for path in (PROJECT / "models" / "staging").glob("*.sql")}
    assert staged == {f"stg_{table.name}" for table in ALL_TABLES}
    for model in MODELS:
        reads_source = "source(" in model.read_text(encoding="utf-8")
        assert reads_source == (model.parent.name == "staging"), model.stem


def test_sources_carry_their_asset_keys() -> None:
    prefixes = {
        "raw": ["warehouse", "raw"],
        "control": ["warehouse", "control"],
        "reference": ["reference"],
    }
    for path in (PROJECT / "models" / "staging").glob("sources_*.yml"):
        for source in _yaml(path)["sources"]:
            for table in source["tables"]:
                key = table["config"]["meta"]["dagster"]["asset_key"]
                assert key == [*prefixes[source["name"]], table["name"]]


def test_nothing_is_sent_home_and_nothing_is_downloaded() -> None:
    assert _yaml(PROJECT / "dbt_project.yml")["flags"]["send_anonymous_usage_stats"] is False
    assert not (PROJECT / "packages.yml").exists()


def test_a_build_of_everything_knows_every_entity_that_is_built_by_days() -> None:
    days = (PROJECT / "models" / "intermediate" / "int_touched_days.sql").read_text(
        encoding="utf-8"
    )
    lists = days[: days.index("with touched_events as")]
    listed = set(re.findall(r"'([a-z_]+)'", lists)) | {"arrival"}
    built = {
        entity
        for path in MODELS
        for entity in re.findall(
            r"touched_days_config\('([a-z_]+)'", path.read_text(encoding="utf-8")
        )
    }
    assert built, "no model is built by days"
    assert built <= listed


def test_a_singular_test_is_a_check_of_a_model_that_it_reads() -> None:
    tests = _yaml(PROJECT / "tests" / "singular_tests.yml")["data_tests"]
    assert {test["name"] for test in tests} == {
        path.stem for path in (PROJECT / "tests").glob("*.sql")
    }
    for test in tests:
        sql = (PROJECT / "tests" / f"{test['name']}.sql").read_text(encoding="utf-8")
        model = test["config"]["meta"]["dagster"]["ref"]["name"]
        # Else Dagster has no check of it, and what it found would be a remark in the log.
        assert f"'{model}'" in sql, test["name"]


def test_the_semantic_layer_speaks_of_columns_that_exist() -> None:
    columns = {
        model["name"]: {column["name"] for column in model["columns"]}
        for path in MODELS
        for model in _yaml(path.with_suffix(".yml"))["models"]
    }
    models = _yaml(PROJECT / "models" / "semantic" / "semantic_models.yml")["semantic_models"]
    assert models
    for model in models:
        (table,) = re.findall(r"ref\('([a-z_]+)'\)", model["model"])
        parts = [
            *model.get("entities", []), *model.get("dimensions", []), *model.get("measures", [])
        ]  # fmt: skip
        assert parts
        named = {part.get("expr", part["name"]) for part in parts}
        assert named <= columns[table], f"{model['name']}: {named - columns[table]}"


def test_every_mart_that_the_platform_itself_reads_is_an_exposure() -> None:
    exposures = _yaml(PROJECT / "models" / "exposures.yml")["exposures"]
    exposed = {
        name
        for exposure in exposures
        for ref in exposure["depends_on"]
        for name in re.findall(r"ref\('([a-z_]+)'\)", ref)
    }
    read = {
        name
        for path in (PROJECT.parent / "adx_platform").rglob("*.py")
        for name in re.findall(
            r"(?:from|join) (?:marts|intermediate)\.([a-z_]+)", path.read_text(encoding="utf-8")
        )
    } & {path.stem for path in MODELS}
    assert len(read) > 5
    assert read <= exposed, f"not in exposures.yml: {read - exposed}"
