"""When downstream work starts by itself: one way for each step, so that nothing is built twice.

Belongs here: automation conditions and whether sensors and schedules start switched on. Does not
belong here: the sensors and schedules themselves.

* Ingest: the planner sensor (it knows the broker's offsets; Dagster does not).
* Load: declarative, whenever refined events were materialised.
* Build and publish: the cadence schedule, when there are loads that no green build included. dbt's
  cost is per build, not per batch, so it must not follow every load.
"""

from __future__ import annotations

import dagster as dg

from adx_platform.settings import Settings


def load_condition() -> dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]:
    """Load when any lane of any upstream stream was refined since the last load.

    Unlike ``eager()`` it does not wait until every lane has been materialised once (a lane may be
    empty for ever), nor until no lane is in progress (some lane always is). While conservation is
    broken in the lake nothing is loaded.

    An update is handled by a load that was asked for at the same evaluation or a later one.
    Dagster's ``since_last_handled()`` also takes those for handled that arrive between a request
    and the next evaluation, which the load may or may not have seen: with a resident loop that is
    most of them, and the last ones before a silence would wait for ever.
    """
    updated = dg.AutomationCondition.any_deps_updated()
    handled = dg.AutomationCondition.initial_evaluation() | (
        dg.AutomationCondition.newly_requested() & ~updated
    )
    blocked = dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.any_checks_match(
            dg.AutomationCondition.check_failed(), blocking_only=True
        )
    ).with_label("a blocking check of the lake failed")
    return (
        updated.since(handled).with_label("updated and not handled")
        & ~dg.AutomationCondition.in_progress()
        & ~blocked
    ).with_label("refined since the last load, and conserved")


def sensor_status(settings: Settings) -> dg.DefaultSensorStatus:
    """``ADX_AUTOMATION=on`` starts sensors; otherwise a person switches them on in the UI."""
    if settings.automation == "on":
        return dg.DefaultSensorStatus.RUNNING
    return dg.DefaultSensorStatus.STOPPED


def schedule_status(settings: Settings) -> dg.DefaultScheduleStatus:
    """The same for schedules."""
    if settings.automation == "on":
        return dg.DefaultScheduleStatus.RUNNING
    return dg.DefaultScheduleStatus.STOPPED
