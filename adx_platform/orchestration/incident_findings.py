"""What Dagster's events say about the platform, as findings.

Belongs here: the translation of check results, ends of runs and freshness changes. Does not belong
here: reading the events (``incident_events``), or what follows from a finding
(``quality.incidents``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from adx_platform.orchestration import keys
from adx_platform.orchestration.incident_names import (
    ASKED_FOR_JOBS,
    RECHECK_JOB,
    REMEDIATE_JOB,
    STANDS_FOR,
)
from adx_platform.quality.incidents.documents import (
    REMEDY_METADATA,
    WINDOWS_METADATA,
    remedy_from,
    windows_from,
)
from adx_platform.quality.incidents.model import (
    Finding,
    Remedy,
    SeriesWindow,
    Severity,
    Source,
)
from adx_platform.quality.incidents.scopes import FRESHNESS, LOAD_JOB, RUN

_LOG = logging.getLogger(__name__)
_IMPLICIT_JOB: Final = "__ASSET_JOB"
_SENSOR_TAG: Final = "dagster/sensor_name"
_AUTOMATION_SENSOR: Final = "automation"
_LONGEST: Final = 500

RunOf = Callable[[str], dg.DagsterRun | None]


def findings_of(entries: Iterable[dg.EventLogEntry], run_of: RunOf) -> Iterator[Finding]:
    """The findings in ``entries``, in their order.

    Args:
        entries: of the event log; others than check results, ends of runs and freshness changes
            are passed over.
        run_of: a run by its id; null where it was deleted.
    """
    for entry in entries:
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield check_finding(event.asset_check_evaluation_data, _at(entry), entry.run_id or None)
        elif event.event_type == dg.DagsterEventType.FRESHNESS_STATE_CHANGE:
            yield from freshness_findings(event.asset_freshness_state_change_data)
        elif event.event_type in (
            dg.DagsterEventType.RUN_FAILURE,
            dg.DagsterEventType.RUN_SUCCESS,
        ):
            yield from _run_findings(entry, event, run_of)


def check_finding(evaluation: dg.AssetCheckEvaluation, at: datetime, run_id: str | None) -> Finding:
    """A check's result."""
    subject = evaluation.asset_key.to_user_string()
    warning = evaluation.severity == dg.AssetCheckSeverity.WARN
    return Finding(
        source=Source.CHECK,
        subject=subject,
        name=evaluation.check_name,
        passed=evaluation.passed,
        severity=Severity.WARNING if warning else Severity.ERROR,
        description=_short(evaluation.description or f"{evaluation.check_name} on {subject}"),
        at=at,
        run_id=run_id,
        windows=_windows(evaluation),
        remedy=_remedy(evaluation),
    )


def freshness_findings(change: FreshnessStateChange) -> Iterator[Finding]:
    """A change of an asset's freshness; none where its state is not known."""
    if change.new_state in (FreshnessState.UNKNOWN, FreshnessState.NOT_APPLICABLE):
        return
    subject = change.key.to_user_string()
    passed = change.new_state == FreshnessState.PASS
    said = "is fresh again" if passed else "was not materialised in time"
    yield Finding(
        source=Source.FRESHNESS,
        subject=subject,
        name=FRESHNESS,
        passed=passed,
        severity=Severity.ERROR if change.new_state == FreshnessState.FAIL else Severity.WARNING,
        description=f"{subject} {said} (freshness is {change.new_state.value})",
        at=datetime.fromtimestamp(change.state_change_timestamp, UTC),
    )


def _run_findings(
    entry: dg.EventLogEntry, event: dg.DagsterEvent, run_of: RunOf
) -> Iterator[Finding]:
    passed = event.event_type == dg.DagsterEventType.RUN_SUCCESS
    run = run_of(entry.run_id)
    subject = None if run is None else subject_of(run)
    if subject is None:
        return
    yield Finding(
        source=Source.RUN,
        subject=subject,
        name=RUN,
        passed=passed,
        severity=Severity.ERROR,
        description=f"{subject} succeeded" if passed else _failure(subject, event),
        at=_at(entry),
        run_id=entry.run_id,
    )


def subject_of(run: dg.DagsterRun) -> str | None:
    """What a run's end says something about: its job, and its lane where it has one.

    A run that a person asked for says nothing: nobody repeats it, so nothing would end the
    incident. Neither do remedies and their checks: their ends are in the incident's audit.
    """
    job = run.job_name
    if job.startswith(_IMPLICIT_JOB):
        # The automation's loads have no job of their own; a person's choice of assets neither.
        return LOAD_JOB if run.tags.get(_SENSOR_TAG) == _AUTOMATION_SENSOR else None
    if job in ASKED_FOR_JOBS or job in (REMEDIATE_JOB, RECHECK_JOB):
        return None
    lane = run.tags.get(keys.PARTITION_TAG)
    job = STANDS_FOR.get(job, job)
    return job if lane is None else f"{job}/{lane}"


def _failure(subject: str, event: dg.DagsterEvent) -> str:
    data = event.event_specific_data
    step = getattr(data, "first_step_failure_event", None)
    error = step.step_failure_data.error if step is not None else getattr(data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    reason = error.message.strip() if error is not None else (event.message or "no reason is known")
    return _short(f"{subject} failed: {reason}")


def _windows(evaluation: dg.AssetCheckEvaluation) -> tuple[SeriesWindow, ...]:
    document = _document(evaluation, WINDOWS_METADATA)
    if document is None:
        return ()
    try:
        return windows_from(document)
    except (KeyError, TypeError, ValueError) as error:
        _warn(evaluation, WINDOWS_METADATA, error)
        return ()


def _remedy(evaluation: dg.AssetCheckEvaluation) -> Remedy | None:
    document = _document(evaluation, REMEDY_METADATA)
    if document is None:
        return None
    try:
        return remedy_from(document)
    except (KeyError, TypeError, ValueError) as error:
        _warn(evaluation, REMEDY_METADATA, error)
        return None


def _document(evaluation: dg.AssetCheckEvaluation, name: str) -> Any:  # noqa: ANN401 - JSON
    value = evaluation.metadata.get(name)
    return None if value is None else value.value


def _warn(evaluation: dg.AssetCheckEvaluation, name: str, error: Exception) -> None:
    # A check that is written wrongly must not stop the others from being heard.
    _LOG.warning(
        "check %s of %s has unreadable metadata %s: %r",
        evaluation.check_name,
        evaluation.asset_key.to_user_string(),
        name,
        error,
    )


def _at(entry: dg.EventLogEntry) -> datetime:
    return datetime.fromtimestamp(entry.timestamp, UTC)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
