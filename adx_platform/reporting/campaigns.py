"""Campaign delivery and attribution, from the published marts.

Belongs here: the two queries of the report. The measures are defined in the marts; here they are
only added up over days.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adx_platform.quality.metrics import Query
from adx_platform.warehouse.published import query_published

_CAMPAIGNS_SQL = """
with totals as (
    select
        campaign_id,
        max(currency) as currency,
        sum(gross_impressions) as gross_impressions,
        sum(net_impressions) as net_impressions,
        sum(viewable_impressions) as viewable_impressions,
        sum(net_clicks) as clicks,
        sum(conversions) as conversions,
        sum(post_click_conversions) as post_click_conversions,
        sum(spend_micros) as spend_micros,
        sum(revenue_micros) as revenue_micros
    from marts.agg_campaign_daily
    group by campaign_id
)
select
    totals.campaign_id,
    coalesce(campaigns.campaign_name, totals.campaign_id) as campaign,
    coalesce(advertisers.advertiser_name, campaigns.advertiser_id) as advertiser,
    totals.currency,
    totals.gross_impressions::bigint as gross_impressions,
    totals.net_impressions::bigint as net_impressions,
    totals.viewable_impressions::bigint as viewable_impressions,
    totals.clicks::bigint as clicks,
    totals.conversions::bigint as conversions,
    totals.spend_micros::bigint as spend_micros,
    totals.revenue_micros::bigint as revenue_micros,
    totals.clicks / nullif(totals.net_impressions, 0) as ctr,
    totals.post_click_conversions / nullif(totals.clicks, 0) as cvr,
    totals.spend_micros / 1e3 / nullif(totals.net_impressions, 0) as cpm,
    totals.spend_micros / 1e6 / nullif(totals.clicks, 0) as cpc,
    totals.spend_micros / 1e6 / nullif(totals.conversions, 0) as cpa,
    totals.revenue_micros / nullif(totals.spend_micros, 0) as roas
from totals
left join marts.dim_campaigns as campaigns
    on totals.campaign_id = campaigns.campaign_id and campaigns.is_current
left join marts.dim_advertisers as advertisers
    on campaigns.advertiser_id = advertisers.advertiser_id
order by totals.net_impressions desc, totals.campaign_id
"""

_ATTRIBUTION_SQL = """
select
    coalesce(attribution.touch_type, 'not attributed') as touch,
    count(*) as conversions,
    count(distinct conversions.advertiser_id) as advertisers,
    median(attribution.micros_to_conversion) / 3.6e9 as median_hours
from marts.fct_conversions as conversions
left join marts.fct_attribution as attribution
    on conversions.event_id = attribution.conversion_event_id
    and attribution.model = 'last_touch'
group by 1
order by 2 desc, 1
"""


@dataclass(frozen=True, slots=True)
class CampaignTotals:
    """One campaign over all days; money in micros of the advertiser's currency, rates in units.

    ``cvr`` is of post-click conversions; ``conversions`` are post-click and post-view. ``cpm``,
    ``cpc`` and ``cpa`` are in the currency itself. None where the divisor is 0.
    """

    campaign_id: str
    campaign: str
    advertiser: str | None
    currency: str | None
    gross_impressions: int
    net_impressions: int
    viewable_impressions: int
    clicks: int
    conversions: int
    spend_micros: int
    revenue_micros: int
    ctr: float | None
    cvr: float | None
    cpm: float | None
    cpc: float | None
    cpa: float | None
    roas: float | None


@dataclass(frozen=True, slots=True)
class AttributionTotals:
    """Conversions by the kind of touch that last-touch attribution credits.

    ``median_hours``: from the touch to the conversion.
    """

    touch: str
    conversions: int
    advertisers: int
    median_hours: float | None


def campaign_totals(published_dir: Path) -> list[CampaignTotals]:
    """Every campaign with any activity, the largest first.

    Raises:
        NothingPublishedError: no build was published yet.
    """
    return read_campaigns(partial(query_published, published_dir))


def read_campaigns(query: Query) -> list[CampaignTotals]:
    """The same, from a snapshot that is open."""
    return [CampaignTotals(**row) for row in query(_CAMPAIGNS_SQL).iter_rows(named=True)]


def attribution_totals(published_dir: Path) -> list[AttributionTotals]:
    """Conversions by kind of credited touch, and those without one.

    Raises:
        NothingPublishedError: no build was published yet.
    """
    return read_attribution(partial(query_published, published_dir))


def read_attribution(query: Query) -> list[AttributionTotals]:
    """The same, from a snapshot that is open."""
    return [AttributionTotals(**row) for row in query(_ATTRIBUTION_SQL).iter_rows(named=True)]
