"""What Dagster is told about the resident loop: aggregated, complete, and without holding it up."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.lake.errors import LakeError
from adx_platform.orchestration import checks, keys
from adx_platform.orchestration.assets_lake import lake_assets, topic_specs
from adx_platform.orchestration.assets_warehouse import raw_table_assets
from adx_platform.orchestration.broker_check import BROKER
from adx_platform.orchestration.checks_lake import (
    CONSERVATION,
    CONTRACT,
    DELAY,
    LATE,
    REJECTS,
    lake_results,
)
from adx_platform.orchestration.follow import FollowReporter
from adx_platform.orchestration.lake_metadata import BatchTotals, layer_metadata
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.follow_state import FollowedBatch, FollowStatus, LaneProgress, Latency
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.settings import Settings

STREAM = "ad_impressions"
RAW, EVENTS = keys.raw_key(STREAM), keys.events_key(STREAM)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
INTERVAL = 10.0


def batch(number: int, lane: int = 0, *, p50: float = 1.0) -> FollowedBatch:
    """Ten offsets of one partition, one of them rejected."""
    report = BatchReport(
        stream=STREAM,
        lane=lane,
        topic_id="t-1",
        ranges=(OffsetRange(lane, number * 10, number * 10 + 10),),
        raw_version=number * 2,
        events_version=number * 3,
        counts={"accepted": 9, "rejected": 1},
        reasons={"malformed_json": 1},
        late=2,
        seconds=0.5,
    )
    return FollowedBatch(report, NOW, Latency(p50, p50 * 2, "produced"))


def test_what_was_let_pass_is_in_the_metadata_of_the_events_and_stays_short(
    settings: Settings,
) -> None:
    def metadata(layer: str, totals: BatchTotals) -> dict[str, Any]:
        found = layer_metadata(settings, STREAMS[STREAM], layer, totals)
        return {name: getattr(value, "value", value) for name, value in found.items()}

    reports = [
        replace(batch(number).report, noted=("zone", f"made-up-{number:03}"))
        for number in range(100)
    ]
    half = BatchTotals.of(reports[:1])
    assert metadata("events", half)["noted"] == ["made-up-000", "zone"]
    assert "noted" not in metadata("raw", half)
    assert "noted" not in metadata("events", BatchTotals.of([batch(0).report]))
    half.merge(BatchTotals.of(reports[1:]))
    assert len(metadata("events", half)["noted"]) == 20


class Reports:
    """A reporter whose clock and whose checks the test sets."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.at = 100.0
        self.now = NOW
        self.failing: set[str] = set()
        self.checked = 0
        self.lake_error: LakeError | None = None
        self.troubles: tuple[Trouble, ...] = ()
        self.looked_at: datetime | None = NOW
        self.reporter = FollowReporter(
            settings,
            instance,
            status=self._status,
            checks=self._checks,
            now=lambda: self.now,
            clock=lambda: self.at,
        )

    def _status(self) -> FollowStatus:
        lanes = {(STREAM, lane): LaneProgress() for lane in (0, 1)}
        return FollowStatus(NOW, NOW, self.looked_at, lanes, self.troubles)

    def _checks(self, line: Line, stream: Stream, tail: int) -> Iterable[dg.AssetCheckResult]:
        self.checked += 1
        if self.lake_error is not None:
            raise self.lake_error
        for result in lake_results(line, stream, tail=tail):
            name = f"{result.asset_key.path[1]}:{result.check_name}"  # type: ignore[union-attr]  # a check
            yield result if name not in self.failing else result._replace(passed=False)

    def add(self, *batches: FollowedBatch) -> None:
        for item in batches:
            self.reporter.on_batch(item)

    def tick(self, after: float = 0.0) -> None:
        self.at += after
        self.reporter.tick()

    def materialisations(
        self, key: dg.AssetKey = EVENTS
    ) -> list[tuple[str | None, dict[str, Any]]]:
        """(partition, metadata) of each, oldest first."""
        records = self.instance.fetch_materializations(key, limit=100, ascending=True).records
        return [
            (
                record.partition_key,
                {name: v.value for name, v in record.asset_materialization.metadata.items()},
            )
            for record in records
            if record.asset_materialization is not None
        ]

    def results(self, name: str, key: dg.AssetKey = EVENTS) -> list[bool]:
        """Whether each evaluation of a check passed, oldest first."""
        history = self.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(key, name), limit=100
        )
        return [record.status.value == "SUCCEEDED" for record in reversed(history)]


@pytest.fixture
def instance(persistent_instance: dg.DagsterInstance) -> dg.DagsterInstance:
    return persistent_instance


@pytest.fixture
def reports(settings: Settings, instance: dg.DagsterInstance) -> Reports:
    return Reports(settings, instance)


