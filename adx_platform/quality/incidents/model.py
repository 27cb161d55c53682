"""The values: a finding, a remedy, an attempt, an incident.

Belongs here: shapes and words. Does not belong here: how one becomes another (``lifecycle``), or
where they are kept (``store``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from adx_platform.contracts.offsets import OffsetRange


class Source(StrEnum):
    """Who says that something is wrong."""

    CHECK = "check"
    RUN = "run"
    FRESHNESS = "freshness"
    DAEMON = "daemon"
    INGEST = "ingest"


class Severity(StrEnum):
    """A warning may wait for office hours; an error is wrong or missing data."""

    WARNING = "warning"
    ERROR = "error"


class State(StrEnum):
    """Where an incident is in its life.

    ``open``: seen, and a remedy is due. ``mending``: a remedy is at work. ``watching``: only its
    source can end it. ``escalated``: the budget is spent, a person is asked for. ``acknowledged``:
    a person has taken it over; nothing more is tried. ``resolved``: every check of it passes.
    """

    OPEN = "open"
    MENDING = "mending"
    WATCHING = "watching"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What the platform may do by itself. Each is safe to repeat."""

    OBSERVE = "observe"
    REFINE_AGAIN = "refine_again"
    REPAIR_LAKE = "repair_lake"
    RELOAD_REFERENCE = "reload_reference"
    REBUILD_MARTS = "rebuild_marts"


@dataclass(frozen=True, slots=True)
class SeriesWindow:
    """Points of a measured series that an incident covers: never to be learned from.

    Attributes:
        metric: name of the series, for example ``volume``.
        key: which of them, for example ``ad_impressions`` or ``ad_impressions/ex-2``.
        start: first hour, UTC.
        end: the hour after the last one; null while the incident lasts.
    """

    metric: str
    key: str
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do.

    Attributes:
        action: what.
        stream: of which stream, where it is of one.
        topic_id: identity of its topic, where ranges are given.
        ranges: which offsets; empty: whatever the action finds damaged.
        reasons: only rejected rows of these reason codes; empty: any.
    """

    action: Action
    stream: str | None = None
    topic_id: str | None = None
    ranges: tuple[OffsetRange, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict about the platform, good or bad.

    Attributes:
        source: who says so.
        subject: what it is about: an asset key as ``lake/events/ad_impressions``, a job, a daemon.
        name: of the check (``reject_share``); of a run ``run``.
        passed: whether all is well.
        severity: how bad it is where it is not.
        description: one sentence for a person.
        at: when it was found, UTC.
        run_id: Dagster's run that found it, where one did.
        windows: points of series that it speaks of.
        remedy: what the check itself proposes; null: what the policy has for it.
    """

    source: Source
    subject: str
    name: str
    passed: bool
    severity: Severity
    description: str
    at: datetime
    run_id: str | None = None
    windows: tuple[SeriesWindow, ...] = ()
    remedy: Remedy | None = None

    @property
    def key(self) -> str:
        """Which check it is a result of: ``lake/events/ad_impressions:reject_share``."""
        return f"{self.subject}:{self.name}"


@dataclass(frozen=True, slots=True)
class Budget:
    """How far the platform may go with one incident; taken from the settings when it is opened.

    Attributes:
        max_attempts: remediations; then a person is asked for.
        first_pause: before the second one; doubled for each further one.
        watch_for: an incident that lasts longer than this is escalated, whatever was tried.
    """

    max_attempts: int = 3
    first_pause: timedelta = timedelta(seconds=20)
    watch_for: timedelta = timedelta(hours=6)

    def pause_after(self, number: int) -> timedelta:
        """How long to wait after the ``number``-th attempt; never longer than ``watch_for``."""
        pause = self.first_pause
        for _ in range(number - 1):
            if pause >= self.watch_for:
                break
            pause *= 2
        return min(pause, self.watch_for)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One remediation: a row of the audit.

    Attributes:
        number: 1, 2, ...
        remedy: what was done.
        started_at: UTC.
        ended_at: null while it is at work.
        run_id: the Dagster run that carried it out.
        succeeded: whether it ended without an error; null while it is at work.
        detail: what it did, or why it failed.
        passed_after: whether the incident's checks passed afterwards; null until they were run.
        checks: keys of the checks that failed when it began: those that it is judged by.
    """

    number: int
    remedy: Remedy
    started_at: datetime
    ended_at: datetime | None = None
    run_id: str | None = None
    succeeded: bool | None = None
    detail: str = ""
    passed_after: bool | None = None
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that is or was wrong, with every check that says so.

    Attributes:
        incident_id: for people: ``INC-0042``.
        scope: what it belongs to; checks of one scope that fail together are one incident:
            ``stream:ad_impressions``, ``reference``, ``warehouse``, ``platform``.
        title: what failed first.
        state: where it is in its life.
        severity: the worst of its findings.
        failing: keys of the checks that fail now.
        checks: keys of all checks that ever failed in it.
        description: the newest bad finding's sentence.
        opened_at: UTC.
        updated_at: UTC.
        resolved_at: UTC; null while it lasts.
        windows: what no training may use.
        remedy: what is tried next; null: nothing more.
        attempts: the audit, oldest first.
        next_attempt_at: not before this; null: nothing is due.
        acknowledged_by: who has taken it over.
        note: what they said.
        budget: how far the platform may go with it.
        escalated_at: when a person was asked for; stays when it is resolved afterwards.
        acknowledged_at: when it was taken over.
    """

    incident_id: str
    scope: str
    title: str
    state: State
    severity: Severity
    failing: tuple[str, ...]
    checks: tuple[str, ...]
    description: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    windows: tuple[SeriesWindow, ...] = ()
    remedy: Remedy | None = None
    attempts: tuple[Attempt, ...] = field(default=())
    next_attempt_at: datetime | None = None
    acknowledged_by: str | None = None
    note: str | None = None
    budget: Budget = field(default=Budget())
    escalated_at: datetime | None = None
    acknowledged_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether every check of it passes again."""
        return self.state == State.RESOLVED

    @property
    def is_spent(self) -> bool:
        """Whether every attempt that it may have was made."""
        return len(self.attempts) >= self.budget.max_attempts

    @property
    def running_attempt(self) -> Attempt | None:
        """The attempt that is at work; there is never more than one."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.ended_at is None else None


class NoticeKind(StrEnum):
    """What people are told about an incident, each once."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a notice fared on one channel.

    Attributes:
        channel: name of the channel, for example ``slack``.
        attempts: how often it was tried.
        delivered_at: null while it was not delivered.
        last_attempt_at: UTC.
        reason: why the last try failed; null if it did not.
    """

    channel: str
    attempts: int
    delivered_at: datetime | None
    last_attempt_at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people: made in the transaction that changed the incident.

    Attributes:
        notice_id: stable, for example ``INC-0042/opened``.
        kind: what happened.
        incident: as it is now.
        created_at: when it happened.
        deliveries: one for each channel that was tried.
    """

    notice_id: str
    kind: NoticeKind
    incident: Incident
    created_at: datetime
    deliveries: tuple[Delivery, ...] = ()

    def delivery(self, channel: str) -> Delivery | None:
        """How it fared on ``channel``; null if that was not tried yet."""
        return next((item for item in self.deliveries if item.channel == channel), None)
