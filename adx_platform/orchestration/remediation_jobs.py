"""Jobs that incidents launch: a remedy in the lake, and the checks afterwards.

Belongs here: the jobs and the one op. Does not belong here: what a remedy does
(``pipeline.remedies``), when it is due (``quality.incidents``), or remedies that are jobs of
assets (``reload_reference``, ``rebuild_marts``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import dagster as dg

from adx_platform.errors import AdxError
from adx_platform.orchestration.incident_names import INCIDENT_TAG, RECHECK_JOB, REMEDIATE_JOB
from adx_platform.orchestration.resources import Line
from adx_platform.quality.incidents.lifecycle import NotDue
from adx_platform.quality.incidents.model import Attempt


def remediation_jobs(line: object) -> "list[dg.JobDefinition | dg.UnresolvedAssetJobDefinition]":
    """``remediate`` carries out one remedy of one incident; ``recheck`` runs checks and no more.

    Args:
        line: the resource of that name, bound to ``remediate`` here and not by the definitions:
            Dagster 1.13 would make a sensor's job again to bind it, with a warning at each load
            that sensors' owners are new.
    """
    return [
        _remediate_job(line),
        dg.define_asset_job(
            RECHECK_JOB,
            selection=dg.AssetSelection.all_asset_checks(),
            description="Run checks again without what they check: after a remedy, or by hand.",
        ),
    ]


class _AttemptAtWork:
    """Ends an attempt, however the work in it ends."""

    def __init__(self, line: Line, incident_id: str, attempt: Attempt) -> None:
        self._line = line
        self._incident_id = incident_id
        self._number = attempt.number
        self.detail = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            text = str(error)
            self.detail = text if isinstance(error, AdxError) else f"{type(error).__name__}: {text}"
        with self._line.incidents() as store:
            store.end_attempt(
                self._incident_id,
                self._number,
                succeeded=error is None,
                detail=self.detail,
                now=datetime.now(UTC),
            )


def _remediate_job(line: object) -> dg.JobDefinition:
    @dg.op(
        name="carry_out_remedy",
        description="Claims the incident's next attempt, does its remedy, writes down how it went.",
    )
    def carry_out_remedy(context: dg.OpExecutionContext, line: dg.ResourceParam[Line]) -> None:
        incident_id = context.run.tags.get(INCIDENT_TAG)
        if incident_id is None:
            raise dg.Failure(
                f"this job mends an incident: launch it with the tag {INCIDENT_TAG}=INC-0001",
                allow_retries=False,
            )
        try:
            with line.incidents() as store:
                attempt = store.begin_attempt(
                    incident_id, run_id=context.run_id, now=datetime.now(UTC)
                )
        except NotDue as reason:
            context.log.info("nothing to do: %s", reason)
            return
        with _AttemptAtWork(line, incident_id, attempt) as work:
            report = line.carry_out(attempt.remedy)
            work.detail = report.detail
        context.log.info("attempt %s of %s: %s", attempt.number, incident_id, report.detail)
        context.add_output_metadata(
            {"remedy": attempt.remedy.action.value, "changed": report.changed}
        )

    @dg.job(
        name=REMEDIATE_JOB,
        executor_def=dg.in_process_executor,
        resource_defs={"line": dg.ResourceDefinition.hardcoded_resource(line)},
        description="Carry out one remedy of one incident: refine again, or repair the lake.",
    )
    def remediate() -> None:
        carry_out_remedy()

    return remediate
