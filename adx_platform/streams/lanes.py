"""Lanes: the fixed sets of partitions that are ingested side by side.

Belongs here: the arithmetic ``lane = partition modulo number of lanes`` and the lanes' names.
Does not belong here: anything that asks a broker. Changing the number of lanes is safe at any
time: offsets are committed per partition, never per lane.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"lane-(0|[1-9][0-9]*)")


def lane_of(partition: int, lanes: int) -> int:
    """The lane that owns ``partition`` when a topic has ``lanes`` lanes.

    Raises:
        ValueError: ``partition`` is negative or ``lanes`` is below 1.
    """
    if partition < 0 or lanes < 1:
        raise ValueError(f"no lane for partition {partition} of {lanes} lanes")
    return partition % lanes


def partitions_of_lane(lane: int, lanes: int, partition_count: int) -> tuple[int, ...]:
    """The partitions of ``lane``, ascending; empty where a topic has fewer partitions than lanes.

    Raises:
        ValueError: ``lane`` is not one of ``lanes`` lanes.
    """
    if not 0 <= lane < lanes:
        raise ValueError(f"lane {lane} does not exist: lanes are 0 to {lanes - 1}")
    return tuple(range(lane, partition_count, lanes))


def lane_key(lane: int) -> str:
    """The name of a lane, as used for Dagster partitions: ``lane-0``."""
    if lane < 0:
        raise ValueError(f"lane {lane} does not exist: lanes start at 0")
    return f"lane-{lane}"


def lane_keys(lanes: int) -> tuple[str, ...]:
    """The names of all lanes of a topic with ``lanes`` lanes."""
    return tuple(lane_key(lane) for lane in range(lanes))


def lane_from_key(key: str) -> int:
    """The lane that ``key`` names.

    Raises:
        ValueError: ``key`` is not of the form ``lane-<number>``.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"{key!r} is not the key of a lane: expected lane-0, lane-1, ...")
    return int(match.group(1))
