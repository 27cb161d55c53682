from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.errors import AdxError
from adx_platform.settings import RefineSettings
from adx_platform.simulate.live_message import LiveMessage, milliseconds
from adx_platform.simulate.live_state import (
    LiveState,
    load_state,
    load_waiting,
    save_state,
    save_waiting,
)
from adx_platform.simulate.live_truth import Judge, LiveTruth, hour_lines, sent_until

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOUNDS = RefineSettings()


def message(
    event_id: str = "e",
    value: bytes = b"v",
    *,
    sent: timedelta = timedelta(0),
    age: timedelta = timedelta(0),
    topic: str = "ad_impressions",
    reason: str | None = None,
    fault: str | None = None,
    sent_before: bool = False,
) -> LiveMessage:
    at = NOON + sent
    return LiveMessage(
        topic=topic,
        partition=0,
        timestamp_ms=milliseconds(at),
        key=b"k",
        value=value,
        headers=(("version", b"1"),),
        record_type="ad_impression",
        event_id=event_id,
        event_time_us=None if reason else milliseconds(at - age) * 1_000,
        reason=reason,
        fault=fault,
        exchange_id="northlight",
        sent_before=sent_before,
    )


def verdicts(*messages: LiveMessage) -> list[str]:
    judge = Judge(BOUNDS)
    return [judge.disposition(item)[0].value for item in messages]


def test_the_first_message_of_an_event_wins() -> None:
    assert verdicts(message(), message(), message(value=b"w"), message("f")) == [
        "accepted",
        "duplicate",
        "conflict",
        "accepted",
    ]


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (timedelta(days=29), None),
        (timedelta(days=31), "event_too_old"),
        (timedelta(minutes=-4), None),
        (timedelta(minutes=-6), "event_in_future"),
    ],
)
def test_time_is_judged_against_the_kafka_timestamp(age: timedelta, reason: str | None) -> None:
    assert Judge(BOUNDS).disposition(message(age=age))[1] == reason


def test_a_reject_does_not_win() -> None:
    assert verdicts(message(reason="malformed_json"), message()) == ["rejected", "accepted"]


def test_what_an_earlier_life_sent_is_not_accepted_again() -> None:
    again = message(sent_before=True, fault="duplicate")
    assert verdicts(again, message()) == ["duplicate", "duplicate"]
    assert verdicts(message(sent_before=True, fault="conflict")) == ["conflict"]


def test_memory_is_bounded_in_time() -> None:
    judge = Judge(BOUNDS)
    judge.disposition(message())
    judge.disposition(message("later", sent=timedelta(hours=79)))
    assert judge.knows("e")
    judge.disposition(message("last", sent=timedelta(hours=81)))
    assert (judge.knows("e"), judge.knows("later")) == (False, True)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 300),
            st.sampled_from(["ad_impressions", "bid_requests"]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from([None, "malformed_json"]),
        )
    )
)
def test_hours_add_up_to_what_was_sent(
    tmp_path_factory: pytest.TempPathFactory, sends: list[tuple[int, str, str, str | None]]
) -> None:
    folder = tmp_path_factory.mktemp("truth")
    truth = LiveTruth(folder, BOUNDS, generation=0)
    for minute, topic, event_id, reason in sorted(sends, key=lambda item: item[0]):
        truth.note(message(event_id, sent=timedelta(minutes=minute), topic=topic, reason=reason))
    truth.close_hour()
    topics = Counter(topic for _, topic, _, _ in sends)
    found = sent_until(folder)
    assert {topic: counts.total() for topic, counts in found.items()} == topics
    lines = hour_lines(folder)
    assert len({line["hour"] for line in lines}) == len(lines)
    for line in lines:
        for topic, counts in line["expected"].items():
            assert sum(counts.values()) == line["messages"][topic]
            reasons = line["reasons"].get(topic, {})
            assert sum(reasons.values()) == counts.get("rejected", 0)


def test_hours_before_a_moment_alone_may_be_asked_for(tmp_path: Path) -> None:
    truth = LiveTruth(tmp_path, BOUNDS, generation=0)
    truth.note(message("a"))
    truth.note(message("b", sent=timedelta(hours=1), age=timedelta(hours=2)))
    truth.close_hour()
    assert sent_until(tmp_path, NOON + timedelta(hours=1))["ad_impressions"].total() == 1
    assert hour_lines(tmp_path)[1]["late"] == {"ad_impressions": 1}
    assert sent_until(tmp_path / "nowhere") == {}


def test_a_state_is_read_as_it_was_saved(tmp_path: Path) -> None:
    state = LiveState(
        clock=NOON,
        generation=2,
        market={"seed": 1},
        is_live=True,
        sent={"ad_impressions": 3},
        delivered=3,
        faults=("volume_drop",),
        open_hour={"hour": "h"},
    )
    assert load_state(tmp_path) is None
    save_state(tmp_path, state)
    assert load_state(tmp_path) == state
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(AdxError, match="cannot be read"):
        load_state(tmp_path)


def test_waiting_messages_are_read_as_they_were_saved(tmp_path: Path) -> None:
    kept = [message(), message(reason="tombstone", value=b"")]
    kept[1].value = None
    kept[1].headers = None
    assert load_waiting(tmp_path) == []
    save_waiting(tmp_path, kept)
    assert load_waiting(tmp_path) == kept
