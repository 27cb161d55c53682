"""The market that goes on: history at once, then day after day on an accelerated clock.

Belongs here: the loop and the order of what it does. Does not belong here: its parts, signals and
printing (``cli``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from threading import Event as Signal
from typing import Any, Final

from adx_platform.codecs.registry import SchemaRegistry
from adx_platform.contracts.streams import STREAMS
from adx_platform.errors import AdxError
from adx_platform.settings import Settings
from adx_platform.simulate.live_board import FaultBoard, append_line, end_abandoned
from adx_platform.simulate.live_faults import Surroundings
from adx_platform.simulate.live_message import milliseconds
from adx_platform.simulate.live_orders import live_dir
from adx_platform.simulate.live_producer import LiveProducer
from adx_platform.simulate.live_reference import LiveReference
from adx_platform.simulate.live_state import (
    LiveState,
    load_state,
    load_waiting,
    save_state,
    save_waiting,
)
from adx_platform.simulate.live_traffic import LiveConfig, LiveTraffic
from adx_platform.simulate.live_truth import HOURS_NAME, LiveTruth
from adx_platform.streams.admin import KafkaAdmin

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.1
_SAVE_SECONDS: Final = 1.0
_FLUSH_SECONDS: Final = 0.7
_HISTORY_STEP: Final = timedelta(hours=6)
_HOUR: Final = timedelta(hours=1)
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the market runs.

    Attributes:
        speed: simulated seconds per second of the wall clock.
        history: sent at once before the clock starts; a market that goes on has had it.
    """

    speed: float = 60.0
    history: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ValueError(f"speed must be above 0, got {self.speed:g}")
        if self.history < timedelta(0):
            raise ValueError("history cannot be negative")


class LiveMarket:
    """One life of the market of a home."""

    def __init__(
        self,
        settings: Settings,
        config: LiveConfig,
        pace: Pace,
        registry: SchemaRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the market, or go on with the one that the home has.

        Args:
            settings: the broker, the reference folder and the home.
            config: the market; that of a home which has one must be the same.
            pace: how fast; may differ from life to life.
            registry: where Avro schemas are registered.
            clock: seconds of the wall clock.

        Raises:
            AdxError: the home has another market.
        """
        self._folder = live_dir(settings)
        self._pace = pace
        self._clock = clock
        self._identity = _identity(config)
        found = load_state(self._folder)
        self._require_same(settings, found)
        self._generation = 0 if found is None else found.generation + 1
        self._now = config.start if found is None else found.clock
        if found is not None and found.open_hour is not None:
            # A market that was killed could not close its hour.
            append_line(self._folder / HOURS_NAME, dict(found.open_hour))
        end_abandoned(self._folder, registry, self._now)
        self._traffic = LiveTraffic(
            config,
            registry,
            resume_at=self._now,
            generation=self._generation,
            waiting=load_waiting(self._folder) if found is not None else (),
        )
        self._live_from = max(config.start + pace.history, self._now)
        if found is not None and found.is_live:
            self._live_from = self._now
        self._reference = LiveReference(self._traffic.world, settings.reference_dir)
        self._truth = LiveTruth(self._folder, config.bounds, generation=self._generation)
        self._board = FaultBoard(Surroundings(self._traffic, registry, self._folder))
        self._producer = LiveProducer(settings.kafka)

    def run(self, stop: Signal) -> LiveState:
        """Send until ``stop`` is set.

        Returns:
            Where it stopped.
        """
        try:
            self._send_history(stop)
            self._follow_clock(stop)
        finally:
            self._board.end_all(self._now)
            missing = self._producer.flush(_FLUSH_SECONDS)
            if missing:
                logger.warning("the broker has not acknowledged %d messages", missing)
            self._truth.close_hour()
            self._save(is_live=self._now >= self._live_from)
        return self._state(is_live=self._now >= self._live_from)

    def _send_history(self, stop: Signal) -> None:
        while self._now < self._live_from and not stop.is_set():
            self._advance(min(self._now + _HISTORY_STEP, self._live_from), stop)
            self._save(is_live=False)

    def _follow_clock(self, stop: Signal) -> None:
        began, origin = self._clock(), self._now
        saved = began
        while not stop.is_set():
            wall = self._clock()
            target = origin + timedelta(seconds=(wall - began) * self._pace.speed)
            self._board.take_orders(self._now)
            self._advance(target, stop)
            self._board.end_due(self._now)
            if wall - saved >= _SAVE_SECONDS:
                self._save(is_live=True)
                saved = wall
            stop.wait(_TICK_SECONDS)

    def _advance(self, target: datetime, stop: Signal) -> None:
        """Send everything before ``target``, hour by hour: each new hour is prepared first."""
        while self._now < target and not stop.is_set():
            bound = self._traffic.next_hour
            if bound <= self._now:
                self._begin_hour()
                bound += _HOUR
            self._send_until(min(target, bound), stop)

    def _begin_hour(self) -> None:
        self._reference.keep_up(self._now)
        waiting = self._traffic.waiting()
        for message in waiting:
            message.sent_before = message.sent_before or self._truth.judge.knows(message.event_id)
        save_waiting(self._folder, waiting)

    def _send_until(self, bound: datetime, stop: Signal) -> None:
        messages = self._traffic.until(milliseconds(bound))
        while chunk := list(islice(messages, _CHUNK)):
            for message in chunk:
                for out in self._board.pass_on(message):
                    self._truth.note(out)
                    self._producer.send(out)
            self._producer.poll()
            while self._producer.is_full and not stop.is_set():
                self._producer.poll(_TICK_SECONDS)
        self._now = bound

    def _save(self, *, is_live: bool) -> None:
        save_state(self._folder, self._state(is_live=is_live))

    def _state(self, *, is_live: bool) -> LiveState:
        return LiveState(
            clock=self._now,
            generation=self._generation,
            market=self._identity,
            is_live=is_live,
            sent=dict(self._truth.totals),
            delivered=self._producer.delivered,
            faults=self._board.running,
            open_hour=self._truth.open_hour(),
        )

    def _require_same(self, settings: Settings, found: LiveState | None) -> None:
        if found is None and (settings.simulation_dir / "market.json").exists():
            raise AdxError(
                f"{settings.simulation_dir} holds the market of `adx simulate`, which has an end: "
                "set ADX_HOME to another folder for one that goes on"
            )
        if found is not None and found.market != self._identity:
            raise AdxError(
                f"{self._folder} holds a market that was started with {dict(found.market)}: go on "
                "with the same values, or set ADX_HOME to another folder"
            )


def open_topics(settings: Settings, config: dict[str, str] | None) -> int:
    """Create the topics that are missing; returns how many partitions every one of them has.

    Raises:
        AdxError: the topics have different numbers of partitions.
    """
    with KafkaAdmin(settings.kafka) as admin:
        admin.create_topics(STREAMS, config=config)
        counts = {name: len(admin.describe(name).partitions) for name in STREAMS}
    if len(set(counts.values())) != 1:
        raise AdxError(f"the topics must have equally many partitions, they have {counts}")
    return next(iter(counts.values()))


def _identity(config: LiveConfig) -> dict[str, Any]:
    return {
        "seed": config.seed,
        "start": config.start.isoformat(),
        "per_hour": config.per_hour,
        "partitions_per_topic": config.partitions_per_topic,
    }
