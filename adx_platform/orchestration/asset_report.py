"""The HTML report as an asset: made after every publication, with a preview in its metadata.

Belongs here: declaring it and what its page in Dagster shows. Does not belong here: the figures and
the file (``reporting``).
"""

# No postponed annotations here: Dagster reads the type of the resource as an object.

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from adx_platform.orchestration import keys
from adx_platform.orchestration.resources import Line
from adx_platform.orchestration.retries import TRANSIENT_RETRIES
from adx_platform.reporting.document import ReportDocument, gather_document
from adx_platform.reporting.html import write_report
from adx_platform.reporting.preview import markdown_preview

_DESCRIPTION = """\
The campaign report as one HTML file that needs nothing else: campaigns, funnel, curves by the hour,
spend against budget, and how far all of it can be trusted. It is made from the published snapshot
after every build; `adx report --html` makes the same page at any time.
"""


def report_asset() -> dg.AssetsDefinition:
    """The report of the newest published snapshot."""

    @dg.asset(
        key=keys.REPORT_KEY,
        deps=[keys.PUBLISHED_KEY],
        group_name=keys.GROUP_PUBLISHED,
        kinds={"html"},
        owners=keys.OWNERS,
        tags={keys.LAYER_TAG: "published"},
        retry_policy=TRANSIENT_RETRIES,
        description=_DESCRIPTION,
    )
    def report(line: dg.ResourceParam[Line]) -> dg.MaterializeResult[Any]:
        settings = line.settings
        document = gather_document(
            settings, now=datetime.now(UTC), tail_offsets=settings.quality.tail_offsets
        )
        size = write_report(document, settings.report_path)
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.path(settings.report_path),
                "open": dg.MetadataValue.url(settings.report_path.as_uri()),
                "preview": dg.MetadataValue.md(markdown_preview(document)),
                "size_bytes": size,
                **_figures(document),
            }
        )

    return report


def _figures(document: ReportDocument) -> dict[str, Any]:
    trust = document.trust
    return {
        "verdict": trust.verdict,
        "build_id": document.build_id,
        "published_at": dg.MetadataValue.timestamp(document.published_at),
        "campaigns": len(document.campaigns),
        "spend_micros": dg.MetadataValue.json(document.spend_by_currency),
        "conservation_holds": dg.MetadataValue.bool(trust.conservation.holds),
        "offsets": trust.offsets,
        "incidents_that_last": len(trust.incidents or ()),
        "checks_that_fail": len(trust.failing_checks),
    }
