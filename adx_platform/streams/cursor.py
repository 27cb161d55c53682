"""Where the reading of one partition stands, and which messages wait for a later range.

Belongs here: positions and what was fetched ahead, without a client. Does not belong here: asking
for messages (``reader``).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message

from adx_platform.streams.frames import MessageColumns


@dataclass(slots=True)
class PartitionCursor:
    """Messages from ``position`` on are in ``leftover`` or to come.

    Attributes:
        position: the next offset that a range may want.
        reached: offsets before it are known to have come, or to have no message.
        assigned: whether the client fetches.
        leftover: messages that came before their range was asked for.
        leftover_bytes: size of their values together.
    """

    position: int
    reached: int
    assigned: bool = False
    leftover: list[Message] = field(default_factory=list)
    leftover_bytes: int = 0

    @property
    def next_to_fetch(self) -> int:
        """Where the client has to go on, so that nothing is delivered twice."""
        return offset_of(self.leftover[-1]) + 1 if self.leftover else self.position

    def take_leftover(self) -> list[Message]:
        """Hand over what was put aside."""
        messages, self.leftover, self.leftover_bytes = self.leftover, [], 0
        return messages

    def take(self, messages: Sequence[Message], end: int, into: MessageColumns) -> None:
        """Put messages before ``end`` into ``into`` and the rest aside; repeated ones are dropped.

        Args:
            messages: in the order of their offsets.
            end: the first offset that is not wanted yet.
            into: receives what is wanted.
        """
        first = bisect_left(messages, self.position, key=offset_of)
        cut = bisect_left(messages, end, lo=first, key=offset_of)
        if first < cut:
            into.extend(messages[first:cut])
            self.position = offset_of(messages[cut - 1]) + 1
        if cut < len(messages):
            self.leftover += messages[cut:]
            self.leftover_bytes += sum(map(len, messages[cut:]))
            self.reached = max(self.reached, offset_of(messages[-1]) + 1)


def offset_of(message: Message) -> int:
    """The offset of a message, which each that was received has."""
    offset = message.offset()
    return -1 if offset is None else offset
