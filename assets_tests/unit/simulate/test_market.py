"""The figures that make the market believable, taken from the truth of one run."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from adx_platform.simulate import MarketConfig
from adx_platform.simulate.market import Market
from adx_platform.simulate.seasonality import hour_at, hours_of
from adx_platform.simulate.world import build_world

JOIN = ["exchange_id", "request_id", "imp_id", "bid_id"]


def _rendered(market_run: Any) -> pl.DataFrame:
    return market_run.truth("ad_impressions").filter(pl.col("event_type") == "rendered")


def _notices(market_run: Any, kind: str) -> pl.DataFrame:
    return market_run.truth("bid_notices").filter(pl.col("notice_type") == kind)


def test_the_mix_of_messages(market_run: Any) -> None:
    counts = market_run.report.record_types
    total = market_run.report.total
    assert 0.69 < (counts["bid_request"] + counts["bid_response"]) / total < 0.77
    assert 0.14 < counts["bid_notice"] / total < 0.19
    assert 0.07 < counts["ad_impression"] / total < 0.13
    assert 0.007 < (counts["click"] + counts["conversion"]) / total < 0.025
    assert market_run.truth("bid_requests").height >= 5 * _rendered(market_run).height


def test_rates_look_like_a_demand_side_platforms(market_run: Any) -> None:
    rendered, clicks = _rendered(market_run), market_run.truth("clicks")
    responses = market_run.truth("bid_responses")
    bids = responses.drop_nulls("bid_id")
    wins = _notices(market_run, "win")
    assert 0.15 < wins.height / bids.height < 0.45
    assert 0.005 < clicks.height / rendered.height < 0.045
    assert 0.05 < market_run.truth("bid_requests")["is_givt"].mean() < 0.13
    assert 0.01 < rendered["is_givt"].mean() < 0.10
    types = market_run.truth("ad_impressions").group_by("event_type").len()
    by_type = dict(types.iter_rows())
    assert by_type["rendered"] > by_type["measurable"] > by_type["viewable"] > 0
    assert responses["no_bid_reason"].drop_nulls().n_unique() >= 7


def test_every_answer_is_a_bid_or_a_reason(market_run: Any) -> None:
    responses = market_run.truth("bid_responses")
    assert (responses["bid_id"].is_null() != responses["no_bid_reason"].is_null()).all()
    bids = responses.drop_nulls("bid_id")
    for name in ("campaign_id", "creative_id", "advertiser_id", "price_cpm_micros", "currency"):
        assert bids[name].null_count() == 0
    assert (bids["price_cpm_micros"] > 0).all()


def test_won_billed_and_rendered_differ_a_little(market_run: Any) -> None:
    wins, billed = _notices(market_run, "win"), _notices(market_run, "billing")
    rendered = _rendered(market_run)
    for left, right in ((wins, billed), (wins, rendered), (billed, rendered), (rendered, billed)):
        without = left.join(right, on=JOIN, how="anti").height
        assert 0 < without < 0.15 * left.height


def test_prices_follow_the_auction_type(market_run: Any) -> None:
    exchanges = pl.read_csv(market_run.folder / "reference" / "exchanges.csv")
    bids = market_run.truth("bid_responses").drop_nulls("bid_id")
    paid = (
        _notices(market_run, "win")
        .join(bids, on=JOIN, suffix="_bid")
        .join(exchanges, on="exchange_id", suffix="_of_exchange")
    )
    # A contradicted bid or notice may be the one that counts; those are few.
    first = paid.filter(pl.col("auction_type") == "first_price")
    assert (first["price_cpm_micros"] == first["price_cpm_micros_bid"]).mean() > 0.99
    second = paid.filter(pl.col("auction_type") == "second_price")
    assert (second["price_cpm_micros"] <= second["price_cpm_micros_bid"]).mean() > 0.99
    assert (second["price_cpm_micros"] < second["price_cpm_micros_bid"]).mean() > 0.5
    assert (paid["currency"] == paid["currency_of_exchange"]).all()
    losses = _notices(market_run, "loss").join(bids, on=JOIN, suffix="_bid")
    assert (losses["min_to_win_cpm_micros"] > losses["price_cpm_micros_bid"]).mean() > 0.99
    assert losses["loss_reason"].null_count() == 0


def test_request_ids_are_not_unique(market_run: Any) -> None:
    requests = market_run.truth("bid_requests")
    repeated = requests.filter(pl.len().over("request_id") > 1)
    assert repeated.height > 0
    assert (
        repeated.group_by("request_id").agg(pl.col("exchange_id").n_unique())["exchange_id"].max()
        > 1
    )
    within = (
        repeated.sort("event_time")
        .with_columns(
            gap=pl.col("event_time")
            - pl.col("event_time").shift().over("exchange_id", "request_id")
        )
        .drop_nulls("gap")
    )
    # Far enough apart to be told apart by time.
    assert (within["gap"].dt.total_hours() >= 5).all()


def test_clicks_follow_their_impression_and_conversions_their_cause(market_run: Any) -> None:
    clicks = market_run.truth("clicks").join(
        _rendered(market_run).select("impression_id", shown="event_time", campaign="campaign_id"),
        on="impression_id",
    )
    assert clicks.height > 0
    assert (clicks["campaign_id"] == clicks["campaign"]).all()
    delay = (clicks["event_time"] - clicks["shown"]).dt.total_seconds()
    assert (delay > 0).mean() > 0.9
    assert delay.median() < 120
    conversions = market_run.truth("conversions")
    assert set(conversions["cause"].unique()) == {"click", "view", "organic"}
    assert (conversions["value_micros"].is_null() == conversions["currency"].is_null()).all()
    assert conversions["is_givt"].sum() == 0


def test_enough_conversions_have_a_touch_to_be_attributed_to(market_run: Any) -> None:
    windows = pl.read_csv(market_run.folder / "reference" / "advertisers.csv")
    mine = pl.col("has_consent") & pl.col("user_key").is_not_null() & ~pl.col("is_givt")
    touches = pl.concat(
        frame.filter(mine).select(
            "user_key", "advertiser_id", touched="event_time", is_click=pl.lit(is_click)
        )
        for frame, is_click in (
            (market_run.truth("clicks"), True),
            (_rendered(market_run), False),
        )
    )
    hours = pl.when("is_click").then("click_lookback_hours").otherwise("view_lookback_hours")
    attributed = (
        market_run.truth("conversions")
        .filter(mine)
        .join(windows, on="advertiser_id")
        .join(touches, on=["user_key", "advertiser_id"])
        .filter(
            pl.col("touched").is_between(
                pl.col("event_time") - pl.duration(hours=hours), pl.col("event_time")
            )
        )
    )
    # 300 at 200,000 messages.
    assert attributed["event_id"].n_unique() >= 60


def test_sessions_can_be_taken_hour_by_hour_without_end() -> None:
    config = MarketConfig(events=5_000)
    market = Market(config, build_world(config))
    end_us = int(config.end.timestamp()) * 1_000_000
    for hour in hours_of(config)[:3]:
        sessions = market.sessions(hour)
        for _ in range(20):
            for event in next(sessions):
                assert hour.start_us <= event.time_us < end_us


def test_an_hour_needs_no_configuration() -> None:
    config = MarketConfig(events=5_000)
    market = Market(config, build_world(config))
    assert next(market.sessions(hour_at(config.start)))


@pytest.mark.parametrize("name", ["bid_requests", "clicks", "ad_impressions"])
def test_truth_is_ordered_and_identified(market_run: Any, name: str) -> None:
    frame = market_run.truth(name)
    assert frame["event_time"].is_sorted()
    assert frame["event_id"].is_unique().all()
