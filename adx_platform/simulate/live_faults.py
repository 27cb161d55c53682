"""Faults that can be switched on in the running market's traffic, one class per kind.

Belongs here: what each kind does to the messages that pass by. Does not belong here: when one is
on (``live_board``), or the everyday faults of single messages (``sender``).

A kind sees each message once, at its time, and says what goes out in its place; what is to go out
later it hands back to the traffic. Nothing that a fault adds is touched by another fault.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from adx_platform.codecs.framing import confluent_frame
from adx_platform.codecs.registry import FileSchemaRegistry, SchemaRegistry
from adx_platform.contracts.avro_schemas import avro_schema, subject_of
from adx_platform.simulate.avro_fragments import RecordEncoder
from adx_platform.simulate.encoding import Encoded
from adx_platform.simulate.events import AD_IMPRESSIONS, CLICKS_CONVERSIONS, TOPIC_OF, TOPICS
from adx_platform.simulate.live_message import LiveMessage, milliseconds
from adx_platform.simulate.live_orders import FaultOrder, OrderRefused
from adx_platform.simulate.live_traffic import LiveTraffic
from adx_platform.simulate.malformed import Breaker
from adx_platform.simulate.randomness import generator

_MICROSECOND = timedelta(microseconds=1)
_COPY_MS = 5_000
_BID_REQUEST = "BidRequest"


@dataclass(frozen=True)
class Surroundings:
    """What a fault may use.

    Attributes:
        traffic: the market's messages.
        registry: the registry that the platform reads.
        folder: the live market's own folder.
    """

    traffic: LiveTraffic
    registry: SchemaRegistry
    folder: Path


class Fault(Protocol):
    """One fault at work; ``affected`` counts the messages that it touched."""

    affected: int

    def begin(self, now: datetime, until: datetime) -> None:
        """Start at the simulated moment ``now``, to last until ``until``."""

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """What goes out in place of ``message``."""

    def end(self) -> None:
        """Leave everything as it is to stay."""


class _Base:
    """A fault that does nothing at its start and end."""

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        self.affected = 0
        self._around = around
        self._rng = generator(around.traffic.config.seed, f"fault/{order.order_id}")
        self._choice = _Choice(order)

    def begin(self, now: datetime, until: datetime) -> None:
        """Nothing to prepare."""

    def end(self) -> None:
        """Nothing to clear up."""


class VolumeDrop(_Base):
    """A share of one topic is not sent."""

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        super().__init__(order, around)
        self._topic = self._choice.topic(AD_IMPRESSIONS)
        self._share = self._choice.share(0.9)
        self._choice.require_nothing_else()

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """Drop it, or let it pass."""
        if message.topic == self._topic and self._rng.random() < self._share:
            self.affected += 1
            return ()
        return (message,)


class ExchangeSilent(_Base):
    """Nothing that speaks of one exchange is sent."""

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        super().__init__(order, around)
        known = [exchange.exchange_id for exchange in around.traffic.world.exchanges]
        self._exchange = self._choice.one_of("exchange", known, known[0])
        self._choice.require_nothing_else()

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """Drop it, or let it pass."""
        if message.exchange_id == self._exchange:
            self.affected += 1
            return ()
        return (message,)


class MalformedStorm(_Base):
    """Beside a share of one topic's messages goes a broken one, of any kind."""

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        super().__init__(order, around)
        self._topic = self._choice.topic(AD_IMPRESSIONS)
        self._share = self._choice.share(0.6)
        self._choice.require_nothing_else()
        self._breaker = Breaker(around.traffic.encoder, self._rng)

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """The message, and perhaps a broken one after it."""
        event = message.event
        if message.topic != self._topic or event is None or self._rng.random() >= self._share:
            return (message,)
        self.affected += 1
        broken = self._breaker.break_message(
            event, message.version, Encoded(message.value, message.headers)
        )
        extra = replace(
            message,
            value=broken.encoded.value,
            headers=broken.encoded.headers,
            event_time_us=None,
            reason=broken.reason.value,
            fault=broken.kind,
            event=None,
            is_extra=True,
        )
        return message, extra


class DuplicateStorm(_Base):
    """A producer sends a share of one topic's messages several times."""

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        super().__init__(order, around)
        self._topic = self._choice.topic(AD_IMPRESSIONS)
        self._share = self._choice.share(0.8)
        self._copies = self._choice.whole("copies", 2)
        self._choice.require_nothing_else()

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """The message; its copies follow within seconds."""
        if message.topic == self._topic and self._rng.random() < self._share:
            for _ in range(self._copies):
                self.affected += 1
                again = copy(message)
                again.is_extra = True
                again.fault = "duplicate"
                again.timestamp_ms += self._rng.randrange(1, _COPY_MS)
                self._around.traffic.wait(again)
        return (message,)


