"""What was delivered: the funnel, the curves by the hour, spend against budget.

Belongs here: the queries on the published marts, and their rows as values. The measures are defined
in the marts; here they are only added up. Does not belong here: campaigns in detail
(``campaigns``), or how far the figures can be trusted (``trust``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from adx_platform.contracts.streams import STREAMS
from adx_platform.quality.metrics import Query
from adx_platform.reporting.charts import Series

_HOUR = timedelta(hours=1)
CURVE_HOURS = 7 * 24
"""The newest hours that the curves show."""

_FUNNEL_SQL = """
with auctions as (
    -- Of impressions, not of requests: one request may offer many, and each gets a bid of its own.
    select sum(offered) as offered, sum(bids) as bids, sum(wins) as won
    from marts.agg_auctions_hourly
),
delivery as (
    select
        sum(billed_impressions) as billed,
        sum(gross_impressions) as rendered,
        sum(viewable_impressions) as viewable,
        sum(net_clicks) as clicks,
        sum(post_click_conversions) as conversions
    from marts.agg_campaign_daily
)
select columns(*)::bigint from (select * from auctions, delivery)
"""
_STEPS = (
    ("offered", "offered impressions"),
    ("bids", "bids"),
    ("won", "won"),
    ("billed", "billed"),
    ("rendered", "rendered"),
    ("viewable", "viewable"),
    ("clicks", "clicks"),
    ("conversions", "conversions after a click"),
)

_PERIOD_SQL = """
select min(hour_start) as first_hour, max(hour_start) as last_hour from marts.agg_arrivals_hourly
"""
_MESSAGES_SQL = """
select hour_start, stream, sum(messages)::bigint as messages
from marts.agg_arrivals_hourly
group by 1, 2
order by 1, 2
"""
_CAMPAIGN_HOURS_SQL = """
select
    hour_start,
    currency,
    sum(net_impressions)::bigint as impressions,
    sum(net_clicks)::bigint as clicks,
    sum(billed_impressions)::bigint as billed,
    sum(spend_micros)::bigint as spend_micros
from marts.agg_campaign_hourly
group by 1, 2
order by 1, 2
"""
_BUDGETS_SQL = """
with spent as (
    select
        campaign_id,
        max(currency) as currency,
        sum(spend_micros)::bigint as spend_micros
    from marts.agg_campaign_daily
    group by 1
),
days as (
    select
        advertiser_id,
        max(local_date) as last_day,
        (max(local_date) - min(local_date) + 1)::bigint as days
    from marts.agg_campaign_daily
    group by 1
)
select
    campaigns.campaign_id,
    coalesce(campaigns.campaign_name, campaigns.campaign_id) as campaign,
    coalesce(advertisers.advertiser_name, campaigns.advertiser_id) as advertiser,
    coalesce(advertisers.currency, spent.currency) as currency,
    campaigns.status,
    coalesce(spent.spend_micros, 0)::bigint as spend_micros,
    campaigns.daily_budget_micros,
    campaigns.total_budget_micros,
    days.days,
    days.last_day
from marts.dim_campaigns as campaigns
left join spent on campaigns.campaign_id = spent.campaign_id
left join days on campaigns.advertiser_id = days.advertiser_id
left join marts.dim_advertisers as advertisers
    on campaigns.advertiser_id = advertisers.advertiser_id
where
    campaigns.is_current
    and (campaigns.daily_budget_micros is not null or campaigns.total_budget_micros is not null)
order by advertiser, campaign, campaigns.campaign_id
"""


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step: its count, and the share of the step before that came so far."""

    name: str
    count: int
    rate: float | None


