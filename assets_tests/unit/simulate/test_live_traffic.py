from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.errors import AdxError
from adx_platform.simulate import live_traffic
from adx_platform.simulate.config import FaultRates
from adx_platform.simulate.events import TOPICS
from adx_platform.simulate.live_message import (
    LiveMessage,
    message_document,
    message_from,
    milliseconds,
    simulated,
)
from adx_platform.simulate.live_traffic import LiveConfig, LiveTraffic

CONFIG = LiveConfig(seed=7, per_hour=60)
START = CONFIG.start


@pytest.fixture
def registry(tmp_path: Path) -> FileSchemaRegistry:
    return FileSchemaRegistry(tmp_path / "registry")


def sent(traffic: LiveTraffic, until: datetime) -> list[LiveMessage]:
    return list(traffic.until(milliseconds(until)))


def test_messages_come_in_the_order_of_their_timestamps(registry: FileSchemaRegistry) -> None:
    messages = sent(LiveTraffic(CONFIG, registry), START + timedelta(days=2))
    assert all(a.timestamp_ms <= b.timestamp_ms for a, b in pairwise(messages))
    assert {message.topic for message in messages} == set(TOPICS)
    assert simulated(messages[0].timestamp_ms) >= START
    assert simulated(messages[-1].timestamp_ms) < START + timedelta(days=2)


def test_how_far_a_step_goes_does_not_matter(registry: FileSchemaRegistry) -> None:
    at_once = sent(LiveTraffic(CONFIG, registry), START + timedelta(hours=5))
    stepwise = LiveTraffic(CONFIG, registry)
    steps = [
        message
        for minutes in range(7, 301, 7)
        for message in sent(stepwise, START + timedelta(minutes=min(minutes, 300)))
    ]
    steps += sent(stepwise, START + timedelta(hours=5))
    assert [m.value for m in steps] == [m.value for m in at_once]


def test_the_same_seed_gives_the_same_bytes(registry: FileSchemaRegistry) -> None:
    first, again = (sent(LiveTraffic(CONFIG, registry), START + timedelta(hours=3)) for _ in "ab")
    assert [(m.key, m.value, m.timestamp_ms) for m in first] == [
        (m.key, m.value, m.timestamp_ms) for m in again
    ]


def test_a_day_has_the_messages_and_the_shape_that_were_asked_for(
    registry: FileSchemaRegistry,
) -> None:
    messages = sent(LiveTraffic(CONFIG, registry), START + timedelta(days=7))
    # What is late by up to three days is under way at the end.
    assert len(messages) == pytest.approx(7 * 24 * CONFIG.per_hour, rel=0.03)
    by_hour = Counter(simulated(m.timestamp_ms).hour for m in messages)
    assert max(by_hour.values()) > 1.5 * min(by_hour.values())


def test_a_later_generation_has_ids_of_its_own_and_the_same_world(
    registry: FileSchemaRegistry,
) -> None:
    first = LiveTraffic(CONFIG, registry)
    before = sent(first, START + timedelta(minutes=90))
    resumed = LiveTraffic(CONFIG, registry, resume_at=START + timedelta(minutes=90), generation=1)
    after = sent(resumed, START + timedelta(hours=4))
    assert min(m.timestamp_ms for m in after) >= milliseconds(START + timedelta(minutes=90))
    assert not {m.event_id for m in before} & {m.event_id for m in after}
    assert resumed.world == first.world


def test_what_waits_at_a_stop_is_sent_by_the_next_generation(registry: FileSchemaRegistry) -> None:
    first = LiveTraffic(CONFIG, registry)
    sent(first, START + timedelta(hours=6))
    kept = [message_from(message_document(message)) for message in first.waiting()]
    assert kept
    assert [m.value for m in kept] == [m.value for m in first.waiting()]
    resumed = LiveTraffic(
        CONFIG,
        registry,
        resume_at=START + timedelta(hours=6),
        generation=1,
        waiting=kept,
    )
    later = {m.event_id for m in sent(resumed, START + timedelta(days=4))}
    assert {m.event_id for m in kept} <= later


def test_the_market_says_when_it_is_over(
    registry: FileSchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_traffic, "HORIZON_DAYS", 1)
    config = LiveConfig(seed=7, per_hour=60, faults=FaultRates.none())
    traffic = LiveTraffic(config, registry)
    with pytest.raises(AdxError, match="ends at 2026-03-03: start a new one"):
        sent(traffic, START + timedelta(days=1, hours=1))


def test_campaigns_run_for_months() -> None:
    world = live_traffic.build_world(CONFIG.market)
    far = datetime(2027, 9, 1, tzinfo=UTC)
    running = [c for c in world.campaigns if any(f.starts_at <= far < f.ends_at for f in c.flights)]
    assert len(running) == len(world.campaigns)


def test_a_market_without_messages_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        LiveConfig(per_hour=0)