def test_batches_between_two_reports_are_one_materialisation_of_each_lane_and_layer(
    reports: Reports,
) -> None:
    reports.add(batch(0), batch(1, p50=3.0), batch(0, lane=1))
    reports.tick()
    lane_0, lane_1 = reports.materialisations()
    assert (lane_0[0], lane_1[0]) == ("lane-0", "lane-1")
    assert lane_0[1] == {
        "topic_id": "t-1",
        "offset_ranges": [{"partition": 0, "start": 0, "end": 20}],
        "batches": 2,
        "seconds": 1.0,
        "dagster/row_count": 20,
        "dagster/uri": f"{reports.reporter._settings.lake_uri}/events/{STREAM}",
        "lake_version": 3,
        "dispositions": {"accepted": 18, "rejected": 2},
        "reasons": {"malformed_json": 2},
        "late": 4,
        "latency_p50_seconds": 2.0,
        "latency_p95_seconds": 3.0,
        "latency_since": "produced",
    }
    assert [item["lake_version"] for _, item in reports.materialisations(RAW)] == [2, 0]
    record = reports.instance.fetch_materializations(EVENTS, limit=1).records[0]
    assert record.asset_materialization is not None
    assert record.asset_materialization.tags is not None
    assert record.asset_materialization.tags["dagster/data_version"] == "0"


def test_every_check_of_the_lake_is_reported_for_the_newest_materialisation(
    reports: Reports,
) -> None:
    reports.add(batch(0))
    reports.tick()
    for name in (
        CONSERVATION,
        CONTRACT,
        REJECTS,
        LATE,
        DELAY,
    ):
        assert reports.results(name) == [True]
    assert reports.results(CONSERVATION, RAW) == [True]
    newest = reports.instance.fetch_materializations(EVENTS, limit=1).records[0]
    check_key = dg.AssetCheckKey(EVENTS, CONSERVATION)
    (record,) = reports.instance.event_log_storage.get_asset_check_execution_history(
        check_key, limit=1
    )
    assert record.event is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]  # a check
    assert evaluation.target_materialization_data is not None
    assert evaluation.target_materialization_data.storage_id == newest.storage_id


def test_a_passed_check_has_its_numbers_and_a_failed_one_its_table_too(reports: Reports) -> None:
    def newest() -> set[str]:
        key = dg.AssetCheckKey(EVENTS, CONSERVATION)
        storage = reports.instance.event_log_storage
        record = storage.get_latest_asset_check_execution_by_key([key])[key]
        assert record.event is not None
        found = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]  # a check
        return set(found.metadata)

    reports.add(batch(0))
    reports.tick()
    assert newest() == {"partitions", "offsets", "difference"}
    reports.failing = {"events:conservation"}
    reports.add(batch(1))
    reports.tick(INTERVAL)
    assert newest() == {"partitions", "offsets", "difference", "equations"}


def test_a_stream_is_reported_at_most_once_in_an_interval(reports: Reports) -> None:
    reports.add(batch(0))
    reports.tick()
    reports.add(batch(1))
    reports.tick(INTERVAL - 0.1)
    assert len(reports.materialisations()) == 1
    reports.add(batch(2))
    reports.tick(0.1)
    found = reports.materialisations()
    assert [item["batches"] for _, item in found] == [1, 2]
    assert found[1][1]["offset_ranges"] == [{"partition": 0, "start": 10, "end": 30}]
    reports.tick(INTERVAL)
    assert len(reports.materialisations()) == 2
    assert reports.checked == 2


def test_a_failing_check_is_repeated_without_news_until_it_passes(reports: Reports) -> None:
    reports.failing = {"events:contract"}
    reports.add(batch(0))
    reports.tick()
    reports.tick(INTERVAL)
    reports.failing = set()
    reports.tick(INTERVAL)
    reports.tick(INTERVAL)
    assert reports.results(CONTRACT) == [False, False, True]
    assert len(reports.materialisations()) == 1


