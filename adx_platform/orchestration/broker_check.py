"""Is the broker there, with the topic, and is it the one in the lake? As a check of the topic.

Belongs here: the verdict, from what the resident loop sees or by asking the broker. Does not belong
here: asking it in a loop (``pipeline.follow``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import dagster as dg

from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.lake.sources import known_sources
from adx_platform.orchestration import keys
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.follow_state import FollowStatus
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.streams.errors import StreamError

BROKER: Final = "broker"

PATIENCE: Final = timedelta(seconds=2)
"""A request that fails once, or a broker that changes its leader, is not worth an alarm."""

_KINDS: Final = frozenset(
    {TroubleKind.BROKER, TroubleKind.TOPIC, TroubleKind.REPLACED, TroubleKind.RECREATED}
)


def broker_trouble(status: FollowStatus, stream: str, now: datetime) -> Trouble | None:
    """What is wrong with the topic of ``stream`` for longer than a moment, as the loop sees it.

    Args:
        status: of the loop.
        stream: name of the stream.
        now: UTC.
    """
    found = [
        trouble
        for trouble in status.troubles
        if trouble.kind in _KINDS
        and trouble.stream in {None, stream}
        and (trouble.kind is not TroubleKind.BROKER or now - trouble.since >= PATIENCE)
    ]
    return min(found, key=lambda trouble: trouble.since) if found else None


def broker_evaluation(stream: str, trouble: Trouble | None) -> dg.AssetCheckEvaluation:
    """The result of the check, from what is in the way."""
    return dg.AssetCheckEvaluation(
        asset_key=keys.kafka_key(stream),
        check_name=BROKER,
        passed=trouble is None,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            "the broker answers and has the topic" if trouble is None else trouble.message
        ),
        metadata={} if trouble is None else {"kind": trouble.kind.value},
    )


def broker_checks() -> list[dg.AssetChecksDefinition]:
    """The check ``broker`` of each topic, to be run by hand; the loop reports it by itself."""
    return [_broker_check(stream) for stream in STREAMS.values()]


def _broker_check(stream: Stream) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.kafka_key(stream.name),
        name=BROKER,
        description="The broker answers, and has the topic that is in the lake.",
    )
    def check_broker(line: dg.ResourceParam[Line]) -> dg.AssetCheckResult:
        problem = _problem(line, stream)
        return dg.AssetCheckResult(
            passed=problem is None,
            severity=dg.AssetCheckSeverity.ERROR,
            description=problem or "the broker answers and has the topic",
        )

    return check_broker


def _problem(line: Line, stream: Stream) -> str | None:
    with line.platform() as platform:
        try:
            state = platform.kafka.look([stream.topic]).get(stream.topic)
        except StreamError as error:
            return str(error)
        if state is None:
            return f"topic {stream.topic} does not exist; `adx topics --create` makes it"
        known = {source.topic_id for source in known_sources(platform.storage, stream.topic)}
        if known and state.topic_id not in known:
            return (
                f"topic {stream.topic} is {state.topic_id} at the broker, and the lake has "
                f"{', '.join(sorted(known))}: it was created anew. What it holds is ingested under "
                "its new identity."
            )
    return None
