from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adx_platform.simulate import FaultRates, MarketConfig, simulate


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_configuration_gives_the_same_bytes(tmp_path: Path) -> None:
    config = MarketConfig(seed=5, events=3_000, days=1)
    simulate(config, tmp_path / "first")
    simulate(config, tmp_path / "second")
    first, second = _files(tmp_path / "first"), _files(tmp_path / "second")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    simulate(MarketConfig(seed=6, events=3_000, days=1), tmp_path / "third")
    third = _files(tmp_path / "third")
    assert third["wire/ad_impressions.parquet"] != first["wire/ad_impressions.parquet"]


@pytest.mark.parametrize("events", [1_000, 4_567])
def test_the_target_is_met(tmp_path: Path, events: int) -> None:
    report = simulate(MarketConfig(events=events, days=2), tmp_path)
    assert report.total == pytest.approx(events, rel=0.03)
    assert sum(report.dispositions.values()) == report.total
    assert sum(report.record_types.values()) == report.total


def test_without_faults_every_message_is_accepted_once_and_in_time(tmp_path: Path) -> None:
    report = simulate(MarketConfig(events=3_000, days=1, faults=FaultRates.none()), tmp_path)
    assert report.dispositions == {"accepted": report.total}
    assert report.late == 0
    assert report.faults == {}


def test_start_days_and_partitions_are_the_callers(tmp_path: Path) -> None:
    config = MarketConfig(
        events=2_000, start=datetime(2025, 7, 6, tzinfo=UTC), days=2, partitions_per_topic=3
    )
    simulate(config, tmp_path)
    messages = pl.read_parquet(tmp_path / "truth" / "messages.parquet")
    sent = messages["timestamp_ms"]
    assert sent.min() >= config.start.timestamp() * 1_000
    assert sent.max() < config.end.timestamp() * 1_000
    assert sorted(messages["partition"].unique()) == [0, 1, 2]


def test_schemas_are_registered_where_the_caller_says(tmp_path: Path) -> None:
    class Registry:
        def __init__(self) -> None:
            self.subjects: list[str] = []

        def register(self, subject: str, schema_json: str) -> int:
            self.subjects.append(subject)
            return 40 + len(self.subjects)

    registry = Registry()
    simulate(MarketConfig(events=1_000, days=1), tmp_path, registry=registry)
    names = [subject.rpartition(".")[2] for subject in registry.subjects]
    assert names == ["BidRequest", "BidResponse", "BidNotice", "BidNotice"]
    assert not (tmp_path / "registry").exists()
    good = pl.read_parquet(tmp_path / "truth" / "bid_requests.parquet").select(
        "partition", "sequence"
    )
    values = pl.read_parquet(tmp_path / "wire" / "bid_requests.parquet").join(
        good, on=["partition", "sequence"]
    )["value"]
    assert {value[:5] for value in values} == {b"\x00\x00\x00\x00\x29"}


def test_progress_is_told_each_hour(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = simulate(
        MarketConfig(events=1_000, days=1),
        tmp_path,
        on_progress=lambda done, wanted: told.append((done, wanted)),
    )
    assert len(told) == 24
    assert told == sorted(told)
    assert told[-1] == (report.total, 1_000)


def test_wire_files_are_in_send_order_with_the_offsets_of_an_empty_topic(market_run: Any) -> None:
    for topic in market_run.report.messages:
        wire = market_run.wire(topic)
        assert wire.schema == pl.Schema(
            {
                "partition": pl.Int32,
                "sequence": pl.Int64,
                "timestamp_ms": pl.Int64,
                "key": pl.Binary,
                "value": pl.Binary,
                "headers": pl.List(pl.Struct({"key": pl.String, "value": pl.Binary})),
            }
        )
        assert wire["timestamp_ms"].is_sorted()
        assert wire["key"].null_count() == 0
        for part in wire.partition_by("partition"):
            assert part["sequence"].to_list() == list(range(len(part)))


def test_summary_says_what_the_files_hold(market_run: Any) -> None:
    summary = json.loads((market_run.folder / "truth" / "summary.json").read_text("utf-8"))
    messages = market_run.messages
    for name, column in (
        ("dispositions", "expected_disposition"),
        ("reasons", "expected_reason_code"),
        ("faults", "fault"),
        ("record_types", "record_type"),
        ("messages", "topic"),
    ):
        counted = messages.drop_nulls(column).group_by(column).len().iter_rows()
        assert summary[name] == dict(counted), name
    assert summary["seed"] == market_run.config.seed
    assert set(summary["dispositions"]) == {"accepted", "rejected", "duplicate", "conflict"}
