"""The `ad_impressions` stream: JSON objects, one record type with three event types.

Belongs here: the refined columns. The wire fields are in ``schemas/ad_impressions.schema.json``.
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.columns import Column

AD_IMPRESSION_COLUMNS: tuple[Column, ...] = (
    Column("event_type", pl.String, "rendered, measurable or viewable", True),
    Column("impression_id", pl.String, "identity of the impression", True),
    Column("exchange_id", pl.String, "ad exchange", True),
    Column("request_id", pl.String, "OpenRTB BidRequest.id", True),
    Column("imp_id", pl.String, "OpenRTB imp.id", True),
    Column("bid_id", pl.String, "our bid", True),
    Column("campaign_id", pl.String, "campaign", True),
    Column("creative_id", pl.String, "creative", True),
    Column("advertiser_id", pl.String, "advertiser", True),
    Column("publisher_id", pl.String, "publisher at the exchange", True),
    Column("site_domain", pl.String, "domain of the site"),
    Column("app_bundle", pl.String, "bundle of the app"),
    Column("placement_id", pl.String, "placement (tag id)"),
    Column("geo_country", pl.String, "ISO 3166 country as sent"),
    Column("geo_region", pl.String, "region as sent"),
    Column("pixels_in_view_pct", pl.Float64, "share of pixels in view, 0 to 100"),
    Column("time_in_view_ms", pl.Int64, "continuous time in view, in milliseconds"),
)

EVENT_TYPES: tuple[str, ...] = ("rendered", "measurable", "viewable")
RECORD_TYPES: tuple[str, ...] = ("ad_impression",)
