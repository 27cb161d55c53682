"""`python -m assets_tests.bench.follow latency|growth`: the resident loop, measured.

Belongs here: a steady stream against an embedded broker, and reports written to a fresh Dagster
instance. Does not belong here: a verdict: the figures are this machine's, with its load beside.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import dagster as dg
import polars as pl
import sqlalchemy as sa
import typer
from confluent_kafka import Producer
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from rich.console import Console

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration.event_log import purge
from adx_platform.orchestration.follow import FollowReporter
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.pipeline.follow import Follower
from adx_platform.pipeline.follow_state import (
    FollowedBatch,
    FollowStatus,
    LaneProgress,
    Latency,
    weighted_quantile,
)
from adx_platform.pipeline.reports import BatchReport
from adx_platform.settings import KafkaSettings, Settings, load_settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.simulator import simulate
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG
from assets_tests.bench.__main__ import _broker, _forget_configuration, _load

app = typer.Typer(add_completion=False)
console = Console()
_WARM_UP_SECONDS = 15.0
_DAY_SECONDS = 86_400.0
_Message = tuple[str, int, bytes | None, bytes | None]


@app.command()
def latency(
    rate: Annotated[float, typer.Option(help="Events per second over all topics.")] = 40.0,
    seconds: Annotated[float, typer.Option(help="After the warm-up.")] = 60.0,
) -> None:
    """From being produced to being queryable in the lake, with a steady stream."""
    _forget_configuration()
    with tempfile.TemporaryDirectory(prefix="adx-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with _broker(home) as kafka:
            settings = load_settings(home=home, kafka=kafka)
            messages = _messages(settings, round(rate * (_WARM_UP_SECONDS + seconds)))
            with KafkaAdmin(kafka) as admin:
                admin.create_topics(list(STREAMS), config=EMBEDDED_TOPIC_CONFIG)
            load, cpu = _load(), time.process_time()
            found = _follow(settings, kafka, messages, rate)
            cpu = time.process_time() - cpu
        steady = [
            (latency, batch)
            for batch, latency in ((item, item.latency) for item in found[0])
            if latency is not None and batch.committed_at >= found[1]
        ]
        files = sum(1 for _ in (home / "lake").rglob("*.parquet"))
    points: list[tuple[float, int]] = []
    for measured, batch in steady:
        offsets = sum(part.count for part in batch.report.ranges)
        tail = max(1, offsets // 10)
        points += [(measured.p50, max(1, offsets - tail)), (measured.p95, tail)]
    rows: Counter[str] = Counter()
    for batch in found[0]:
        rows.update(batch.report.counts)
    took = sorted(batch.report.seconds for _, batch in steady)
    console.print(
        f"{len(messages):,} events at {rate:g}/s over {len(STREAMS)} topics: "
        f"{rows['accepted']:,} accepted, {rows['rejected']:,} rejected, "
        f"{rows['duplicate'] + rows['conflict']:,} repeated"
    )
    console.print(
        f"produced -> queryable: p50 {weighted_quantile(points, 0.5):.2f} s, "
        f"p95 {weighted_quantile(points, 0.95):.2f} s, clock: "
        f"{', '.join(sorted({measured.clock for measured, _ in steady}))}"
    )
    console.print(
        f"{len(steady)} batches after the warm-up, median {took[len(took) // 2]:.2f} s each; "
        f"{files} files; {cpu:.0f} s of CPU in {_WARM_UP_SECONDS + seconds:.0f} s"
    )
    console.print(_conditions(load))


@app.command()
def growth(
    reports: Annotated[int, typer.Option(help="Reports of each stream.")] = 100,
) -> None:
    """What a day of reports takes in Dagster's SQLite storage, and what the purge gives back."""
    _forget_configuration()
    with tempfile.TemporaryDirectory(prefix="adx-bench-", ignore_cleanup_errors=True) as folder:
        settings = load_settings(home=Path(folder))
        load, started = _load(), time.monotonic()
        _make_lake(settings)
        with ensure_instance(settings) as instance:
            storage = settings.dagster_home / "history" / "runs"
            empty, before = _bytes(storage), time.process_time()
            events = _write_reports(settings, instance, reports)
            cpu = time.process_time() - before
            per_report = (_bytes(storage) - empty) / reports
            later = datetime.now(UTC) + timedelta(hours=1)
            purged = purge(instance, runs_before=later, events_before=later)
            after = _bytes(storage)
    interval = settings.follow.report_interval.total_seconds()
    a_day = _DAY_SECONDS / interval
    console.print(
        f"{events:,} events of {reports} reports of {len(STREAMS)} streams with two lanes: "
        f"{per_report / 1e3:,.0f} kB per round, {cpu / reports:.2f} s of CPU, checks included"
    )
    console.print(
        f"one round each {interval:g} s: {events / reports * a_day:,.0f} events and "
        f"{per_report * a_day / 1e6:,.0f} MB per day; "
        f"{per_report * a_day * settings.hygiene.keep_events.days / 1e9:,.1f} GB in the "
        f"{settings.hygiene.keep_events.days} days that they are kept"
    )
    console.print(
        f"the purge of everything removed {purged.events + purged.check_results:,} rows and left "
        f"{after / 1e6:.1f} MB of {(empty + per_report * reports) / 1e6:.1f} MB"
    )
    console.print(f"{_conditions(load)}; {time.monotonic() - started:.0f} s in all")


