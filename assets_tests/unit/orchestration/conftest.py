"""Definitions and settings for the tests of the orchestration."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # dagster-dbt imports sqlglot, whose optional Rust tokenizer announces its successor.
    warnings.filterwarnings(
        "ignore", message="sqlglotrs is deprecated", category=DeprecationWarning
    )
    import dagster_dbt  # noqa: F401 imported for the side effect above

import dagster as dg

from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.dbt_project import PROJECT_DIR_VARIABLE
from adx_platform.orchestration.instance import ensure_instance, install_config
from adx_platform.settings import Settings, load_settings

DEPLOYED_STORAGE = Path(__file__).parents[3] / "deploy/compose/storage.yaml"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the person who runs the tests reaches a test."""
    for name in os.environ:
        if name == "DAGSTER_HOME" or (name.startswith("ADX_") and not name.startswith("ADX_TEST")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def defs(parsed_home: Path) -> dg.Definitions:
    """The definitions of the local profile; for tests that do not run anything."""
    return build_defs(load_settings(home=parsed_home))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty home, without a manifest."""
    return load_settings(home=tmp_path)


@pytest.fixture
def runnable_settings(settings: Settings, parsed_home: Path) -> Settings:
    """A home of the test's own, with the manifest."""
    shutil.copytree(parsed_home / "dbt", settings.dbt_target_dir)
    return settings


@pytest.fixture(scope="session")
def made_dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster home whose databases are made: their migrations take seconds of CPU."""
    settings = load_settings(home=tmp_path_factory.mktemp("dagster"))
    with ensure_instance(settings) as instance, instance.event_log_storage.run_connection(""):
        """The file of what has no run is made when it is first opened."""
    return settings.dagster_home


@pytest.fixture
def persistent_instance(
    settings: Settings, made_dagster_home: Path
) -> Iterator[dg.DagsterInstance]:
    """The instance of ``settings``, in files."""
    shutil.copytree(made_dagster_home, settings.dagster_home)
    with ensure_instance(settings) as instance:
        yield instance


@pytest.fixture
def postgres_instance(
    settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The instance of ``settings`` with its records in PostgreSQL, configured as deployed."""
    monkeypatch.setenv("ADX_DAGSTER_POSTGRES_URL", postgres_url)
    config = install_config(settings.dagster_home)
    with config.open("a", encoding="utf-8") as file:
        file.write(DEPLOYED_STORAGE.read_text(encoding="utf-8"))
    with ensure_instance(settings) as instance:
        yield instance


@pytest.fixture
def tiny_dbt_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project of one model."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: tiny\nprofile: adx\nmodel-paths: [models]\n", encoding="utf-8"
    )
    (folder / "profiles.yml").write_text(
        "adx:\n  target: duckdb\n  outputs:\n"
        f"    duckdb: {{type: duckdb, path: '{folder / 'tiny.duckdb'}'}}\n",
        encoding="utf-8",
    )
    (folder / "models" / "one.sql").write_text("select 1 as one\n", encoding="utf-8")
    monkeypatch.setenv(PROJECT_DIR_VARIABLE, str(folder))
    return folder
