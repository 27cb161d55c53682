"""The whole line once, in this process, on the persistent instance: what the command line calls.

Belongs here: the order of the jobs, when to stop, and a summary of what happened. Does not belong
here: the jobs themselves, or printing.

The runs are ordinary Dagster runs: ``dagster dev`` shows them afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import dagster as dg

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.jobs import AUDIT_JOB, BUILD_JOB, LOAD_JOB, REFERENCE_JOB
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.reports import BatchReport
from adx_platform.settings import Settings
from adx_platform.streams.lanes import lane_keys

# Dagster's own console log has a line per event: a command line shows progress instead.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Step:
    """One job of the line, for one lane where the job has lanes."""

    job: str
    partition_key: str | None = None

    @property
    def name(self) -> str:
        """For people: ``ingest_ad_impressions lane-0``."""
        return self.job if self.partition_key is None else f"{self.job} {self.partition_key}"


@dataclass(frozen=True, slots=True)
class LineEvent:
    """Progress: a step started or ended, or a batch was committed within one."""

    step: Step
    kind: Literal["started", "batch", "finished", "failed", "skipped"]
    batch: BatchReport | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that did not pass."""

    asset: str
    check: str
    severity: str
    description: str


@dataclass(frozen=True, slots=True)
class StepRun:
    """One finished run.

    Attributes:
        step: what ran.
        run_id: Dagster's.
        success: whether the run succeeded.
        seconds: wall clock.
        error: of the first failed step; empty on success.
        checks: how many checks were evaluated.
        failed_checks: those that did not pass, warnings included.
    """

    step: Step
    run_id: str
    success: bool
    seconds: float
    error: str
    checks: int
    failed_checks: tuple[FailedCheck, ...]

    @property
    def broke_a_check(self) -> bool:
        """Whether a check failed that is more than a warning."""
        return any(c.severity == dg.AssetCheckSeverity.ERROR.value for c in self.failed_checks)


@dataclass(frozen=True, slots=True)
class LineSummary:
    """What :func:`run_line` did: its runs in order, its batches, and the steps it did not reach."""

    runs: tuple[StepRun, ...]
    batches: tuple[BatchReport, ...]
    skipped: tuple[Step, ...] = field(default=())

    @property
    def success(self) -> bool:
        """Every step ran, succeeded, and broke no check."""
        return not self.skipped and all(r.success and not r.broke_a_check for r in self.runs)

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Dagster's ids of the runs, in order."""
        return tuple(run.run_id for run in self.runs)

    @property
    def failed_checks(self) -> tuple[FailedCheck, ...]:
        """Every check that did not pass, warnings included."""
        return tuple(check for run in self.runs for check in run.failed_checks)

    @property
    def checks(self) -> int:
        """How many checks were evaluated."""
        return sum(run.checks for run in self.runs)


OnEvent = Callable[[LineEvent], None]
Stage: TypeAlias = tuple[Step, ...]
"""Steps that do not depend on each other."""


def ingest_steps(settings: Settings) -> Stage:
    """The ingest of every lane of every stream."""
    lanes = lane_keys(settings.kafka.lanes_per_topic)
    return tuple(Step(keys.ingest_job_name(stream), lane) for stream in STREAMS for lane in lanes)


def warehouse_stages() -> tuple[Stage, ...]:
    """Reference data, load, then build and publish."""
    return (Step(REFERENCE_JOB),), (Step(LOAD_JOB),), (Step(BUILD_JOB),)


def line_stages(settings: Settings) -> tuple[Stage, ...]:
    """The whole line, and the recount of all history at its end."""
    reference, *downstream = warehouse_stages()
    return reference, ingest_steps(settings), *downstream, (Step(AUDIT_JOB),)


