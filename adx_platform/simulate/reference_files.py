"""The reference data as CSV files, the way a user would provide theirs.

Belongs here: file names, headers and the text form of each value.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from adx_platform.simulate.geography import DATA_CENTRE_RANGES
from adx_platform.simulate.world import World

HEADERS: dict[str, tuple[str, ...]] = {
    "advertisers": (
        "advertiser_id", "name", "time_zone", "currency", "click_lookback_hours",
        "view_lookback_hours", "updated_at",
    ),
    "campaigns": (
        "campaign_id", "advertiser_id", "name", "objective", "status", "daily_budget_micros",
        "total_budget_micros", "frequency_cap_per_day", "updated_at",
    ),
    "flights": ("flight_id", "campaign_id", "starts_at", "ends_at", "budget_micros"),
    "creatives": ("creative_id", "campaign_id", "name", "format", "width", "height"),
    "exchanges": ("exchange_id", "name", "currency", "auction_type"),
    "publishers": ("publisher_id", "exchange_id", "name", "domain"),
    "fx_rates": ("rate_date", "from_currency", "to_currency", "rate"),
    "data_centre_ranges": ("cidr", "owner"),
}  # fmt: skip


def write_reference_files(world: World, folder: Path) -> None:
    """Write one CSV file per reference table into ``folder``, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    campaigns = world.campaigns
    tables: dict[str, Iterable[Sequence[object]]] = {
        "advertisers": (
            (
                a.advertiser_id, a.name, a.time_zone, a.currency, a.click_lookback_hours,
                a.view_lookback_hours, _instant(a.updated_at),
            )
            for a in world.advertisers
        ),
        "campaigns": (
            (
                c.campaign_id, c.advertiser.advertiser_id, c.name, c.objective, c.status,
                c.daily_budget_micros, c.total_budget_micros, c.frequency_cap_per_day,
                _instant(c.updated_at),
            )
            for c in campaigns
        ),
        "flights": (
            (
                f.flight_id, c.campaign_id, _instant(f.starts_at), _instant(f.ends_at),
                f.budget_micros,
            )
            for c in campaigns
            for f in c.flights
        ),
        "creatives": (
            (v.creative_id, c.campaign_id, v.name, v.media_type, v.width, v.height)
            for c in campaigns
            for v in c.creatives
        ),
        "exchanges": (
            (e.exchange_id, e.name, e.currency, e.auction_type) for e in world.exchanges
        ),
        "publishers": (
            (p.publisher_id, p.exchange.exchange_id, p.name, p.domain) for p in world.publishers
        ),
        "fx_rates": ((day.isoformat(), a, b, f"{rate:f}") for day, a, b, rate in world.fx_rates),
        "data_centre_ranges": DATA_CENTRE_RANGES,
    }  # fmt: skip
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADERS[name])
            writer.writerows(rows)


def _instant(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")