def _messages(settings: Settings, wanted: int) -> list[_Message]:
    """Simulated messages of the last days, shuffled over the topics."""
    # All of it in the past, and within what is accepted.
    start = datetime.now(UTC) - timedelta(days=MarketConfig().days)
    simulate(MarketConfig(seed=7, events=max(4_000, wanted * 2), start=start), settings.home)
    found: list[_Message] = []
    for stream in STREAMS:
        wire = pl.read_parquet(settings.home / "wire" / f"{stream}.parquet")
        found += [
            (stream, row["partition"], row["key"], row["value"])
            for row in wire.head(wanted // len(STREAMS) + 1).iter_rows(named=True)
        ]
    random.Random(7).shuffle(found)
    return found[:wanted]


def _follow(
    settings: Settings, kafka: KafkaSettings, messages: list[_Message], rate: float
) -> tuple[list[FollowedBatch], datetime]:
    """The batches of a loop while ``messages`` are sent, and when the warm-up was over."""
    batches: list[FollowedBatch] = []
    stop = threading.Event()
    follower = Follower(settings, on_batch=batches.append)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 5})
    began = time.monotonic()
    for number, (topic, partition, key, value) in enumerate(messages):
        pause = began + number / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        producer.produce(topic, value, key, partition=partition)
        producer.poll(0)
    producer.flush()
    _wait_until(lambda: sum(sum(b.report.counts.values()) for b in batches) >= len(messages))
    stop.set()
    thread.join()
    warm = datetime.now(UTC) - timedelta(seconds=time.monotonic() - began - _WARM_UP_SECONDS)
    return batches, warm


def _make_lake(settings: Settings) -> None:
    """Some rows of every stream, so that the checks have something to say."""
    with _broker(settings.home / "kafka") as kafka:
        used = settings.model_copy(update={"kafka": kafka})
        with KafkaAdmin(kafka) as admin:
            admin.create_topics(list(STREAMS), config=EMBEDDED_TOPIC_CONFIG)
        _follow(used, kafka, _messages(settings, 2_000), 1e9)


def _write_reports(settings: Settings, instance: dg.DagsterInstance, reports: int) -> int:
    now = datetime.now(UTC)
    lanes = {(stream, lane): LaneProgress() for stream in STREAMS for lane in (0, 1)}
    status = FollowStatus(now, now, now, lanes, ())
    clock = [0.0]
    reporter = FollowReporter(settings, instance, status=lambda: status, clock=lambda: clock[0])
    for number in range(reports):
        for stream in STREAMS:
            for lane in (0, 1):
                reporter.on_batch(_batch(stream, lane, number))
        clock[0] += settings.follow.report_interval.total_seconds()
        reporter.tick()
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        return int(connection.execute(sa.text("select count(*) from event_logs")).scalar_one())


def _batch(stream: str, lane: int, number: int) -> FollowedBatch:
    ranges = tuple(
        OffsetRange(partition, number * 50, number * 50 + 50) for partition in (lane, lane + 2)
    )
    report = BatchReport(
        stream=stream,
        lane=lane,
        topic_id="AAAAAAAAAAAAAAAAAAAAAA",
        ranges=ranges,
        raw_version=number,
        events_version=number,
        counts={"accepted": 95, "rejected": 3, "duplicate": 2},
        reasons={"malformed_json": 2, "missing_field": 1},
        late=1,
        seconds=0.4,
    )
    return FollowedBatch(report, datetime.now(UTC), Latency(1.2, 2.9, "produced"))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("the loop did not catch up within two minutes")
        time.sleep(0.1)


def _conditions(before: float | None) -> str:
    after = _load()
    loads = [f"{value:.1f}" for value in (before, after) if value is not None]
    return f"load average {' -> '.join(loads)} on {os.cpu_count()} cores"


if __name__ == "__main__":
    app()
