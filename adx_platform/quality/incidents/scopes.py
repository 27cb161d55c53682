"""What a finding belongs to: findings of one scope that fail together are one incident.

Belongs here: the scopes, and which finding is none of them. Does not belong here: what is done
about it (``policies``).
"""

from __future__ import annotations

from typing import Final

from adx_platform.contracts.streams import STREAMS
from adx_platform.quality.incidents.model import Finding, Source

MARKET: Final = "market"
REFERENCE: Final = "reference"
WAREHOUSE: Final = "warehouse"
PLATFORM: Final = "platform"

RUN: Final = "run"
"""Name of the finding that a run failed or succeeded."""

FRESHNESS: Final = "freshness"
"""Name of the finding that an asset was, or was not, materialised in time."""

STANDING_SUBJECT: Final = "platform/incidents"
STANDING_CHECK: Final = "unresolved_incidents"

REFERENCE_JOB: Final = "load_reference_data"
BUILD_JOB: Final = "build"
LOAD_JOB: Final = "load"

_MARKET_CHECKS = frozenset({"ctr", "win_rate", "cpm"})
_WAREHOUSE_JOBS = frozenset({BUILD_JOB, LOAD_JOB, "audit"})
_INGEST_PREFIX = "ingest_"


def stream_scope(stream: str) -> str:
    """The scope of everything about one stream."""
    return f"stream:{stream}"


def stream_of(finding: Finding) -> str | None:
    """The stream that the finding is about, by its asset, its check or its job; or none."""
    if finding.source == Source.RUN:
        job = finding.subject.split("/", 1)[0]
        stream = job.removeprefix(_INGEST_PREFIX)
        return stream if job != stream and stream in STREAMS else None
    last = finding.subject.rsplit("/", 1)[-1]
    if last in STREAMS:
        return last
    return next((s for s in STREAMS if finding.name.endswith(f"_{s}")), None)


def scope_of(finding: Finding) -> str:
    """The scope of ``finding``: ``stream:<stream>``, market, reference, warehouse or platform."""
    stream = stream_of(finding)
    if stream is not None:
        return stream_scope(stream)
    if finding.source == Source.RUN:
        return _scope_of_job(finding.subject)
    if finding.name in _MARKET_CHECKS:
        return MARKET
    head = finding.subject.split("/", 1)[0]
    return head if head in (REFERENCE, WAREHOUSE) else PLATFORM


def is_about_incidents(finding: Finding) -> bool:
    """Whether it is the standing check, which speaks of incidents and must not become one."""
    return finding.subject == STANDING_SUBJECT and finding.name == STANDING_CHECK


def _scope_of_job(job: str) -> str:
    if job == REFERENCE_JOB:
        return REFERENCE
    return WAREHOUSE if job in _WAREHOUSE_JOBS else PLATFORM
