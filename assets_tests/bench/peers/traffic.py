"""The messages that all contenders read, and what each of them is told about their format.

Belongs here: wire files, topics, jobs. Does not belong here: the market (``bench.traffic``).

Every topic is filled twice: with a few messages, for what starting up costs, and then with all.
A topic ``sound.<stream>`` has the same messages without the malformed ones, for the contenders that
one such message would stop.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

import adx_platform.contracts
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION
from adx_platform.contracts.streams import STREAMS
from adx_platform.settings import KafkaSettings
from adx_platform.simulate.feeding import feed_topic
from adx_platform.streams.admin import KafkaAdmin
from assets_tests.bench.peers.job import Job, Wire
from assets_tests.bench.traffic import Traffic, messages_of, simulate_market, summary, write_wire

WIRES: Final[dict[str, Wire]] = {
    "ad_impressions": "json",
    "clicks_conversions": "csv",
    "bid_requests": "avro",
}
FEW: Final = 400

_WIRE, _FEW_WIRE = "wire", "few"
_SPARK_TYPES = {"string": "STRING", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN"}
_SPARK_CSV_TYPES = {
    "ts": "BIGINT",
    "value": "DECIMAL(18, 6)",
    "gdpr_applies": "BOOLEAN",
    "consent": "BOOLEAN",
}


def topic_of(stream: str, *, sound: bool) -> str:
    """The topic with all messages of a stream, or the one without the malformed ones."""
    return f"sound.{stream}" if sound else stream


def make_messages(home: Path, messages: int, partitions: int) -> list[Traffic]:
    """Write ``messages`` messages of each stream to ``home``."""
    simulate_market(home, messages, partitions)
    made = []
    for stream in STREAMS:
        every = messages_of(home, stream, messages)
        for part, folder in ((every, _WIRE), (every.head(FEW), _FEW_WIRE)):
            write_wire(part, home / folder, stream)
            sound = part.filter(~pl.col("malformed"))
            write_wire(sound, home / folder, topic_of(stream, sound=True))
        made.append(summary(stream, every))
    return made


def feed(home: Path, kafka: KafkaSettings, *, few: bool) -> dict[str, dict[int, int]]:
    """Send what the topics have not yet; returns for each topic its partitions' ends."""
    topics = [topic_of(stream, sound=sound) for stream in STREAMS for sound in (False, True)]
    with KafkaAdmin(kafka) as admin:
        # Their times are of the past: the default retention would delete them at once.
        admin.create_topics(topics, config={"retention.ms": "-1"})
        for topic in topics:
            feed_topic(kafka, home / (_FEW_WIRE if few else _WIRE), topic)
        return {
            topic: {p: marks.last_stable for p, marks in admin.watermarks(topic).items()}
            for topic in topics
        }


def job_for(
    home: Path, kafka: KafkaSettings, stream: str, *, topic: str, ends: dict[int, int], out: Path
) -> Job:
    """What a contender is told to read ``topic`` into ``out``."""
    wire = WIRES[stream]
    return Job(
        servers=kafka.bootstrap_servers,
        topic=topic,
        stream=stream,
        ends=ends,
        wire=wire,
        out=out,
        home=home,
        columns=list(_csv_columns()) if wire == "csv" else [],
        spark_schema={"json": _spark_json, "csv": _spark_csv, "avro": str}[wire](),
        schemas=_occurring_schemas(home, stream) if wire == "avro" else {},
    )


def _csv_columns() -> tuple[str, ...]:
    return tuple(CSV_COLUMNS_BY_VERSION[max(CSV_COLUMNS_BY_VERSION)])


def _spark_csv() -> str:
    return ", ".join(f"{name} {_SPARK_CSV_TYPES.get(name, 'STRING')}" for name in _csv_columns())


def _spark_json() -> str:
    schemas = Path(adx_platform.contracts.__file__).parent / "schemas"
    contract = json.loads((schemas / "ad_impressions.v1.schema.json").read_text(encoding="utf-8"))
    return ", ".join(f"{n} {_spark_type(one)}" for n, one in contract["properties"].items())


def _spark_type(schema: dict[str, Any]) -> str:
    # An enumeration here is one of strings; of a type and null, the type comes first.
    stated = schema.get("type", "string")
    name = stated if isinstance(stated, str) else stated[0]
    if name == "object":
        parts = (f"{key}: {_spark_type(one)}" for key, one in schema["properties"].items())
        return f"STRUCT<{', '.join(parts)}>"
    return _SPARK_TYPES[name]


def _occurring_schemas(home: Path, stream: str) -> dict[int, str]:
    values = pl.read_parquet(home / _WIRE / f"{topic_of(stream, sound=True)}.parquet")["value"]
    ids = values.bin.slice(1, 4).unique().drop_nulls().to_list()
    found = {int.from_bytes(schema_id, "big") for schema_id in ids}
    folder = home / "registry" / "schemas"
    return {one: (folder / f"{one}.avsc").read_text(encoding="utf-8") for one in sorted(found)}
