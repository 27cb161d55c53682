from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from adx_platform.errors import AdxError
from adx_platform.living import random_faults
from adx_platform.living.faults_market import happened, order_fault
from adx_platform.living.faults_services import broker_down, kill_mid_refine, restart_broker
from adx_platform.living.orders import ServiceOrder, take_orders
from adx_platform.living.random_faults import FAULTS, RandomFaults
from adx_platform.living.status import status_line
from adx_platform.quality.incidents.model import Finding, Severity, Source
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings
from adx_platform.simulate.live_board import LOG_NAME, append_line
from adx_platform.simulate.live_orders import live_dir, waiting_orders
from adx_platform.simulate.live_state import LiveState, save_state

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def save(home: Settings, *, is_live: bool) -> None:
    state = LiveState(NOON, 0, {}, is_live, faults=("volume_drop",) if is_live else ())
    save_state(live_dir(home), state)


def moments(home: Settings, seed: int, seconds: int = 4_000) -> list[tuple[int, str]]:
    mischief = RandomFaults(home, seed=seed)
    return [(now, done) for now in range(seconds) if (done := mischief.look(now)) is not None]


def test_nothing_is_broken_before_the_history_is_sent(home: Settings) -> None:
    assert moments(home, 1) == []
    save(home, is_live=False)
    assert moments(home, 1) == []


def test_something_is_broken_every_eight_minutes_or_so(home: Settings) -> None:
    save(home, is_live=True)
    found = moments(home, 1)
    pauses = [b - a for (a, _), (b, _) in pairwise(found)]
    assert len(found) >= 6
    assert all(360 <= pause <= 600 for pause in pauses)
    assert found == moments(home, 1)
    assert found != moments(home, 2)


def test_what_cannot_be_broken_yet_is_said(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_settings: Settings) -> str:
        raise AdxError("there is no file")

    monkeypatch.setattr(random_faults, "FAULTS", (refuse,))
    save(home, is_live=True)
    assert moments(home, 1, 700)[0][1] == "nothing was broken: there is no file"


def test_every_fault_leaves_an_order_or_says_why_not(home: Settings) -> None:
    for fault in FAULTS[:-1]:
        assert fault(home)
    # A broker goes away with an order of its own for the market, which rests meanwhile.
    assert len(list(waiting_orders(live_dir(home)))) + len(take_orders(home)) == len(FAULTS)
    with pytest.raises(AdxError, match="nothing of ad_impressions was refined yet"):
        FAULTS[-1](home)


def test_faults_of_services_are_orders_to_the_supervisor(home: Settings) -> None:
    for order, wanted in (
        (lambda: restart_broker(home), [ServiceOrder("market", 15), ServiceOrder("broker")]),
        (lambda: broker_down(home, 60), [ServiceOrder("market", 75), ServiceOrder("broker", 60)]),
        (
            lambda: kill_mid_refine(home),
            [ServiceOrder("ingest", 0.0, {"ADX_FAULT_KILL_AT": "refine.before_commit"})],
        ),
    ):
        order()
        assert take_orders(home) == wanted


def test_the_market_s_log_tells_when_a_fault_happened(home: Settings) -> None:
    order_id = order_fault(home, "volume_drop", 5, share=0.5)
    assert happened(home, order_id) == (None, None, 0)
    log = live_dir(home) / LOG_NAME
    line = {"id": order_id, "event": "started", "wall": NOON.isoformat()}
    append_line(log, line)
    append_line(log, {**line, "id": "another", "event": "ended"})
    assert happened(home, order_id) == (NOON, None, 0)
    append_line(log, {**line, "event": "ended", "messages": 7})
    assert happened(home, order_id) == (NOON, NOON, 7)
    append_line(log, {**line, "event": "refused", "reason": "no such topic"})
    with pytest.raises(AdxError, match=r"refused .*: no such topic"):
        happened(home, order_id)


def test_the_status_line_says_what_is_known(home: Settings) -> None:
    assert status_line(home, None) == "simulated - | behind - | last build - | incidents 0"
    save(home, is_live=True)
    home.published_dir.mkdir(parents=True)
    (home.published_dir / "CURRENT").write_text("x")
    finding = Finding(
        Source.CHECK, "lake/events/ad_impressions", "reject_share", False,
        Severity.WARNING, "too many", datetime.now(UTC),
    )  # fmt: skip
    with IncidentStore.open(home.incidents_url) as store:
        store.record([finding], settings=home.incidents, now=datetime.now(UTC))
    line = status_line(home, 1)
    assert line.startswith("simulated Mon 2026-03-02 12:00 | behind - | last build 0 s ago | ")
    assert "fault on: volume_drop | incidents 1 (INC-0001 stream:ad_impressions " in line
