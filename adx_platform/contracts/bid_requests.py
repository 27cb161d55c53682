"""The `bid_requests` stream: Avro, three record types, OpenRTB 2.6 shaped.

Belongs here: the refined columns of requests, responses and notices. The lossless OpenRTB object
columns are in ``openrtb``; the writer schemas are the ``.avsc`` files in ``schemas/``.
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.columns import Column

AUCTION_COLUMNS: tuple[Column, ...] = (
    Column("exchange_id", pl.String, "ad exchange", True),
    Column(
        "request_id",
        pl.String,
        "OpenRTB BidRequest.id: unique neither in time nor across exchanges",
        True,
    ),
)

IMP_STRUCT = pl.Struct(
    {
        "imp_id": pl.String,
        "media_type": pl.String,
        "width": pl.Int32,
        "height": pl.Int32,
        "floor_cpm_micros": pl.Int64,
        "floor_currency": pl.String,
        "placement_id": pl.String,
        "deal_count": pl.Int32,
    }
)

BID_REQUEST_COLUMNS: tuple[Column, ...] = (
    Column("auction_type", pl.Int32, "OpenRTB at: 1 first price, 2 second price"),
    Column("tmax_ms", pl.Int64, "time the exchange waits, in milliseconds"),
    Column("is_test", pl.Boolean, "OpenRTB test: not billable"),
    Column("imp_count", pl.Int32, "impressions offered"),
    Column(
        "imps", pl.List(IMP_STRUCT), "the impressions offered, reduced to what the warehouse uses"
    ),
    Column("channel", pl.String, "site, app or dooh"),
    Column("publisher_id", pl.String, "publisher at the exchange"),
    Column("site_domain", pl.String, "domain of the site"),
    Column("app_bundle", pl.String, "bundle of the app"),
    Column("geo_country", pl.String, "ISO 3166 country as sent"),
    Column("geo_region", pl.String, "region as sent"),
)

BID_COLUMNS: tuple[Column, ...] = (
    Column("imp_id", pl.String, "the impression bid for", True),
    Column("bid_id", pl.String, "our bid; null on a no-bid"),
    Column("campaign_id", pl.String, "campaign that bids"),
    Column("creative_id", pl.String, "creative offered"),
    Column("advertiser_id", pl.String, "advertiser"),
    Column("deal_id", pl.String, "private deal"),
    Column(
        "price_cpm_micros",
        pl.Int64,
        "bid: price offered; notice: price charged; per 1,000, in micros",
    ),
    Column("currency", pl.String, "ISO 4217 of the prices"),
)

BID_RESPONSE_COLUMNS: tuple[Column, ...] = (
    Column("no_bid_reason", pl.Int32, "OpenRTB no-bid reason code; null on a bid"),
    Column("latency_ms", pl.Int64, "time we took to answer, in milliseconds"),
)

BID_NOTICE_COLUMNS: tuple[Column, ...] = (
    Column("notice_type", pl.String, "win, billing or loss"),
    Column("loss_reason", pl.Int32, "OpenRTB loss reason code"),
    Column("min_to_win_cpm_micros", pl.Int64, "price that would have won, per 1,000, in micros"),
)

RECORD_TYPES: tuple[str, ...] = ("bid_request", "bid_response", "bid_notice")
NOTICE_TYPES: tuple[str, ...] = ("win", "billing", "loss")
