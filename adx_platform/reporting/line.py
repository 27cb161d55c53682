"""The whole report of the line as one value.

Belongs here: putting the parts together. Does not belong here: how it looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from adx_platform.lake.storage import LakeStorage
from adx_platform.reporting.campaigns import (
    AttributionTotals,
    CampaignTotals,
    attribution_totals,
    campaign_totals,
)
from adx_platform.reporting.stages import Conservation, StreamStages, gather_stages
from adx_platform.settings import Settings


@dataclass(frozen=True, slots=True)
class LineReport:
    """Stages and conservation of the streams, campaigns and attribution of the marts."""

    stages: list[StreamStages]
    conservation: Conservation
    campaigns: list[CampaignTotals]
    attribution: list[AttributionTotals]


def gather_line_report(settings: Settings) -> LineReport:
    """Gather everything; no broker is needed.

    Raises:
        LakeUnavailable: the storage failed.
        NothingPublishedError: no build was published yet.
    """
    stages, conservation = gather_stages(
        LakeStorage.from_settings(settings), settings.published_dir, settings.simulation_dir
    )
    return LineReport(
        stages=stages,
        conservation=conservation,
        campaigns=campaign_totals(settings.published_dir),
        attribution=attribution_totals(settings.published_dir),
    )
