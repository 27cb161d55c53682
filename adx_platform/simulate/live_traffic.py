"""The market's messages in the order of their Kafka timestamps, without end.

Belongs here: filling hour after hour with sessions, and the heap in which delayed, late and
repeated messages wait for their time. Does not belong here: the clock that says how far to go
(``live_clock``), the broker (``live_producer``), or files (``live_state``).

A message is made at the latest when its hour begins, so that one that is late by days waits here,
and memory is bounded by the longest delay times the traffic.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.errors import AdxError
from adx_platform.settings import RefineSettings
from adx_platform.simulate.config import SMALLEST_RUN, FaultRates, MarketConfig
from adx_platform.simulate.encoding import Encoded, EventEncoder, SchemaRegistrar
from adx_platform.simulate.events import TOPIC_OF, Event
from adx_platform.simulate.live_message import LiveMessage, milliseconds, simulated
from adx_platform.simulate.market import Market
from adx_platform.simulate.population import Population
from adx_platform.simulate.seasonality import hour_at
from adx_platform.simulate.sender import Sender
from adx_platform.simulate.world import World, build_world

HORIZON_DAYS: Final = 730
"""Flights and budgets reach so far: at 60 simulated seconds a second, twelve days of running."""

_EVOLVED_AFTER_DAYS: Final = 7
_PEOPLE_OF_DAYS: Final = 10
_HOUR: Final = timedelta(hours=1)
_HOURS_PER_WEEK: Final = 168


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """A market that goes on.

    Attributes:
        seed: any integer; the same one gives the same world and, from the start on, messages.
        start: first simulated instant, at a full hour.
        per_hour: messages of an average simulated hour, over all topics.
        partitions_per_topic: partitions that messages are spread over, by key.
        bounds: the time bounds of the platform, which say what is late or too old.
        faults: rates of the everyday faults.
    """

    seed: int = 20260302
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    per_hour: int = 450
    partitions_per_topic: int = 4
    bounds: RefineSettings = field(default_factory=RefineSettings)
    faults: FaultRates = field(
        default_factory=lambda: FaultRates(evolved_from=_EVOLVED_AFTER_DAYS / HORIZON_DAYS)
    )

    def __post_init__(self) -> None:
        if self.per_hour < 1:
            raise ValueError(f"messages per hour must be at least 1, got {self.per_hour}")

    @property
    def market(self) -> MarketConfig:
        """The market over the whole horizon."""
        return MarketConfig(
            seed=self.seed,
            events=max(SMALLEST_RUN, self.per_hour * 24 * HORIZON_DAYS),
            start=self.start,
            days=HORIZON_DAYS,
            faults=self.faults,
            partitions_per_topic=self.partitions_per_topic,
            bounds=self.bounds,
        )

    @property
    def population(self) -> Population:
        """Its people: as many as some days' messages need, not those of the whole horizon."""
        events = max(SMALLEST_RUN, self.per_hour * 24 * _PEOPLE_OF_DAYS)
        return Population(replace(self.market, events=events))


class LiveTraffic:
    """Messages from a moment on; :meth:`until` gives them out."""

    def __init__(
        self,
        config: LiveConfig,
        registry: SchemaRegistrar,
        *,
        resume_at: datetime | None = None,
        generation: int = 0,
        waiting: Iterable[LiveMessage] = (),
    ) -> None:
        """Open the market.

        Args:
            config: the market.
            registry: where its producers' Avro schemas are registered.
            resume_at: where an earlier generation stopped; absent: at the start.
            generation: 0, 1, ...: ids of one generation never meet those of another.
            waiting: messages that an earlier generation made before the hour of ``resume_at``
                and had not sent.
        """
        market = config.market
        self.config = config
        self.world: World = build_world(market)
        self._market = Market(
            market, self.world, population=config.population, generation=generation
        )
        self.encoder = EventEncoder(market, registry, self._market.requests.encoder)
        self._sender = Sender(market, self.encoder, self, generation=generation)
        self._end = market.end
        self._numbers = count()
        self._heap: list[tuple[int, int, LiveMessage]] = []
        resume_at = resume_at or config.start
        self._sent_ms = milliseconds(resume_at) - 1
        self._next_hour = resume_at.replace(minute=0, second=0, microsecond=0)
        self._mean_weight = mean_weight(config.start)
        self._made = 0
        self._owed = 0.0
        for message in waiting:
            self.wait(message)

    @property
    def next_hour(self) -> datetime:
        """The first hour whose messages are not made yet."""
        return self._next_hour

    def until(self, timestamp_ms: int) -> Iterator[LiveMessage]:
        """Every message before ``timestamp_ms``, in order; each is given out once.

        Raises:
            AdxError: the market has reached the end of its horizon.
        """
        while True:
            next_hour_ms = milliseconds(self._next_hour)
            bound = min(timestamp_ms, next_hour_ms)
            while self._heap and self._heap[0][0] < bound:
                message = heapq.heappop(self._heap)[2]
                self._sent_ms = message.timestamp_ms
                yield message
            if timestamp_ms <= next_hour_ms:
                return
            self._make_hour()

    def wait(self, message: LiveMessage) -> None:
        """Let a message wait for its time; one whose time was before a stop is forgotten."""
        if message.timestamp_ms > self._sent_ms or message.is_extra:
            heapq.heappush(self._heap, (message.timestamp_ms, next(self._numbers), message))

    def waiting(self) -> list[LiveMessage]:
        """What waits, in order."""
        return [message for _, _, message in sorted(self._heap, key=lambda item: item[:2])]

    def events_of(self, hour: datetime) -> Iterator[Event]:
        """Events of further sessions that began in a past hour; they are sent by the caller."""
        for session in self._market.sessions(hour_at(hour)):
            yield from session

    def content(self, event: Event) -> int:
        """Contents are not kept: the truth of a live market is counts."""
        del event
        return 0

    def add(
        self,
        event: Event,
        encoded: Encoded,
        *,
        partition: int,
        timestamp_ms: int,
        fault: str | None,
        content: int | None,
        reason: ReasonCode | None = None,
    ) -> None:
        """Take one message from the sender."""
        del content
        self._made += 1
        self.wait(
            LiveMessage(
                topic=TOPIC_OF[event.record_type],
                partition=partition,
                timestamp_ms=timestamp_ms,
                key=event.key.encode(),
                value=encoded.value,
                headers=encoded.headers,
                record_type=event.record_type,
                event_id=event.event_id,
                event_time_us=event.time_us if reason is None else None,
                reason=None if reason is None else reason.value,
                fault=fault,
                exchange_id=event.fields.get("exchange_id"),
                event=event if reason is None else None,
                version=self.encoder.settle_version(event),
            )
        )

    def _make_hour(self) -> None:
        hour = hour_at(self._next_hour)
        if hour.start >= self._end:
            raise AdxError(
                f"the simulated market ends at {simulated(milliseconds(self._end)):%Y-%m-%d}: "
                "start a new one in another ADX_HOME"
            )
        self._owed += self.config.per_hour * hour.weight / self._mean_weight
        sessions = self._market.sessions(hour)
        while self._made < self._owed:
            for event in next(sessions):
                self._sender.send(event)
        self._next_hour += _HOUR


def mean_weight(start: datetime) -> float:
    """Weight of an average hour of the week that begins at ``start``."""
    hours = (hour_at(start + index * _HOUR) for index in range(_HOURS_PER_WEEK))
    return sum(hour.weight for hour in hours) / _HOURS_PER_WEEK