def run_line(
    settings: Settings,
    *,
    on_event: OnEvent | None = None,
    overrides: Mapping[str, object] | None = None,
) -> LineSummary:
    """Ingest every lane up to what is there now, load, build, publish, and run every check.

    Args:
        settings: the platform's; the dbt manifest must have been made for them.
        on_event: told about progress.
        overrides: resources to put in place of the real ones.

    Returns:
        What happened. A failure is in the summary, not raised.

    Raises:
        ManifestError: the dbt manifest was not made yet.
    """
    return _Runner(settings, on_event, overrides).run_stages(line_stages(settings))


def run_ingest(
    settings: Settings,
    *,
    on_event: OnEvent | None = None,
    overrides: Mapping[str, object] | None = None,
) -> LineSummary:
    """Ingest every lane up to what is there now, with the lake's checks; see :func:`run_line`."""
    return _Runner(settings, on_event, overrides).run_stages((ingest_steps(settings),))


def run_warehouse(
    settings: Settings,
    *,
    on_event: OnEvent | None = None,
    overrides: Mapping[str, object] | None = None,
) -> LineSummary:
    """Load what was refined, build, publish, with their checks; see :func:`run_line`."""
    return _Runner(settings, on_event, overrides).run_stages(warehouse_stages())


class _Runner:
    """Runs steps of one set of definitions and remembers the batches that they commit."""

    def __init__(
        self, settings: Settings, on_event: OnEvent | None, overrides: Mapping[str, object] | None
    ) -> None:
        self._batches: list[BatchReport] = []
        self._tell: OnEvent = on_event or (lambda _: None)
        self._settings = settings
        self._step = Step("")
        line = Line(settings, on_batch=self._batch)
        self._defs = build_defs(settings, {"line": line, **(overrides or {})})

    def run_stages(self, stages: Sequence[Stage]) -> LineSummary:
        """Run the stages in order.

        A stage is finished even if one of its steps fails; the stages after it are then left out,
        because they would build on what is not trusted.
        """
        runs: list[StepRun] = []
        skipped: list[Step] = []
        with ensure_instance(self._settings) as instance:
            for stage in stages:
                if any(not run.success or run.broke_a_check for run in runs):
                    skipped.extend(stage)
                else:
                    runs.extend(self._run(step, instance) for step in stage)
        for step in skipped:
            self._tell(LineEvent(step, "skipped", message="an earlier stage failed"))
        return LineSummary(tuple(runs), tuple(self._batches), tuple(skipped))

    def _run(self, step: Step, instance: dg.DagsterInstance) -> StepRun:
        self._step = step
        self._tell(LineEvent(step, "started"))
        started = time.monotonic()
        result = self._defs.resolve_job_def(step.job).execute_in_process(
            run_config=_QUIET,
            instance=instance,
            partition_key=step.partition_key,
            raise_on_error=False,
        )
        evaluations = result.get_asset_check_evaluations()
        done = StepRun(
            step=step,
            run_id=result.run_id,
            success=result.success,
            seconds=time.monotonic() - started,
            error="" if result.success else _first_error(result),
            checks=len(evaluations),
            failed_checks=tuple(_failed(evaluations)),
        )
        self._tell(LineEvent(step, "finished" if done.success else "failed", message=done.error))
        return done

    def _batch(self, report: BatchReport) -> None:
        self._batches.append(report)
        self._tell(LineEvent(self._step, "batch", batch=report))


def _failed(evaluations: Sequence[dg.AssetCheckEvaluation]) -> Iterator[FailedCheck]:
    for evaluation in evaluations:
        if not evaluation.passed:
            yield FailedCheck(
                asset=evaluation.asset_key.to_user_string(),
                check=evaluation.check_name,
                severity=evaluation.severity.value,
                description=evaluation.description or "",
            )


def _first_error(result: dg.ExecuteInProcessResult) -> str:
    """The innermost message of the first failed step: what a person can act on."""
    for event in result.get_step_failure_events():
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        error = data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return str(error.message).strip()
    return "the run failed before its first step; see the run's log in Dagster"
