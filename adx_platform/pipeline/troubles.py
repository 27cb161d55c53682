"""What is in the way of the resident loop, said once when it begins and once when it is over.

Belongs here: the kinds, and remembering what lasts. Does not belong here: what the loop does about
it (``follow``), or who is told (``orchestration``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

logger = logging.getLogger(__name__)


class TroubleKind(StrEnum):
    """What is in the way.

    ``broker`` and ``lake``: not usable for now. ``topic``: the stream has no topic at the broker.
    ``replaced``: the broker's topic is not the one in the lake; its lane does not go on.
    ``recreated``: the topic has another identity than before; it goes on under the new one.
    ``warehouse``: it loads more slowly than the line refines.
    ``data``: a range cannot be refined. ``reference``: changed reference files cannot be read.
    """

    BROKER = "broker"
    LAKE = "lake"
    TOPIC = "topic"
    REPLACED = "replaced"
    RECREATED = "recreated"
    DATA = "data"
    REFERENCE = "reference"
    WAREHOUSE = "warehouse"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a lane, a stream, or all of them from going on.

    Attributes:
        kind: what.
        stream: which stream; null: all of them.
        lane: which of its lanes; null: all of them.
        message: one sentence for a person.
        since: when it was first seen, UTC.
        over_at: when it was over; null while it lasts.
    """

    kind: TroubleKind
    stream: str | None
    lane: int | None
    message: str
    since: datetime
    over_at: datetime | None = None

    @property
    def where(self) -> str:
        """For people: ``ad_impressions lane 1``."""
        if self.stream is None:
            return "all streams"
        return self.stream if self.lane is None else f"{self.stream} lane {self.lane}"


OnTrouble = Callable[[Trouble], None]
_Key = tuple[TroubleKind, str | None, int | None]


class TroubleLog:
    """The troubles that last. One thread writes it; any may read it."""

    def __init__(self, now: Callable[[], datetime], on_trouble: OnTrouble) -> None:
        """Remember nothing yet.

        Args:
            now: the wall clock, UTC.
            on_trouble: told about each trouble when it begins and when it is over.
        """
        self._now = now
        self._tell = on_trouble
        self._lasting: dict[_Key, Trouble] = {}

    def lasting(self) -> tuple[Trouble, ...]:
        """The troubles that are not over."""
        return tuple(self._lasting.values())

    def lasts(self, kind: TroubleKind, stream: str | None = None, lane: int | None = None) -> bool:
        """Whether it is in the way now."""
        return (kind, stream, lane) in self._lasting

    def begin(
        self, kind: TroubleKind, message: str, stream: str | None = None, lane: int | None = None
    ) -> None:
        """Something is in the way; said once, however often it is met."""
        key = (kind, stream, lane)
        if key in self._lasting:
            return
        trouble = Trouble(kind, stream, lane, message, self._now())
        self._lasting = self._lasting | {key: trouble}
        logger.warning("%s: %s", trouble.where, message)
        self._tell(trouble)

    def end(self, kind: TroubleKind, stream: str | None = None, lane: int | None = None) -> None:
        """It is out of the way, if it was in it."""
        key = (kind, stream, lane)
        found = self._lasting.get(key)
        if found is None:
            return
        self._lasting = {k: trouble for k, trouble in self._lasting.items() if k != key}
        over = replace(found, over_at=self._now())
        logger.warning("%s: over (%s): %s", over.where, kind.value, found.message)
        self._tell(over)

    def end_lane(self, stream: str, lane: int) -> None:
        """Whatever was in the way of a lane is not any more."""
        for kind, of_stream, of_lane in list(self._lasting):
            if (of_stream, of_lane) == (stream, lane):
                self.end(kind, stream, lane)
