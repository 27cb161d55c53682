"""The `clicks_conversions` stream: RFC 4180 lines, two record types.

Belongs here: the refined columns and the CSV columns of each contract version. A message says its
version in the Kafka header ``contract_version``; without one, the number of columns tells.
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.columns import Column

CLICK_CONVERSION_COLUMNS: tuple[Column, ...] = (
    Column("click_id", pl.String, "identity of the click; required on clicks"),
    Column("impression_id", pl.String, "the impression clicked; may be absent on conversions"),
    Column("advertiser_id", pl.String, "advertiser", True),
    Column("campaign_id", pl.String, "campaign; required on clicks"),
    Column("order_id", pl.String, "the advertiser's order; required on conversions"),
    Column("conversion_type", pl.String, "purchase, signup, ...; required on conversions"),
    Column("value_micros", pl.Int64, "value of the conversion, in micros of currency"),
    Column("currency", pl.String, "ISO 4217 of value_micros"),
    Column("landing_page", pl.String, "page reached by the click (contract version 2)"),
)

CSV_COLUMNS_BY_VERSION: dict[int, tuple[str, ...]] = {
    1: (
        "event_type",
        "event_id",
        "ts",
        "click_id",
        "impression_id",
        "user_id",
        "advertiser_id",
        "campaign_id",
        "order_id",
        "conversion_type",
        "value",
        "currency",
        "ip",
        "user_agent",
        "gdpr_applies",
        "consent",
    ),
}
CSV_COLUMNS_BY_VERSION[2] = (*CSV_COLUMNS_BY_VERSION[1], "landing_page")

VERSION_HEADER = "contract_version"
RECORD_TYPES: tuple[str, ...] = ("click", "conversion")