def test_a_storage_that_fails_loses_nothing_and_is_said_once(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reports.tick()

    def locked(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(dg.DagsterInstance, "report_runless_asset_event", locked)
        reports.add(batch(0), batch(0, lane=1))
        reports.tick()
        reports.tick()
        reports.add(batch(1))
        reports.tick(60)
    assert reports.materialisations() == []
    assert caplog.text.count("database is locked") == 1
    reports.tick(60)
    found = reports.materialisations()
    assert sorted((lane, item["dagster/row_count"]) for lane, item in found) == [
        ("lane-0", 20),
        ("lane-1", 10),
    ]
    assert "works again" in caplog.text


def test_a_lane_that_was_reported_before_the_storage_failed_is_not_reported_again(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.tick()
    real: Callable[..., None] = dg.DagsterInstance.report_runless_asset_event
    written = 0

    def full(instance: dg.DagsterInstance, event: Any) -> None:
        nonlocal written
        if written == 2:
            raise sqlite3.OperationalError("database or disk is full")
        written += 1
        real(instance, event)

    reports.add(batch(0), batch(0, lane=1))
    with monkeypatch.context() as patch:
        patch.setattr(dg.DagsterInstance, "report_runless_asset_event", full)
        reports.tick()
    reports.tick(60)
    assert [lane for lane, _ in reports.materialisations()] == ["lane-0", "lane-1"]


def test_the_end_reports_what_is_left_though_nothing_is_due(reports: Reports) -> None:
    reports.reporter.start()
    reports.add(batch(0))
    reports.reporter.close(20)
    reports.add(batch(1))
    reports.reporter.tick(at_once=True)
    assert [item["batches"] for _, item in reports.materialisations()] == [1, 1]


def test_checks_that_cannot_read_the_lake_do_not_end_the_reports(
    reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    reports.lake_error = LakeError("file part-1 is torn")
    reports.add(batch(0))
    with caplog.at_level(logging.WARNING):
        reports.tick()
    assert "file part-1 is torn" in caplog.text
    assert len(reports.materialisations()) == 1
    reports.lake_error = None
    reports.tick(INTERVAL)
    assert reports.results(CONSERVATION) == [True]


def test_the_broker_is_reported_when_it_changes_and_now_and_then(reports: Reports) -> None:
    kafka = keys.kafka_key(STREAM)
    reports.looked_at = None
    reports.tick()
    assert reports.results(BROKER, kafka) == []
    reports.looked_at = NOW
    reports.tick()
    reports.tick(100)
    reports.troubles = (Trouble(TroubleKind.BROKER, None, None, "nobody answers", NOW),)
    reports.now = NOW + timedelta(seconds=1)
    reports.tick(1)
    assert reports.results(BROKER, kafka) == [True]
    reports.now = NOW + timedelta(seconds=2)
    reports.tick(1)
    reports.tick(1)
    assert reports.results(BROKER, kafka) == [True, False]
    reports.troubles = ()
    reports.tick(1)
    assert reports.results(BROKER, kafka) == [True, False, True]
    reports.tick(299)
    reports.tick(1)
    assert reports.results(BROKER, kafka) == [True, False, True, True]


def test_a_recreated_topic_fails_once_and_one_of_another_stream_not_at_all(
    reports: Reports,
) -> None:
    kafka = keys.kafka_key(STREAM)
    reports.tick()
    again = Trouble(TroubleKind.RECREATED, STREAM, None, "created anew", NOW, over_at=NOW)
    reports.reporter.on_trouble(again)
    reports.troubles = (Trouble(TroubleKind.TOPIC, "bid_requests", None, "no topic", NOW),)
    reports.tick()
    reports.tick()
    assert reports.results(BROKER, kafka) == [True, False, True]


def test_the_load_follows_reported_batches_and_waits_while_conservation_is_broken(
    settings: Settings, reports: Reports, tmp_path: Path
) -> None:
    of_lake = [c for c in checks.all_checks() if "marts" not in str(sorted(c.check_keys))]
    defs = dg.Definitions(
        assets=[*topic_specs(), *lake_assets(settings), *raw_table_assets()],
        asset_checks=of_lake,
        resources={"line": Line(settings)},
    )
    cursor = None

    def loads() -> set[str]:
        nonlocal cursor
        found = dg.evaluate_automation_conditions(
            defs,
            reports.instance,
            asset_selection=dg.AssetSelection.groups(keys.GROUP_WAREHOUSE_RAW),
            cursor=cursor,
        )
        cursor = found.cursor
        return {result.key.to_user_string() for result in found.results if result.true_subset.size}

    fed = {f"warehouse/raw/{name}" for name in (STREAM, "gaps", "rejects")}
    assert loads() == set()
    reports.add(batch(0))
    reports.tick()
    assert loads() == fed
    assert loads() == set()
    reports.add(batch(0, lane=1))
    reports.tick(INTERVAL)
    assert loads() == fed
    # Between a request and the next evaluation: that load may not have seen it.
    reports.add(batch(1, lane=1))
    reports.tick(INTERVAL)
    assert loads() == fed
    reports.failing = {"events:conservation"}
    reports.add(batch(1))
    reports.tick(INTERVAL)
    assert loads() == set()
    reports.failing = set()
    reports.tick(INTERVAL)
    # A pass that only repeats the last one is not told again within the minute.
    assert reports.results(CONSERVATION) == [True, False, True]
    reports.add(batch(1))
    reports.tick(60.0)
    assert reports.results(CONSERVATION) == [True, False, True, True]
    assert loads() == fed
    assert loads() == set()
