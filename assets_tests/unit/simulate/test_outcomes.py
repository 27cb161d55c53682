"""What the events of one delivery repeat and how they follow each other."""

from __future__ import annotations

from typing import Any

import polars as pl

BID = ["exchange_id", "request_id", "imp_id", "bid_id"]


def test_impression_events_come_in_order_and_agree(market_run: Any) -> None:
    events = market_run.truth("ad_impressions")
    first = {
        kind: events.filter(pl.col("event_type") == kind)
        for kind in ("rendered", "measurable", "viewable")
    }
    for earlier, later in (("rendered", "measurable"), ("measurable", "viewable")):
        both = first[later].join(first[earlier], on="impression_id", suffix="_earlier")
        assert both.height > 0.9 * first[later].height
        in_order = (both["event_time"] > both["event_time_earlier"]).mean()
        # Wrong clocks and contradictions disturb a few.
        assert in_order > 0.97
        for name in (*BID, "campaign_id", "advertiser_id", "publisher_id"):
            assert (both[name] == both[f"{name}_earlier"]).all()


def test_viewable_means_half_the_pixels_for_long_enough(market_run: Any) -> None:
    events = market_run.truth("ad_impressions")
    viewable = events.filter(pl.col("event_type") == "viewable")
    assert viewable["pixels_in_view_pct"].min() >= 50
    assert viewable["time_in_view_ms"].min() >= 1_000
    assert events["pixels_in_view_pct"].max() <= 100
    measurable = events.filter(pl.col("event_type") == "measurable")
    assert (measurable["pixels_in_view_pct"] < 50).any()
    rendered = events.filter(pl.col("event_type") == "rendered")
    assert rendered["time_in_view_ms"].null_count() == rendered.height


def test_notices_repeat_the_bid(market_run: Any) -> None:
    bids = market_run.truth("bid_responses").drop_nulls("bid_id")
    notices = market_run.truth("bid_notices").join(bids, on=BID, suffix="_bid")
    assert notices.height > 0
    for name in ("campaign_id", "creative_id", "advertiser_id", "currency"):
        assert (notices[name] == notices[f"{name}_bid"]).all()
    loss = pl.col("notice_type") == "loss"
    assert notices.filter(loss)["price_cpm_micros"].null_count() == notices.filter(loss).height
    assert notices.filter(~loss)["price_cpm_micros"].null_count() == 0
    # Only the second version of the notice can name a deal.
    assert notices.drop_nulls("deal_id").height > 0
    assert (notices["deal_id"].drop_nulls() == notices.drop_nulls("deal_id")["deal_id_bid"]).all()


def test_ids_are_sometimes_untidy_but_name_the_same_person(market_run: Any) -> None:
    events = market_run.truth("ad_impressions").drop_nulls("user_key")
    untidy = events.filter(pl.col("user_id").str.strip_chars() != pl.col("user_id"))
    assert 0 < untidy.height < 0.06 * events.height


def test_orders_have_values_in_the_advertisers_currency(market_run: Any) -> None:
    advertisers = pl.read_csv(market_run.folder / "reference" / "advertisers.csv")
    orders = market_run.truth("conversions").join(
        advertisers.select("advertiser_id", own="currency"), on="advertiser_id"
    )
    valued = orders.drop_nulls("value_micros")
    assert 0.2 < valued.height / orders.height < 0.7
    assert (valued["currency"] == valued["own"]).all()
    assert valued["value_micros"].min() > 0
    assert (valued["conversion_type"] == "purchase").all()
    assert orders.drop_nulls("user_key").height < orders.height
