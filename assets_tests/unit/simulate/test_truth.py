"""The truth against what the platform's own refining makes of the same messages.

The two share the contract and nothing else: one derives verdicts from bytes, the other from what
the market did. Whole topics are refined as one batch, so that in-batch marks are the final ones.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.streams import STREAMS
from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.refine.batch import refine_batch
from adx_platform.refine.context import RefineContext
from adx_platform.settings import PrivacySettings

TRUTH_OF_TOPIC = {
    "bid_requests": ("bid_requests", "bid_responses", "bid_notices"),
    "ad_impressions": ("ad_impressions",),
    "clicks_conversions": ("clicks", "conversions"),
}
# As sent in the truth; refining takes the first from the user agent and hashes the second.
REFINED_DIFFERENTLY = {"os", "user_id"}
PLACE = ["partition", "sequence"]


@pytest.fixture(scope="module")
def refined(market_run: Any) -> dict[str, pl.DataFrame]:
    reference = load_enrichment_reference(market_run.folder / "reference")
    registry = FileSchemaRegistry(market_run.folder / "registry")
    frames = {}
    for topic, stream in STREAMS.items():
        raw = market_run.wire(topic).select(
            topic_id=pl.lit("t"),
            partition="partition",
            offset="sequence",
            gap_kind=pl.lit(None),
            gap_length=pl.lit(None),
            kafka_timestamp=pl.from_epoch("timestamp_ms", "ms").dt.replace_time_zone("UTC"),
            key="key",
            value="value",
            headers="headers",
        )
        context = RefineContext(
            stream, registry, reference, PrivacySettings(), market_run.config.bounds
        )
        frames[topic] = refine_batch(raw.cast(dict(RAW_SCHEMA)), context).rename(
            {"offset": "sequence"}
        )
    return frames


@pytest.mark.parametrize("topic", TRUTH_OF_TOPIC)
def test_every_message_is_judged_as_expected(
    market_run: Any, refined: dict[str, pl.DataFrame], topic: str
) -> None:
    expected = market_run.messages.filter(pl.col("topic") == topic)
    both = refined[topic].join(expected, on=PLACE, suffix="_expected")
    assert both.height == expected.height == refined[topic].height
    wrong = both.filter(
        (pl.col("disposition") != pl.col("expected_disposition"))
        | pl.col("reason_code").ne_missing(pl.col("expected_reason_code"))
    )
    assert wrong.select("fault", "disposition", "reason_code", "expected_reason_code").rows() == []
    judged = both.filter(pl.col("disposition") != "rejected")
    for name in ("is_late", "event_time", "event_id", "record_type"):
        assert judged.filter(pl.col(name) != pl.col(f"{name}_expected")).height == 0, name


@pytest.mark.parametrize(
    ("topic", "name"), [(topic, name) for topic, names in TRUTH_OF_TOPIC.items() for name in names]
)
def test_accepted_events_say_what_the_truth_says(
    market_run: Any, refined: dict[str, pl.DataFrame], topic: str, name: str
) -> None:
    truth = market_run.truth(name)
    accepted = refined[topic].filter(pl.col("disposition") == "accepted")
    both = truth.join(accepted, on=PLACE, suffix="_refined")
    assert both.height == truth.height > 0
    compared = [
        column
        for column in truth.columns
        if f"{column}_refined" in both.columns and column not in REFINED_DIFFERENTLY
    ]
    assert len(compared) > 5
    different = {
        column: both.filter(pl.col(column).ne_missing(pl.col(f"{column}_refined"))).height
        for column in compared
    }
    assert {column: count for column, count in different.items() if count} == {}


@pytest.mark.parametrize("name", ["bid_requests", "ad_impressions", "clicks", "conversions"])
def test_one_pseudonym_for_each_user(
    market_run: Any, refined: dict[str, pl.DataFrame], name: str
) -> None:
    topic = name if name in TRUTH_OF_TOPIC else "clicks_conversions"
    both = market_run.truth(name).join(refined[topic], on=PLACE, suffix="_refined")
    pairs = both.select("user_key", "user_id_refined").unique()
    assert both.select(
        (pl.col("user_key").is_null() == pl.col("user_id_refined").is_null()).all()
    ).item()
    assert pairs["user_key"].is_unique().all()
    assert pairs["user_id_refined"].is_unique().all()
