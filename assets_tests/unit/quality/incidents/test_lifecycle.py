"""States, pauses, verdicts and escalation, one rule a test."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from adx_platform.quality.incidents import lifecycle
from adx_platform.quality.incidents.model import (
    Action,
    Attempt,
    Budget,
    Finding,
    Incident,
    NoticeKind,
    Remedy,
    SeriesWindow,
    Severity,
    State,
)
from assets_tests.unit.quality.incidents.findings import (
    EVENTS,
    MENDABLE,
    NOON,
    WATCHED,
    after,
    finding,
)

BUDGET = Budget(max_attempts=2, first_pause=timedelta(seconds=20), watch_for=timedelta(hours=1))
CONSERVATION = f"{EVENTS}:conservation"


def opened(first: Finding, budget: Budget = BUDGET, **given: object) -> Incident:
    return lifecycle.opened(first, incident_id="INC-0001", budget=budget, now=NOON, **given)


def joined(
    incident: Incident, item: Finding, at: float, newest: Mapping[str, Finding] | None = None
) -> Incident:
    known = {key: finding(key) for key in incident.failing} | dict(newest or {})
    return lifecycle.joined(incident, item, known, after(at))


def attempted(incident: Incident, start: float, end: float, *, succeeded: bool = True) -> Incident:
    begun = lifecycle.begun(incident, run_id="run", now=after(start))
    return lifecycle.ended(
        begun,
        begun.attempts[-1].number,
        succeeded=succeeded,
        detail="done",
        newest={key: finding(key) for key in begun.failing},
        now=after(end),
    )


def seconds_until_next(incident: Incident) -> float | None:
    at = incident.next_attempt_at
    return None if at is None else (at - NOON).total_seconds()


def test_a_mendable_failure_is_open_and_due_at_once() -> None:
    incident = opened(finding())

    assert (incident.state, incident.scope) == (State.OPEN, "stream:ad_impressions")
    assert incident.remedy == Remedy(Action.REPAIR_LAKE, "ad_impressions")
    assert lifecycle.is_due(incident, NOON)
    assert lifecycle.notices(None, incident) == (NoticeKind.OPENED,)


def test_a_failure_that_only_its_source_can_end_is_watched() -> None:
    incident = opened(finding(WATCHED))

    assert incident.state == State.WATCHING
    assert not lifecycle.is_due(incident, after(1e9))


def test_without_a_budget_a_person_is_asked_at_once() -> None:
    incident = opened(finding(), Budget(max_attempts=0))

    assert incident.state == State.ESCALATED
    assert lifecycle.notices(None, incident) == (NoticeKind.OPENED, NoticeKind.ESCALATED)


def test_another_failure_joins_and_the_most_upstream_remedy_goes_first() -> None:
    watched = opened(finding(WATCHED, severity=Severity.WARNING))

    both = joined(watched, finding(CONSERVATION, at=5), 6)

    assert both.failing == both.checks == (WATCHED, CONSERVATION)
    assert (both.state, both.severity) == (State.OPEN, Severity.ERROR)
    assert both.remedy == Remedy(Action.REPAIR_LAKE, "ad_impressions")
    assert seconds_until_next(both) == 6
    assert lifecycle.notices(watched, both) == ()


def test_what_passes_leaves_and_the_rest_decides_what_is_done() -> None:
    both = joined(opened(finding()), finding(WATCHED, at=1), 1)

    rest = joined(both, finding(passed=True, at=2), 2)

    assert rest.failing == (WATCHED,)
    assert rest.checks == (MENDABLE, WATCHED)
    assert (rest.state, rest.next_attempt_at) == (State.WATCHING, None)
    assert rest.updated_at == after(2)


def test_a_check_that_passes_and_never_failed_changes_nothing() -> None:
    incident = opened(finding())

    assert joined(incident, finding(CONSERVATION, passed=True, at=5), 5) is incident


@pytest.mark.parametrize("state", [s for s in State if s != State.RESOLVED])
def test_in_every_state_the_incident_is_over_when_nothing_fails(state: State) -> None:
    incident = in_state(state)

    over = joined(incident, finding(incident.failing[0], passed=True, at=4_000), 4_000)

    assert (over.state, over.failing, over.resolved_at) == (State.RESOLVED, (), after(4_000))
    assert (over.remedy, over.next_attempt_at) == (None, None)
    assert over.escalated_at == incident.escalated_at
    assert lifecycle.notices(incident, over) == (NoticeKind.RESOLVED,)


def in_state(state: State) -> Incident:
    first = opened(finding(WATCHED if state == State.WATCHING else MENDABLE))
    match state:
        case State.MENDING:
            return lifecycle.begun(first, run_id=None, now=NOON)
        case State.ESCALATED:
            return lifecycle.ticked(first, after(3_600))
        case State.ACKNOWLEDGED:
            return lifecycle.acknowledged(first, by="ann", note=None, now=after(9))
        case _:
            return first


def test_an_attempt_is_alone_and_judged_by_what_failed_when_it_began() -> None:
    incident = opened(finding())

    mending = lifecycle.begun(incident, run_id="r", now=after(1))

    assert mending.state == State.MENDING
    assert mending.running_attempt == Attempt(
        1, Remedy(Action.REPAIR_LAKE, "ad_impressions"), after(1), run_id="r", checks=(MENDABLE,)
    )
    with pytest.raises(lifecycle.NotDue, match="mending"):
        lifecycle.begun(mending, run_id="s", now=after(1e6))


def test_pauses_grow_and_wait_for_the_checks() -> None:
    budget = Budget(max_attempts=9, first_pause=timedelta(seconds=20))
    patience = lifecycle.VERDICT_PATIENCE.total_seconds()
    incident, clock, pauses = opened(finding(), budget), 0.0, []

    for number in range(1, 5):
        incident = attempted(incident, clock, clock + 1)
        unjudged = seconds_until_next(incident)
        incident = joined(incident, finding(at=clock + 2), clock + 2)
        judged = seconds_until_next(incident)
        assert judged is not None
        assert unjudged == judged + patience
        assert incident.attempts[-1].passed_after is False
        pauses.append(judged - (clock + 1))
        clock = judged
        assert len(incident.attempts) == number

    assert pauses == [20, 40, 80, 160]


def test_a_remedy_that_failed_is_not_waited_for() -> None:
    incident = attempted(opened(finding()), 0, 1, succeeded=False)

    assert seconds_until_next(incident) == 21
    assert attempted(incident, 21, 22, succeeded=False).state == State.ESCALATED


def test_the_last_attempt_is_judged_before_a_person_is_asked() -> None:
    once = joined(attempted(opened(finding()), 0, 1), finding(at=2), 2)
    twice = attempted(once, 30, 31)

    assert (twice.state, twice.next_attempt_at, twice.is_spent) == (State.OPEN, None, True)
    failed = joined(twice, finding(at=32), 32)
    assert (failed.state, failed.escalated_at) == (State.ESCALATED, after(32))
    assert lifecycle.notices(twice, failed) == (NoticeKind.ESCALATED,)
    passed = joined(twice, finding(passed=True, at=32), 32)
    assert (passed.state, passed.attempts[-1].passed_after) == (State.RESOLVED, True)


def test_a_last_attempt_whose_checks_are_never_run_is_escalated_in_time() -> None:
    once = joined(attempted(opened(finding()), 0, 1), finding(at=2), 2)
    twice = attempted(once, 30, 31)
    deadline = 31 + 40 + lifecycle.VERDICT_PATIENCE.total_seconds()

    assert lifecycle.ticked(twice, after(deadline - 1)) is twice
    assert lifecycle.ticked(twice, after(deadline)).state == State.ESCALATED


def test_a_finding_from_before_its_end_is_no_verdict() -> None:
    incident = attempted(opened(finding()), 5, 10)

    assert joined(incident, finding(at=9), 11).attempts[-1].passed_after is None
    assert joined(incident, finding(at=11), 11).attempts[-1].passed_after is False


def test_a_failure_is_no_final_verdict_before_the_next_attempt() -> None:
    failed = joined(attempted(opened(finding()), 5, 10), finding(at=11), 11)

    over = joined(failed, finding(passed=True, at=16), 16)

    assert (failed.state, failed.attempts[-1].passed_after) == (State.OPEN, False)
    assert (over.state, over.attempts[-1].passed_after) == (State.RESOLVED, True)


def test_what_passes_after_the_escalation_is_not_the_attempts_merit() -> None:
    once = joined(attempted(opened(finding()), 0, 1), finding(at=2), 2)
    escalated = joined(attempted(once, 30, 31), finding(at=32), 32)

    over = joined(escalated, finding(passed=True, at=99), 99)

    assert (over.state, over.attempts[-1].passed_after) == (State.RESOLVED, False)


def test_another_check_that_fails_is_no_verdict() -> None:
    incident = attempted(opened(finding()), 0, 1)

    other = joined(incident, finding(CONSERVATION, at=2), 2)
    mended = joined(other, finding(passed=True, at=3), 3)

    assert other.attempts[-1].passed_after is None
    assert mended.attempts[-1].passed_after is True
    assert (mended.state, mended.failing) == (State.OPEN, (CONSERVATION,))


def test_checks_that_passed_while_it_was_at_work_count_for_the_attempt() -> None:
    mending = lifecycle.begun(opened(finding()), run_id=None, now=NOON)
    over = joined(mending, finding(passed=True, at=3), 3)

    audited = lifecycle.ended(over, 1, succeeded=True, detail="done", newest={}, now=after(4))

    assert (audited.state, audited.resolved_at) == (State.RESOLVED, after(3))
    assert (audited.attempts[0].succeeded, audited.attempts[0].passed_after) == (True, True)


def test_an_attempt_ends_once() -> None:
    incident = attempted(opened(finding()), 0, 1)

    again = lifecycle.ended(
        incident, 1, succeeded=False, detail="late", newest={}, now=after(9), run_id="x"
    )

    assert again is incident


def test_what_is_watched_for_too_long_is_escalated_once() -> None:
    incident = opened(finding(WATCHED))

    assert lifecycle.ticked(incident, after(3_599)) is incident
    escalated = lifecycle.ticked(incident, after(3_600))
    assert (escalated.state, escalated.escalated_at) == (State.ESCALATED, after(3_600))
    assert lifecycle.ticked(escalated, after(1e6)) is escalated


def test_an_escalated_incident_takes_more_failures_and_tries_nothing() -> None:
    escalated = in_state(State.ESCALATED)

    more = joined(escalated, finding(CONSERVATION, at=4_000), 4_000)

    assert (more.state, more.failing) == (State.ESCALATED, (MENDABLE, CONSERVATION))
    assert (more.remedy, lifecycle.is_due(more, after(1e6))) == (None, False)


def test_an_acknowledged_incident_is_a_persons() -> None:
    incident = lifecycle.acknowledged(opened(finding()), by="ann", note="mine", now=after(9))

    again = lifecycle.acknowledged(incident, by="bob", note=None, now=after(20))

    assert (again.state, again.acknowledged_by, again.note) == (State.ACKNOWLEDGED, "bob", "mine")
    assert again.acknowledged_at == after(9)
    assert lifecycle.notices(incident, again) == ()
    assert lifecycle.ticked(again, after(1e6)) is again
    with pytest.raises(lifecycle.NotDue):
        lifecycle.begun(again, run_id=None, now=after(1e6))


def test_an_attempt_at_work_when_a_person_takes_over_is_still_written_down() -> None:
    mending = in_state(State.MENDING)
    taken = lifecycle.acknowledged(mending, by="ann", note=None, now=after(1))

    ended = lifecycle.ended(
        taken, 1, succeeded=True, detail="done", newest={MENDABLE: finding()}, now=after(2)
    )

    assert ended.state == State.ACKNOWLEDGED
    assert ended.attempts[0].ended_at == after(2)


def test_a_resolved_incident_cannot_be_acknowledged() -> None:
    over = joined(opened(finding()), finding(passed=True, at=1), 1)

    with pytest.raises(lifecycle.IncidentIsOver, match="INC-0001 is resolved"):
        lifecycle.acknowledged(over, by="ann", note=None, now=after(2))


def test_a_fault_that_returns_as_soon_as_it_is_mended_is_mended_ever_more_slowly() -> None:
    made = [
        Attempt(
            1, Remedy(Action.REPAIR_LAKE), NOON, NOON - timedelta(seconds=age), checks=(MENDABLE,)
        )
        for age in (100, 50, 1)
    ]
    other = Attempt(1, Remedy(Action.REPAIR_LAKE), NOON, NOON, checks=(CONSERVATION,))
    long_ago = Attempt(
        1, Remedy(Action.REPAIR_LAKE), NOON, NOON - lifecycle.RECURRENCE, checks=(MENDABLE,)
    )

    assert seconds_until_next(opened(finding(), earlier=[other, long_ago])) == 0
    assert seconds_until_next(opened(finding(), earlier=made)) == 79


def test_windows_are_gathered_and_closed_at_the_end() -> None:
    hour = timedelta(hours=1)
    one = SeriesWindow("volume", "x", NOON, NOON + hour)
    two = SeriesWindow("volume", "x", NOON + hour, None)
    good = SeriesWindow("volume", "x", NOON + 4 * hour, NOON + 5 * hour)
    incident = joined(opened(finding(WATCHED, windows=(one,))), finding(WATCHED, windows=(two,)), 1)

    over = joined(incident, finding(WATCHED, passed=True, at=2, windows=(good,)), 2)

    assert incident.windows == (SeriesWindow("volume", "x", NOON, None),)
    assert over.windows == (SeriesWindow("volume", "x", NOON, NOON + 4 * hour),)


def test_a_pause_never_grows_beyond_what_is_watched_for() -> None:
    budget = Budget(first_pause=timedelta(seconds=20), watch_for=timedelta(minutes=2))

    pauses = [budget.pause_after(number).total_seconds() for number in (1, 2, 3, 4, 5_000)]

    assert pauses == [20, 40, 80, 120, 120]
