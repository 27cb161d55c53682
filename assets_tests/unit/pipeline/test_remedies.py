"""A remedy is carried out by the step that it names; what cannot be done says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.restatements import list_restatements
from adx_platform.pipeline import reprocess as reprocess_module
from adx_platform.pipeline.hours import TimeOf, backfill_hours
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.remedies import ImpossibleRemedy, carry_out
from adx_platform.pipeline.replay import replay_rejects
from adx_platform.pipeline.reprocess import reprocess_range
from adx_platform.quality.incidents.model import Action, Remedy

from .conftest import MemoryBroker
from .test_hours import TEN, impression

STREAM = "ad_impressions"


@pytest.fixture
def with_rejects(platform: Platform, broker: MemoryBroker) -> Platform:
    """Partition 0: ten impressions from the far future, rejected; the others are no JSON."""
    broker.values[0] = [impression(number, TEN.replace(hour=14)) for number in range(10)]
    for lane in (0, 1):
        ingest_lane(platform, STREAM, lane)
    return platform


def tolerant(platform: Platform) -> Platform:
    """The same platform after a fix: it accepts events that are ahead of the broker."""
    rules = platform.settings.refine.model_copy(
        update={"future_tolerance": platform.settings.refine.oldest_accepted}
    )
    return replace(platform, settings=platform.settings.model_copy(update={"refine": rules}))


def test_rejects_of_a_reason_are_refined_again_and_counted_before_and_after(
    with_rejects: Platform,
) -> None:
    remedy = Remedy(Action.REFINE_AGAIN, stream=STREAM, reasons=("event_in_future",))
    unchanged = carry_out(with_rejects, remedy)
    assert not unchanged.changed

    report = carry_out(tolerant(with_rejects), remedy)

    assert report.changed
    assert report.detail == "ad_impressions: event_in_future 10 -> accepted 10"
    touched = list_restatements(with_rejects.storage, STREAM)
    assert {item.partition for item in touched} == {0}
    nothing_left = carry_out(tolerant(with_rejects), remedy)
    assert nothing_left.detail == "ad_impressions: no rejects to replay"


def test_only_rejects_with_raw_bytes_are_replayed(with_rejects: Platform) -> None:
    DeltaTable(with_rejects.storage.table_uri(f"raw/{STREAM}")).delete(
        'partition = 0 AND "offset" < 4'
    )
    report = replay_rejects(tolerant(with_rejects), STREAM, reasons=["event_in_future"])
    assert (report.before, report.after) == ({"event_in_future": 6}, {"accepted": 6})
    assert (report.mended, report.past_retention) == (6, 4)
    noon = TEN.replace(hour=12)
    assert replay_rejects(with_rejects, STREAM, end=noon).before == {}
    assert replay_rejects(with_rejects, STREAM, start=noon).before == {"malformed_json": 20}
    with pytest.raises(ValueError, match="no reason code 'bad_luck'"):
        replay_rejects(with_rejects, STREAM, reasons=["bad_luck"])


def stored(platform: Platform) -> dict[tuple[int, int], list[str]]:
    """The dispositions of every row of every offset."""
    events = events_snapshot(platform.storage, STREAM, AD_IMPRESSIONS.events_schema)
    assert events is not None
    rows = events.collect(events.scan().select("partition", "offset", "disposition"))
    found: dict[tuple[int, int], list[str]] = {}
    for partition, offset, disposition in rows.iter_rows():
        found.setdefault((partition, offset), []).append(disposition)
    return found


@pytest.mark.parametrize("instant", ["reprocess.announced", "reprocess.before_commit"])
def test_a_record_has_one_fate_however_it_is_replayed(
    with_rejects: Platform, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    """By reason, by range and by time, over each other, and each in the middle of another."""
    mended = {(0, n): ["accepted"] for n in range(10)}
    others = {(p, n): ["rejected"] for p in (1, 2) for n in range(10)}
    assert stored(with_rejects) == {place: ["rejected"] for place in mended} | others
    fixed = tolerant(with_rejects)
    ways = [
        lambda: replay_rejects(fixed, STREAM),
        lambda: reprocess_range(fixed, STREAM, [OffsetRange(0, 2, 7)], reason="range"),
        lambda: backfill_hours(
            fixed, STREAM, TEN, TEN.replace(hour=23), by=TimeOf.KAFKA, reason="t"
        ),
        lambda: ingest_lane(fixed, STREAM, 0),
    ]
    inside = list(ways)

    def at(reached: str) -> None:
        if reached == instant and inside:
            inside.pop()()

    with monkeypatch.context() as patch:
        patch.setattr(reprocess_module, "reach", at)
        for way in ways[:3]:
            way()
            assert stored(with_rejects) == mended | others
    assert inside == []
    # What the unmended platform makes of it is its own word again, and again only one.
    replay_rejects(with_rejects, STREAM)
    reprocess_range(with_rejects, STREAM, [OffsetRange(0, 0, 5)], reason="unmended")
    unmended = {(0, n): ["rejected"] for n in range(5)}
    assert stored(with_rejects) == mended | unmended | others


def test_ranges_are_refined_again(with_rejects: Platform) -> None:
    report = carry_out(
        tolerant(with_rejects),
        Remedy(Action.REFINE_AGAIN, STREAM, "id-1", (OffsetRange(0, 2, 5),)),
    )
    assert report.changed
    assert "0:[2, 5) refined again as revision 1: accepted 3" in report.detail


def test_damaged_files_are_repaired_and_what_is_plainly_torn_beside_them(
    with_rejects: Platform,
) -> None:
    uri = with_rejects.storage.table_uri(f"raw/{STREAM}")
    actions = pl.DataFrame(DeltaTable(uri).get_add_actions(flatten=True)).to_dicts()
    for action in actions:
        if (action["min.partition"], action["min.offset"]) in {(1, 0), (0, 9)}:
            Path(uri, action["path"]).write_bytes(b"torn")

    span = OffsetRange(1, 0, 3)
    first = carry_out(with_rejects, Remedy(Action.REPAIR_LAKE, STREAM, "id-1", (span,)))
    rest = carry_out(with_rejects, Remedy(Action.REPAIR_LAKE))

    assert first.changed
    assert "2 damaged files moved to quarantine/, 8 offsets landed again" in first.detail
    assert not rest.changed
    assert "clicks_conversions: every file is sound" in rest.detail


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        (Remedy(Action.OBSERVE), "observe is not a remedy of the lake"),
        (Remedy(Action.RELOAD_REFERENCE), "its own job carries it out"),
        (Remedy(Action.REFINE_AGAIN), "refine_again needs a stream"),
        (Remedy(Action.REPAIR_LAKE, stream="clicks"), "no stream 'clicks'"),
    ],
)
def test_what_cannot_be_carried_out_says_why(
    platform: Platform, remedy: Remedy, words: str
) -> None:
    with pytest.raises(ImpossibleRemedy, match=words):
        carry_out(platform, remedy)
