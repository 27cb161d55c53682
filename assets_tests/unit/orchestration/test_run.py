"""The line goes on while it is trusted, stops where it is not, and says why."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import polars as pl
import pytest

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import retries
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.run import (
    FailedCheck,
    LineEvent,
    LineSummary,
    Step,
    StepRun,
    ingest_steps,
    line_stages,
    run_ingest,
    run_line,
)
from adx_platform.pipeline.reports import BatchReport
from adx_platform.reference.files import ReferenceData
from adx_platform.reference.schemas import REFERENCE_TABLES
from adx_platform.settings import Settings
from adx_platform.streams.errors import UnknownTopic


class NothingToReadLine(Line):
    """A line whose topics are empty, or gone."""

    missing_stream: str | None = None

    def ingest(self, stream: str, lane: int, until: Mapping[int, int] | None) -> list[BatchReport]:
        if stream == self.missing_stream:
            raise UnknownTopic(f"there is no topic {stream}: create it")
        return []

    def load_reference(self, *, force: bool = False) -> tuple[ReferenceData, tuple[str, ...]]:
        return self.read_reference(), ()

    def read_reference(self) -> ReferenceData:
        tables = {table.name: pl.DataFrame() for table in REFERENCE_TABLES}
        return ReferenceData(tables, dict.fromkeys(tables, "v1"), "v1")


def test_every_lane_is_ingested_and_checked(runnable_settings: Settings) -> None:
    events: list[LineEvent] = []

    summary = run_ingest(
        runnable_settings,
        on_event=events.append,
        overrides={"line": NothingToReadLine(runnable_settings)},
    )

    assert summary.success, [run.error for run in summary.runs]
    assert [run.step for run in summary.runs] == list(ingest_steps(runnable_settings))
    # Nine each; Avro's rejects are also held against the schemas registered by now.
    assert {(run.step.job, run.checks) for run in summary.runs} == {
        ("ingest_ad_impressions", 9),
        ("ingest_bid_requests", 10),
        ("ingest_clicks_conversions", 9),
    }
    assert summary.checks == sum(run.checks for run in summary.runs)
    assert [event.kind for event in events] == ["started", "finished"] * len(summary.runs)
    assert len(set(summary.run_ids)) == len(STREAMS) * 2


def test_a_failed_stage_is_finished_and_the_next_ones_are_left_out(
    runnable_settings: Settings,
) -> None:
    line = NothingToReadLine(runnable_settings)
    line.missing_stream = "ad_impressions"
    events: list[LineEvent] = []

    summary = run_line(runnable_settings, on_event=events.append, overrides={"line": line})

    assert not summary.success
    assert len(summary.runs) == 1 + len(ingest_steps(runnable_settings))
    failed = [run for run in summary.runs if not run.success]
    assert [run.step.name for run in failed] == [
        "ingest_ad_impressions lane-0",
        "ingest_ad_impressions lane-1",
    ]
    assert failed[0].error == "UnknownTopic: there is no topic ad_impressions: create it"
    assert [step.job for step in summary.skipped] == ["load", "build", "audit"]
    assert [e.step.job for e in events if e.kind == "skipped"] == ["load", "build", "audit"]


def test_the_stages_of_the_line_are_in_order(settings: Settings) -> None:
    jobs = [sorted({step.job for step in stage}) for stage in line_stages(settings)]

    assert jobs == [
        ["load_reference_data"],
        sorted(f"ingest_{stream}" for stream in STREAMS),
        ["load"],
        ["build"],
        ["audit"],
    ]


@pytest.mark.parametrize(("severity", "success"), [("ERROR", False), ("WARN", True)])
def test_a_warning_does_not_fail_the_line(severity: str, success: bool) -> None:
    check = FailedCheck("lake/events/x", "late_share", severity, "30 %")
    run = StepRun(
        Step("load"), "id", success=True, seconds=1.0, error="", checks=2, failed_checks=(check,)
    )

    summary = LineSummary((run,), ())

    assert summary.success is success
    assert summary.failed_checks == (check,)


def test_permanent_errors_are_not_tried_again() -> None:
    with pytest.raises(dg.Failure) as failure, retries.permanent_failures():
        raise UnknownTopic("gone")

    assert failure.value.allow_retries is False
    with pytest.raises(ConnectionError), retries.permanent_failures():
        raise ConnectionError("later, perhaps")
