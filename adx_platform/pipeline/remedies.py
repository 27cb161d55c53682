"""Carry out what an incident asks for: refine again, or repair the lake.

Belongs here: from the remedy's words to the step that does it. Does not belong here: when a remedy
is due and how often (``quality.incidents``), remedies of the warehouse (``orchestration``), or the
steps themselves.

Every remedy may be carried out again: it then finds less to do, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from adx_platform.contracts.streams import STREAMS
from adx_platform.errors import AdxError
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.repair import repair_stream
from adx_platform.pipeline.replay import replay_rejects
from adx_platform.pipeline.reprocess import reprocess_range
from adx_platform.quality.incidents.model import Action, Remedy

_REASON = "remediation"


class ImpossibleRemedy(AdxError):  # noqa: N818 - as the other errors that a person meets
    """The remedy cannot be carried out as it is written; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class RemedyReport:
    """What a remedy did, in one sentence, and whether it changed anything."""

    detail: str
    changed: bool


def carry_out(platform: Platform, remedy: Remedy) -> RemedyReport:
    """Do what ``remedy`` says.

    ``repair_lake`` mends the stream's files, or all streams' where it names none, and looks only
    at files that may hold its ranges where it has some. ``refine_again`` takes the ranges; where
    there are none, the ranges of the rejects of its reasons.

    Raises:
        ImpossibleRemedy: the remedy is not of the lake, or names no stream that exists.
        AdxError: a step failed; carrying it out again goes on where it stopped.
    """
    if remedy.stream is not None and remedy.stream not in STREAMS:
        raise ImpossibleRemedy(f"no stream {remedy.stream!r}; the streams are {', '.join(STREAMS)}")
    if remedy.action == Action.REPAIR_LAKE:
        return _repair(platform, remedy)
    if remedy.action == Action.REFINE_AGAIN:
        return _refine(platform, remedy)
    raise ImpossibleRemedy(
        f"{remedy.action} is not a remedy of the lake: its own job carries it out"
    )


def _repair(platform: Platform, remedy: Remedy) -> RemedyReport:
    streams = [remedy.stream] if remedy.stream is not None else list(STREAMS)
    reports = [repair_stream(platform, name, within=remedy.ranges) for name in streams]
    return RemedyReport(
        "; ".join(report.explain() for report in reports),
        any(report.changed for report in reports),
    )


def _refine(platform: Platform, remedy: Remedy) -> RemedyReport:
    if remedy.stream is None:
        raise ImpossibleRemedy("refine_again needs a stream")
    if not remedy.ranges:
        replayed = replay_rejects(platform, remedy.stream, reasons=remedy.reasons)
        return RemedyReport(replayed.explain(), bool(replayed.mended))
    report = reprocess_range(
        platform, remedy.stream, remedy.ranges, reason=_REASON, topic_id=remedy.topic_id
    )
    named = ", ".join(str(item) for item in remedy.ranges)
    now = ", ".join(f"{name} {count:,}" for name, count in report.counts.items() if count)
    return RemedyReport(
        f"{remedy.stream} {named} refined again as revision {report.revision}: {now}",
        report.counts != report.counts_before,
    )
