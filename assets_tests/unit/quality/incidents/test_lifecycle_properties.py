"""Whatever happens in whatever order: the promises about incidents hold.

The machine drives the real store on a database in memory, as sensors, runs and a person would.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydantic import SecretStr

from adx_platform.quality.incidents.lifecycle import IncidentIsOver, NotDue
from adx_platform.quality.incidents.model import Finding, Incident, NoticeKind, State
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import IncidentSettings
from assets_tests.unit.quality.incidents.findings import NOON, finding

KEYS = (
    "lake/raw/ad_impressions:files_intact",
    "lake/events/ad_impressions:late_share",
    "lake/events/bid_requests:conservation",
    "warehouse/marts/fct_clicks:unique",
    "reference/fx_rates:reference_coverage",
)
SETTINGS = IncidentSettings(
    max_attempts=2, first_pause=timedelta(seconds=20), watch_for=timedelta(minutes=20)
)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = IncidentStore.open(SecretStr("sqlite://"))
        self.seconds = 0.0
        self.newest: dict[str, Finding] = {}
        self.escalated: set[str] = set()

    def teardown(self) -> None:
        self.store.close()

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    @rule(seconds=st.sampled_from([1, 5, 19, 60, 200, 700]))
    def time_passes(self, seconds: int) -> None:
        self.seconds += seconds
        self.store.record([], settings=SETTINGS, now=self.now)

    @rule(
        results=st.lists(
            st.tuples(st.sampled_from(KEYS), st.booleans(), st.integers(0, 8)), min_size=1
        )
    )
    def checks_report(self, results: list[tuple[str, bool, int]]) -> None:
        self.seconds += 1
        found = [finding(key, passed=ok, at=self.seconds - age) for key, ok, age in results]
        for item in sorted(found, key=lambda f: f.at):
            known = self.newest.get(item.key)
            if known is None or item.at > known.at:
                self.newest[item.key] = item
        self.store.record(found, settings=SETTINGS, now=self.now)
        assert self.store.record(found, settings=SETTINGS, now=self.now) == []

    @rule(pick=st.integers(0, 9))
    def an_attempt_is_asked_for(self, pick: int) -> None:
        everything = self.store.incidents()
        if not everything:
            return
        incident = everything[pick % len(everything)]
        allowed = incident.incident_id in {i.incident_id for i in self.store.due(self.now)}
        try:
            attempt = self.store.begin_attempt(incident.incident_id, run_id=None, now=self.now)
        except NotDue:
            assert not allowed
        else:
            assert attempt.number == len(incident.attempts) + 1

    @precondition(lambda self: self.store.at_work())
    @rule(pick=st.integers(0, 9), succeeded=st.booleans())
    def an_attempt_ends(self, pick: int, succeeded: bool) -> None:
        at_work = self.store.at_work()
        incident = at_work[pick % len(at_work)]
        number = incident.attempts[-1].number
        self.store.end_attempt(
            incident.incident_id, number, succeeded=succeeded, detail="", now=self.now
        )

    @rule(pick=st.integers(0, 9))
    def a_person_acknowledges(self, pick: int) -> None:
        everything = self.store.incidents()
        if not everything:
            return
        incident = everything[pick % len(everything)]
        try:
            self.store.acknowledge(incident.incident_id, by="ann", note=None, now=self.now)
        except IncidentIsOver:
            assert incident.is_over

    @invariant()
    def the_promises_hold(self) -> None:
        everything = self.store.incidents()
        lasting = [incident for incident in everything if not incident.is_over]
        assert len({incident.scope for incident in lasting}) == len(lasting)
        failing = {key for key, newest in self.newest.items() if not newest.passed}
        assert {key for incident in lasting for key in incident.failing} == failing
        for incident in everything:
            self._one_holds(incident)
        assert {i.incident_id for i in self.store.unresolved()} == {
            i.incident_id for i in lasting if i.state == State.ESCALATED
        }
        self._notices_hold(everything)

    def _one_holds(self, incident: Incident) -> None:
        assert incident.is_over == (not incident.failing)
        assert len(incident.attempts) <= incident.budget.max_attempts
        assert [a.number for a in incident.attempts] == list(range(1, len(incident.attempts) + 1))
        assert all(a.ended_at is not None for a in incident.attempts[:-1])
        if incident.state == State.MENDING:
            assert incident.running_attempt is not None
        if incident.state in (State.ESCALATED, State.ACKNOWLEDGED, State.RESOLVED):
            assert (incident.remedy, incident.next_attempt_at) == (None, None)
        if incident.state == State.OPEN:
            assert incident.next_attempt_at is not None or incident.is_spent
        for before, later in zip(incident.attempts, incident.attempts[1:], strict=False):
            assert before.ended_at is not None
            pause = incident.budget.pause_after(before.number)
            assert later.started_at >= before.ended_at + pause

    def _notices_hold(self, everything: list[Incident]) -> None:
        told = Counter(
            (notice.incident.incident_id, notice.kind) for notice in self.store.pending_notices()
        )
        assert set(told.values()) <= {1}
        for incident in everything:
            expected = {NoticeKind.OPENED}
            if incident.escalated_at is not None:
                expected.add(NoticeKind.ESCALATED)
            if incident.acknowledged_at is not None:
                expected.add(NoticeKind.ACKNOWLEDGED)
            if incident.is_over:
                expected.add(NoticeKind.RESOLVED)
            assert {kind for i, kind in told if i == incident.incident_id} == expected


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
