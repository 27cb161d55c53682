from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adx_platform.codecs.registry import FileSchemaRegistry, UnknownSchemaIdError
from adx_platform.simulate.config import FaultRates
from adx_platform.simulate.live_board import FaultBoard, end_abandoned, fault_log
from adx_platform.simulate.live_faults import KINDS, Surroundings
from adx_platform.simulate.live_message import LiveMessage, milliseconds
from adx_platform.simulate.live_orders import orders_dir, place_order
from adx_platform.simulate.live_traffic import LiveConfig, LiveTraffic
from adx_platform.simulate.live_truth import Judge

CONFIG = LiveConfig(seed=7, per_hour=200, faults=FaultRates.none())
BEGIN = CONFIG.start + timedelta(hours=12)
END = BEGIN + timedelta(hours=2)


class Stretch:
    """Two hours of traffic, the market having run for twelve."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "live"
        self.registry = FileSchemaRegistry(folder / "registry")
        self.traffic = LiveTraffic(CONFIG, self.registry)
        self.board = FaultBoard(Surroundings(self.traffic, self.registry, self.folder))
        self.before = self.send(BEGIN)

    def send(self, until: datetime) -> list[LiveMessage]:
        messages = self.traffic.until(milliseconds(until))
        return [out for message in messages for out in self.board.pass_on(message)]

    def order(self, kind: str, *, minutes: float = 120, **parameters: object) -> None:
        place_order(self.folder, kind, minutes=minutes, parameters=parameters)
        self.board.take_orders(BEGIN)

    def affected(self) -> int:
        return int(fault_log(self.folder)[-1]["messages"])


@pytest.fixture
def stretch(tmp_path: Path) -> Stretch:
    return Stretch(tmp_path)


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[LiveMessage]:
    return Stretch(tmp_path / "undisturbed").send(END)


def by_topic(messages: Iterable[LiveMessage]) -> Counter[str]:
    return Counter(message.topic for message in messages)


def test_without_an_order_everything_passes(
    stretch: Stretch, undisturbed: list[LiveMessage]
) -> None:
    assert [m.value for m in stretch.send(END)] == [m.value for m in undisturbed]


def test_a_volume_drop_takes_a_share_of_one_topic(
    stretch: Stretch, undisturbed: list[LiveMessage]
) -> None:
    stretch.order("volume_drop", topic="bid_requests", share=0.9)
    found, normal = by_topic(stretch.send(END)), by_topic(undisturbed)
    stretch.board.end_due(END)
    assert found["bid_requests"] == pytest.approx(0.1 * normal["bid_requests"], rel=0.4)
    assert found["ad_impressions"] == normal["ad_impressions"]
    assert stretch.affected() == normal["bid_requests"] - found["bid_requests"]


def test_a_silent_exchange_is_in_no_message(stretch: Stretch) -> None:
    stretch.order("exchange_silent", exchange="rheinbid")
    exchanges = Counter(m.exchange_id for m in stretch.send(END))
    assert exchanges["rheinbid"] == 0
    assert exchanges["northlight"] > 50


def test_a_malformed_storm_adds_rejects_and_loses_nothing(
    stretch: Stretch, undisturbed: list[LiveMessage]
) -> None:
    stretch.order("malformed_storm", topic="ad_impressions", share=0.7)
    found = stretch.send(END)
    stretch.board.end_due(END)
    broken = [m for m in found if m.reason is not None]
    good = [m.value for m in found if m.reason is None]
    assert good == [m.value for m in undisturbed]
    assert {m.topic for m in broken} == {"ad_impressions"}
    assert len(broken) == stretch.affected() > 10


def test_a_duplicate_storm_repeats_the_same_bytes_in_order(stretch: Stretch) -> None:
    stretch.order("duplicate_storm", topic="bid_requests", share=1.0, copies=3)
    found = stretch.send(END + timedelta(minutes=1))
    stretch.board.end_due(END)
    judge = Judge(CONFIG.bounds)
    verdicts = Counter(judge.disposition(m)[0] for m in found if m.topic == "bid_requests")
    assert verdicts["duplicate"] == 3 * verdicts["accepted"]
    assert verdicts["duplicate"] == stretch.affected()
    assert [m.timestamp_ms for m in found] == sorted(m.timestamp_ms for m in found)


def test_a_late_flood_is_hours_old_and_within_its_time(stretch: Stretch) -> None:
    stretch.order("late_flood", minutes=30, topic="clicks_conversions", messages=40, hours=6)
    found = stretch.send(END)
    judge = Judge(CONFIG.bounds)
    late = [m for m in found if m.fault == "late"]
    assert len(late) == 40
    assert all(judge.is_late(m) for m in late)
    assert {m.topic for m in late} == {"clicks_conversions"}
    assert max(m.timestamp_ms for m in late) < milliseconds(BEGIN + timedelta(minutes=30))
    assert [m.timestamp_ms for m in found] == sorted(m.timestamp_ms for m in found)


def test_a_schema_change_is_unknown_until_it_ends(stretch: Stretch) -> None:
    stretch.order("schema_change", share=1.0)
    changed = [m for m in stretch.send(END) if m.fault == "new_schema"]
    assert {m.record_type for m in changed} == {"bid_request"}
    (schema_id,) = {int.from_bytes((m.value or b"")[1:5]) for m in changed}
    with pytest.raises(UnknownSchemaIdError):
        stretch.registry.schema(schema_id)
    stretch.board.end_due(END)
    fields = json.loads(stretch.registry.schema(schema_id))["fields"]
    assert fields[-1]["name"].startswith("exp_schema_change_")
    assert stretch.affected() == len(changed) > 10


def test_a_fault_lasts_as_long_as_ordered(stretch: Stretch) -> None:
    stretch.order("volume_drop", topic="bid_requests", share=1.0, minutes=60)
    middle = BEGIN + timedelta(minutes=60)
    assert by_topic(stretch.send(middle))["bid_requests"] == 0
    stretch.board.end_due(middle)
    assert stretch.board.running == ()
    assert by_topic(stretch.send(END))["bid_requests"] > 50


def test_an_order_may_name_its_beginning(stretch: Stretch) -> None:
    place_order(stretch.folder, "volume_drop", minutes=60, start=BEGIN + timedelta(minutes=30))
    stretch.board.take_orders(BEGIN)
    assert stretch.board.running == ()
    stretch.board.take_orders(BEGIN + timedelta(minutes=30))
    assert stretch.board.running == ("volume_drop",)


@pytest.mark.parametrize(
    ("kind", "parameters", "reason"),
    [
        ("earthquake", {}, "there is no fault 'earthquake'"),
        ("volume_drop", {"share": 2}, "share must be above 0 and at most 1, got 2"),
        ("volume_drop", {"topic": "news"}, "topic must be one of bid_requests"),
        ("volume_drop", {"colour": "red"}, "volume_drop knows no parameter colour"),
        ("exchange_silent", {"exchange": "x"}, "exchange must be one of northlight"),
        ("duplicate_storm", {"copies": 0}, "copies must be a whole number above 0, got 0"),
        ("late_flood", {"hours": 1}, "1 hours old is not late"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_with_a_reason(
    stretch: Stretch, kind: str, parameters: dict[str, object], reason: str
) -> None:
    stretch.order(kind, **parameters)
    line = fault_log(stretch.folder)[-1]
    assert (line["event"], stretch.board.running) == ("refused", ())
    assert reason in line["reason"]


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "volume_drop", "minutes": 0}'])
def test_a_file_that_is_no_order_is_put_aside(stretch: Stretch, text: str) -> None:
    folder = orders_dir(stretch.folder)
    folder.mkdir(parents=True)
    (folder / "odd.json").write_text(text)
    stretch.board.take_orders(BEGIN)
    stretch.board.take_orders(BEGIN)
    assert [line["event"] for line in fault_log(stretch.folder)] == ["refused"]
    assert (folder / "refused" / "odd.json").is_file()


def test_what_a_killed_market_left_is_ended_by_the_next(stretch: Stretch) -> None:
    stretch.order("schema_change", share=1.0)
    (message, *_) = [m for m in stretch.send(END) if m.fault == "new_schema"]
    end_abandoned(stretch.folder, stretch.registry, END)
    assert stretch.registry.schema(int.from_bytes((message.value or b"")[1:5]))
    assert [line["event"] for line in fault_log(stretch.folder)] == ["started", "interrupted"]
    end_abandoned(stretch.folder, stretch.registry, END)
    assert len(fault_log(stretch.folder)) == 2


def test_every_kind_can_be_ordered_without_parameters(stretch: Stretch) -> None:
    for kind in KINDS:
        stretch.order(kind)
    assert stretch.board.running == tuple(KINDS)
    stretch.board.end_all(END)
    assert [line["event"] for line in fault_log(stretch.folder)].count("stopped") == len(KINDS)
