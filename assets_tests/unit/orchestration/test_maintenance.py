"""The maintenance job keeps the lake first, then lets rows of the warehouse expire."""

from __future__ import annotations

from datetime import date

import dagster as dg

from adx_platform.lake.maintenance import UpkeepReport
from adx_platform.orchestration.maintenance import maintenance_job
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.expiry import ExpiryReport
from adx_platform.settings import Settings
from adx_platform.warehouse.retention_rules import Expired, RetentionError

EXPIRED = Expired("raw.clicks", date(2026, 3, 1), 12)


class FakeLine(Line):
    """A line whose upkeep is told, in the order in which it is asked for."""

    def __init__(self, settings: Settings, *, refuses: bool = False) -> None:
        super().__init__(settings)
        self.refuses = refuses
        self.asked: list[str] = []

    def maintain(self) -> list[UpkeepReport]:
        self.asked.append("lake")
        return [UpkeepReport("raw/clicks_conversions", dropped=5)]

    def expire(self) -> ExpiryReport:
        self.asked.append("warehouse")
        if self.refuses:
            raise RetentionError("ADX_WAREHOUSE__RETENTION is too short for raw.clicks (3)")
        return ExpiryReport((EXPIRED,))


def run(line: Line) -> dg.ExecuteInProcessResult:
    return maintenance_job().execute_in_process(resources={"line": line}, raise_on_error=False)


def test_the_warehouse_comes_after_the_lake_and_says_what_went(settings: Settings) -> None:
    line = FakeLine(settings)
    result = run(line)
    assert result.success
    assert line.asked == ["lake", "warehouse"]
    (output,) = (
        event.step_output_data.metadata
        for event in result.events_for_node("expire_warehouse_rows")
        if event.is_successful_output
    )
    assert output["rows_expired"].value == 12
    assert output["rows_expired/raw.clicks"].value == 12


def test_a_setting_that_cannot_be_kept_fails_after_the_lake_is_done(
    settings: Settings,
) -> None:
    line = FakeLine(settings, refuses=True)
    result = run(line)
    assert not result.success
    assert [event.node_name for event in result.get_step_success_events()] == [
        "keep_lake_tables_cheap"
    ]
