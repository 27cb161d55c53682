from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adx_platform.living.drill_plan import plan
from adx_platform.living.scoreboard import (
    Expectation,
    Injection,
    Outcome,
    Row,
    Scoreboard,
    score,
)
from adx_platform.quality.incidents.model import (
    Action,
    Attempt,
    Budget,
    Incident,
    Remedy,
    Severity,
    State,
)

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DROP = Expectation(
    "volume drop", Outcome.RECOVERED, ("stream:ad_impressions",), ("volume_",), ("market",)
)
TORN = Expectation(
    "torn file",
    Outcome.MENDED,
    ("stream:ad_impressions",),
    ("files_intact",),
    actions=frozenset({Action.REPAIR_LAKE}),
    needs_remedy=True,
)
ROT = Expectation(
    "rot", Outcome.ESCALATED, ("reference",), ("run",), actions=frozenset({Action.RELOAD_REFERENCE})
)
KILLED = Expectation("killed", Outcome.MENDED, ("platform",))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def attempt(action: Action, *, succeeded: bool | None = True, number: int = 1) -> Attempt:
    return Attempt(number, Remedy(action), at(40), at(45), succeeded=succeeded)


def incident(
    scope: str,
    check: str,
    opened: float,
    resolved: float | None = None,
    *,
    attempts: Sequence[Attempt] = (),
    escalated: float | None = None,
) -> Incident:
    state = State.ESCALATED if escalated is not None else State.OPEN
    return Incident(
        incident_id="INC-0001",
        scope=scope,
        title=f"{check} failed",
        state=State.RESOLVED if resolved is not None else state,
        severity=Severity.ERROR,
        failing=(),
        checks=(check,),
        description="it is so",
        opened_at=at(opened),
        updated_at=at(opened),
        resolved_at=None if resolved is None else at(resolved),
        attempts=tuple(attempts),
        escalated_at=None if escalated is None else at(escalated),
    )


def judge(expectation: Expectation, *incidents: Incident, **changes: object) -> Row:
    injection = Injection(expectation.name, NOON, closed_at=at(600))
    return board(expectation, replace(injection, **changes), *incidents).rows[0]  # type: ignore[arg-type]  # any field


def board(expectation: Expectation, injection: Injection, *incidents: Incident) -> Scoreboard:
    return score([expectation], [injection], incidents)


def test_what_its_source_has_ended_is_recovered() -> None:
    row = judge(DROP, incident("stream:ad_impressions", "volume_ad_impressions", 90, 400))
    assert (row.detected, row.outcome, row.settled) == (90, Outcome.RECOVERED, 400)
    assert row.is_as_expected


def test_what_nothing_has_found_is_missed() -> None:
    row = judge(DROP)
    assert (row.detected, row.problems) == (None, ("missed: nothing has found it",))


def test_an_incident_of_another_check_does_not_find_it() -> None:
    row = judge(DROP, incident("stream:ad_impressions", "contract", 90, 400))
    assert row.problems == ("missed: nothing has found it",)


def test_an_incident_of_another_scope_is_a_false_alarm() -> None:
    found = board(
        DROP,
        Injection(DROP.name, NOON),
        incident("stream:ad_impressions", "volume_ad_impressions", 90, 400),
        incident("stream:bid_requests", "volume_bid_requests", 95, 400),
    )
    assert len(found.false_alarms) == 1
    assert found.false_alarms[0].startswith("INC-0001 stream:bid_requests opened at 12:01:35")
    assert (found.wrong_actions, found.is_as_expected) == (1, False)


@pytest.mark.parametrize("opened", [-1, 601])
def test_an_incident_before_or_after_the_fault_is_a_false_alarm(opened: float) -> None:
    found = board(
        DROP,
        Injection(DROP.name, NOON, closed_at=at(600)),
        incident("stream:ad_impressions", "volume_ad_impressions", opened, 700),
    )
    assert len(found.false_alarms) == 1
    assert found.rows[0].detected is None


def test_what_follows_in_a_side_scope_is_no_false_alarm_and_must_end_too() -> None:
    own = incident("stream:ad_impressions", "volume_ad_impressions", 90, 400)
    found = board(DROP, Injection(DROP.name, NOON), own, incident("market", "ctr", 95, 500))
    assert found.is_as_expected
    assert found.rows[0].settled == 500
    left = board(DROP, Injection(DROP.name, NOON), own, incident("market", "ctr", 95))
    assert left.rows[0].problems == ("did not end",)


def test_a_side_scope_alone_does_not_find_it() -> None:
    row = judge(DROP, incident("market", "ctr", 95, 500))
    assert row.problems == ("missed: nothing has found it",)


