"""The score of a drill: which fault was found, what ended it, how fast, and what was done wrong.

Belongs here: attributing incidents to faults and judging them; pure, from what was injected and
what the incidents say. Does not belong here: injecting, or reading incidents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from adx_platform.quality.incidents.model import Action, Attempt, Incident


class Outcome(StrEnum):
    """How a fault must end.

    ``mended``: the platform did something that ended it. ``recovered``: its source ended it, and
    the platform watched and told. ``escalated``: a person was asked for, after the whole budget.
    """

    MENDED = "mended"
    RECOVERED = "recovered"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must follow from a fault.

    Attributes:
        name: of the fault.
        outcome: how it must end.
        scopes: where its incident opens.
        checks: parts of the names of checks, one of which must be in that incident; empty: no
            incident is needed, the supervisor's journal shows it.
        side_scopes: where incidents may open as well, because of it.
        actions: remedies that are right; to observe always is.
        needs_remedy: whether one of them must have been carried out successfully.
        detect_within: longest time from the injection to the incident.
        settle_within: longest time from the injection to the end.
    """

    name: str
    outcome: Outcome
    scopes: tuple[str, ...]
    checks: tuple[str, ...] = ()
    side_scopes: tuple[str, ...] = ()
    actions: frozenset[Action] = frozenset()
    needs_remedy: bool = False
    detect_within: timedelta = timedelta(minutes=6)
    settle_within: timedelta = timedelta(minutes=15)

    @property
    def needs_incident(self) -> bool:
        """Whether a check must find it."""
        return bool(self.checks)


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that was injected.

    Attributes:
        name: of the fault.
        at: when; null: it could not be.
        closed_at: when the drill was done with it: incidents after that are not of it.
        seen_at: when the supervisor saw it, for a fault that needs no incident.
        settled_at: when the supervisor had ended it.
        problem: why it could not be injected, or what was odd.
    """

    name: str
    at: datetime | None
    closed_at: datetime | None = None
    seen_at: datetime | None = None
    settled_at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The score of one fault; times are seconds since the injection."""

    name: str
    expected: Outcome
    injected_at: datetime | None
    incident_id: str | None
    detected: float | None
    outcome: Outcome | None
    settled: float | None
    attempts: tuple[str, ...]
    wrong_actions: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def is_as_expected(self) -> bool:
        """Whether nothing is to be said against it."""
        return not self.problems and not self.wrong_actions


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """The score of the whole drill.

    Attributes:
        rows: one per fault, in the order of the plan.
        false_alarms: incidents that fit no fault, in words.
        findings: what else is not as it must be: conservation, the truth.
    """

    rows: tuple[Row, ...]
    false_alarms: tuple[str, ...]
    findings: tuple[str, ...] = ()

    @property
    def wrong_actions(self) -> int:
        """Remedies that were not right, and incidents that fit no fault."""
        return sum(len(row.wrong_actions) for row in self.rows) + len(self.false_alarms)

    @property
    def is_as_expected(self) -> bool:
        """Whether the drill was passed."""
        rows = all(row.is_as_expected for row in self.rows)
        return rows and not self.false_alarms and not self.findings


def score(
    expectations: Sequence[Expectation],
    injections: Sequence[Injection],
    incidents: Iterable[Incident],
    *,
    findings: Iterable[str] = (),
) -> Scoreboard:
    """Judge a drill.

    Args:
        expectations: the plan.
        injections: what was done of it.
        incidents: all that were opened since the platform was started.
        findings: what other comparisons found.
    """
    done = {injection.name: injection for injection in injections}
    owned: dict[str, list[Incident]] = {expectation.name: [] for expectation in expectations}
    strays = []
    for incident in sorted(incidents, key=lambda item: item.opened_at):
        owner = _owner(incident, expectations, done)
        if owner is None:
            strays.append(incident)
        else:
            owned[owner].append(incident)
    return Scoreboard(
        rows=tuple(_row(e, done.get(e.name), owned[e.name]) for e in expectations),
        false_alarms=tuple(_in_words(incident) for incident in strays),
        findings=tuple(findings),
    )


def _owner(
    incident: Incident, expectations: Sequence[Expectation], done: dict[str, Injection]
) -> str | None:
    """The fault that an incident is of: the newest one of its scope at that moment."""
    found: list[tuple[bool, datetime, str]] = []
    for expectation in expectations:
        injection = done.get(expectation.name)
        if injection is None or injection.at is None or not _is_within(incident, injection):
            continue
        is_own = incident.scope in expectation.scopes and _shows(incident, expectation)
        if is_own or incident.scope in (*expectation.scopes, *expectation.side_scopes):
            found.append((is_own, injection.at, expectation.name))
    return max(found)[2] if found else None


