"""What is measured with: the simulator's messages, as many of each stream as were asked for.

Belongs here: making the wire files and giving them to the broker. Does not belong here: the market
or its faults (``adx_platform.simulate``).

A market sends about ninety bid messages and ten impression events for each click or conversion. So
that every stream has enough, the smaller ones are repeated under new event ids: a copy is no
duplicate of its original, but has the duplicates and the broken messages of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import polars as pl

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.streams import STREAMS
from adx_platform.settings import KafkaSettings
from adx_platform.simulate.config import SMALLEST_RUN, FaultRates, MarketConfig
from adx_platform.simulate.feeding import feed_topic
from adx_platform.simulate.output_files import WIRE_COLUMNS
from adx_platform.simulate.simulator import simulate

MALFORMED_SHARE = 0.008
DUPLICATE_RATE = 0.02

# A little more than is kept: the simulator breaks each topic's messages at a rate of its own.
_MALFORMED_RATE = 0.012
_MARKET_PER_BID_MESSAGE = 1.2
_SEED = 20260302
_JUDGED_BY_TIME = (ReasonCode.EVENT_IN_FUTURE.value, ReasonCode.EVENT_TOO_OLD.value)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The messages of one stream: how many, the bytes of their values, and how many are faulty."""

    stream: str
    messages: int
    value_bytes: int
    malformed: int
    duplicates: int

    @property
    def bytes_per_message(self) -> float:
        """Mean size of a value."""
        return self.value_bytes / self.messages


def make_traffic(home: Path, kafka: KafkaSettings, messages: int) -> list[Traffic]:
    """Simulate a market and send ``messages`` messages of each stream to the broker.

    Args:
        home: gets ``reference/``, ``registry/`` and ``wire/``, which the cases read.
        kafka: an empty broker.
        messages: of each stream.
    """
    simulate_market(home, messages, kafka.partitions_per_topic)
    made = []
    for stream in STREAMS:
        kept = messages_of(home, stream, messages)
        write_wire(kept, home / "wire", stream)
        feed_topic(kafka, home / "wire", stream)
        made.append(summary(stream, kept))
    return made


def simulate_market(home: Path, messages: int, partitions: int) -> None:
    """A market large enough for ``messages`` bid messages, in ``home``."""
    config = MarketConfig(
        seed=_SEED,
        events=max(SMALLEST_RUN, round(messages * _MARKET_PER_BID_MESSAGE)),
        faults=FaultRates(duplicate=DUPLICATE_RATE, malformed=_MALFORMED_RATE),
        partitions_per_topic=partitions,
    )
    simulate(config, home)


def raw_batches(home: Path, stream: str, rows: int) -> list[pl.DataFrame]:
    """The messages of a stream as the reader gives them, in raw frames of at most ``rows`` rows."""
    wire = pl.read_parquet(_wire_file(home, stream)).sort("partition", "sequence")
    raw = wire.select(
        pl.lit(stream).alias("topic_id"),
        "partition",
        pl.col("sequence").alias("offset"),
        pl.lit(None, pl.String).alias("gap_kind"),
        pl.lit(None, pl.Int64).alias("gap_length"),
        pl.from_epoch("timestamp_ms", "ms").dt.replace_time_zone("UTC").alias("kafka_timestamp"),
        "key",
        "value",
        "headers",
    )
    return list(pl.DataFrame(raw, schema_overrides=RAW_SCHEMA).iter_slices(rows))


def messages_of(home: Path, stream: str, messages: int) -> pl.DataFrame:
    """``messages`` messages of a simulated stream: the wire's columns, and what is wrong with each.

    ``malformed`` is true for those that no reader can understand; ``fault`` is the simulator's.
    """
    truth = pl.read_parquet(home / "truth" / "messages.parquet").filter(pl.col("topic") == stream)
    wire = pl.read_parquet(_wire_file(home, stream)).join(
        truth.select("partition", "sequence", "event_id", "fault", "expected_reason_code"),
        on=["partition", "sequence"],
        maintain_order="left",
    )
    return (
        _thinned(_repeated(wire, messages)).head(messages).with_columns(malformed=_is_malformed())
    )


def write_wire(messages: pl.DataFrame, folder: Path, topic: str) -> None:
    """Write ``messages`` as the wire file of ``topic``, numbered anew in each partition."""
    folder.mkdir(exist_ok=True)
    numbered = messages.with_columns(
        sequence=pl.int_range(pl.len(), dtype=pl.Int64).over("partition")
    )
    numbered.select(WIRE_COLUMNS).write_parquet(folder / f"{topic}.parquet")


def summary(stream: str, messages: pl.DataFrame) -> Traffic:
    """What :func:`messages_of` gave, in figures."""
    return Traffic(
        stream=stream,
        messages=messages.height,
        value_bytes=int(messages["value"].bin.size().sum()),
        malformed=int(messages["malformed"].sum()),
        duplicates=messages.filter(pl.col("fault") == "duplicate").height,
    )


def _is_malformed() -> pl.Expr:
    reason = pl.col("expected_reason_code")
    return reason.is_not_null() & ~reason.is_in(_JUDGED_BY_TIME)


def _repeated(wire: pl.DataFrame, messages: int) -> pl.DataFrame:
    """At least ``messages`` whole messages: ``wire`` as often as it takes, under new event ids."""
    whole = wire.filter(~_is_malformed()).height
    return pl.concat([wire, *(renamed(wire, copy) for copy in range(1, ceil(messages / whole)))])


def _thinned(wire: pl.DataFrame) -> pl.DataFrame:
    """Leave out malformed messages, evenly, until they are ``MALFORMED_SHARE`` of the stream."""
    rows = wire.with_row_index("row")
    broken = rows.filter(_is_malformed())
    wanted = round((wire.height - broken.height) * MALFORMED_SHARE / (1 - MALFORMED_SHARE))
    left_out = broken.sample(max(0, broken.height - wanted), seed=_SEED)["row"]
    return rows.filter(~pl.col("row").is_in(left_out.implode())).drop("row")


def renamed(wire: pl.DataFrame, copy: int) -> pl.DataFrame:
    """Each event id replaced by another of the same length; it comes first in every wire format."""
    prefix = f"{copy:08x}"
    values = [
        value and value.replace(event_id.encode(), (prefix + event_id[len(prefix) :]).encode(), 1)
        for value, event_id in wire.select("value", "event_id").iter_rows()
    ]
    return wire.with_columns(pl.Series("value", values, dtype=pl.Binary))


def _wire_file(home: Path, stream: str) -> Path:
    return home / "wire" / f"{stream}.parquet"
