"""From the market to the broker: delays, wrong clocks, repeated, changed, late and broken messages.

Belongs here: when each fault happens, and to which message. Does not belong here: how a message can
be broken (``malformed``), or the verdict about it (``message_log``).
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from zlib import crc32

from adx_platform.simulate import behaviour
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.encoding import Encoded, EventEncoder
from adx_platform.simulate.events import (
    AD_IMPRESSIONS,
    BID_REQUESTS,
    CLICKS_CONVERSIONS,
    TOPIC_OF,
    Event,
)
from adx_platform.simulate.malformed import Breaker
from adx_platform.simulate.message_log import MessageSink
from adx_platform.simulate.randomness import generator, log_normal, of_generation

_LONGEST_LATE_MS = 72 * 3_600_000
_REPEAT_MS = (1_000, 6 * 3_600_000)
_SECOND_COPY_SHARE = 0.1
_OTHER_PARTITION_SHARE = 0.25
_CONFLICT_SHIFT_US = (1_000_000, 30_000_000)
# How much more often than the configured rate a topic's messages are broken: exchanges send machine
# made Avro, publishers' tags JSON from any browser, advertisers CSV from their own scripts.
_DIRT_OF_TOPIC = {BID_REQUESTS: 0.8, AD_IMPRESSIONS: 1.6, CLICKS_CONVERSIONS: 7.0}
_MS = timedelta(milliseconds=1)
_OUT_OF_BOUNDS = frozenset({"future", "too_old"})


class Sender:
    """Turns events into messages of a log, with faults at the configured rates."""

    def __init__(
        self,
        config: MarketConfig,
        encoder: EventEncoder,
        log: MessageSink,
        *,
        generation: int = 0,
    ) -> None:
        self._rng = generator(config.seed, of_generation("faults", generation))
        self._rates = config.faults
        self._partitions = config.partitions_per_topic
        self._end_ms = int(config.end.timestamp()) * 1_000
        self._late_from_ms = config.bounds.late_after // _MS + 60_000
        self._skew_us = int(config.bounds.future_tolerance.total_seconds() * 0.8) * 1_000_000
        self._future_us = int(config.bounds.future_tolerance.total_seconds() * 1.2) * 1_000_000
        self._old_us = int(config.bounds.oldest_accepted.total_seconds() * 1.03) * 1_000_000
        self._encoder = encoder
        self._breaker = Breaker(
            encoder, generator(config.seed, of_generation("malformed", generation))
        )
        self._log = log

    def send(self, event: Event) -> None:
        """Send one event: one message, more or none that is good, as the faults have it."""
        rng = self._rng
        happened_ms = event.time_us // 1_000
        clock_fault = self._set_clock_wrong(event)
        version = self._encoder.settle_version(event)
        encoded = self._encoder.encode(event, version)
        delay = log_normal(rng, behaviour.SEND_DELAY_MS_MEDIAN, behaviour.SEND_DELAY_SIGMA)
        sent_ms = prompt_ms = min(happened_ms + 1 + int(delay), self._end_ms - 1)
        fault = clock_fault
        if rng.random() < self._rates.late:
            late_ms = happened_ms + _log_uniform(self._late_from_ms, _LONGEST_LATE_MS, rng.random())
            # What could only be sent after the end is not late: it was sent in time.
            if late_ms < self._end_ms:
                sent_ms, fault = late_ms, clock_fault or "late"
        dirt = _DIRT_OF_TOPIC[TOPIC_OF[event.record_type]]
        if clock_fault in _OUT_OF_BOUNDS:
            # Rejected already; were it broken too, either reason would be right.
            dirt = 0.0
        if rng.random() < self._rates.malformed_replacing * dirt:
            self._send_broken(event, version, encoded, sent_ms, replacing=True)
            return
        if fault is None and version > 1:
            fault = "evolved"
        content = self._log.content(event)
        partition = self._partition_of(event.key)
        self._log.add(
            event,
            encoded,
            partition=partition,
            timestamp_ms=sent_ms,
            fault=fault,
            content=content,
        )
        if rng.random() < self._rates.duplicate:
            self._repeat(event, encoded, sent_ms, content)
        if rng.random() < self._rates.conflict:
            # Also of a late event: its contradiction may then be the one that counts.
            self._contradict(event, version, prompt_ms)
        if rng.random() < self._rates.malformed * dirt:
            self._send_broken(event, version, encoded, sent_ms, replacing=False)

    def _set_clock_wrong(self, event: Event) -> str | None:
        """Move the event's own time as a wrong producer clock would; the fault, if any."""
        rng, rates = self._rng, self._rates
        draw = rng.random()
        if draw < rates.skew:
            event.time_us += rng.randint(-self._skew_us, self._skew_us)
            return "skew"
        draw -= rates.skew
        if 0.0 <= draw < rates.future:
            event.time_us += self._future_us + rng.randrange(2 * behaviour.DAY_US)
            return "future"
        draw -= rates.future
        if 0.0 <= draw < rates.too_old:
            event.time_us -= self._old_us + rng.randrange(300 * behaviour.DAY_US)
            return "too_old"
        return None

    def _repeat(self, event: Event, encoded: Encoded, sent_ms: int, content: int) -> None:
        """The same bytes again, seconds to hours later, sometimes on another partition."""
        copies = 2 if self._rng.random() < _SECOND_COPY_SHARE else 1
        for _ in range(copies):
            self._log.add(
                event,
                encoded,
                partition=self._any_partition(event.key),
                timestamp_ms=self._later(sent_ms),
                fault="duplicate",
                content=content,
            )

    def _contradict(self, event: Event, version: int, prompt_ms: int) -> None:
        """The same event id with another content."""
        other = _changed(event, self._rng.randint(*_CONFLICT_SHIFT_US))
        self._log.add(
            other,
            self._encoder.encode(other, version),
            partition=self._any_partition(event.key),
            timestamp_ms=self._later(prompt_ms),
            fault="conflict",
            content=self._log.content(other),
        )

    def _send_broken(
        self, event: Event, version: int, encoded: Encoded, sent_ms: int, *, replacing: bool
    ) -> None:
        broken = self._breaker.break_message(event, version, encoded)
        self._log.add(
            event,
            broken.encoded,
            partition=self._partition_of(event.key),
            timestamp_ms=sent_ms if replacing else self._later(sent_ms),
            fault=f"{broken.kind}{'_replacing' if replacing else ''}",
            content=None,
            reason=broken.reason,
        )

    def _later(self, sent_ms: int) -> int:
        delay = _log_uniform(*_REPEAT_MS, self._rng.random())
        return max(sent_ms, min(sent_ms + delay, self._end_ms - 1))

    def _partition_of(self, key: str) -> int:
        return crc32(key.encode()) % self._partitions

    def _any_partition(self, key: str) -> int:
        """Usually the key's own; a producer with other settings sends elsewhere."""
        if self._rng.random() < _OTHER_PARTITION_SHARE:
            return self._rng.randrange(self._partitions)
        return self._partition_of(key)


def _log_uniform(low: int, high: int, draw: float) -> int:
    return int(low * math.exp(draw * math.log(high / low)))


def _changed(event: Event, shift_us: int) -> Event:
    """A contradicting version of an event: another time, and another figure where it has one."""
    fields = dict(event.fields)
    openrtb = event.openrtb
    for name in ("price_cpm_micros", "value_micros", "min_to_win_cpm_micros"):
        if fields.get(name) is not None:
            fields[name] += 10_000
            break
    if openrtb is not None:
        fields["tmax_ms"] += 50
        openrtb = {**openrtb, "tmax": fields["tmax_ms"]}
    return replace(event, time_us=event.time_us + shift_us, fields=fields, openrtb=openrtb)
