"""Events per stage of the line, per stream.

Belongs here: the counts from the lake's stored rows and from the marts' authoritative dedupe.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.storage import LakeStorage
from adx_platform.quality.conservation import OffsetEquation
from adx_platform.quality.lake_rows import recount_landing, refined_window
from adx_platform.quality.metrics import measure_stream
from adx_platform.warehouse.published import query_published


@dataclass(frozen=True, slots=True)
class StreamStages:
    """What became of one stream's messages.

    Attributes:
        stream: its name.
        sent: messages that the simulator sent; None where the events are not simulated.
        landed: messages in the landing (its retention removes old ones).
        refined: messages with a disposition.
        loaded: messages in the warehouse that the published marts were built from.
        accepted: unique events, by the authoritative dedupe over all time.
        rejected: messages that were refused.
        duplicates: same event, same payload.
        conflicts: same event id, other payload.
        late: accepted by refining, but older at the broker than allowed.
        absent: offsets that are no messages.
        lost: offsets that the broker had dropped before they were read.
        reasons: rejected messages by reason code, the most frequent first.
        newest_event_time: of the accepted events in the lake.
        newest_message_time: the broker's timestamp of the newest message in the lake.
    """

    stream: str
    sent: int | None
    landed: int
    refined: int
    loaded: int
    accepted: int
    rejected: int
    duplicates: int
    conflicts: int
    late: int
    absent: int
    lost: int
    reasons: dict[str, int]
    newest_event_time: datetime | None = None
    newest_message_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conservation:
    """The verdict over all layers.

    ``broken``: one line for each partition and layer whose equation does not hold.
    """

    equations: int
    broken: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every offset is accounted for, once, in every layer."""
        return not self.broken and self.equations > 0


def gather_stages(
    storage: LakeStorage, published_dir: Path, simulation_dir: Path, *, tail: int | None = None
) -> tuple[list[StreamStages], Conservation]:
    """Count every stream's messages by stage, recounting conservation on the way.

    Args:
        storage: the lake.
        published_dir: where the snapshots are.
        simulation_dir: where the simulator's truth is.
        tail: recount only the last so many offsets of each partition of the lake, so that the cost
            does not grow with history; landed, refined and late are of these offsets then.

    Raises:
        LakeUnavailable: the storage failed.
        NothingPublishedError: no build was published yet.
    """
    marts = _mart_equations(published_dir)
    sent = _sent(simulation_dir)
    stages: list[StreamStages] = []
    broken: list[str] = []
    equations = 0
    for name, stream in STREAMS.items():
        window = refined_window(storage, stream, tail=tail)
        landing = recount_landing(storage, stream, tail=tail)
        mine = marts.filter(pl.col("stream") == name)
        stages.append(
            _stages(
                name,
                landing=landing,
                refined=window.equations,
                rows=window.rows,
                marts=mine,
                sent=sent.get(name),
            )
        )
        lake = [*landing, *window.equations]
        broken += [e.explain() for e in lake if e.verdict == "broken"]
        broken += _broken_marts(mine)
        equations += len(lake) + mine.height
    return stages, Conservation(equations, tuple(broken))


def _stages(
    name: str,
    *,
    landing: tuple[OffsetEquation, ...],
    refined: tuple[OffsetEquation, ...],
    rows: pl.DataFrame,
    marts: pl.DataFrame,
    sent: int | None,
) -> StreamStages:
    measures = measure_stream(rows)
    dispositions = (
        Disposition.ACCEPTED,
        Disposition.REJECTED,
        Disposition.DUPLICATE,
        Disposition.CONFLICT,
    )
    judged = {d: int(marts[str(d)].sum()) for d in dispositions}
    return StreamStages(
        stream=name,
        sent=sent,
        landed=sum(e.landed for e in landing),
        refined=sum(e.accepted + e.rejected + e.duplicate + e.conflict for e in refined),
        loaded=sum(judged.values()),
        accepted=judged[Disposition.ACCEPTED],
        rejected=judged[Disposition.REJECTED],
        duplicates=judged[Disposition.DUPLICATE],
        conflicts=judged[Disposition.CONFLICT],
        late=measures.late.part,
        absent=sum(e.absent for e in refined),
        lost=sum(e.lost for e in refined),
        reasons=measures.reasons,
        newest_event_time=measures.newest_event_time,
        newest_message_time=measures.newest_kafka_timestamp,
    )


def _mart_equations(published_dir: Path) -> pl.DataFrame:
    return query_published(published_dir, "select * from marts.conservation_offsets")


def _broken_marts(marts: pl.DataFrame) -> list[str]:
    return [
        f"marts/{row['stream']} partition {row['partition_id']} of {row['topic_id']}: "
        f"{row['committed_offsets']:,} offsets committed, {row['difference']:,} not accounted for, "
        f"{row['repeated_offsets']:,} repeated"
        for row in marts.filter(~pl.col("is_conserved")).iter_rows(named=True)
    ]


def _sent(simulation_dir: Path) -> dict[str, int]:
    summary = simulation_dir / "truth" / "summary.json"
    if not summary.is_file():
        return {}
    messages = json.loads(summary.read_text(encoding="utf-8"))["messages"]
    return {str(topic): int(count) for topic, count in messages.items()}
