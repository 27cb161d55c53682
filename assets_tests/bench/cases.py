"""The cases: the steps of the line, one by one, and what the broker's client alone could do.

Belongs here: what is timed, through the same functions that production calls. Does not belong here:
how it is timed (``measure``) or where the messages come from (``traffic``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from confluent_kafka import Consumer, Message, TopicPartition

from adx_platform.contracts.streams import stream_named
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.platform import open_platform
from adx_platform.refine.batch import refine_batch
from adx_platform.refine.decode import decode
from adx_platform.settings import KafkaSettings, LakeSettings, Settings, load_settings
from adx_platform.streams.client import LARGEST_RESPONSE
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.loader import load_pending
from assets_tests.bench.lanes import ingest_whole_lane, land_lane
from assets_tests.bench.measure import Measurement, Work, measure, peak_mb
from assets_tests.bench.traffic import raw_batches

_CONSUME_BATCH = 10_000
_CONSUME_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Bench:
    """What every case is given.

    Attributes:
        home: folder with the traffic; lakes and warehouses are made in it.
        kafka: the broker that holds the traffic.
        messages: of each stream.
        repetitions: how many are kept of each case.
    """

    home: Path
    kafka: KafkaSettings
    messages: int
    repetitions: int

    def settings(self, lake: str) -> Settings:
        """The platform's defaults, with a lake of that name."""
        uri = str(self.home / "lakes" / lake)
        return load_settings(home=self.home, kafka=self.kafka, lake=LakeSettings(uri=uri))

    def measured(self, prepare: Callable[[int], Work]) -> Measurement:
        """Measure with as many repetitions and messages as were asked for."""
        return measure(prepare, repetitions=self.repetitions, messages=self.messages)


Case = Callable[[Bench, str], Measurement]


def imports_only() -> float | None:
    """Peak memory, in MiB, of a process that has imported this module and done nothing."""
    return peak_mb()


def consume(bench: Bench, stream: str) -> Measurement:
    """The ceiling: librdkafka hands over all messages, and we drop them."""
    return bench.measured(lambda _: lambda: sum(map(len, _batches(bench, stream))))


def consume_and_write(bench: Bench, stream: str) -> Measurement:
    """Landing without what makes it safe: each batch's values as a Parquet file, never synced."""
    return bench.measured(lambda _: lambda: _write_values(bench, stream))


def consume_and_write_all(bench: Bench, stream: str) -> Measurement:
    """Whole ingest without reading a message: the values, and the events of :func:`ingest`, ready.

    Out of reach of any ingest that keeps both, with this client and this writer of Parquet.
    """
    settings = bench.settings(_ingested(stream, 0))
    schema = stream_named(stream).events_schema
    snapshot = events_snapshot(LakeStorage.from_settings(settings), stream, schema)
    if snapshot is None:
        raise RuntimeError(f"no events of {stream}: the case {ingest.__name__!r} must run before")
    events = snapshot.collect(snapshot.scan().select(schema.names()))
    batches = list(events.iter_slices(settings.ingest.max_records_per_batch))

    def work() -> int:
        seen = _write_values(bench, stream)
        for batch in batches:
            _write(bench, batch)
        return seen

    return bench.measured(lambda _: work)


def _write_values(bench: Bench, stream: str) -> int:
    seen = 0
    for batch in _batches(bench, stream):
        values = pl.Series("value", map(Message.value, batch), dtype=pl.Binary)
        _write(bench, pl.DataFrame(values))
        seen += values.len()
    return seen


def _write(bench: Bench, frame: pl.DataFrame) -> None:
    frame.write_parquet(bench.home / "least.parquet", compression="zstd", compression_level=1)


def _batches(bench: Bench, stream: str) -> Iterator[list[Message]]:
    """All messages of a stream, by the client's defaults."""
    consumer = Consumer(
        {
            "bootstrap.servers": bench.kafka.bootstrap_servers,
            "group.id": "adx-bench",
            "enable.auto.commit": False,
            "receive.message.max.bytes": LARGEST_RESPONSE,
        }
    )
    consumer.assign(
        [
            TopicPartition(stream, partition, 0)
            for partition in range(bench.kafka.partitions_per_topic)
        ]
    )
    missing = bench.messages
    while missing:
        batch = consumer.consume(min(_CONSUME_BATCH, missing), timeout=_CONSUME_SECONDS)
        if not batch:
            break
        missing -= len(batch)
        yield batch
    consumer.close()


def decode_only(bench: Bench, stream: str) -> Measurement:
    """Bytes in memory to columns and rejects."""
    settings = bench.settings("unused")
    context = open_platform(settings).refine_context(stream_named(stream))
    batches = raw_batches(bench.home, stream, settings.ingest.max_records_per_batch)

    def work() -> int:
        decoded = (decode(batch, context) for batch in batches)
        return sum(part.frame.height + part.rejects.height for part in decoded)

    return bench.measured(lambda _: work)


def refine(bench: Bench, stream: str) -> Measurement:
    """Bytes in memory to refined rows: all steps, decoding included."""
    settings = bench.settings("unused")
    context = open_platform(settings).refine_context(stream_named(stream))
    batches = raw_batches(bench.home, stream, settings.ingest.max_records_per_batch)

    def work() -> int:
        return sum(refine_batch(batch, context).height for batch in batches)

    return bench.measured(lambda _: work)


def land(bench: Bench, stream: str) -> Measurement:
    """Broker to ``raw``, lane after lane, each commit on disk."""

    def prepare(number: int) -> Work:
        platform = open_platform(bench.settings(f"land-{stream}-{number}"))
        known = stream_named(stream)
        lanes = range(platform.settings.kafka.lanes_per_topic)
        return lambda: sum(land_lane(platform, known, lane) for lane in lanes)

    return bench.measured(prepare)


def ingest(bench: Bench, stream: str) -> Measurement:
    """Broker to ``raw`` and ``events``, lane after lane, each commit on disk."""

    def prepare(number: int) -> Work:
        platform = open_platform(bench.settings(_ingested(stream, number)))
        lanes = range(platform.settings.kafka.lanes_per_topic)
        return lambda: sum(ingest_whole_lane(platform, stream, lane) for lane in lanes)

    return bench.measured(prepare)


def load(bench: Bench, stream: str) -> Measurement:
    """``events`` to the raw tables of an empty DuckDB; :func:`ingest` made the lake before."""
    storage = LakeStorage.from_settings(bench.settings(_ingested(stream, 0)))

    def prepare(number: int) -> Work:
        path = bench.home / "warehouses" / f"{stream}-{number}.duckdb"
        path.parent.mkdir(exist_ok=True)
        with DuckDBWarehouse(path) as warehouse:
            warehouse.ensure_schema()

        def work() -> int:
            with DuckDBWarehouse(path) as warehouse:
                report = load_pending(warehouse, storage, stream)
            return sum(part.end - part.start for part in report.forward) if report else 0

        return work

    return bench.measured(prepare)


CASES: dict[str, Case] = {
    "consume and discard": consume,
    "consume and write": consume_and_write,
    "decode": decode_only,
    "refine": refine,
    "land": land,
    "ingest": ingest,
    "consume and write all": consume_and_write_all,
    "load": load,
}
"""By the name in the table, in the order in which they must run."""

CEILING = "consume and discard"


def _ingested(stream: str, number: int) -> str:
    return f"ingest-{stream}-{number}"
