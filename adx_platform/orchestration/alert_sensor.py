"""The sensor that tells people about incidents.

Belongs here: the tick. Does not belong here: what an alert says, where it goes and when it is tried
again (``observability``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

from collections import Counter
from datetime import UTC, datetime

import dagster as dg

from adx_platform.observability.alerts import DeliveryReport, deliver_pending
from adx_platform.orchestration.automation import sensor_status
from adx_platform.orchestration.resources import Line
from adx_platform.settings import Settings

MINIMUM_INTERVAL_SECONDS = 5


def alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """Sends the notices of incidents that were opened, escalated, taken over or resolved."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=MINIMUM_INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description=(
            "Tells people about incidents, each change once: the log, and Slack or a webhook "
            "where ADX_ALERTS__... names one."
        ),
    )
    def alerts(_context: dg.SensorEvaluationContext, line: dg.ResourceParam[Line]) -> dg.SkipReason:
        with line.incidents() as store:
            report = deliver_pending(store, line.settings, datetime.now(UTC))
        return dg.SkipReason(explain(report))

    return alerts


def explain(report: DeliveryReport) -> str:
    """What a round did, in a sentence for the tick's history."""
    parts = []
    if report.delivered:
        counts = Counter(item.channel for item in report.delivered)
        parts.append("sent " + ", ".join(f"{n} to {name}" for name, n in sorted(counts.items())))
    parts += [f"{i.notice_id} not taken by {i.channel}: {i.reason}" for i in report.failed]
    parts += [f"{i.notice_id} given up on {i.channel}: {i.reason}" for i in report.given_up]
    if report.waiting:
        parts.append(f"{report.waiting} waiting")
    return "; ".join(parts) or "there is nothing to tell"
