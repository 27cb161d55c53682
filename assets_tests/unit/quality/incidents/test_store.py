"""The database keeps what the rules decide, once, also beside other processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.quality.incidents.database import REVISION, IncidentStoreError, write_lock
from adx_platform.quality.incidents.lifecycle import IncidentIsOver, NotDue
from adx_platform.quality.incidents.model import (
    Action,
    Incident,
    NoticeKind,
    Remedy,
    SeriesWindow,
    State,
)
from adx_platform.quality.incidents.store import IncidentStore, UnknownIncident
from adx_platform.settings import IncidentSettings
from assets_tests.unit.quality.incidents.claiming import claim, report
from assets_tests.unit.quality.incidents.findings import (
    MENDABLE,
    NOON,
    WATCHED,
    after,
    finding,
)

SETTINGS = IncidentSettings(max_attempts=2, first_pause=timedelta(seconds=20))
OTHER = "lake/events/bid_requests:files_intact"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStr:
    if request.param == "sqlite":
        return SecretStr(f"sqlite:///{tmp_path / 'folder' / 'incidents.sqlite'}")
    return SecretStr(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: SecretStr) -> Iterator[IncidentStore]:
    with IncidentStore.open(url) as opened:
        yield opened


def record(store: IncidentStore, *findings: object, at: float = 0) -> list[Incident]:
    return store.record(findings, settings=SETTINGS, now=after(at))


def kinds(store: IncidentStore) -> list[str]:
    return [notice.notice_id for notice in store.pending_notices()]


def test_everything_about_an_incident_comes_back_as_it_was(
    store: IncidentStore, url: SecretStr
) -> None:
    remedy = Remedy(
        Action.REFINE_AGAIN, "ad_impressions", "topic", (OffsetRange(1, 2, 3),), ("reason",)
    )
    windows = (SeriesWindow("volume", "ad_impressions", NOON, None),)
    record(store, finding(WATCHED, remedy=remedy, windows=windows))
    store.begin_attempt("INC-0001", run_id="run-1", now=after(1))
    store.end_attempt("INC-0001", 1, succeeded=True, detail="refined", now=after(2))
    (changed,) = record(store, finding(WATCHED, at=3), at=4)

    with IncidentStore.open(url) as another:
        found = another.get("inc-1")

    assert found == changed
    assert found.incident_id == "INC-0001"
    assert found.attempts[0].remedy == remedy
    assert (found.attempts[0].run_id, found.attempts[0].passed_after) == ("run-1", False)
    assert found.windows == windows
    assert found.budget.max_attempts == 2
    assert found.opened_at == NOON


def test_one_incident_lasts_in_a_scope_and_the_next_one_is_another(store: IncidentStore) -> None:
    record(store, finding(), finding(WATCHED, at=1), finding(OTHER, at=2))
    record(store, finding(passed=True, at=3), finding(WATCHED, passed=True, at=4))
    record(store, finding(at=5))

    found = store.incidents()

    assert [(i.incident_id, i.scope, i.state) for i in found] == [
        ("INC-0003", "stream:ad_impressions", State.OPEN),
        ("INC-0002", "stream:bid_requests", State.OPEN),
        ("INC-0001", "stream:ad_impressions", State.RESOLVED),
    ]
    assert [i.incident_id for i in store.incidents(states=[State.OPEN], limit=1)] == ["INC-0003"]
    assert store.incidents(states=[]) == []


def test_what_was_seen_before_and_what_is_older_changes_nothing(store: IncidentStore) -> None:
    bad, good = finding(at=10), finding(passed=True, at=20)

    assert record(store, bad, at=10)
    assert record(store, bad, at=11) == []
    assert [i.state for i in record(store, good, at=20)] == [State.RESOLVED]
    assert record(store, bad, good, finding(at=15), at=21) == []
    assert len(store.incidents()) == 1


def test_findings_of_one_call_are_taken_in_by_their_time(store: IncidentStore) -> None:
    (only,) = record(store, finding(passed=True, at=2), finding(at=1), at=3)

    assert only.state == State.RESOLVED
    assert kinds(store) == ["INC-0001/opened", "INC-0001/resolved"]


def test_the_standing_check_opens_nothing(store: IncidentStore) -> None:
    assert record(store, finding("platform/incidents:unresolved_incidents")) == []
    assert store.incidents() == []


def test_what_passes_opens_nothing(store: IncidentStore) -> None:
    assert record(store, finding(passed=True)) == []


def test_due_is_what_may_start_now_and_nothing_beside_it(store: IncidentStore) -> None:
    record(store, finding(), finding(WATCHED, at=1), finding(OTHER, at=2), at=2)

    assert [i.incident_id for i in store.due(after(2))] == ["INC-0001", "INC-0002"]
    assert store.due(after(1)) == []

    attempt = store.begin_attempt("INC-0001", run_id=None, now=after(3))
    assert attempt.number == 1
    assert [i.incident_id for i in store.due(after(3))] == ["INC-0002"]
    with pytest.raises(NotDue):
        store.begin_attempt("INC-0001", run_id=None, now=after(3))

    # It is over, and another one of its scope is open, but its remedy is still at work.
    passed = [finding(passed=True, at=4), finding(WATCHED, passed=True, at=4)]
    record(store, *passed, at=4)
    record(store, finding(at=5), at=5)
    assert [i.incident_id for i in store.at_work()] == ["INC-0001"]
    assert [i.incident_id for i in store.due(after(6))] == ["INC-0002"]
    ended = store.end_attempt(
        "INC-0001", 1, succeeded=False, detail="died", now=after(7), run_id="r"
    )
    assert (ended.state, ended.attempts[0].run_id) == (State.RESOLVED, "r")
    assert store.at_work() == []
    assert [i.incident_id for i in store.due(after(7))] == ["INC-0002", "INC-0003"]


def test_a_check_that_fails_again_right_after_its_remedy_waits(store: IncidentStore) -> None:
    record(store, finding())
    store.begin_attempt("INC-0001", run_id=None, now=after(1))
    store.end_attempt("INC-0001", 1, succeeded=True, detail="done", now=after(2))
    record(store, finding(passed=True, at=3), at=3)
    record(store, finding(at=4), at=4)

    assert store.due(after(21)) == []
    assert [i.incident_id for i in store.due(after(22))] == ["INC-0002"]


def test_time_alone_escalates_and_a_person_quiets_it(store: IncidentStore) -> None:
    record(store, finding(WATCHED))
    late = SETTINGS.watch_for.total_seconds()

    assert record(store, at=late - 1) == []
    assert [i.state for i in record(store, at=late)] == [State.ESCALATED]
    assert [i.incident_id for i in store.unresolved()] == ["INC-0001"]
    taken = store.acknowledge("INC-0001", by="ann", note="the exchange is down", now=after(late))
    assert (taken.state, taken.acknowledged_by) == (State.ACKNOWLEDGED, "ann")
    assert store.unresolved() == []
    assert record(store, at=2 * late) == []
    assert kinds(store) == ["INC-0001/opened", "INC-0001/escalated", "INC-0001/acknowledged"]

    record(store, finding(WATCHED, passed=True, at=late + 1), at=late + 1)
    with pytest.raises(IncidentIsOver):
        store.acknowledge("INC-0001", by="ann", note=None, now=after(late + 2))


def test_the_windows_of_all_incidents_are_left_out_of_training(store: IncidentStore) -> None:
    hour = timedelta(hours=1)
    one = SeriesWindow("volume", "x", NOON, NOON + hour)
    two = SeriesWindow("volume", "x", NOON + hour, NOON + 2 * hour)
    other = SeriesWindow("ctr", "all", NOON, None)
    record(store, finding(WATCHED, windows=(one,)))
    record(store, finding(WATCHED, passed=True, at=1))
    record(store, finding(WATCHED, at=2, windows=(two,)), finding(OTHER, windows=(other,)))

    assert store.windows() == [other, SeriesWindow("volume", "x", NOON, NOON + 2 * hour)]


def test_a_notice_waits_until_it_is_settled(store: IncidentStore) -> None:
    record(store, finding())
    (notice,) = store.pending_notices()
    assert (notice.kind, notice.incident.incident_id) == (NoticeKind.OPENED, "INC-0001")
    assert notice.deliveries == ()

    store.failed(notice.notice_id, "slack", "HTTP 500", now=after(1))
    store.failed(notice.notice_id, "slack", "HTTP 502", now=after(2))
    store.delivered(notice.notice_id, "log", now=after(3))
    (notice,) = store.pending_notices()
    slack, log = notice.delivery("slack"), notice.delivery("log")
    assert slack is not None
    assert (slack.attempts, slack.delivered_at, slack.reason) == (2, None, "HTTP 502")
    assert slack.last_attempt_at == after(2)
    assert log is not None
    assert (log.attempts, log.delivered_at, log.reason) == (1, after(3), None)
    assert notice.delivery("webhook") is None

    store.delivered(notice.notice_id, "slack", now=after(4))
    store.failed(notice.notice_id, "slack", "late", now=after(5))
    (notice,) = store.pending_notices()
    slack = notice.delivery("slack")
    assert slack is not None
    assert (slack.attempts, slack.delivered_at, slack.reason) == (3, after(4), None)

    store.settle(notice.notice_id, now=after(6))
    assert store.pending_notices() == []


@pytest.mark.parametrize("text", ["INC-0007", "7", "INC-", "x", "INC-99999999999999999999", "-1"])
def test_an_unknown_id_is_said(store: IncidentStore, text: str) -> None:
    with pytest.raises(UnknownIncident, match=r"INC-0042|adx incidents ls"):
        store.get(text)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite:////proc/nowhere/x.sqlite",
        "postgresql+psycopg2://u:pa55word@127.0.0.1:1/x?connect_timeout=1",
        "nosuchdb://u:pa55word@h/x",
    ],
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(url: str) -> None:
    with pytest.raises(IncidentStoreError, match="ADX_INCIDENTS__URL") as caught:
        IncidentStore.open(SecretStr(url))

    assert "pa55word" not in str(caught.value)


def test_tables_of_a_newer_version_are_left_alone(url: SecretStr) -> None:
    IncidentStore.open(url).close()
    engine = sa.create_engine(url.get_secret_value())
    with engine.begin() as connection:
        connection.execute(sa.update(write_lock).values(id=REVISION + 1))
    engine.dispose()

    with pytest.raises(IncidentStoreError, match="upgrade this installation"):
        IncidentStore.open(url)


def test_several_processes_share_it(url: SecretStr) -> None:
    """Three processes open it at once, report the same findings, and all want each attempt."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        reported = pool.starmap(report, [(url.get_secret_value(), 12)] * 3, chunksize=1)
        claimed = pool.starmap(claim, [(url.get_secret_value(), 12)] * 3, chunksize=1)

    # Who is first opens the three; that the same checks fail again changes nothing.
    assert sum(reported) == 3
    with IncidentStore.open(url) as store:
        found = store.incidents()
        assert len(found) == 3
        assert all(len(i.attempts) == 1 and i.state == State.MENDING for i in found)
        assert sorted(kinds(store)) == [f"INC-000{n}/opened" for n in (1, 2, 3)]
    assert sum(claimed) == 3


def test_a_tick_without_news_only_reads_and_little(store: IncidentStore, url: SecretStr) -> None:
    """Opening and asking costs few statements: what a sensor does at every tick."""
    record(store, finding(MENDABLE))
    with IncidentStore.open(url) as other:
        seen: list[str] = []

        @sa.event.listens_for(other._engine, "before_cursor_execute")
        def on_statement(_c: object, _cur: object, statement: str, *_: object) -> None:
            seen.append(statement)

        other.record([], settings=SETTINGS, now=after(1))
        other.due(after(1))
        other.at_work()

    assert len(seen) <= 10
    assert not any(statement.lower().startswith(("insert", "update")) for statement in seen)
