"""`python -m assets_tests.bench.backlog`: what it takes to drain a backlog, a tenth of it and all.

Belongs here: a real Apache Kafka with so many messages, and `adx ingest --once` as a user runs it.
Does not belong here: the speed of single steps (``cases``) or other tools (``peers``).

For each impression there are a hundred bid messages, and a click or conversion for ten impressions.
Memory that grew with the backlog would show in the second run, which has ten times as much to do.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from adx_platform.contracts.streams import AD_IMPRESSIONS, BID_REQUESTS, CLICKS_CONVERSIONS
from adx_platform.settings import KafkaSettings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.producer import OutgoingMessage, produce
from assets_tests.bench.peers.broker import running_broker
from assets_tests.bench.peers.measuring import Cost, cost_of
from assets_tests.bench.traffic import messages_of, renamed, simulate_market

PARTITIONS: Final = 4
_COPIED: Final = 100_000
"""Messages of a stream that are simulated; a longer stream repeats them under new event ids."""
_SHARES: Final = {BID_REQUESTS.name: 1000, AD_IMPRESSIONS.name: 10, CLICKS_CONVERSIONS.name: 1}


@dataclass(frozen=True, slots=True)
class Drained:
    """One run: messages, the bytes of their values, and the cost of draining them."""

    messages: int
    value_bytes: int
    cost: Cost
    lake_bytes: int


def backlog(
    messages: Annotated[int, typer.Option(min=10_000, help="Of all streams.")] = 10_000_000,
) -> None:
    """Fill a real Kafka, drain it with `adx ingest --once`, and say what that took."""
    with tempfile.TemporaryDirectory(prefix="adx-backlog-", ignore_cleanup_errors=True) as folder:
        market = Path(folder) / "market"
        simulate_market(market, min(messages, _COPIED), PARTITIONS)
        runs = [_drained(Path(folder), market, part) for part in (messages // 10, messages)]
    table = Table(
        "messages", "GB", "k msg/s\nwall", "k msg/\nCPU s", "peak\nMB", "lake\nGB",
        title="A backlog drained by `adx ingest --once`", title_justify="left", box=SIMPLE,
    )  # fmt: skip
    for run in runs:
        table.add_row(
            f"{run.messages:,}",
            f"{run.value_bytes / 1e9:.2f}",
            f"{run.messages / run.cost.wall_seconds / 1e3:.1f}",
            f"{run.messages / run.cost.cpu_seconds / 1e3:.1f}",
            f"{run.cost.peak_mb:,.0f}",
            f"{run.lake_bytes / 1e9:.2f}",
        )
    Console().print(table)


def _drained(folder: Path, market: Path, messages: int) -> Drained:
    home = folder / f"home-{messages}"
    home.mkdir()
    # What refining looks things up in.
    for part in ("reference", "registry"):
        (home / part).symlink_to(market / part, target_is_directory=True)
    with running_broker(PARTITIONS) as kafka:
        value_bytes = sum(
            _fill(kafka, market, stream, messages * share // sum(_SHARES.values()))
            for stream, share in _SHARES.items()
        )
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ADX_")}
        environment = clean | {
            "ADX_HOME": str(home),
            "ADX_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "ADX_KAFKA__PARTITIONS_PER_TOPIC": str(PARTITIONS),
        }
        command = [_adx(), "ingest", "--once"]
        cost = cost_of([command], environment, home)
    lake = sum(path.stat().st_size for path in (home / "lake").rglob("*") if path.is_file())
    return Drained(messages, value_bytes, cost, lake)


def _adx() -> str:
    return str(Path(sys.executable).with_name("adx"))


def _fill(kafka: KafkaSettings, market: Path, stream: str, wanted: int) -> int:
    with KafkaAdmin(kafka) as admin:
        # Their times are of the past: the default retention would delete them at once.
        admin.create_topics([stream], config={"retention.ms": "-1"})
    report = produce(kafka, stream, islice(_endless(market, stream, wanted), wanted))
    return report.value_bytes


def _endless(market: Path, stream: str, wanted: int) -> Iterator[OutgoingMessage]:
    wire = messages_of(market, stream, min(wanted, _COPIED))
    for copy in count():
        part = renamed(wire, copy) if copy else wire
        for row in part.select("key", "value", "headers", "timestamp_ms", "partition").iter_rows():
            key, value, headers, timestamp_ms, partition = row
            pairs = [(item["key"], item["value"]) for item in headers or ()]
            yield OutgoingMessage(key, value, pairs, timestamp_ms, partition)


if __name__ == "__main__":
    typer.run(backlog)
