"""A lane drained as production drains it.

Belongs here: what the cases and the peers' bench have in common. Does not belong here: clocks.
"""

from __future__ import annotations

from adx_platform.contracts.streams import Stream
from adx_platform.lake.ranges import accounted_ranges
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.streams.lanes import lane_of
from adx_platform.streams.planner import plan
from adx_platform.streams.reader import RangeReader


def ingest_whole_lane(platform: Platform, stream: str, lane: int) -> int:
    """:func:`ingest_lane`; returns how many messages it dealt with."""
    return sum(sum(report.counts.values()) for report in ingest_lane(platform, stream, lane))


def land_lane(platform: Platform, stream: Stream, lane: int) -> int:
    """What :func:`ingest_lane` does before it refines; returns how many rows it landed."""
    limits = platform.settings.ingest
    topic_id = platform.kafka.describe(stream.topic).topic_id
    marks = platform.kafka.watermarks(stream.topic)
    lanes = platform.settings.kafka.lanes_per_topic
    partitions = [partition for partition in marks if lane_of(partition, lanes) == lane]
    landed = 0
    reader: RangeReader
    with platform.reader(stream.topic, topic_id) as reader:
        while True:
            landing = platform.landing(stream)
            committed = {p: landing.committed(topic_id, p) for p in partitions}
            reads = plan(committed, marks, max_records=limits.max_records_per_batch).reads
            if not reads:
                return landed
            raw = reader.read(reads, max_bytes=limits.max_bytes_per_batch)
            landing.commit(raw, topic_id, accounted_ranges(raw))
            landed += raw.height
