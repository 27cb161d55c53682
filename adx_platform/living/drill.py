"""The drill: a living platform is broken twelve times on purpose, and the score is kept.

Belongs here: the order of the phases, and waiting. Does not belong here: the faults
(``drill_plan``), the judgement (``scoreboard``), starting the platform (``cli``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

from adx_platform.errors import AdxError
from adx_platform.living.drill_plan import REFERENCE, Fault
from adx_platform.living.drill_truth import Comparison, compare_with_truth
from adx_platform.living.faults_market import happened
from adx_platform.living.orders import ServiceOrder, give_order
from adx_platform.living.programs import INGEST, MARKET, SUPERVISOR, records
from adx_platform.living.scoreboard import Injection, Outcome, Scoreboard, score
from adx_platform.living.status import OPEN_STATES, last_build, market_state, offsets_behind
from adx_platform.quality.incidents.model import Incident, State
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings

_POLL_SECONDS: Final = 2.0
_TELL_SECONDS: Final = 30.0
_CALM: Final = timedelta(seconds=20)
_CAUGHT_UP: Final = 2_000
_DRAIN_SECONDS: Final = 180.0
_STARTING: Final = timedelta(seconds=60)
_BY: Final = "drill"


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """How long the phases take.

    Attributes:
        warm: longest time until the platform is warm.
        clean: time in which nothing is injected and nothing may be found.
        hold_market: how long the market is stopped for the comparison at the end.
    """

    warm: timedelta = timedelta(minutes=20)
    clean: timedelta = timedelta(minutes=5)
    hold_market: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class DrillResult:
    """What a drill found."""

    began_at: datetime
    warm_at: datetime
    ended_at: datetime
    board: Scoreboard
    comparisons: tuple[Comparison, ...]


class DrillInterrupted(AdxError):  # noqa: N818 - it names the state, like the platform's errors
    """Somebody stopped the drill; there is no score."""


@dataclass
class _Active:
    fault: Fault
    at: datetime
    order_id: str | None
    gone_at: datetime | None = None
    built_before: datetime | None = None
    calm_since: datetime | None = None
    problem: str = ""


class Drill:
    """One drill over the platform that runs in a home."""

    def __init__(
        self,
        settings: Settings,
        faults: Sequence[Fault],
        options: DrillOptions,
        store: IncidentStore,
        *,
        tell: Callable[[str], None],
        stop: Event,
    ) -> None:
        """Describe it.

        Args:
            settings: of the home.
            faults: the plan.
            options: how long the phases take.
            store: of the incidents.
            tell: takes one line for a person.
            stop: set to give up.
        """
        self._settings = settings
        self._faults = faults
        self._options = options
        self._store = store
        self._tell = tell
        self._stop = stop
        self._began = datetime.now(UTC)
        self._done: list[Injection] = []
        self._active: list[_Active] = []
        self._supervised = False

    def run(self) -> DrillResult:
        """Wait, watch a clean stretch, break everything, compare, and keep the score.

        Raises:
            AdxError: the platform does not get warm, or the drill was stopped.
        """
        self._wait_until_warm()
        warm_at = datetime.now(UTC)
        self._tell(f"warm; now {self._options.clean.total_seconds():.0f} s without any fault")
        self._pass_time(self._options.clean)
        self._break_everything()
        findings = self._acknowledge()
        comparisons = self._compare()
        board = score(
            [fault.expectation for fault in self._faults],
            self._done,
            self._incidents(),
            findings=[*findings, *(p for c in comparisons for p in c.problems)],
        )
        return DrillResult(self._began, warm_at, datetime.now(UTC), board, tuple(comparisons))

    def _wait_until_warm(self) -> None:
        """Until the history is in the marts and a build has followed on it."""
        self._tell("waiting until the platform is warm: history refined, marts built twice")
        deadline = datetime.now(UTC) + self._options.warm
        builds: set[datetime] = set()
        while len(builds) <= 1:
            if datetime.now(UTC) > deadline:
                raise AdxError(
                    f"the platform of {self._settings.home} is not warm after "
                    f"{self._options.warm}: look at the logs in its folder logs"
                )
            self._pause()
            market, behind = market_state(self._settings), self._behind()
            built = last_build(self._settings)
            is_caught_up = behind is not None and behind < _CAUGHT_UP
            if market is not None and market.is_live and is_caught_up and built is not None:
                builds.add(built)

    def _break_everything(self) -> None:
        pending = list(self._faults)
        while pending or self._active:
            incidents = self._incidents()
            for active in list(self._active):
                self._look_at(active, incidents)
            for fault in list(pending):
                if self._may_begin(fault, incidents):
                    pending.remove(fault)
                    self._inject(fault)
            self._pause()

    def _may_begin(self, fault: Fault, incidents: Collection[Incident]) -> bool:
        taken = {lock for active in self._active for lock in active.fault.locks}
        noisy = {i.scope for i in incidents if i.state in OPEN_STATES}
        return not fault.locks & (taken | noisy)

    def _inject(self, fault: Fault) -> None:
        at = datetime.now(UTC)
        try:
            order_id = fault.inject(self._settings)
        except AdxError as error:
            self._tell(f"{fault.name}: cannot be injected: {error}")
            self._done.append(Injection(fault.name, None, problem=f"not injected: {error}"))
            return
        self._tell(f"{fault.name}: injected")
        self._active.append(_Active(fault, at, order_id))

    def _look_at(self, active: _Active, incidents: Collection[Incident]) -> None:
        """Close a fault that is over and calm, or that has had its time."""
        now = datetime.now(UTC)
        expectation = active.fault.expectation
        if not self._is_over(active, incidents):
            active.calm_since = None
            if now - active.at <= expectation.settle_within:
                return
            self._close(active, now, "closed without an end")
            return
        active.calm_since = active.calm_since or now
        if now - active.calm_since >= _CALM:
            self._close(active, now, "over")

    def _is_over(self, active: _Active, incidents: Collection[Incident]) -> bool:
        expectation = active.fault.expectation
        scopes = {*expectation.scopes, *expectation.side_scopes}
        ours = [i for i in incidents if i.scope in scopes and i.opened_at >= active.at]
        if expectation.outcome is Outcome.ESCALATED:
            return any(i.escalated_at is not None for i in ours)
        if any(i.state in OPEN_STATES for i in ours):
            return False
        if active.order_id is not None and happened(self._settings, active.order_id).ended is None:
            return False
        if active.fault.is_in_traffic and not self._left_the_marts(active):
            return False
        if active.fault.seen is not None:
            return active.fault.seen(self._settings, active.at)[1] is not None
        return any(i.scope in expectation.scopes for i in ours)

    def _left_the_marts(self, active: _Active) -> bool:
        """Whether a build has followed on the moment when no check judges the fault's hours.

        The hourly checks speak minutes after those of each batch. Without this wait what they find
        of one fault was taken for the next one's, or for a false alarm (the first drill, 2026-11).
        """
        market, built = market_state(self._settings), last_build(self._settings)
        if market is None or built is None:
            return False
        quality = self._settings.quality
        # One hour more: the build that follows may have begun an hour (a minute) ago.
        judged = timedelta(hours=quality.anomaly_tested_hours + 1) + quality.anomaly_grace
        active.gone_at = active.gone_at or market.clock + judged
        if market.clock < active.gone_at:
            active.built_before = built
            return False
        return built != active.built_before

    def _close(self, active: _Active, now: datetime, word: str) -> None:
        self._active.remove(active)
        seen = active.fault.seen
        seen_at, settled_at = seen(self._settings, active.at) if seen else (None, None)
        self._done.append(
            Injection(active.fault.name, active.at, now, seen_at, settled_at, active.problem)
        )
        self._tell(f"{active.fault.name}: {word}, {(now - active.at).total_seconds():.0f} s")

    def _acknowledge(self) -> list[str]:
        """Take over what was escalated, as a person would; it must be named until then."""
        problems = []
        escalated = [i for i in self._incidents() if i.state is State.ESCALATED]
        if REFERENCE in {i.scope for i in escalated} and not self._store.unresolved():
            problems.append("an escalated incident is not named as unresolved")
        for incident in escalated:
            self._store.acknowledge(
                incident.incident_id, by=_BY, note="made by the drill", now=datetime.now(UTC)
            )
        left = [i.incident_id for i in self._store.unresolved()]
        if left:
            problems.append(f"still unresolved after the acknowledgement: {', '.join(left)}")
        return problems

    def _compare(self) -> list[Comparison]:
        """Stop the market, let the lake catch up, and count."""
        hold = self._options.hold_market.total_seconds()
        give_order(self._settings, ServiceOrder(MARKET, hold_seconds=hold))
        deadline = datetime.now(UTC) + timedelta(seconds=_DRAIN_SECONDS)
        # A look before the market has ended would find the lake caught up too early.
        self._pass_time(_CALM)
        while self._behind() != 0:
            if datetime.now(UTC) > deadline:
                raise AdxError(f"the lake has not caught up within {_DRAIN_SECONDS:g} s")
            self._pause()
        return compare_with_truth(self._settings)

    def _incidents(self) -> list[Incident]:
        return [i for i in self._store.incidents() if i.opened_at >= self._began]

    def _behind(self) -> int | None:
        started = records(self._settings)[INGEST].running()
        return offsets_behind(started.port if started else None)

    def _pass_time(self, time: timedelta) -> None:
        end = datetime.now(UTC) + time
        while datetime.now(UTC) < end:
            self._pause()

    def _pause(self) -> None:
        if self._stop.wait(_POLL_SECONDS):
            raise DrillInterrupted("the drill was stopped; there is no score")
        known = records(self._settings)[SUPERVISOR].running() is not None
        if not known and (self._supervised or datetime.now(UTC) - self._began > _STARTING):
            raise AdxError(
                f"the platform of {self._settings.home} has ended: look at {self._settings.home}"
                "/logs/dev.log"
            )
        self._supervised = known
