"""`adx simulate --follow`: the market that goes on, until it is stopped.

Belongs here: the options that `adx simulate`, `adx dev` and `adx drill` share, the signals, and
what is said. Does not belong here: the market (``simulate.live``).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from types import FrameType
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import stderr, stdout
from adx_platform.codecs.registry import open_registry
from adx_platform.living.brokers import topic_config
from adx_platform.settings import Settings
from adx_platform.simulate.live import LiveMarket, Pace, open_topics
from adx_platform.simulate.live_traffic import LiveConfig

DEFAULT_START = datetime(2026, 3, 2, tzinfo=UTC)
DEFAULT_SPEED = 60.0
DEFAULT_PER_HOUR = 450
DEFAULT_HISTORY_DAYS = 14

SpeedOption = Annotated[
    float, typer.Option(help="Simulated seconds per second, of a market that goes on.")
]
PerHourOption = Annotated[
    int, typer.Option(min=1, help="Messages of an average simulated hour, of the same.")
]
HistoryOption = Annotated[
    float, typer.Option(min=0, help="Simulated days that it sends at once at first.")
]


def follow_market(
    settings: Settings,
    *,
    seed: int,
    start: datetime | None,
    speed: float,
    per_hour: int,
    history_days: float,
) -> None:
    """Run the market until SIGINT or SIGTERM; it ends within a second then.

    Raises:
        WrongUsage: no market can be made with these numbers.
        AdxError: the broker cannot be reached, or the home has another market.
    """
    partitions = open_topics(settings, topic_config(settings))
    try:
        config = LiveConfig(
            seed=seed,
            start=DEFAULT_START if start is None else start.replace(tzinfo=UTC),
            per_hour=per_hour,
            partitions_per_topic=partitions,
            bounds=settings.refine,
        )
        pace = Pace(speed=speed, history=timedelta(days=history_days))
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    market = LiveMarket(settings, config, pace, open_registry(settings))
    stderr.print(f"the market runs at {speed:g} simulated seconds a second; stop with Ctrl-C")
    with stopped_by_signals() as stop:
        state = market.run(stop)
    total = sum(state.sent.values())
    stdout.print(f"sent {total:,} messages, up to {state.clock:%Y-%m-%d %H:%M} simulated time")


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """An event that SIGINT and SIGTERM set, in place of ending the process."""
    stop = Event()

    def set_it(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    earlier = {number: signal.signal(number, set_it) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
