"""What a broker says about a topic: its identity, its partitions and how far they reach.

Belongs here: the value types and the rule that makes a ``topic_id``. Does not belong here: asking
the broker (``admin``).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

_LOW_64_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic as the broker knows it now.

    ``topic_id`` identifies this life of the topic: a topic that is deleted and created again has
    another one, so that its offsets are never mixed with the old ones.
    """

    name: str
    topic_id: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far one partition reaches.

    ``low``: the first offset that the broker still has. ``last_stable``: the offset after the last
    one that a read_committed consumer may read; open transactions lie beyond it.
    """

    low: int
    last_stable: int


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic at one look: which one it is, and how far each of its partitions reaches."""

    topic_id: str
    watermarks: Mapping[int, Watermarks]


def topic_identity(name: str, most_significant: int, least_significant: int) -> str:
    """The ``topic_id`` of a topic whose broker gives it a uuid of these two 64 bit halves.

    It is written the way Kafka's own tools write it (URL-safe base64 without padding; it has no
    ``/``, which separates it from the partition in the lake's transaction ids). Brokers without
    topic ids answer the zero uuid: then the name has to do, as ``name:<topic>``.
    """
    number = (most_significant & _LOW_64_BITS) << 64 | (least_significant & _LOW_64_BITS)
    if number == 0:
        return f"name:{name}"
    return base64.urlsafe_b64encode(number.to_bytes(16, "big")).rstrip(b"=").decode()