def _is_within(incident: Incident, injection: Injection) -> bool:
    if injection.at is None or incident.opened_at < injection.at:
        return False
    return injection.closed_at is None or incident.opened_at <= injection.closed_at


def _shows(incident: Incident, expectation: Expectation) -> bool:
    if not expectation.checks:
        return True
    return any(part in key for key in incident.checks for part in expectation.checks)


def _row(expectation: Expectation, injection: Injection | None, owned: list[Incident]) -> Row:
    if injection is None or injection.at is None:
        problem = injection.problem if injection is not None else "was not injected"
        return Row(
            expectation.name, expectation.outcome, None, None, None, None, None, (), (), (problem,)
        )
    own = [i for i in owned if i.scope in expectation.scopes and _shows(i, expectation)]
    shown = own[0] if own else None
    detected_at = shown.opened_at if shown is not None else injection.seen_at
    outcome, settled_at = _end(expectation, injection, owned, has_own=bool(own))
    row = Row(
        name=expectation.name,
        expected=expectation.outcome,
        injected_at=injection.at,
        incident_id=shown.incident_id if shown is not None else None,
        detected=_since(injection.at, detected_at),
        outcome=outcome,
        settled=_since(injection.at, settled_at),
        attempts=tuple(_attempt(attempt) for i in owned for attempt in i.attempts),
        wrong_actions=tuple(_wrong_actions(expectation, owned)),
        problems=(injection.problem,) if injection.problem else (),
    )
    return replace(row, problems=(*row.problems, *_problems(row, expectation, owned)))


def _end(
    expectation: Expectation, injection: Injection, owned: list[Incident], *, has_own: bool
) -> tuple[Outcome | None, datetime | None]:
    escalated = [i.escalated_at for i in owned if i.escalated_at is not None]
    if escalated:
        return Outcome.ESCALATED, min(escalated)
    if not expectation.needs_incident:
        ends = [injection.settled_at, *(i.resolved_at for i in owned)]
    else:
        ends = [i.resolved_at for i in owned] if has_own else [None]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None, None
    did_something = any(a.succeeded for i in owned for a in i.attempts if _is_remedy(a))
    # What the supervisor has ended was mended by a restart.
    by_restart = not expectation.needs_incident and not expectation.needs_remedy
    return (Outcome.MENDED if did_something or by_restart else Outcome.RECOVERED), max(known)


def _problems(row: Row, expectation: Expectation, owned: list[Incident]) -> Iterable[str]:
    """What is to be said against a row."""
    if row.detected is None:
        yield "missed: nothing has found it"
        return
    if row.detected > expectation.detect_within.total_seconds():
        yield f"found late: after more than {expectation.detect_within.total_seconds():.0f} s"
    if row.outcome is None or row.settled is None:
        yield "did not end"
        return
    if row.outcome is not expectation.outcome:
        yield f"{row.outcome.value}, not {expectation.outcome.value}"
    if row.settled > expectation.settle_within.total_seconds():
        yield f"ended late: after more than {expectation.settle_within.total_seconds():.0f} s"
    if row.outcome is Outcome.ESCALATED:
        yield from (
            f"{i.incident_id} was escalated after {len(i.attempts)} of {i.budget.max_attempts}"
            for i in owned
            if i.escalated_at is not None and not i.is_spent
        )


def _wrong_actions(expectation: Expectation, owned: Iterable[Incident]) -> Iterable[str]:
    for incident in owned:
        for attempt in incident.attempts:
            action = attempt.remedy.action
            if _is_remedy(attempt) and action not in expectation.actions:
                yield f"{incident.incident_id}: {action.value}"


def _is_remedy(attempt: Attempt) -> bool:
    return attempt.remedy.action is not Action.OBSERVE


def _attempt(attempt: Attempt) -> str:
    word = {True: "done", False: "failed", None: "at work"}[attempt.succeeded]
    return f"{attempt.remedy.action.value} {word}"


def _since(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else (end - start).total_seconds()


def _in_words(incident: Incident) -> str:
    return (
        f"{incident.incident_id} {incident.scope} opened at {incident.opened_at:%H:%M:%S}: "
        f"{incident.title} ({incident.description})"
    )
