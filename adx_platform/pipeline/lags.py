"""How far each partition is: at the broker, landed, refined.

Belongs here: the three numbers side by side. Does not belong here: judging them (``quality``) or
acting on them (``orchestration``).
"""

from __future__ import annotations

from dataclasses import dataclass

from adx_platform.contracts.streams import stream_named
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.pipeline.platform import Platform
from adx_platform.streams.lanes import lane_of


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition of a stream.

    Attributes:
        stream: name of the stream.
        lane: the lane that owns the partition.
        partition: Kafka partition.
        topic_id: identity of the topic as it is now.
        low: the first offset that the broker still has.
        last_stable: the offset after the last one that may be read.
        landed: next offset to land; ``None`` if the partition was never landed.
        refined: next offset to refine; ``None`` if the partition was never refined.
    """

    stream: str
    lane: int
    partition: int
    topic_id: str
    low: int
    last_stable: int
    landed: int | None
    refined: int | None

    @property
    def behind(self) -> int:
        """Offsets that are readable, or were lost before they were read, but not yet refined."""
        begin = self.low if self.refined is None else self.refined
        return max(0, self.last_stable - begin)


def lags(platform: Platform, stream: str) -> list[PartitionLag]:
    """The lag of every partition of the stream's topic, in partition order.

    Raises:
        ValueError: there is no such stream.
        UnknownTopic: the broker has no such topic.
        StreamError, LakeError: the broker or the lake does not answer.
    """
    topic = stream_named(stream).topic
    topic_id = platform.kafka.describe(topic).topic_id
    marks = platform.kafka.watermarks(topic)
    landed = landed_offsets(platform.storage, topic)
    refined = refined_offsets(platform.storage, topic)
    lanes = platform.settings.kafka.lanes_per_topic
    return [
        PartitionLag(
            stream=stream,
            lane=lane_of(partition, lanes),
            partition=partition,
            topic_id=topic_id,
            low=marks[partition].low,
            last_stable=marks[partition].last_stable,
            landed=landed.get((topic_id, partition)),
            refined=refined.get((topic_id, partition)),
        )
        for partition in sorted(marks)
    ]
