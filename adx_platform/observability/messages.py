"""What an alert says: from a notice to words, facts and links. Pure functions.

Belongs here: the wording. Does not belong here: the forms in which channels send it (``channels``),
when it is sent (``alerts``), or deciding that something is wrong (``quality``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from adx_platform.quality.incidents.model import (
    Action,
    Attempt,
    Incident,
    Notice,
    NoticeKind,
    Remedy,
    SeriesWindow,
)

_SHOWN: Final = 6
# What the resident loop says of Dagster's daemon has no page of an asset.
_DAEMON: Final = "platform/dagster_daemon"
_ASSETS: Final = ("lake/", "kafka/", "warehouse/", "reference/", "platform/")

_KINDS: Final = {
    NoticeKind.OPENED: "Opened",
    NoticeKind.ESCALATED: "A person is needed",
    NoticeKind.RESOLVED: "Resolved",
    NoticeKind.ACKNOWLEDGED: "Taken over",
}
_ACTIONS: Final = {
    Action.OBSERVE: "watch, because only its source can end it",
    Action.REFINE_AGAIN: "refine the range again from its landed bytes",
    Action.REPAIR_LAKE: "repair the lake's files from the broker or the landing",
    Action.RELOAD_REFERENCE: "load the reference files again",
    Action.REBUILD_MARTS: "build the marts again from the raw tables",
}


@dataclass(frozen=True, slots=True)
class Link:
    """One page to open."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """An alert, ready to be put into any form.

    Attributes:
        notice_id: stable: what was told once is never told again under it.
        kind: opened, escalated, resolved or acknowledged.
        incident_id: ``INC-0042``.
        title: one line: what happened to which incident.
        severity: warning or error.
        state: of the incident, as it is now.
        scope: what it belongs to.
        failing: checks that fail now, ``<asset>:<check>``.
        facts: what was observed; name and value.
        remedy: what the platform does next; or that it does nothing more.
        attempts: what it has tried, one sentence each.
        advice: what a person should do.
        links: pages of the Dagster UI.
        at: when it happened, UTC.
    """

    notice_id: str
    kind: str
    incident_id: str
    title: str
    severity: str
    state: str
    scope: str
    failing: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    remedy: str
    attempts: tuple[str, ...]
    advice: str
    links: tuple[Link, ...]
    at: datetime


def compose(notice: Notice, *, ui_url: str, mask: Callable[[str], str] = str) -> AlertMessage:
    """Word ``notice``.

    Args:
        notice: what to tell.
        ui_url: Dagster's address, for the links.
        mask: applied to everything that a check, a run or a person has written.
    """
    incident = notice.incident
    return AlertMessage(
        notice_id=notice.notice_id,
        kind=notice.kind.value,
        incident_id=incident.incident_id,
        title=mask(f"{_KINDS[notice.kind]}: {incident.incident_id}, {incident.title}"),
        severity=incident.severity.value,
        state=incident.state.value,
        scope=incident.scope,
        failing=incident.failing,
        facts=tuple((name, mask(value)) for name, value in _facts(notice)),
        remedy=mask(_next_step(incident)),
        attempts=tuple(mask(_tried(attempt)) for attempt in incident.attempts),
        advice=mask(_advice(notice)),
        links=tuple(_links(incident, ui_url.rstrip("/"))),
        at=notice.created_at,
    )


def _facts(notice: Notice) -> Iterator[tuple[str, str]]:
    incident = notice.incident
    yield "observed", incident.description or "nothing more was said"
    yield "since", _time(incident.opened_at)
    if incident.resolved_at is not None:
        yield "lasted", _span(incident.resolved_at - incident.opened_at)
    passed = [key for key in incident.checks if key not in incident.failing]
    if incident.failing:
        yield "failing", _listed(incident.failing)
    if passed:
        yield "passing again", _listed(passed)
    if incident.windows:
        yield "points of series", _listed(_window(window) for window in incident.windows)
    if incident.acknowledged_by is not None:
        yield "taken over by", incident.acknowledged_by
    if incident.note:
        yield "note", incident.note


def _next_step(incident: Incident) -> str:
    if incident.is_over:
        return "nothing more: every check passes again"
    if incident.remedy is None:
        return "nothing more: a person decides"
    action = _action(incident.remedy)
    if incident.remedy.action == Action.OBSERVE:
        return f"{action}; a person is asked for after {_span(incident.budget.watch_for)}"
    running = incident.running_attempt
    number = len(incident.attempts) + (running is None)
    return f"{action} (attempt {number} of {incident.budget.max_attempts})"


def _action(remedy: Remedy) -> str:
    words = _ACTIONS[remedy.action]
    if remedy.stream is not None:
        words += f", stream {remedy.stream}"
    if remedy.ranges:
        words += f", offsets {_listed(remedy.ranges)}"
    if remedy.reasons:
        words += f", rejects {_listed(remedy.reasons)}"
    return words


def _tried(attempt: Attempt) -> str:
    if attempt.succeeded is None:
        outcome = "is at work"
    elif not attempt.succeeded:
        outcome = "failed"
    elif attempt.passed_after is None:
        outcome = "was done; its checks were not run yet"
    else:
        outcome = f"was done; its checks {'pass' if attempt.passed_after else 'still fail'}"
    detail = f": {attempt.detail}" if attempt.detail else ""
    return f"{attempt.number}. {_action(attempt.remedy)}: {outcome}{detail}"


def _advice(notice: Notice) -> str:
    incident = notice.incident
    take_over = f"`adx incidents ack {incident.incident_id}` when you take it over"
    if notice.kind == NoticeKind.RESOLVED or incident.is_over:
        return "Nothing to do. Look at what was tried, if it comes back."
    if notice.kind == NoticeKind.ACKNOWLEDGED:
        return f"It is with {incident.acknowledged_by}; the platform tries nothing more."
    if notice.kind == NoticeKind.ESCALATED or incident.remedy is None:
        tried = len(incident.attempts)
        why = (
            f"{tried} of {incident.budget.max_attempts} attempts are spent"
            if tried
            else f"it lasts longer than {_span(incident.budget.watch_for)}"
        )
        return f"Mend it by hand: {why}. Start at the failing checks; {take_over}."
    if incident.remedy.action == Action.OBSERVE:
        return f"{_where_to_look(incident)} Run {take_over}."
    return "Nothing yet: the platform mends it by itself, and says so or asks for you."


def _where_to_look(incident: Incident) -> str:
    """What helps where the platform only watches, by what failed first."""
    subject, _, name = (incident.failing or incident.checks)[0].rpartition(":")
    if subject == _DAEMON:
        return "Start the daemon again: `adx up`, or `dagster-daemon run`."
    if name == "run":
        return "Look at the run's error; the same step is tried again by its sensor or schedule."
    if name == "freshness":
        return "Look why it is not made: its last run, and whether its sensor or schedule is on."
    return "Look at the check; if the data are as they were sent, ask their source."


def _links(incident: Incident, ui_url: str) -> Iterator[Link]:
    for key in (incident.failing or incident.checks)[:_SHOWN]:
        link = _link(key, ui_url)
        if link is not None:
            yield link
    for attempt in incident.attempts[-2:]:
        if attempt.run_id is not None:
            yield Link(f"run of attempt {attempt.number}", f"{ui_url}/runs/{attempt.run_id}")


def _link(key: str, ui_url: str) -> Link | None:
    subject, _, name = key.rpartition(":")
    if subject == _DAEMON:
        return Link("Dagster's daemons", f"{ui_url}/deployment/daemons")
    if subject.startswith(_ASSETS):
        page = f"{ui_url}/assets/{quote(subject)}"
        if name == "freshness":
            return Link(f"{subject}: freshness", page)
        return Link(
            f"{name} of {subject}", f"{page}?view=checks&checkDetail={quote(name, safe='')}"
        )
    if name == "run":
        # The job's partition, if it has one, is behind the slash.
        query = quote(f"job:{subject.partition('/')[0]}", safe="")
        return Link(f"runs of {subject}", f"{ui_url}/runs?q%5B0%5D={query}")
    return None


def _window(window: SeriesWindow) -> str:
    end = "now" if window.end is None else _time(window.end)
    return f"{window.metric} of {window.key}, {_time(window.start)} to {end}"


def _listed(items: Iterable[object]) -> str:
    texts = [str(item) for item in items]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _span(length: timedelta) -> str:
    seconds = round(length.total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            count = round(seconds / size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"
