"""`python -m assets_tests.faults`: the long fault programme, and its table.

Belongs here: the command, the servers and the table. Does not belong here: the faults
(``programme``).

It needs Java and Maven for a real Apache Kafka; the faults of the store need SeaweedFS, which the
development requirements bring.
"""

from __future__ import annotations

import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from assets_tests.faults.programme import Programme, Result
from assets_tests.faults.sequence import STREAM
from assets_tests.servers.java import java_runtime
from assets_tests.servers.kafka import POM, ApacheKafka, Ports
from assets_tests.servers.ports import free_port
from assets_tests.servers.s3_faults import Fault, FaultyS3
from assets_tests.servers.seaweedfs import SeaweedFS, installed_program

PARTITIONS, LANES = 4, 2
COLUMNS = (
    "fault", "times", "lost", "doubled", "wrong hour or event", "wrong verdict", "at work again, s",
    "workers that failed", "written in vain",
)  # fmt: skip
STORE_FAULTS = [f for f in Fault if f not in (Fault.TORN_BODY, Fault.SLOW_BODY)]
STORE_SHARE = 0.02
FEWER, COARSER = 10, 4
"""Kills need thousands of commits to fall between; other faults get a tenth of the messages, and
ranges four times as large."""


def faults(
    events: Annotated[
        int, typer.Option(min=1_000, help="Messages for the kills; a tenth for others.")
    ] = 2_000_000,
    kills: Annotated[int, typer.Option(min=1, help="SIGKILLs.")] = 200,
    seed: Annotated[int, typer.Option(help="Decides every instant.")] = 1,
) -> None:
    """Kill, stop, double and starve workers that drain a topic; the lake must not show it.

    Counts are per million messages. The exit code is 1 unless all are 0.
    """
    console = Console()
    # Ended from outside it still ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = time.monotonic()
    with _kafka() as kafka, tempfile.TemporaryDirectory(prefix="adx-faults-") as folder:
        # A worker commits some eight times between two kills: they are spread over the run.
        batch = max(500, events // (8 * kills))
        settings = kafka.settings(partitions_per_topic=PARTITIONS, lanes_per_topic=LANES)
        programme = Programme(
            settings, Path(folder), events // PARTITIONS, batch, random.Random(seed)
        )
        programme.fill()
        console.print(f"{events:,} messages sent, ranges of {batch:,}; now the faults")
        results = [programme.kills(kills, within=2.0)]
        console.print("  ".join(_row(results[0])))
        programme.batch *= COARSER
        programme.per_partition //= FEWER
        programme.fill()
        for run in (
            lambda: programme.outages(
                max(2, kills // 20), lambda: kafka.kill(1), kafka.restart_killed
            ),
            lambda: _with_leaders(programme, max(2, kills // 20)),
            lambda: programme.zombies(max(2, kills // 10)),
            lambda: programme.doubled(max(2, kills // 10)),
            lambda: _with_store(programme, seed),
            lambda: programme.full_disk(3, largest_file=programme.batch * 8),
        ):
            results.append(run())
            console.print("  ".join(_row(results[-1])))
    table = Table(*COLUMNS, box=SIMPLE, title=f"Faults, {(time.monotonic() - began) / 60:.0f} min")
    for result in results:
        table.add_row(*_row(result))
    console.print(table)
    if not all(result.score is not None and result.score.is_perfect for result in results):
        raise typer.Exit(1)


def _row(result: Result) -> list[str]:
    found = result.score
    if found is None:
        return [result.fault, f"{result.times:,}", *("?" for _ in COLUMNS[2:])]
    waits = sorted(result.recoveries)
    again = (
        f"p50 {statistics.median(waits):.1f}, p95 {waits[ceil(0.95 * len(waits)) - 1]:.1f}"
        if waits
        else "-"
    )
    return [
        result.fault,
        f"{result.times:,}",
        *(
            f"{found.per_million(count):g}"
            for count in (found.lost, found.doubled, found.misplaced, found.misjudged)
        ),
        again,
        f"{result.ended:,}",
        "-" if result.in_vain is None else f"{result.in_vain:.1%}",
    ]


def _with_store(programme: Programme, seed: int) -> Result:
    program = installed_program()
    if program is None:
        raise typer.BadParameter("SeaweedFS is not installed: `make test` brings it")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="adx-seaweed-"))
        store = SeaweedFS(program, Path(folder))
        stack.callback(store.stop)
        store.start()
        proxy = stack.enter_context(FaultyS3(store.address, hang_seconds=4))
        proxy.break_at_random(STORE_SHARE, STORE_FAULTS, seed)
        direct = store.settings("faults")
        through = direct.model_copy(
            update={"s3_endpoint": proxy.endpoint, "s3_timeout_seconds": 3.0}
        )
        return programme.store_faults(through, direct, workers=500, happened=proxy.mend)


def _with_leaders(programme: Programme, times: int) -> Result:
    """The same messages on three brokers."""
    with _kafka(brokers=3) as kafka:
        settings = kafka.settings(partitions_per_topic=PARTITIONS, lanes_per_topic=LANES)
        led = replace(programme, kafka=settings)
        led.fill()

        def mend() -> None:
            kafka.restart_killed()
            kafka.wait_until_in_sync(STREAM)

        mend()
        return led.leader_changes(times, lambda: kafka.kill(kafka.leader(STREAM, 0)), mend)


@contextmanager
def _kafka(brokers: int = 1) -> Iterator[ApacheKafka]:
    with tempfile.TemporaryDirectory(prefix="adx-kafka-") as folder:
        ports = [Ports(free_port(), free_port(), free_port()) for _ in range(brokers)]
        kafka = ApacheKafka(java_runtime(POM, Path(folder)), Path(folder), ports, heap="512m")
        try:
            kafka.start()
            yield kafka
        finally:
            kafka.stop()


if __name__ == "__main__":
    typer.run(faults)
