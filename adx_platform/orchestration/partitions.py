"""Lanes as Dagster partitions.

Belongs here: the translation between the two. Does not belong here: which Kafka partitions a lane
owns (``streams.lanes``).
"""

from __future__ import annotations

import dagster as dg

from adx_platform.settings import Settings
from adx_platform.streams.lanes import lane_keys


def lane_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition per lane, the same for every stream."""
    return dg.StaticPartitionsDefinition(list(lane_keys(settings.kafka.lanes_per_topic)))
