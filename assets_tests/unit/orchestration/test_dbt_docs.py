"""The pages of the project are one file that needs nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adx_platform.orchestration.dbt_docs import DocsError, write_docs
from adx_platform.settings import Settings


def test_the_pages_are_one_file_with_the_models_in_it(
    tiny_dbt_project: Path, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "docs.html"
    assert write_docs(settings, path) == path
    page = path.read_text(encoding="utf-8")
    assert "model.tiny.one" in page
    assert "<script src=" not in page
    # The assets' own manifest is another file, and untouched.
    assert not (settings.dbt_target_dir / "manifest.json").exists()
    made = json.loads((settings.dbt_target_dir / "docs/manifest.json").read_text(encoding="utf-8"))
    assert "model.tiny.one" in made["nodes"]


def test_what_dbt_says_is_shown(tiny_dbt_project: Path, settings: Settings, tmp_path: Path) -> None:
    (tiny_dbt_project / "models" / "bad.sql").write_text("{{ ref('nowhere') }}", encoding="utf-8")
    with pytest.raises(DocsError, match="nowhere"):
        write_docs(settings, tmp_path / "docs.html")
    assert not (tmp_path / "docs.html").exists()
