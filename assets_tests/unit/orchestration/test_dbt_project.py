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
    project_dir,
    require_manifest,
)
from adx_platform.settings import Settings, load_settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dbt project of one model."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: tiny\nprofile: adx\nmodel-paths: [models]\n", encoding="utf-8"
    )
    (folder / "profiles.yml").write_text(
        "adx:\n  target: duckdb\n  outputs:\n    duckdb: {type: duckdb, path: tiny.duckdb}\n",
        encoding="utf-8",
    )
    (folder / "models" / "one.sql").write_text("select 1 as one\n", encoding="utf-8")
    monkeypatch.setenv(dbt_project.PROJECT_DIR_VARIABLE, str(folder))
    return folder


def test_the_project_lies_beside_the_package() -> None:
    assert (project_dir() / "dbt_project.yml").is_file()


def test_a_wrong_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dbt_project.PROJECT_DIR_VARIABLE, str(tmp_path))

    with pytest.raises(ManifestError, match="ADX_DBT_PROJECT_DIR"):
        project_dir()


def test_the_manifest_is_parsed_again_only_after_a_change(
    project: Path, settings: Settings
) -> None:
    manifest = ensure_manifest(settings)
    first = manifest.stat().st_mtime_ns

    assert require_manifest(settings) == manifest
    assert ensure_manifest(settings).stat().st_mtime_ns == first

    (project / "models" / "two.sql").write_text("select 2 as two\n", encoding="utf-8")
    ensure_manifest(settings)

    assert "model.tiny.two" in manifest.read_text(encoding="utf-8")


def test_what_dbt_says_about_a_broken_project_is_shown(project: Path, settings: Settings) -> None:
    (project / "models" / "bad.sql").write_text("{{ ref('nowhere') }}", encoding="utf-8")

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
