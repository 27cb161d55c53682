"""Everything that the HTML report shows, as one value of one published snapshot.

Belongs here: putting the parts together. Does not belong here: how it looks (``html``), what a
person reads in a terminal (``line`` and ``cli``).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from adx_platform.lake.storage import LakeStorage
from adx_platform.quality.metrics import Query
from adx_platform.reporting.campaigns import (
    AttributionTotals,
    CampaignTotals,
    read_attribution,
    read_campaigns,
)
from adx_platform.reporting.delivery import (
    CampaignBudget,
    FunnelStep,
    Hourly,
    read_budgets,
    read_funnel,
    read_hourly,
    read_period,
)
from adx_platform.reporting.stages import gather_stages
from adx_platform.reporting.trust import Trust, lasting_incidents, read_trust
from adx_platform.settings import Settings
from adx_platform.warehouse.published import open_published
from adx_platform.warehouse.tracing import TracedLoad, newest_loads


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """The figures of the HTML report.

    Attributes:
        made_at: when it was gathered, UTC.
        build_id: the build whose marts it shows.
        published_at: when they were published, UTC.
        newest_load: the newest load in them.
        period: first and last hour, UTC, in which messages arrived; None before the first.
        trust: how far the figures can be trusted.
        funnel: from offered impressions to conversions.
        hourly: curves of the newest hours.
        budgets: spend against plan.
        campaigns: all campaigns, the largest first.
        attribution: conversions by credited touch.
        loads: of each stream the newest load, with its commit and offsets.
    """

    made_at: datetime
    build_id: str
    published_at: datetime
    newest_load: int
    period: tuple[datetime, datetime] | None
    trust: Trust
    funnel: tuple[FunnelStep, ...]
    hourly: Hourly
    budgets: list[CampaignBudget]
    campaigns: list[CampaignTotals]
    attribution: list[AttributionTotals]
    loads: tuple[TracedLoad, ...]

    @property
    def spend_by_currency(self) -> dict[str, int]:
        """Spend in micros; currencies are never added up."""
        totals: dict[str, int] = {}
        for campaign in self.campaigns:
            if campaign.currency is not None:
                before = totals.get(campaign.currency, 0)
                totals[campaign.currency] = before + campaign.spend_micros
        return dict(sorted(totals.items()))


def gather_document(
    settings: Settings, *, now: datetime, tail_offsets: int | None = None
) -> ReportDocument:
    """Gather everything from one snapshot, the lake and the incident database; no broker is needed.

    Args:
        settings: the platform's.
        now: when, UTC.
        tail_offsets: recount only so many of the newest offsets of each partition of the lake, so
            that a report after each build does not cost more with every day; None: all of them.

    Raises:
        LakeUnavailable: the storage failed.
        NothingPublishedError: no build was published yet.
    """
    stages, conservation = gather_stages(
        LakeStorage.from_settings(settings),
        settings.published_dir,
        settings.simulation_dir,
        tail=tail_offsets,
    )
    with closing(open_published(settings.published_dir)) as connection:

        def query(sql: str) -> pl.DataFrame:
            return pl.DataFrame(connection.sql(sql).to_arrow_table())

        build_id, newest_load, published_at = _snapshot(query)
        period = read_period(query)
        return ReportDocument(
            made_at=now,
            build_id=build_id,
            published_at=published_at,
            newest_load=newest_load,
            period=period,
            trust=read_trust(
                query,
                stages=stages,
                conservation=conservation,
                tail_offsets=tail_offsets,
                incidents=lasting_incidents(settings.incidents_url),
            ),
            funnel=read_funnel(query),
            hourly=read_hourly(query, period),
            budgets=read_budgets(query),
            campaigns=read_campaigns(query),
            attribution=read_attribution(query),
            loads=newest_loads(query, up_to=newest_load),
        )


def _snapshot(query: Query) -> tuple[str, int, datetime]:
    (row,) = query("select build_id, to_load_id, published_at from main.snapshot").iter_rows()
    build_id, newest_load, published_at = row
    return str(build_id), int(newest_load), published_at.replace(tzinfo=UTC)
