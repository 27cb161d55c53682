"""One run: from a configuration to reference files, wire files and truth.

Belongs here: putting the parts together. Does not belong here: the parts.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.simulate.config import MarketConfig, SimulationReport
from adx_platform.simulate.encoding import EventEncoder, SchemaRegistrar
from adx_platform.simulate.market import Market
from adx_platform.simulate.message_log import MessageLog
from adx_platform.simulate.output_files import write_truth, write_wire
from adx_platform.simulate.reference_files import write_reference_files
from adx_platform.simulate.seasonality import hours_of
from adx_platform.simulate.sender import Sender
from adx_platform.simulate.world import World, build_world

Progress = Callable[[int, int], None]
"""Called with messages so far and messages wanted, once per simulated hour."""


def simulate(
    config: MarketConfig,
    out_dir: Path,
    on_progress: Progress | None = None,
    *,
    registry: SchemaRegistrar | None = None,
) -> SimulationReport:
    """Simulate a market and write its files.

    Args:
        config: the market; the same one (and the same schema ids) gives the same bytes.
        out_dir: folder for ``reference/``, ``wire/`` and ``truth/``; files of an earlier run are
            overwritten.
        on_progress: told once per simulated hour how far the run is.
        registry: where the Avro schemas are registered; absent: a file registry in
            ``out_dir/registry``.

    Returns:
        Counts of what was written.

    Raises:
        OSError: ``out_dir`` cannot be written.
        adx_platform.codecs.registry.RegistryError: the registry refused a schema.
    """
    world = build_world(config)
    write_reference_files(world, out_dir / "reference")
    with _collector_paused():
        log = _run(config, world, registry or FileSchemaRegistry(out_dir / "registry"), on_progress)
    messages = log.judged(config.bounds)
    write_wire(messages, out_dir / "wire")
    return write_truth(config, log, messages, out_dir)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Events hold no cycles; looking for some among all of them costs a quarter of the run."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run(
    config: MarketConfig, world: World, registry: SchemaRegistrar, on_progress: Progress | None
) -> MessageLog:
    """Fill each hour with sessions up to its share of the wanted messages."""
    market = Market(config, world)
    log = MessageLog()
    sender = Sender(config, EventEncoder(config, registry, market.requests.encoder), log)
    hours = hours_of(config)
    total_weight = sum(hour.weight for hour in hours)
    passed = 0.0
    for hour in hours:
        passed += hour.weight
        quota = round(config.events * passed / total_weight)
        sessions = market.sessions(hour)
        while len(log) < quota:
            for event in next(sessions):
                sender.send(event)
        if on_progress is not None:
            on_progress(len(log), config.events)
    return log
