"""Sound messages to start from: a small simulated market, of every record type.

Belongs here: making them. Does not belong here: changing them (``mutations``).
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.streams import Stream
from adx_platform.pipeline.platform import open_platform
from adx_platform.refine.context import RefineContext
from adx_platform.settings import load_settings
from adx_platform.simulate.config import SMALLEST_RUN, FaultRates, MarketConfig
from adx_platform.simulate.simulator import simulate

MOST_SEEDS = 600


def make_market(home: Path) -> None:
    """Simulate a market in which nothing is wrong, with every schema registered."""
    settings = load_settings(home=home)
    market = MarketConfig(events=SMALLEST_RUN, days=1, faults=FaultRates(malformed=0, duplicate=0))
    simulate(market, home, registry=FileSchemaRegistry(settings.registry_dir))


def context_of(home: Path, stream: Stream) -> RefineContext:
    """What the platform refines ``stream`` with."""
    return open_platform(load_settings(home=home)).refine_context(stream)


def seeds_of(home: Path, stream: Stream) -> pl.DataFrame:
    """``value``, ``headers`` and ``kafka_timestamp`` of up to ``MOST_SEEDS`` messages."""
    wire = pl.read_parquet(home / "wire" / f"{stream.topic}.parquet")
    return wire.sample(min(MOST_SEEDS, wire.height), seed=1).select(
        "value",
        "headers",
        kafka_timestamp=pl.from_epoch("timestamp_ms", "ms")
        .dt.replace_time_zone("UTC")
        .cast(pl.Datetime("us", "UTC")),
    )