def test_a_remedy_mends() -> None:
    mended = incident(
        "stream:ad_impressions",
        "files_intact",
        5,
        60,
        attempts=[attempt(Action.REPAIR_LAKE)],
    )
    row = judge(TORN, mended)
    assert (row.outcome, row.attempts) == (Outcome.MENDED, ("repair_lake done",))
    assert row.is_as_expected


def test_what_ended_without_the_remedy_was_not_mended() -> None:
    row = judge(
        TORN,
        incident(
            "stream:ad_impressions",
            "files_intact",
            5,
            60,
            attempts=[attempt(Action.REPAIR_LAKE, succeeded=False)],
        ),
    )
    assert row.problems == ("recovered, not mended",)
    assert row.attempts == ("repair_lake failed",)


def test_a_remedy_that_is_not_right_is_a_wrong_action() -> None:
    wrong = incident(
        "stream:ad_impressions",
        "volume_ad_impressions",
        90,
        400,
        attempts=[attempt(Action.REBUILD_MARTS), attempt(Action.OBSERVE)],
    )
    found = board(DROP, Injection(DROP.name, NOON), wrong)
    assert found.rows[0].wrong_actions == ("INC-0001: rebuild_marts",)
    assert found.rows[0].problems == ("mended, not recovered",)
    assert found.wrong_actions == 1


def test_late_is_said() -> None:
    row = judge(DROP, incident("stream:ad_impressions", "volume_x", 361, 901))
    assert row.problems == (
        "found late: after more than 360 s",
        "ended late: after more than 900 s",
    )


def test_escalated_means_after_the_whole_budget() -> None:
    attempts = [
        attempt(Action.RELOAD_REFERENCE, succeeded=False, number=number) for number in (1, 2, 3)
    ]
    spent = incident("reference", "load:run", 30, attempts=attempts, escalated=200)
    row = judge(ROT, spent)
    assert (row.outcome, row.settled, row.is_as_expected) == (Outcome.ESCALATED, 200, True)
    early = replace(spent, attempts=spent.attempts[:1], budget=Budget(max_attempts=3))
    assert judge(ROT, early).problems == ("INC-0001 was escalated after 1 of 3",)


def test_what_should_be_mended_and_is_escalated_is_said() -> None:
    row = judge(TORN, incident("stream:ad_impressions", "files_intact", 5, escalated=90))
    assert row.problems == (
        "escalated, not mended",
        "INC-0001 was escalated after 0 of 3",
    )


def test_what_the_supervisor_sees_needs_no_incident() -> None:
    row = judge(KILLED, seen_at=at(3), settled_at=at(5))
    assert (row.detected, row.outcome, row.settled) == (3, Outcome.MENDED, 5)
    assert row.is_as_expected
    assert judge(KILLED, seen_at=at(3)).problems == ("did not end",)
    assert judge(KILLED).problems == ("missed: nothing has found it",)


def test_of_two_faults_in_one_scope_the_newer_one_whose_check_it_is_owns_an_incident() -> None:
    found = score(
        [DROP, TORN],
        [Injection(DROP.name, NOON), Injection(TORN.name, at(10))],
        [
            incident("stream:ad_impressions", "volume_ad_impressions", 90, 400),
            incident(
                "stream:ad_impressions",
                "files_intact",
                20,
                60,
                attempts=[attempt(Action.REPAIR_LAKE)],
            ),
        ],
    )
    assert [row.detected for row in found.rows] == [90, 10]
    assert found.is_as_expected


def test_a_fault_that_could_not_be_injected_is_said() -> None:
    found = board(DROP, Injection(DROP.name, None, problem="not injected: no file"))
    assert found.rows[0].problems == ("not injected: no file",)
    assert score([DROP], [], []).rows[0].problems == ("was not injected",)


def test_a_finding_fails_the_drill() -> None:
    own = incident("stream:ad_impressions", "volume_ad_impressions", 90, 400)
    found = score([DROP], [Injection(DROP.name, NOON)], [own], findings=["one row is missing"])
    assert all(row.is_as_expected for row in found.rows)
    assert not found.is_as_expected


def test_the_plan_has_twelve_faults_each_of_its_own_name() -> None:
    faults = plan()
    assert len({fault.name for fault in faults}) == len(faults) == 12
    for fault in faults:
        expected = fault.expectation
        assert set(expected.scopes) <= fault.locks, fault.name
        assert expected.needs_incident or fault.seen is not None, fault.name
        assert expected.outcome is not Outcome.RECOVERED or not expected.actions, fault.name
