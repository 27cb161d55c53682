"""Names around incidents that several orchestration modules share: jobs, tags, the standing check.

Belongs here: spelling and the mapping of actions to jobs. Does not belong here: behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dagster as dg

from adx_platform.quality.incidents.model import Action
from adx_platform.quality.incidents.scopes import BUILD_JOB, REFERENCE_JOB

INCIDENT_TAG: Final = "adx/incident"
ATTEMPT_TAG: Final = "adx/attempt"
RECHECK_TAG: Final = "adx/recheck"

REMEDIATE_JOB: Final = "remediate"
RECHECK_JOB: Final = "recheck"
RELOAD_JOB: Final = "reload_reference"
REBUILD_JOB: Final = "rebuild_marts"

JOB_OF: Final[Mapping[Action, str]] = {
    Action.REFINE_AGAIN: REMEDIATE_JOB,
    Action.REPAIR_LAKE: REMEDIATE_JOB,
    Action.RELOAD_REFERENCE: RELOAD_JOB,
    Action.REBUILD_MARTS: REBUILD_JOB,
}
"""Which job carries an action out; to observe needs none."""

LAUNCHED_JOBS: Final = frozenset({*JOB_OF.values(), RECHECK_JOB})
"""Everything that the sensor ``remediation`` may launch."""

STANDS_FOR: Final[Mapping[str, str]] = {RELOAD_JOB: REFERENCE_JOB, REBUILD_JOB: BUILD_JOB}
"""Jobs that do the work of a standing one: if it works, the standing one's failure is over."""

ASKED_FOR_JOBS: Final = frozenset({"backfill_hours", "replay_rejects"})
"""Jobs that only a person starts, who also sees how they end."""

INCIDENTS_KEY: Final = dg.AssetKey(["platform", "incidents"])