class LateFlood(_Base):
    """Somebody sends what happened hours ago, all of it in a short time."""

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        super().__init__(order, around)
        self._topic = self._choice.topic(CLICKS_CONVERSIONS)
        self._messages = self._choice.whole("messages", 150)
        self._hours = self._choice.whole("hours", 8)
        self._choice.require_nothing_else()
        if timedelta(hours=self._hours - 1) < around.traffic.config.bounds.late_after:
            raise OrderRefused(f"what is {self._hours} hours old is not late by the settings")

    def begin(self, now: datetime, until: datetime) -> None:
        """Make the events, and let them wait for their moments before ``until``."""
        hour = (now - timedelta(hours=self._hours)).replace(minute=0, second=0, microsecond=0)
        traffic = self._around.traffic
        events = (e for e in traffic.events_of(hour) if TOPIC_OF[e.record_type] == self._topic)
        first_ms, last_ms = milliseconds(now) + 1, milliseconds(until) - 1
        latest_us = milliseconds(now) * 1_000 - traffic.config.bounds.late_after // _MICROSECOND
        # A conversion may come hours after its session: those that would not be late are left out.
        late = (event for event in events if event.time_us < latest_us)
        for event in islice(late, self._messages):
            version = traffic.encoder.settle_version(event)
            encoded = traffic.encoder.encode(event, version)
            traffic.wait(
                LiveMessage(
                    topic=self._topic,
                    partition=crc32(event.key.encode()) % traffic.config.partitions_per_topic,
                    timestamp_ms=self._rng.randint(first_ms, max(first_ms, last_ms)),
                    key=event.key.encode(),
                    value=encoded.value,
                    headers=encoded.headers,
                    record_type=event.record_type,
                    event_id=event.event_id,
                    event_time_us=event.time_us,
                    reason=None,
                    fault="late",
                    exchange_id=event.fields.get("exchange_id"),
                    is_extra=True,
                )
            )
            self.affected += 1

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """Everything else passes."""
        return (message,)


class SchemaChange(_Base):
    """Bid requests come with a writer schema that is registered only at the end.

    The registry of files takes the id of a schema from its content, so that the producer knows it
    beforehand; a server gives ids out, and there the fault is refused.
    """

    def __init__(self, order: FaultOrder, around: Surroundings) -> None:
        super().__init__(order, around)
        self._share = self._choice.share(0.6)
        self._choice.require_nothing_else()
        if not isinstance(around.registry, FileSchemaRegistry):
            raise OrderRefused("schema_change needs the registry of files: unset ADX_REGISTRY__URL")
        # A field of its own for each time, so that the schema is new each time.
        self._field = "exp_" + "".join(c if c.isalnum() else "_" for c in order.order_id)
        self._schema = changed_schema(self._field)
        self._encode = RecordEncoder.of(self._schema)
        own = FileSchemaRegistry(around.folder / "unregistered")
        self._frame = confluent_frame(own.register(subject_of(_BID_REQUEST), self._schema))

    def apply(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """A share of the bid requests in the new schema."""
        event = message.event
        if event is None or message.record_type != "bid_request" or message.is_copy:
            return (message,)
        if self._rng.random() >= self._share:
            return (message,)
        self.affected += 1
        record = {**self._around.traffic.encoder.avro_record(event), self._field: "b"}
        return (replace(message, value=self._frame + self._encode(record), fault="new_schema"),)

    def end(self) -> None:
        """Register the schema: from now on the rejects can be refined again."""
        register_changed(self._around.registry, self._schema)


def changed_schema(field: str) -> str:
    """The schema of bid requests with one more optional field."""
    schema = json.loads(avro_schema(_BID_REQUEST))
    schema["fields"].append({"name": field, "type": ["null", "string"], "default": None})
    return json.dumps(schema, sort_keys=True)


def register_changed(registry: SchemaRegistry, schema: str) -> None:
    """Register a schema of :func:`changed_schema` where the platform finds it."""
    registry.register(subject_of(_BID_REQUEST), schema)


KINDS: Mapping[str, Callable[[FaultOrder, Surroundings], Fault]] = {
    "volume_drop": VolumeDrop,
    "exchange_silent": ExchangeSilent,
    "malformed_storm": MalformedStorm,
    "duplicate_storm": DuplicateStorm,
    "late_flood": LateFlood,
    "schema_change": SchemaChange,
}
"""Kinds of faults in the traffic, by the name that orders use."""


def make_fault(order: FaultOrder, around: Surroundings) -> Fault:
    """The fault that was ordered, not begun.

    Raises:
        OrderRefused: there is no such kind, or its parameters make no sense.
    """
    make = KINDS.get(order.kind)
    if make is None:
        raise OrderRefused(f"there is no fault {order.kind!r}; known: {', '.join(KINDS)}")
    return make(order, around)


class _Choice:
    """The parameters of an order, each taken once and judged."""

    def __init__(self, order: FaultOrder) -> None:
        self._kind = order.kind
        self._left: dict[str, Any] = dict(order.parameters)

    def topic(self, default: str) -> str:
        return self.one_of("topic", TOPICS, default)

    def one_of(self, name: str, known: Iterable[str], default: str) -> str:
        value = self._left.pop(name, default)
        if value not in known:
            raise OrderRefused(f"{name} must be one of {', '.join(known)}, got {value!r}")
        return str(value)

    def share(self, default: float) -> float:
        value = self._left.pop("share", default)
        if not isinstance(value, int | float) or not 0 < value <= 1:
            raise OrderRefused(f"share must be above 0 and at most 1, got {value!r}")
        return float(value)

    def whole(self, name: str, default: int) -> int:
        value = self._left.pop(name, default)
        if not isinstance(value, int) or value < 1:
            raise OrderRefused(f"{name} must be a whole number above 0, got {value!r}")
        return value

    def require_nothing_else(self) -> None:
        if self._left:
            raise OrderRefused(f"{self._kind} knows no parameter {', '.join(sorted(self._left))}")
