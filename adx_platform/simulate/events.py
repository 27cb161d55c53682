"""What the market emits: one event with its content, before it becomes bytes.

Belongs here: the event and the columns of its truth. Contents use the truth's column names; the
wire's own names and nesting are ``encoding``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

BID_REQUESTS, AD_IMPRESSIONS, CLICKS_CONVERSIONS = (
    "bid_requests",
    "ad_impressions",
    "clicks_conversions",
)
TOPICS = (BID_REQUESTS, AD_IMPRESSIONS, CLICKS_CONVERSIONS)

TOPIC_OF = {
    "bid_request": BID_REQUESTS,
    "bid_response": BID_REQUESTS,
    "bid_notice": BID_REQUESTS,
    "ad_impression": AD_IMPRESSIONS,
    "click": CLICKS_CONVERSIONS,
    "conversion": CLICKS_CONVERSIONS,
}


@dataclass(slots=True)
class Event:
    """One thing that happened.

    Attributes:
        record_type: a key of ``TOPIC_OF``.
        event_id: identity of the event.
        time_us: when, in microseconds since the epoch, by the producer's clock.
        key: Kafka message key.
        producer: who sends it; decides which contract version it speaks.
        fields: content by truth column name.
        openrtb: of a bid request: Avro values of the OpenRTB members, partly encoded already.
    """

    record_type: str
    event_id: str
    time_us: int
    key: str
    producer: str
    fields: dict[str, Any]
    openrtb: dict[str, Any] | None = None


_AUCTION = {"exchange_id": pl.String, "request_id": pl.String}
_BID = {
    "imp_id": pl.String,
    "bid_id": pl.String,
    "campaign_id": pl.String,
    "creative_id": pl.String,
    "advertiser_id": pl.String,
    "deal_id": pl.String,
    "price_cpm_micros": pl.Int64,
    "currency": pl.String,
}
_PERSON = {
    "user_id": pl.String,
    "user_key": pl.String,
    "ip": pl.String,
    "user_agent": pl.String,
    "gdpr_applies": pl.Boolean,
    "consent": pl.Boolean,
    "has_consent": pl.Boolean,
    "is_givt": pl.Boolean,
    "givt_reason": pl.String,
}
_DEVICE = {"device_type": pl.String, "os": pl.String}
_GEO = {"geo_country": pl.String, "geo_region": pl.String}
_IMP = pl.Struct(
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

TRUTH_COLUMNS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "bid_request": {
        **_AUCTION,
        "auction_type": pl.Int32,
        "tmax_ms": pl.Int64,
        "is_test": pl.Boolean,
        "imp_count": pl.Int32,
        "imps": pl.List(_IMP),
        "channel": pl.String,
        "publisher_id": pl.String,
        "site_domain": pl.String,
        "app_bundle": pl.String,
        **_GEO,
        **_PERSON,
        **_DEVICE,
    },
    "bid_response": {
        **_AUCTION,
        **_BID,
        "no_bid_reason": pl.Int32,
        "latency_ms": pl.Int64,
        "request_event_id": pl.String,
    },
    "bid_notice": {
        **_AUCTION,
        **_BID,
        "notice_type": pl.String,
        "loss_reason": pl.Int32,
        "min_to_win_cpm_micros": pl.Int64,
    },
    "ad_impression": {
        "event_type": pl.String,
        "impression_id": pl.String,
        **_AUCTION,
        "imp_id": pl.String,
        "bid_id": pl.String,
        "campaign_id": pl.String,
        "creative_id": pl.String,
        "advertiser_id": pl.String,
        "publisher_id": pl.String,
        "site_domain": pl.String,
        "app_bundle": pl.String,
        "placement_id": pl.String,
        **_GEO,
        "pixels_in_view_pct": pl.Float64,
        "time_in_view_ms": pl.Int64,
        **_PERSON,
        **_DEVICE,
    },
    "click": {
        "click_id": pl.String,
        "impression_id": pl.String,
        "advertiser_id": pl.String,
        "campaign_id": pl.String,
        "landing_page": pl.String,
        **_PERSON,
    },
    "conversion": {
        "click_id": pl.String,
        "impression_id": pl.String,
        "advertiser_id": pl.String,
        "order_id": pl.String,
        "conversion_type": pl.String,
        "value_micros": pl.Int64,
        "currency": pl.String,
        "cause": pl.String,
        **_PERSON,
    },
}
"""Content columns of the truth per record type, after where the message was and when it happened.

``user_id`` is as sent; ``user_key`` is the id that a normalised ``user_id`` equals, null where
there is none. ``request_event_id`` and ``cause`` (click, view or organic) are known to the market
only: they are not on the wire.
"""
