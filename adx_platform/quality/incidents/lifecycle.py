"""How findings, attempts and people change an incident: pure functions of values.

Belongs here: every rule about states, budget and pauses. Does not belong here: which remedy there
is for a check (``policies``), or reading and writing incidents (``store``).

A loop is impossible by construction: an attempt needs the state ``open`` with a time that has
come, each one is counted, the pauses between them grow, and once they are spent only a person or
passing checks change the incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from adx_platform.errors import AdxError
from adx_platform.quality.incidents.model import (
    Action,
    Attempt,
    Budget,
    Finding,
    Incident,
    NoticeKind,
    Severity,
    State,
)
from adx_platform.quality.incidents.policies import choose, most_upstream
from adx_platform.quality.incidents.scopes import scope_of
from adx_platform.quality.incidents.windows import closed, merged

VERDICT_PATIENCE: Final = timedelta(minutes=2)
"""So much longer than its pause an attempt waits for its checks, before the next one: a run with
them takes ten seconds here, and a second remedy beside one that worked would be a wrong action."""

RECURRENCE: Final = timedelta(minutes=30)
"""Attempts of the same check that ended so recently count for the first pause of a new incident:
a fault that comes back as soon as it is mended is not mended at the full rate for ever."""

_IN_HANDS: Final = (State.ESCALATED, State.ACKNOWLEDGED)
"""A person's: what passes from here on is not the platform's merit."""

NOTICES: Final[Mapping[State, NoticeKind]] = {
    State.ESCALATED: NoticeKind.ESCALATED,
    State.RESOLVED: NoticeKind.RESOLVED,
    State.ACKNOWLEDGED: NoticeKind.ACKNOWLEDGED,
}


class NotDue(AdxError):  # noqa: N818 - it is no fault: somebody else was first, or all is well
    """No attempt may start now."""


class IncidentIsOver(AdxError):  # noqa: N818 - it is no fault: there is nothing left to do
    """The incident is resolved."""


def opened(
    finding: Finding,
    *,
    incident_id: str,
    budget: Budget,
    now: datetime,
    earlier: Iterable[Attempt] = (),
) -> Incident:
    """The incident that a bad finding opens.

    Args:
        finding: the bad one; no incident of its scope lasts.
        incident_id: the new incident's.
        budget: how far the platform may go.
        now: UTC.
        earlier: attempts of incidents of this scope that are over.
    """
    incident = Incident(
        incident_id=incident_id,
        scope=scope_of(finding),
        title=f"{finding.name} failed on {finding.subject}",
        state=State.OPEN,
        severity=finding.severity,
        failing=(finding.key,),
        checks=(finding.key,),
        description=finding.description,
        opened_at=now,
        updated_at=now,
        windows=merged(finding.windows),
        next_attempt_at=_first_attempt_at(finding, budget, now, earlier),
        budget=budget,
    )
    return _with_next_step(incident, {finding.key: finding}, now)


def joined(
    incident: Incident, finding: Finding, newest: Mapping[str, Finding], now: datetime
) -> Incident:
    """``incident`` after a finding of its scope, good or bad, that is newer than those before.

    Args:
        incident: not over.
        finding: of the incident's scope; a good one only matters if its check fails here.
        newest: the newest finding of every check that fails in the incident.
        now: UTC.
    """
    if finding.passed and finding.key not in incident.failing:
        return incident
    if finding.passed:
        after = replace(
            incident, failing=tuple(key for key in incident.failing if key != finding.key)
        )
    else:
        after = replace(
            incident,
            failing=_with(incident.failing, finding.key),
            checks=_with(incident.checks, finding.key),
            severity=_worse(incident.severity, finding.severity),
            description=finding.description,
            windows=merged((*incident.windows, *finding.windows)),
        )
    after = _judged(after, finding)
    if not after.failing:
        after = replace(
            after,
            state=State.RESOLVED,
            resolved_at=now,
            remedy=None,
            next_attempt_at=None,
            windows=merged(closed(after.windows, finding.windows)),
        )
    else:
        after = _with_next_step(after, {**newest, finding.key: finding}, now)
    return _touched(incident, after, now)


def is_due(incident: Incident, now: datetime) -> bool:
    """Whether an attempt may start."""
    return (
        incident.state == State.OPEN
        and incident.next_attempt_at is not None
        and incident.next_attempt_at <= now
        and incident.running_attempt is None
        and not incident.is_spent
    )


def begun(incident: Incident, *, run_id: str | None, now: datetime) -> Incident:
    """``incident`` with one attempt at work.

    Raises:
        NotDue: none may start; another process was first, or the checks pass again.
    """
    if incident.remedy is None or not is_due(incident, now):
        raise NotDue(
            f"{incident.incident_id} is {incident.state.value} and takes no attempt now "
            f"({len(incident.attempts)} of {incident.budget.max_attempts} made)"
        )
    attempt = Attempt(
        number=len(incident.attempts) + 1,
        remedy=incident.remedy,
        started_at=now,
        run_id=run_id,
        checks=incident.failing,
    )
    return replace(
        incident,
        state=State.MENDING,
        attempts=(*incident.attempts, attempt),
        next_attempt_at=None,
        updated_at=now,
    )


def ended(
    incident: Incident,
    number: int,
    *,
    succeeded: bool,
    detail: str,
    newest: Mapping[str, Finding],
    now: datetime,
    run_id: str | None = None,
) -> Incident:
    """``incident`` after attempt ``number``; unchanged if that has ended before.

    The incident may be over by then, or a person's: then only the audit changes.
    """
    running = incident.running_attempt
    if running is None or running.number != number:
        return incident
    pending = any(key in incident.failing for key in running.checks)
    attempt = replace(
        running,
        ended_at=now,
        succeeded=succeeded,
        detail=detail,
        run_id=running.run_id or run_id,
        passed_after=None if pending else True,
    )
    after = replace(incident, attempts=(*incident.attempts[:-1], attempt), updated_at=now)
    if after.state != State.MENDING:
        return after
    return _with_next_step(replace(after, state=State.OPEN), newest, now)


def acknowledged(incident: Incident, *, by: str, note: str | None, now: datetime) -> Incident:
    """``incident`` in a person's hands: nothing more is tried. Asked again it changes the note.

    Raises:
        IncidentIsOver: there is nothing left to take over.
    """
    if incident.is_over:
        raise IncidentIsOver(f"{incident.incident_id} is resolved: nothing is left to acknowledge")
    return replace(
        incident,
        state=State.ACKNOWLEDGED,
        acknowledged_by=by,
        acknowledged_at=incident.acknowledged_at or now,
        note=note if note is not None else incident.note,
        remedy=None,
        next_attempt_at=None,
        updated_at=now,
    )


def ticked(incident: Incident, now: datetime) -> Incident:
    """``incident`` as time alone changes it: escalated if it lasts too long.

    That is when it was watched, or waited for an attempt, for longer than the budget allows, and
    when the last attempt's checks were not even run in time.
    """
    if incident.state not in (State.OPEN, State.WATCHING) or now < _deadline(incident):
        return incident
    return _touched(incident, _escalated(incident, now), now)


def notices(before: Incident | None, after: Incident) -> tuple[NoticeKind, ...]:
    """What people are to be told about the change, whether or not they were told before."""
    first = (NoticeKind.OPENED,) if before is None else ()
    if before is not None and before.state == after.state:
        return first
    kind = NOTICES.get(after.state)
    return first if kind is None else (*first, kind)


def _with_next_step(incident: Incident, newest: Mapping[str, Finding], now: datetime) -> Incident:
    if incident.state in _IN_HANDS:
        return incident
    remedy = most_upstream(choose(newest[key]).remedy for key in incident.failing)
    after = replace(incident, remedy=remedy)
    if incident.state == State.MENDING:
        return after
    if remedy.action == Action.OBSERVE:
        return replace(after, state=State.WATCHING, next_attempt_at=None)
    if not after.is_spent:
        return replace(after, state=State.OPEN, next_attempt_at=_next_attempt_at(after, now))
    if _waits_for_its_checks(after):
        return replace(after, state=State.OPEN, next_attempt_at=None)
    return _escalated(after, now)


def _escalated(incident: Incident, now: datetime) -> Incident:
    return replace(
        incident, state=State.ESCALATED, escalated_at=now, remedy=None, next_attempt_at=None
    )


def _judged(incident: Incident, finding: Finding) -> Incident:
    """The verdict on the last attempt, by what was found after its end.

    A failure is final with the next attempt or at the escalation, not before: a check that was at
    work while the remedy ended reports what it read before (a torn file, mended, was called
    unmended for six seconds).
    """
    last = incident.attempts[-1] if incident.attempts else None
    if last is None or last.ended_at is None or last.passed_after is True:
        return incident
    if last.passed_after is False and incident.state in _IN_HANDS:
        return incident
    if finding.at <= last.ended_at or finding.key not in last.checks:
        return incident
    if not finding.passed:
        verdict = False
    elif any(key in incident.failing for key in last.checks):
        return incident
    else:
        verdict = True
    judged = replace(last, passed_after=verdict)
    return replace(incident, attempts=(*incident.attempts[:-1], judged))


def _waits_for_its_checks(incident: Incident) -> bool:
    """Whether the last remedy may have worked: one that failed is not waited for."""
    last = incident.attempts[-1] if incident.attempts else None
    return last is not None and last.succeeded is True and last.passed_after is None


def _next_attempt_at(incident: Incident, now: datetime) -> datetime:
    if not incident.attempts:
        return incident.next_attempt_at or now
    return _pause_ends_at(incident)


def _pause_ends_at(incident: Incident) -> datetime:
    last = incident.attempts[-1]
    end = (last.ended_at or last.started_at) + incident.budget.pause_after(last.number)
    return end + VERDICT_PATIENCE if _waits_for_its_checks(incident) else end


def _deadline(incident: Incident) -> datetime:
    latest = incident.opened_at + incident.budget.watch_for
    if incident.state == State.OPEN and incident.is_spent and incident.attempts:
        return min(latest, _pause_ends_at(incident))
    return latest


def _first_attempt_at(
    finding: Finding, budget: Budget, now: datetime, earlier: Iterable[Attempt]
) -> datetime:
    ends = [
        attempt.ended_at
        for attempt in earlier
        if attempt.ended_at is not None
        and attempt.ended_at > now - RECURRENCE
        and finding.key in attempt.checks
    ]
    if not ends:
        return now
    return max(now, max(ends) + budget.pause_after(len(ends)))


def _with(keys: tuple[str, ...], key: str) -> tuple[str, ...]:
    return keys if key in keys else (*keys, key)


def _worse(one: Severity, other: Severity) -> Severity:
    return Severity.ERROR if Severity.ERROR in (one, other) else Severity.WARNING


def _touched(before: Incident, after: Incident, now: datetime) -> Incident:
    return after if after == before else replace(after, updated_at=now)
