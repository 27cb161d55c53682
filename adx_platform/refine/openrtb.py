"""OpenRTB bid requests: the scalars and the slim list of impressions taken from the objects.

Belongs here: which member of which object fills which contract column. Does not belong here: the
objects themselves, which stay beside the scalars as they came (but for personal data).
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.bid_requests import IMP_STRUCT
from adx_platform.refine import text

_MICROS = 1_000_000
_DEFAULT_CURRENCY = "USD"
"""OpenRTB 2.6: a floor without a currency is in US dollars."""

_DEVICE_TYPES = {
    1: "mobile",
    2: "desktop",
    3: "ctv",
    4: "mobile",
    5: "tablet",
    6: "other",
    7: "ctv",
    8: "other",
}


def bid_request(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill the contract's columns of a bid request.

    Args:
        frame: decoded rows with the OpenRTB object columns.

    Returns:
        The frame with the scalar columns, ``imps`` and the identity inputs.
    """
    device, user, regs = pl.col("device"), pl.col("user"), pl.col("regs")
    device_geo, user_geo = _of(device, "geo"), _of(user, "geo")
    gdpr = _of(regs, "gdpr")
    gdpr_applies = pl.when(gdpr.is_in([0, 1])).then(gdpr == 1)
    consent = pl.when(text.trimmed(_of(user, "consent")).is_not_null()).then(pl.lit(value=True))
    devicetype = _of(device, "devicetype")
    publishers = [
        text.trimmed(_of(pl.col(place), "publisher", "id")) for place in ("site", "app", "dooh")
    ]
    return frame.with_columns(
        event_id=text.trimmed("event_id"),
        exchange_id=text.trimmed("exchange_id"),
        request_id=text.trimmed("request_id"),
        is_test=pl.col("is_test").cast(pl.Boolean),
        imp_count=pl.col("imp").list.len().cast(pl.Int32),
        imps=pl.col("imp").list.eval(_slim(pl.element())).cast(pl.List(IMP_STRUCT)),
        channel=pl.when(pl.col("site").is_not_null())
        .then(pl.lit("site"))
        .when(pl.col("app").is_not_null())
        .then(pl.lit("app"))
        .when(pl.col("dooh").is_not_null())
        .then(pl.lit("dooh")),
        publisher_id=pl.coalesce(*publishers),
        site_domain=text.lowered(_of(pl.col("site"), "domain")),
        app_bundle=text.trimmed(_of(pl.col("app"), "bundle")),
        geo_country=pl.coalesce(
            text.raised(_of(device_geo, "country")), text.raised(_of(user_geo, "country"))
        ),
        geo_region=pl.coalesce(
            text.trimmed(_of(device_geo, "region")), text.trimmed(_of(user_geo, "region"))
        ),
        raw_user_id=pl.coalesce(
            text.user_id(_of(user, "buyeruid")),
            text.user_id(_of(device, "ifa")),
            text.user_id(_of(user, "id")),
        ),
        ip=pl.coalesce(text.trimmed(_of(device, "ip")), text.trimmed(_of(device, "ipv6"))),
        user_agent=text.trimmed(_of(device, "ua")),
        device_type=devicetype.replace_strict(_DEVICE_TYPES, default=None, return_dtype=pl.String),
        os=text.trimmed(_of(device, "os")),
        gdpr_applies=gdpr_applies,
        has_consent=text.has_consent(consent, gdpr_applies),
    )


def _of(struct: pl.Expr, *path: str) -> pl.Expr:
    for name in path:
        struct = struct.struct.field(name)
    return struct


def _slim(imp: pl.Expr) -> pl.Expr:
    """One impression offered, as the warehouse uses it."""
    banner, video = _of(imp, "banner"), _of(imp, "video")
    first_format = _of(banner, "format").list.first()
    floor = _of(imp, "bidfloor")
    media = [
        pl.when(_of(imp, name).is_not_null()).then(pl.lit(name))
        for name in ("banner", "video", "native", "audio")
    ]
    floor_micros = (floor * _MICROS).round(0)
    return pl.struct(
        imp_id=text.trimmed(_of(imp, "id")),
        media_type=pl.coalesce(*media),
        width=pl.coalesce(_of(banner, "w"), _of(first_format, "w"), _of(video, "w")),
        height=pl.coalesce(_of(banner, "h"), _of(first_format, "h"), _of(video, "h")),
        # A floor beyond 64 bits of micros is nonsense, but no reason to lose the request.
        floor_cpm_micros=floor_micros.cast(pl.Int64, strict=False),
        floor_currency=pl.when(floor.is_not_null()).then(
            text.raised(_of(imp, "bidfloorcur")).fill_null(_DEFAULT_CURRENCY)
        ),
        placement_id=text.trimmed(_of(imp, "tagid")),
        deal_count=_of(imp, "pmp", "deals").list.len().fill_null(0).cast(pl.Int32),
    )
