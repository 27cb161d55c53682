"""Which remedy is allowed for which check: the whole table, and why.

Belongs here: the choice. Does not belong here: when it is made or how often (``lifecycle``), or
what a remedy does (``pipeline.remedies``).

A check may propose a remedy itself, because it knows the offsets or the reason codes; that comes
first. Everything that is not in the table is only watched: to do nothing is never wrong for long,
because whoever watches too long calls a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adx_platform.quality.incidents.model import Action, Finding, Remedy, Severity, Source
from adx_platform.quality.incidents.scopes import (
    BUILD_JOB,
    LOAD_JOB,
    REFERENCE_JOB,
    RUN,
    stream_of,
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A remedy and the reason for it, in words for the audit."""

    remedy: Remedy
    reason: str


UPSTREAM_FIRST = (
    Action.REPAIR_LAKE,
    Action.REFINE_AGAIN,
    Action.RELOAD_REFERENCE,
    Action.REBUILD_MARTS,
    Action.OBSERVE,
)
"""Where checks of one incident ask for different remedies, the first of these goes first: what is
further down is made from what is further up, and would have to be made again."""

_LAKE = "lake/"
_MARTS = "warehouse/marts/"
_LAKE_INTEGRITY = frozenset({"files_intact", "conservation", "conservation_history"})
# Checks of ours on marts that measure the market or the streams: a rebuild gives the same figures.
_MEASURED = ("volume_", "exchange_volume_", "reject_rate_", "late_rate_", "duplicate_rate_")
_MEASURED_NAMES = frozenset({"ctr", "win_rate", "cpm", "correlation", "freshness"})


def choose(finding: Finding) -> Choice:
    """What the platform may do about a bad ``finding``."""
    if finding.name == "contract":
        return _for_contract(finding)
    if finding.remedy is not None:
        return Choice(finding.remedy, "the check knows what is damaged and proposes it")
    if finding.source == Source.RUN and finding.name == RUN:
        return _for_run(finding)
    if finding.source == Source.CHECK:
        return _for_check(finding)
    return _observe("only its source can end it")


def most_upstream(remedies: Iterable[Remedy]) -> Remedy:
    """The remedy that repairs most upstream; of two alike the first one."""
    return min(remedies, key=lambda remedy: UPSTREAM_FIRST.index(remedy.action))


def _for_contract(finding: Finding) -> Choice:
    # A row that breaks the contract was accepted by a fault in the refiner: refining all history
    # again is a person's decision, a named range is not.
    if finding.remedy is not None and finding.remedy.ranges:
        return Choice(finding.remedy, "these ranges were refined wrongly")
    return _observe("without ranges it would mean to refine all history again")


def _for_run(finding: Finding) -> Choice:
    if finding.subject == REFERENCE_JOB:
        return Choice(Remedy(Action.RELOAD_REFERENCE), "loading the files again is safe")
    if finding.subject == BUILD_JOB:
        # A model may have failed on what an incremental build left behind.
        return Choice(Remedy(Action.REBUILD_MARTS), "marts are made again from the raw tables")
    if finding.subject == LOAD_JOB:
        return _observe("the next load tries again by itself, from the same cursor")
    if stream_of(finding) is not None:
        return _observe("the planner asks for the same range again, with growing pauses")
    return _observe("nothing repeats this job by itself")


def _for_check(finding: Finding) -> Choice:
    stream = stream_of(finding)
    if finding.subject.startswith(_LAKE):
        if finding.name in _LAKE_INTEGRITY and stream is not None:
            return Choice(
                Remedy(Action.REPAIR_LAKE, stream=stream),
                "files are landed again from the broker, or refined again from the landing",
            )
        # Reject share, late share, delay: the producers' doing, unless the check says otherwise.
        return _observe("the stored rows say what was sent; only the source can send better ones")
    if finding.name == "reference_coverage":
        return Choice(
            Remedy(Action.RELOAD_REFERENCE), "the files may have what the loaded tables lack"
        )
    if finding.subject.startswith("warehouse/"):
        return _for_warehouse(finding)
    return _observe("only its source can end it")


def _for_warehouse(finding: Finding) -> Choice:
    if not finding.subject.startswith(_MARTS):
        # A load compares itself with the lake; a restated range is replaced by the next load.
        return _observe("the next load brings the raw tables in line with the lake")
    if _is_measured(finding.name):
        return _observe("a rebuild gives the same figures; only the source can end it")
    if finding.severity == Severity.ERROR:
        # Conservation and dbt's own tests: the raw tables are the truth, the marts are derived.
        return Choice(Remedy(Action.REBUILD_MARTS), "marts are made again from the raw tables")
    return _observe("a warning of a model's test is about its data, not about its build")


def _is_measured(name: str) -> bool:
    return name in _MEASURED_NAMES or name.startswith(_MEASURED)


def _observe(reason: str) -> Choice:
    return Choice(Remedy(Action.OBSERVE), reason)
