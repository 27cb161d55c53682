"""Avro through a registry over HTTP: several writer schemas in one batch, and one that comes late.

The server speaks the Confluent API; the lake is real. Each writer's messages stand for one way in
which a producer may change its schema, and are followed from landing to what a person sees.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adx_platform.codecs.encoding import encode_avro
from adx_platform.codecs.registry import RegistryUnavailableError
from adx_platform.contracts.avro_schemas import avro_schema, subject_of
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import BID_REQUESTS
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.tables import events_table
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.pipeline.remedies import carry_out
from adx_platform.pipeline.reports import BatchReport
from adx_platform.quality.refinable_rejects import refinable_rejects
from adx_platform.settings import RegistrySettings, load_settings
from assets_tests.servers.schema_registry import ConfluentServer, confluent_server

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SUBJECT = subject_of("BidNotice")


def changed(
    *,
    drop: str = "",
    rename: tuple[str, str] = ("", ""),
    types: dict[str, Any] | None = None,
    add: list[Any] | None = None,
) -> str:
    schema = json.loads(avro_schema("BidNotice"))
    fields = [field for field in schema["fields"] if field["name"] != drop]
    for field in fields:
        if field["name"] == rename[0]:
            field["name"] = rename[1]
        if types and field["name"] in types:
            field["type"] = types[field["name"]]
            field.pop("default", None)
    return json.dumps({**schema, "fields": fields + (add or [])})


def symbols(*names: str) -> dict[str, Any]:
    return {"type": "enum", "name": "Notice", "symbols": list(names)}


FINE = {
    "the contract": avro_schema("BidNotice"),
    "a field more": changed(
        add=[{"name": "exp", "type": ["null", "string"], "default": None}],
    ),
    "an optional field less": changed(drop="deal_id"),
    "an int that the contract has as long": changed(types={"price_cpm_micros": ["null", "int"]}),
    "bytes that the contract has as string": changed(types={"bid_id": "bytes"}),
    "an enum of its own more": changed(
        add=[{"name": "how", "type": symbols("A", "B"), "default": "A"}]
    ),
}
REFUSED = {
    "a long that the contract has as int": (
        changed(types={"loss_reason": ["null", "long"]}),
        "loss_reason is written as long",
    ),
    "a required field less": (changed(drop="bid_id"), "bid_id is required"),
    "a required field renamed": (changed(rename=("bid_id", "bid")), "bid_id is required"),
    "an optional field renamed": (
        changed(rename=("campaign_id", "campaignId")),
        "campaign_id was renamed to campaignId",
    ),
    "an enum where the contract has text": (
        changed(types={"notice_type": symbols("win", "loss", "billing", "burn")}),
        "notice_type is written as enum",
    ),
    "seconds where the contract has microseconds": (
        changed(types={"noticed_at": "long"}),
        "noticed_at is written as long",
    ),
}
LATE = changed(add=[{"name": "seat", "type": "string"}])


def notice(number: int, schema: str, schema_id: int) -> bytes:
    record: dict[str, Any] = {
        "event_id": f"e-{number}",
        "exchange_id": "ex-1",
        "noticed_at": int((NOON - timedelta(seconds=number)).timestamp() * 1_000_000),
        "request_id": f"r-{number}",
        "imp_id": "1",
        "bid_id": f"b-{number}",
        "bid": f"b-{number}",
        "notice_type": "win",
        "price_cpm_micros": 1_000 + number,
        "currency": "USD",
        "exp": "x",
        "how": "B",
        "seat": "s",
    }
    if '"bid_id", "type": "bytes"' in schema:
        record["bid_id"] = record["bid_id"].encode()
    return encode_avro("BidNotice", [record], schema_id, schema)[0]


@pytest.fixture
def server() -> Iterator[ConfluentServer]:
    with confluent_server() as running:
        yield running


@pytest.fixture
def platform(server: ConfluentServer, tmp_path: Path) -> Platform:
    registry = RegistrySettings(url=server.url)
    return open_platform(load_settings(home=tmp_path / "home", registry=registry))


def land(platform: Platform, values: list[bytes]) -> None:
    rows = pl.DataFrame(
        {
            "topic_id": "topic",
            "partition": 0,
            "offset": range(len(values)),
            "kafka_timestamp": NOON,
            "value": values,
        }
    )
    missing = [pl.lit(None, RAW_SCHEMA[n]).alias(n) for n in RAW_SCHEMA if n not in rows.columns]
    raw = rows.with_columns(missing).select(RAW_SCHEMA.names()).cast(RAW_SCHEMA)
    platform.landing(BID_REQUESTS).commit(raw, "topic", [OffsetRange(0, 0, len(values))])


def refined(platform: Platform) -> BatchReport:
    report = refine_pending(platform, BID_REQUESTS, 0)
    assert report is not None
    return report


def events(platform: Platform) -> pl.DataFrame:
    snapshot = events_snapshot(platform.storage, BID_REQUESTS.topic, BID_REQUESTS.events_schema)
    assert snapshot is not None
    return snapshot.scan().sort("offset").collect()


def test_each_writer_of_a_batch_is_resolved_or_refused_by_its_own_schema(
    server: ConfluentServer, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    schemas = [*FINE.values(), *(schema for schema, _ in REFUSED.values())]
    ids = [platform.registry.register(SUBJECT, schema) for schema in schemas]
    assert len(set(ids)) == len(schemas)
    # Twice through all of them: no writer's messages are neighbours.
    land(
        platform,
        [
            notice(turn * len(ids) + at, schema, schema_id)
            for turn in range(2)
            for at, (schema, schema_id) in enumerate(zip(schemas, ids, strict=True))
        ],
    )
    with caplog.at_level(logging.INFO):
        report = refined(platform)

    rows = events(platform)
    assert rows["schema_id"].to_list() == ids * 2
    fates = [row["disposition"] for row in rows.iter_rows(named=True)]
    assert fates == (["accepted"] * len(FINE) + ["rejected"] * len(REFUSED)) * 2
    accepted = rows.filter(pl.col("disposition") == "accepted")
    assert accepted["bid_id"].to_list() == [f"b-{offset}" for offset in accepted["offset"]]
    assert accepted["price_cpm_micros"].to_list() == [1_000 + n for n in accepted["offset"]]
    refused = rows.filter(pl.col("disposition") == "rejected")
    assert set(refused["reason_code"]) == {"incompatible_schema"}
    for row, (_, words) in zip(refused["reason"], [*REFUSED.values()] * 2, strict=True):
        assert words in row
    # One question per schema, however many messages.
    asked = [request for request in server.requests if request.startswith("GET /schemas/ids/")]
    assert sorted(asked) == sorted(f"GET /schemas/ids/{schema_id}" for schema_id in ids)

    # What passed otherwise than by the contract can be seen, now and later.
    noted = ("bid_id: bytes -> string", "exp", "how", "price_cpm_micros: int -> long")
    assert report.noted == noted
    (said,) = [record for record in caplog.records if hasattr(record, "adx.noted")]
    assert getattr(said, "adx.noted") == noted
    table = events_table(platform.storage, BID_REQUESTS.topic, BID_REQUESTS.events_schema).find()
    assert table is not None
    assert table.history(1)[0]["adx.noted"] == "; ".join(noted)


def test_a_schema_that_is_registered_late_frees_its_messages(
    server: ConfluentServer, platform: Platform
) -> None:
    known = platform.registry.register(SUBJECT, avro_schema("BidNotice"))
    coming = known + 1
    values = [notice(n, avro_schema("BidNotice"), known) for n in range(3)]
    values += [notice(n, LATE, coming) for n in range(3, 8)]
    land(platform, values)
    report = refined(platform)
    assert (report.counts["accepted"], report.reasons) == (3, {"unknown_schema_id": 5})
    assert f"schema id {coming} is not in the registry" in set(events(platform)["reason"])
    waiting = refinable_rejects(platform.storage, BID_REQUESTS, platform.registry)
    assert (waiting.waiting, waiting.refinable, waiting.remedy) == (5, 0, None)

    assert platform.registry.register(SUBJECT, LATE) == coming
    found = refinable_rejects(platform.storage, BID_REQUESTS, platform.registry)
    assert (found.waiting, found.refinable, found.schema_ids) == (0, 5, (coming,))
    assert found.remedy is not None
    assert carry_out(platform, found.remedy).changed
    rows = events(platform)
    assert rows["offset"].to_list() == list(range(8))
    assert set(rows["disposition"]) == {"accepted"}
    assert refinable_rejects(platform.storage, BID_REQUESTS, platform.registry).remedy is None


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_registry_that_fails_stops_the_batch_and_rejects_nothing(
    server: ConfluentServer, platform: Platform, status: int
) -> None:
    known = platform.registry.register(SUBJECT, avro_schema("BidNotice"))
    land(platform, [notice(n, avro_schema("BidNotice"), known) for n in range(3)])
    server.broken_with = status
    with pytest.raises(RegistryUnavailableError, match=f"HTTP {status}"):
        refine_pending(platform, BID_REQUESTS, 0)
    assert events(platform).is_empty()

    server.broken_with = None
    assert refined(platform).counts["accepted"] == 3
