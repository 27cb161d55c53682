"""What each reference file must contain: columns, keys, allowed values, links between files.

Belongs here: the declarations only. Does not belong here: reading files (``files``) or computing
derived tables (``time_zones``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from adx_platform.contracts.columns import TIMESTAMP, Column

RATE_SCALE = 8
"""Decimal places of an exchange rate; more would not survive the warehouses' exact arithmetic."""

RATE = pl.Decimal(18, RATE_SCALE)


@dataclass(frozen=True, slots=True)
class Link:
    """Values of ``column`` must exist in ``target_column`` of the file ``target``."""

    column: str
    target: str
    target_column: str


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """One reference table: a CSV file of the reference folder, or derived from the others.

    ``key`` identifies a row. ``allowed`` closes the list of values of a column. ``minimum`` is the
    lowest allowed value of an integer column. A file that is not ``mandatory`` may be absent and
    then counts as empty.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    links: tuple[Link, ...] = ()
    allowed: dict[str, frozenset[str]] = field(default_factory=dict)
    minimum: dict[str, int] = field(default_factory=dict)
    mandatory: bool = True

    @property
    def file_name(self) -> str:
        """Name of the CSV file in the reference folder."""
        return f"{self.name}.csv"


ADVERTISERS = ReferenceTable(
    "advertisers",
    "who pays: one row per advertiser, as it is now",
    (
        Column("advertiser_id", pl.String, "identity of the advertiser", True),
        Column("name", pl.String, "display name", True),
        Column("time_zone", pl.String, "IANA zone in which the advertiser's days are cut", True),
        Column("currency", pl.String, "ISO 4217: spend and revenue are reported in it", True),
        Column("click_lookback_hours", pl.Int32, "how long a click may earn a conversion", True),
        Column("view_lookback_hours", pl.Int32, "how long a view may earn a conversion", True),
        Column("updated_at", TIMESTAMP, "when this row was last changed", True),
    ),
    key=("advertiser_id",),
    minimum={"click_lookback_hours": 0, "view_lookback_hours": 0},
)

CAMPAIGNS = ReferenceTable(
    "campaigns",
    "what is bought: one row per campaign, as it is now",
    (
        Column("campaign_id", pl.String, "identity of the campaign", True),
        Column("advertiser_id", pl.String, "advertiser", True),
        Column("name", pl.String, "display name", True),
        Column("objective", pl.String, "what the campaign is for", True),
        Column("status", pl.String, "active, paused, ended, ...", True),
        Column("daily_budget_micros", pl.Int64, "per local day, in micros of the currency"),
        Column("total_budget_micros", pl.Int64, "over the campaign, in micros of the currency"),
        Column("frequency_cap_per_day", pl.Int32, "impressions per user and local day"),
        Column("updated_at", TIMESTAMP, "when this row was last changed", True),
    ),
    key=("campaign_id",),
    links=(Link("advertiser_id", "advertisers", "advertiser_id"),),
    minimum={"daily_budget_micros": 0, "total_budget_micros": 0, "frequency_cap_per_day": 1},
)

FLIGHTS = ReferenceTable(
    "flights",
    "when a campaign runs: one row per flight",
    (
        Column("flight_id", pl.String, "identity of the flight", True),
        Column("campaign_id", pl.String, "campaign", True),
        Column("starts_at", TIMESTAMP, "first instant", True),
        Column("ends_at", TIMESTAMP, "first instant after", True),
        Column("budget_micros", pl.Int64, "budget of the flight, in micros of the currency"),
    ),
    key=("flight_id",),
    links=(Link("campaign_id", "campaigns", "campaign_id"),),
    minimum={"budget_micros": 0},
)

CREATIVES = ReferenceTable(
    "creatives",
    "what is shown: one row per creative",
    (
        Column("creative_id", pl.String, "identity of the creative", True),
        Column("campaign_id", pl.String, "campaign", True),
        Column("name", pl.String, "display name", True),
        Column("format", pl.String, "banner, video or native", True),
        Column("width", pl.Int32, "in pixels"),
        Column("height", pl.Int32, "in pixels"),
    ),
    key=("creative_id",),
    links=(Link("campaign_id", "campaigns", "campaign_id"),),
    allowed={"format": frozenset({"banner", "video", "native"})},
    minimum={"width": 0, "height": 0},
)

EXCHANGES = ReferenceTable(
    "exchanges",
    "where is bought: one row per ad exchange",
    (
        Column("exchange_id", pl.String, "identity of the exchange", True),
        Column("name", pl.String, "display name", True),
        Column("currency", pl.String, "ISO 4217: the currency it bills in", True),
        Column("auction_type", pl.String, "how its auctions are cleared", True),
    ),
    key=("exchange_id",),
)

PUBLISHERS = ReferenceTable(
    "publishers",
    "whose inventory: one row per publisher of an exchange",
    (
        Column("publisher_id", pl.String, "identity of the publisher", True),
        Column("exchange_id", pl.String, "exchange that sells it", True),
        Column("name", pl.String, "display name", True),
        Column("domain", pl.String, "its domain"),
    ),
    key=("publisher_id", "exchange_id"),
    links=(Link("exchange_id", "exchanges", "exchange_id"),),
)

FX_RATES = ReferenceTable(
    "fx_rates",
    "exchange rates: one row per date and ordered pair of currencies, identities included",
    (
        Column("rate_date", pl.Date, "UTC date on which the rate holds", True),
        Column("from_currency", pl.String, "ISO 4217", True),
        Column("to_currency", pl.String, "ISO 4217", True),
        Column("rate", RATE, "units of to_currency for one unit of from_currency", True),
    ),
    key=("rate_date", "from_currency", "to_currency"),
)

DATA_CENTRE_RANGES = ReferenceTable(
    "data_centre_ranges",
    "networks in which no person browses: one row per range",
    (
        Column("cidr", pl.String, "IPv4 or IPv6 network", True),
        Column("owner", pl.String, "who runs it"),
    ),
    key=("cidr",),
    mandatory=False,
)

BILLING_CLOSES = ReferenceTable(
    "billing_closes",
    "months that were invoiced to an advertiser: one row per advertiser and month",
    (
        Column("advertiser_id", pl.String, "advertiser", True),
        Column("month", pl.Date, "first day of the month, in the advertiser's zone", True),
        Column("closed_at", TIMESTAMP, "when the month was closed", True),
        Column("to_load_id", pl.Int64, "newest load that the invoice contains", True),
        Column("amount_micros", pl.Int64, "what was invoiced, in micros of its currency"),
    ),
    key=("advertiser_id", "month"),
    links=(Link("advertiser_id", "advertisers", "advertiser_id"),),
    minimum={"to_load_id": 0, "amount_micros": 0},
    mandatory=False,
)

EXCHANGE_INVOICES = ReferenceTable(
    "exchange_invoices",
    "what the exchanges charge: one row per exchange, month and currency",
    (
        Column("exchange_id", pl.String, "exchange that charges", True),
        Column("month", pl.Date, "first day of the month, UTC", True),
        Column("currency", pl.String, "ISO 4217: currency of the amount", True),
        Column("amount_micros", pl.Int64, "what is charged, in micros of the currency", True),
    ),
    key=("exchange_id", "month", "currency"),
    links=(Link("exchange_id", "exchanges", "exchange_id"),),
    mandatory=False,
)

TIME_ZONE_OFFSETS = ReferenceTable(
    "time_zone_offsets",
    "UTC offsets of the advertisers' zones: one row per zone and half-open span of UTC",
    (
        Column("time_zone", pl.String, "IANA zone", True),
        Column("utc_from", TIMESTAMP, "first instant of the span", True),
        Column("utc_to", TIMESTAMP, "first instant after the span", True),
        Column("offset_minutes", pl.Int32, "local time minus UTC", True),
    ),
    key=("time_zone", "utc_from"),
)

REFERENCE_FILES: tuple[ReferenceTable, ...] = (
    ADVERTISERS,
    CAMPAIGNS,
    FLIGHTS,
    CREATIVES,
    EXCHANGES,
    PUBLISHERS,
    FX_RATES,
    DATA_CENTRE_RANGES,
    BILLING_CLOSES,
    EXCHANGE_INVOICES,
)
"""Tables that come from a file; targets of links stand before what links to them."""

REFERENCE_TABLES: tuple[ReferenceTable, ...] = (*REFERENCE_FILES, TIME_ZONE_OFFSETS)