@dataclass(frozen=True, slots=True)
class Hourly:
    """The curves of the newest hours; an hour without anything is 0, its rate is unknown.

    Attributes:
        messages: one curve a stream, by the hour of arrival.
        ctr: of net impressions, by the hour of the event.
        spend: one curve a currency, the one with the most impressions first; never added up.
    """

    messages: tuple[Series, ...]
    ctr: Series
    spend: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class CampaignBudget:
    """Spend of one campaign against its plan, in micros of the advertiser's currency.

    ``days`` are the advertiser's local days in the marts, the first and the last maybe incomplete;
    None where the advertiser has none yet.
    """

    campaign_id: str
    campaign: str
    advertiser: str | None
    currency: str | None
    status: str | None
    spend_micros: int
    daily_budget_micros: int | None
    total_budget_micros: int | None
    days: int | None
    last_day: date | None

    @property
    def planned_micros(self) -> int | None:
        """What these days may spend: the daily budget for each, at most the total."""
        if self.daily_budget_micros is None or self.days is None:
            return None
        planned = self.daily_budget_micros * self.days
        return (
            planned if self.total_budget_micros is None else min(planned, self.total_budget_micros)
        )

    @property
    def pace(self) -> float | None:
        """Spend as a share of the plan of these days."""
        return self.spend_micros / self.planned_micros if self.planned_micros else None

    @property
    def used(self) -> float | None:
        """Spend as a share of the total budget."""
        if not self.total_budget_micros:
            return None
        return self.spend_micros / self.total_budget_micros


def read_funnel(query: Query) -> tuple[FunnelStep, ...]:
    """From offered impressions to conversions, over everything in the marts."""
    (row,) = query(_FUNNEL_SQL).iter_rows(named=True)
    steps: list[FunnelStep] = []
    for name, words in _STEPS:
        count = row[name] or 0
        before = steps[-1].count if steps else 0
        steps.append(FunnelStep(words, count, count / before if before else None))
    return tuple(steps)


def read_period(query: Query) -> tuple[datetime, datetime] | None:
    """The first and the last hour, UTC, in which messages arrived; None before the first."""
    (row,) = query(_PERIOD_SQL).iter_rows()
    return None if row[0] is None else (row[0], row[1])


def read_hourly(query: Query, period: tuple[datetime, datetime] | None) -> Hourly:
    """The curves of the newest hours of ``period``."""
    if period is None:
        return Hourly((), Series("CTR", ()), ())
    last = period[1]
    first = max(period[0], last - (CURVE_HOURS - 1) * _HOUR)
    hours = [first + index * _HOUR for index in range(int((last - first) / _HOUR) + 1)]
    messages: dict[str, dict[datetime, int]] = {}
    for moment, stream, count in query(_MESSAGES_SQL).iter_rows():
        messages.setdefault(stream, {})[moment] = count
    spend: dict[str, dict[datetime, float]] = {}
    billed: dict[str, int] = {}
    shown: dict[datetime, int] = {}
    clicked: dict[datetime, int] = {}
    for row in query(_CAMPAIGN_HOURS_SQL).iter_rows(named=True):
        moment, currency = row["hour_start"], row["currency"]
        shown[moment] = shown.get(moment, 0) + row["impressions"]
        clicked[moment] = clicked.get(moment, 0) + row["clicks"]
        if currency is not None and row["spend_micros"]:
            spend.setdefault(currency, {})[moment] = row["spend_micros"] / 1e6
            billed[currency] = billed.get(currency, 0) + row["billed"]
    return Hourly(
        messages=tuple(
            _counted(name, messages[name], hours) for name in STREAMS if name in messages
        ),
        ctr=Series(
            "CTR",
            [(m, clicked[m] / shown[m] if shown.get(m) else None) for m in hours],
        ),
        spend=tuple(
            _counted(currency, spend[currency], hours)
            for currency in sorted(spend, key=lambda c: (-billed[c], c))
        ),
    )


def _counted(
    name: str, found: dict[datetime, int] | dict[datetime, float], hours: Iterable[datetime]
) -> Series:
    return Series(name, [(moment, float(found.get(moment, 0))) for moment in hours])


def read_budgets(query: Query) -> list[CampaignBudget]:
    """Every campaign that has a budget, by advertiser and name."""
    return [CampaignBudget(**row) for row in query(_BUDGETS_SQL).iter_rows(named=True)]
