"""Wire columns to contract columns: names, case, units, closed lists.

Belongs here: one function per record type, each from a decoded frame to the contract's columns plus
the identity inputs (``raw_user_id``, ``ip``, ``user_agent``, ``device_type``, ``os``,
``gdpr_applies``, ``has_consent``). Does not belong here: judging values (``validate``), OpenRTB
objects (``openrtb``).
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts import bid_requests
from adx_platform.contracts.columns import TIMESTAMP
from adx_platform.refine import text
from adx_platform.refine.openrtb import bid_request

_IMPRESSION_IDS = (
    "event_id",
    "impression_id",
    "exchange_id",
    "request_id",
    "imp_id",
    "bid_id",
    "campaign_id",
    "creative_id",
    "advertiser_id",
    "publisher_id",
    "app_bundle",
    "placement_id",
    "geo_region",
    "ip",
    "user_agent",
    "os",
)
_CLICK_IDS = (
    "event_id",
    "click_id",
    "impression_id",
    "advertiser_id",
    "campaign_id",
    "order_id",
    "landing_page",
    "ip",
    "user_agent",
)


def standardise(record_type: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Bring decoded rows of one record type into the contract's form.

    Args:
        record_type: of all rows.
        frame: as its codec gives it, with ``record_type``.

    Returns:
        One row per row, in order.

    Raises:
        ValueError: no such record type.
    """
    if record_type == "ad_impression":
        return _impression(frame)
    if record_type in ("click", "conversion"):
        return _click_or_conversion(frame)
    if record_type == "bid_request":
        return bid_request(frame)
    if record_type in ("bid_response", "bid_notice"):
        return _bid(frame)
    raise ValueError(f"no rules for record type {record_type!r}")


def _trim(names: tuple[str, ...]) -> list[pl.Expr]:
    return [text.trimmed(name).alias(name) for name in names]


def _impression(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        *_trim(_IMPRESSION_IDS),
        event_time=pl.col("ts").cast(TIMESTAMP),
        event_type=text.lowered("event_type"),
        site_domain=text.lowered("site_domain"),
        geo_country=text.raised("geo_country"),
        device_type=text.device_type("device_type"),
        raw_user_id=text.user_id("user_id"),
        has_consent=text.has_consent(pl.col("consent"), pl.col("gdpr_applies")),
    ).drop("ts", "user_id", "consent")


def _click_or_conversion(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        *_trim(_CLICK_IDS),
        event_time=pl.col("ts").cast(TIMESTAMP),
        conversion_type=text.lowered("conversion_type"),
        currency=text.raised("currency"),
        raw_user_id=text.user_id("user_id"),
        has_consent=text.has_consent(pl.col("consent"), pl.col("gdpr_applies")),
        device_type=pl.lit(None, dtype=pl.String),
        os=pl.lit(None, dtype=pl.String),
    ).drop("ts", "user_id", "consent", "event_type")


def _bid(frame: pl.DataFrame) -> pl.DataFrame:
    columns = (
        *bid_requests.AUCTION_COLUMNS,
        *bid_requests.BID_COLUMNS,
        *bid_requests.BID_RESPONSE_COLUMNS,
        *bid_requests.BID_NOTICE_COLUMNS,
    )
    texts = tuple(column.name for column in columns if column.dtype == pl.String)
    return frame.with_columns(
        *_trim(("event_id", *(name for name in texts if name not in ("currency", "notice_type")))),
        currency=text.raised("currency"),
        notice_type=text.lowered("notice_type"),
    )
