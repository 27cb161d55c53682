"""What the campaign marts must say, recomputed from the simulator's truth in plain Python.

Independent on purpose: it shares no code with the platform and none of its SQL; it reads the truth
and reference files and follows the written rules.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

MEASURES = (
    "wins",
    "billed_impressions",
    "gross_impressions",
    "net_impressions",
    "measurable_impressions",
    "viewable_impressions",
    "gross_clicks",
    "net_clicks",
    "conversions",
    "post_click_conversions",
    "spend_micros",
    "revenue_micros",
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Happening:
    """One contribution to a campaign's measures at an instant."""

    campaign_id: str
    at: datetime
    measure: str
    amount: int


class MarketOracle:
    """The truth of one simulated market."""

    def __init__(self, simulation: Path) -> None:
        self._truth = simulation / "truth"
        reference = simulation / "reference"
        self.advertisers = {r["advertiser_id"]: r for r in _csv(reference / "advertisers.csv")}
        self.campaigns = {r["campaign_id"]: r for r in _csv(reference / "campaigns.csv")}
        self._rates = {
            (r["rate_date"], r["from_currency"], r["to_currency"]): Decimal(r["rate"])
            for r in _csv(reference / "fx_rates.csv")
        }
        self.impressions = self._impressions()
        self.clicks = self._rows("clicks")
        self.conversions = self._rows("conversions")
        self.messages = pl.read_parquet(self._truth / "messages.parquet")
        self.attributed = self._last_touch()
        self.happenings = list(self._happenings())

    def hourly(self) -> dict[tuple[str, datetime], dict[str, int]]:
        """Measures by campaign and UTC hour (naive, as the warehouse has it)."""
        return self._summed(lambda h: _naive(h.at).replace(minute=0, second=0, microsecond=0))

    def daily(self) -> dict[tuple[str, date], dict[str, int]]:
        """Measures by campaign and day of the advertiser's time zone."""

        def local_day(happening: Happening) -> date:
            advertiser = self.advertisers[self.campaigns[happening.campaign_id]["advertiser_id"]]
            return happening.at.astimezone(ZoneInfo(advertiser["time_zone"])).date()

        return self._summed(local_day)

    def _summed(self, period: Any) -> Any:
        sums: dict[tuple[str, Any], dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(MEASURES, 0)
        )
        for happening in self.happenings:
            sums[happening.campaign_id, period(happening)][happening.measure] += happening.amount
        return dict(sums)

    def _happenings(self) -> Any:
        for impression in self.impressions.values():
            yield from self._of_impression(impression)
        for click in self.clicks:
            yield Happening(click["campaign_id"], click["event_time"], "gross_clicks", 1)
            if not click["is_givt"]:
                yield Happening(click["campaign_id"], click["event_time"], "net_clicks", 1)
        for conversion, touch in self.attributed.values():
            at = conversion["event_time"]
            yield Happening(touch["campaign_id"], at, "conversions", 1)
            if touch["touch_type"] == "click":
                yield Happening(touch["campaign_id"], at, "post_click_conversions", 1)
            revenue = self._converted(conversion, conversion["value_micros"], divisor=1)
            yield Happening(touch["campaign_id"], at, "revenue_micros", revenue)

    def _of_impression(self, parts: dict[str, Row]) -> Any:
        campaign = next(p["campaign_id"] for p in parts.values())
        if "win" in parts:
            yield Happening(campaign, parts["win"]["event_time"], "wins", 1)
        if "billing" in parts:
            billing = parts["billing"]
            spend = self._converted(billing, billing["price_cpm_micros"], divisor=1000)
            yield Happening(campaign, billing["event_time"], "billed_impressions", 1)
            yield Happening(campaign, billing["event_time"], "spend_micros", spend)
        if "rendered" in parts:
            at = parts["rendered"]["event_time"]
            yield Happening(campaign, at, "gross_impressions", 1)
            if not parts["rendered"]["is_givt"]:
                yield Happening(campaign, at, "net_impressions", 1)
                for event_type in ("measurable", "viewable"):
                    if event_type in parts:
                        yield Happening(campaign, at, f"{event_type}_impressions", 1)

    def _converted(self, event: Row, micros: int | None, *, divisor: int) -> int:
        if micros is None:
            return 0
        advertiser = self.advertisers[event["advertiser_id"]]
        day = event["event_time"].astimezone(UTC).date().isoformat()
        rate = self._rates[day, event["currency"], advertiser["currency"]]
        return int((micros * rate / divisor).quantize(Decimal(1), rounding=ROUND_HALF_UP))

    def _impressions(self) -> dict[tuple[str, ...], dict[str, Row]]:
        """Won, billed or rendered bids: their notices and events by kind."""
        found: dict[tuple[str, ...], dict[str, Row]] = defaultdict(dict)
        for notice in self._rows("bid_notices"):
            if notice["notice_type"] != "loss":
                found[_bid_key(notice)][notice["notice_type"]] = notice
        for event in self._rows("ad_impressions"):
            found[_bid_key(event)][event["event_type"]] = event
        return dict(found)

    def _last_touch(self) -> dict[str, tuple[Row, Row]]:
        touches: dict[tuple[str, str], list[Row]] = defaultdict(list)
        rendered = [p["rendered"] for p in self.impressions.values() if "rendered" in p]
        for kind, events in (("click", self.clicks), ("view", rendered)):
            for event in events:
                if event["has_consent"] and not event["is_givt"] and event["user_key"]:
                    key = (event["user_key"], event["advertiser_id"])
                    touches[key].append({**event, "touch_type": kind})
        attributed = {}
        for conversion in self.conversions:
            if not (conversion["has_consent"] and conversion["user_key"]):
                continue
            advertiser = self.advertisers[conversion["advertiser_id"]]
            at = conversion["event_time"]
            eligible = [
                touch
                for touch in touches[conversion["user_key"], conversion["advertiser_id"]]
                if timedelta()
                <= at - touch["event_time"]
                <= timedelta(hours=int(advertiser[f"{touch['touch_type']}_lookback_hours"]))
            ]
            if eligible:
                best = max(
                    eligible,
                    key=lambda t: (t["touch_type"] == "click", t["event_time"], t["event_id"]),
                )
                attributed[conversion["event_id"]] = (conversion, best)
        return attributed

    def _rows(self, name: str) -> list[Row]:
        return pl.read_parquet(self._truth / f"{name}.parquet").to_dicts()


def _bid_key(event: Row) -> tuple[str, ...]:
    return tuple(event[name] for name in ("exchange_id", "request_id", "imp_id", "bid_id"))


def _naive(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None)


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
