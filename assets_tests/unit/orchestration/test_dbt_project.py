"""The manifest is made once per state of the sources, and dbt's secrets do not stay behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adx_platform.orchestration import dbt_project
from adx_platform.orchestration.dbt_project import (
    ManifestError,
    dbt_process_environment,
    ensure_manifest,
    project_digest,
    project_dir,
    require_manifest,
)
from adx_platform.settings import Settings, load_settings


def test_the_project_lies_beside_the_package() -> None:
    assert (project_dir() / "dbt_project.yml").is_file()


def test_a_wrong_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dbt_project.PROJECT_DIR_VARIABLE, str(tmp_path))

    with pytest.raises(ManifestError, match="ADX_DBT_PROJECT_DIR"):
        project_dir()


def test_the_manifest_is_parsed_again_only_after_a_change(
    tiny_dbt_project: Path, settings: Settings
) -> None:
    manifest = ensure_manifest(settings)
    first = manifest.stat().st_mtime_ns

    assert require_manifest(settings) == manifest
    assert ensure_manifest(settings).stat().st_mtime_ns == first

    (tiny_dbt_project / "models" / "two.sql").write_text("select 2 as two\n", encoding="utf-8")
    ensure_manifest(settings)

    assert "model.tiny.two" in manifest.read_text(encoding="utf-8")


def test_the_manifest_is_parsed_again_for_another_database(
    tiny_dbt_project: Path, settings: Settings
) -> None:
    """Its name is in the relations; nothing else of a connection is."""
    first = ensure_manifest(settings).stat().st_mtime_ns

    def parsed_at(**warehouse: object) -> int:
        changed = load_settings(home=settings.home, warehouse=warehouse)
        return ensure_manifest(changed).stat().st_mtime_ns

    assert parsed_at(threads=7, password="s3cret", memory_limit="1GB") == first
    assert parsed_at(duckdb_path=settings.home / "moved" / "adx.duckdb") == first
    assert parsed_at(duckdb_path=settings.home / "other.duckdb") > first


def test_a_database_on_a_server_is_named_by_the_setting(settings: Settings) -> None:
    def digest(**warehouse: object) -> str:
        return project_digest(load_settings(home=settings.home, warehouse=warehouse))

    server = {"engine": "redshift", "host": "cluster"}
    assert digest(**server, database="dev") != digest(**server, database="other")
    assert digest(**server, duckdb_path=settings.home / "other.duckdb") == digest(**server)


def test_what_dbt_says_about_a_broken_project_is_shown(
    tiny_dbt_project: Path, settings: Settings
) -> None:
    (tiny_dbt_project / "models" / "bad.sql").write_text("{{ ref('nowhere') }}", encoding="utf-8")

    with pytest.raises(ManifestError, match="nowhere"):
        ensure_manifest(settings)
    with pytest.raises(ManifestError, match="is missing"):
        require_manifest(settings)


def test_the_environment_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=Path("somewhere"), warehouse={"password": "s3cret"})
    monkeypatch.setenv("DBT_TARGET_PATH", "before")

    with dbt_process_environment(settings):
        inside = dict(os.environ)

    assert inside["ADX_WAREHOUSE__PASSWORD"] == "s3cret"
    assert inside["DBT_TARGET_PATH"] == str(settings.dbt_target_dir)
    assert os.environ["DBT_TARGET_PATH"] == "before"
    assert "ADX_WAREHOUSE__PASSWORD" not in os.environ
