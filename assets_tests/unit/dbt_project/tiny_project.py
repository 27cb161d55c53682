"""A dbt project of a few models with our materializations, on a DuckDB file of its own.

Belongs here: making the folder. Does not belong here: running dbt in it, which each test does in
its own way.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

_MACROS = Path(__file__).parents[3] / "dbt_project/macros/build"
_MATERIALIZATIONS = ("incremental.sql", "table.sql", "slices.sql")


def make_project(folder: Path, models: Mapping[str, str], *, threads: int = 2) -> Path:
    """Write a project into ``folder``; ``models`` are files of its models, by their names."""
    for name in ("models", "macros"):
        (folder / name).mkdir()
    for macro in _MATERIALIZATIONS:
        shutil.copy(_MACROS / macro, folder / "macros")
    for name, text in models.items():
        (folder / "models" / name).write_text(text, encoding="utf-8")
    (folder / "dbt_project.yml").write_text("name: adx\nprofile: adx\n", encoding="utf-8")
    output = f"{{type: duckdb, path: tiny.duckdb, threads: {threads}}}"
    (folder / "profiles.yml").write_text(
        f"adx: {{target: it, outputs: {{it: {output}}}}}", encoding="utf-8"
    )
    return folder
