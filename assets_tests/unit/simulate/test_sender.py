from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from adx_platform.simulate import FaultRates, MarketConfig, simulate

HOUR_MS = 3_600_000


def _messages(tmp_path: Path, **rates: float) -> pl.DataFrame:
    faults = FaultRates(**{**dict.fromkeys(FaultRates.__slots__, 0.0), **rates})
    simulate(MarketConfig(events=4_000, faults=faults), tmp_path)
    return pl.read_parquet(tmp_path / "truth" / "messages.parquet")


def test_late_events_arrive_up_to_three_days_after_they_happened(tmp_path: Path) -> None:
    messages = _messages(tmp_path, late=0.2)
    late = messages.filter(pl.col("fault") == "late")
    behind = late["timestamp_ms"] - late["event_time"].dt.epoch("ms")
    assert late.height > 100
    assert late["is_late"].all()
    assert behind.min() > HOUR_MS
    assert 24 * HOUR_MS < behind.max() <= 72 * HOUR_MS
    assert messages.filter(pl.col("is_late")).height == late.height
    assert set(messages["expected_disposition"].unique()) == {"accepted"}


def test_clocks_wrong_within_the_tolerance_are_accepted(tmp_path: Path) -> None:
    messages = _messages(tmp_path, skew=0.3)
    skewed = messages.filter(pl.col("fault") == "skew")
    ahead = skewed["event_time"].dt.epoch("ms") - skewed["timestamp_ms"]
    assert (ahead > 60_000).any()
    assert set(messages["expected_disposition"].unique()) == {"accepted"}


@pytest.mark.parametrize(
    ("rate", "reason"), [("future", "event_in_future"), ("too_old", "event_too_old")]
)
def test_clocks_wrong_beyond_the_bounds_are_rejected(
    tmp_path: Path, rate: str, reason: str
) -> None:
    messages = _messages(tmp_path, **{rate: 0.1})
    wrong = messages.filter(pl.col("fault") == rate)
    assert wrong.height > 100
    rejected = messages.filter(pl.col("expected_disposition") == "rejected")
    assert rejected.height == wrong.height
    assert set(rejected["expected_reason_code"].unique()) == {reason}


def test_duplicates_are_the_same_bytes_again(tmp_path: Path) -> None:
    messages = _messages(tmp_path, duplicate=0.1)
    copies = messages.filter(pl.col("fault") == "duplicate")
    marked = messages.filter(pl.col("expected_disposition") == "duplicate")
    assert 200 < copies.height == marked.height
    partitions = (
        messages.filter(pl.len().over("event_id") > 1)
        .group_by("event_id")
        .agg(pl.col("partition").n_unique())
    )
    assert partitions["partition"].max() > 1
    assert "conflict" not in set(messages["expected_disposition"].unique())


def test_conflicts_are_marked_whichever_message_comes_first(tmp_path: Path) -> None:
    messages = _messages(tmp_path, conflict=0.1, late=0.3)
    pairs = messages.filter(pl.len().over("event_id") > 1)
    assert pairs.filter(pl.col("expected_disposition") == "conflict").height > 100
    winners = pairs.filter(pl.col("expected_disposition") == "accepted")
    # A late original loses against its contradiction.
    assert (winners["fault"] == "conflict").any()


def test_a_replaced_original_is_not_in_the_truth(tmp_path: Path) -> None:
    messages = _messages(tmp_path, malformed_replacing=0.05)
    rejected = messages.filter(pl.col("expected_disposition") == "rejected")
    accepted = messages.filter(pl.col("expected_disposition") == "accepted")
    assert rejected.height > 50
    assert rejected["fault"].str.ends_with("_replacing").all()
    assert rejected.join(accepted, on="event_id").height == 0


def test_broken_copies_leave_the_original(tmp_path: Path) -> None:
    messages = _messages(tmp_path, malformed=0.05)
    rejected = messages.filter(pl.col("expected_disposition") == "rejected")
    accepted = messages.filter(pl.col("expected_disposition") == "accepted")
    assert rejected.height > 50
    assert rejected.join(accepted, on="event_id", how="anti").height == 0
    assert rejected["expected_reason_code"].null_count() == 0
