"""dbt on the warehouse of ``random_warehouse``, and what it built.

Belongs here: what tests of incremental builds share. Does not belong here: what must be true of the
marts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from assets_tests.dbt_in_process import invoke
from assets_tests.integration.random_warehouse import Warehouse

PROJECT = Path(__file__).parents[2] / "dbt_project"

# So low that a few users of a small market behave like machines.
LIMITS = {
    "adx_impressions_per_user_hour": 1,
    "adx_sivt_fewest_events": 2,
    "adx_sivt_clicks": 1,
    "adx_sivt_orphan_clicks": 1,
    "adx_sivt_threshold": 30,
}


class Dbt:
    """dbt in this process, on one warehouse file, with one manifest for all builds."""

    def __init__(self, database: Path, scratch: Path) -> None:
        self.scratch = scratch
        self.database = database
        self.manifest = None
        self.manifest = self._invoke("parse").result

    def run(self, *arguments: str, **variables: int) -> None:
        """Build what is selected; ``variables`` have other values than everywhere else."""
        self._invoke("run", *arguments, **variables)

    def test(self, *arguments: str) -> None:
        self._invoke("test", *arguments)

    def _invoke(self, command: str, *arguments: str, **variables: int) -> Any:
        result = invoke(
            command, *arguments, "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
            "--target", "duckdb", "--target-path", str(self.scratch / "target"),
            "--log-path", str(self.scratch / "logs"),
            "--vars", json.dumps(LIMITS | variables),
            manifest=self.manifest,
        )  # fmt: skip
        failed = [
            f"{r.node.name}: {r.status} {r.message}"
            for r in getattr(result.result, "results", None) or []
            if r.status not in {"success", "pass", "warn"}
        ]
        assert result.success, f"dbt {command} failed: {result.exception or failed}"
        return result


def tables_of(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every built table whose content is a result and not bookkeeping of one build."""
    with warehouse.connection() as connection:
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema in ('intermediate', 'marts') "
            "and table_name not in ('int_changed_loads', 'int_touched_events', 'int_touched_days') "
            "order by 1"
        ).fetchall()
        return {
            name: sorted(connection.execute(f"select * from {name}").fetchall(), key=repr)
            for (name,) in names
        }
