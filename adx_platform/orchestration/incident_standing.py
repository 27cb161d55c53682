"""The standing check: what the platform could not mend, until a person takes it over.

Belongs here: the asset ``platform/incidents``, its check, and how incidents look in Dagster. Does
not belong here: which incidents are unresolved (``quality.incidents``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import dagster as dg

from adx_platform.orchestration import keys
from adx_platform.orchestration.incident_names import INCIDENTS_KEY
from adx_platform.orchestration.resources import Line
from adx_platform.quality.incidents.model import Attempt, Incident, State
from adx_platform.quality.incidents.scopes import STANDING_CHECK
from adx_platform.quality.incidents.store import IncidentStore

_COLUMNS: Final = (
    "incident",
    "state",
    "scope",
    "since",
    "failing",
    "attempt",
    "remedy",
    "started",
    "ended",
    "succeeded",
    "passed_after",
    "detail",
)
_LASTING: Final = tuple(state for state in State if state != State.RESOLVED)


def incident_specs() -> list[dg.AssetSpec]:
    """The asset that carries the standing check."""
    return [
        dg.AssetSpec(
            INCIDENTS_KEY,
            group_name=keys.GROUP_PLATFORM,
            kinds={"sqlite"},
            owners=keys.OWNERS,
            tags={keys.LAYER_TAG: "platform"},
            description=(
                "What is or was wrong with the platform, what was tried, and who knows. "
                "`adx incidents ls` lists them, `adx incidents show INC-0001` has the audit."
            ),
        )
    ]


def incident_checks() -> list[dg.AssetChecksDefinition]:
    """The standing check, to be run by hand; ``incident_watch`` reports it by itself."""

    @dg.asset_check(
        asset=INCIDENTS_KEY,
        name=STANDING_CHECK,
        description="Nothing waits for a person: every escalated incident is acknowledged or over.",
    )
    def unresolved_incidents(line: dg.ResourceParam[Line]) -> dg.AssetCheckResult:
        with line.incidents() as store:
            evaluation = standing_evaluation(store)
        return dg.AssetCheckResult(
            passed=evaluation.passed,
            severity=evaluation.severity,
            description=evaluation.description,
            metadata=evaluation.metadata,
        )

    return [unresolved_incidents]


def standing_evaluation(store: IncidentStore) -> dg.AssetCheckEvaluation:
    """The verdict now, as it can be reported outside of a run."""
    lasting = store.incidents(states=_LASTING)
    unresolved = [i for i in reversed(lasting) if i.state == State.ESCALATED]
    return dg.AssetCheckEvaluation(
        asset_key=INCIDENTS_KEY,
        check_name=STANDING_CHECK,
        passed=not unresolved,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_sentence(lasting, unresolved),
        metadata={
            "unresolved": len(unresolved),
            "lasting": len(lasting),
            "incidents": incidents_table(lasting),
        },
    )


def digest(evaluation: dg.AssetCheckEvaluation) -> str:
    """Changes whenever the check would say something else."""
    return hashlib.sha256(dg.serialize_value(evaluation).encode()).hexdigest()[:16]


def incidents_table(incidents: Iterable[Incident]) -> dg.TableMetadataValue:
    """Incidents with their audit, a row for each attempt."""
    return dg.TableMetadataValue(
        records=[dg.TableRecord(row) for incident in incidents for row in _rows(incident)],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in _COLUMNS]),
    )


def _rows(incident: Incident) -> Iterator[dict[str, Any]]:
    about = {
        "incident": incident.incident_id,
        "state": incident.state.value,
        "scope": incident.scope,
        "since": _time(incident.opened_at),
        "failing": ", ".join(incident.failing),
    }
    if not incident.attempts:
        yield about | dict.fromkeys(_COLUMNS[len(about) :])
    for attempt in incident.attempts:
        yield about | _attempt(attempt)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "remedy": attempt.remedy.action.value,
        "started": _time(attempt.started_at),
        "ended": _time(attempt.ended_at),
        "succeeded": attempt.succeeded,
        "passed_after": attempt.passed_after,
        "detail": attempt.detail,
    }


def _sentence(lasting: Sequence[Incident], unresolved: Sequence[Incident]) -> str:
    if unresolved:
        return "; ".join(
            f"{i.incident_id} ({i.scope}) since {_time(i.opened_at)}, "
            f"{len(i.attempts)} attempts: {i.title}. Take it over: "
            f'adx incidents ack {i.incident_id} --note "..."'
            for i in unresolved
        )
    if lasting:
        return f"nothing waits for a person; {len(lasting)} incidents last and are dealt with"
    return "no incident lasts"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
