"""Rejects for want of a writer schema are waited for, and found once the schema is registered."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastavro
import polars as pl
import pytest

from adx_platform.codecs.framing import confluent_frame
from adx_platform.codecs.registry import (
    FileSchemaRegistry,
    UnknownSchemaIdError,
    missing_schema_id,
)
from adx_platform.contracts.avro_schemas import avro_schema, subject_of
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.tables import raw_table
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.pipeline.remedies import carry_out
from adx_platform.quality.refinable_rejects import RefinableRejects, refinable_rejects
from adx_platform.settings import load_settings

STREAM = STREAMS["bid_requests"]
SUBJECT = subject_of("BidNotice")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
KNOWN, NEW = range(3), range(3, 8)


def schema_with(field: str) -> str:
    schema = json.loads(avro_schema("BidNotice"))
    schema["fields"].append({"name": field, "type": ["null", "string"], "default": None})
    return json.dumps(schema, sort_keys=True)


def message(number: int, schema: str, schema_id: int) -> bytes:
    record = {
        "event_id": f"e-{number}",
        "exchange_id": "ex-1",
        "noticed_at": NOON - timedelta(seconds=number + 1),
        "request_id": f"r-{number}",
        "imp_id": "1",
        "bid_id": f"b-{number}",
        "notice_type": "win",
    }
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(schema)), record)
    return confluent_frame(schema_id) + body.getvalue()


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """Three notices in a known schema, and five in one that nobody has registered."""
    platform = open_platform(load_settings(home=tmp_path / "home"))
    known_id = platform.registry.register(SUBJECT, avro_schema("BidNotice"))
    new_id = FileSchemaRegistry(tmp_path / "other").register(SUBJECT, schema_with("exp"))
    values = [message(n, avro_schema("BidNotice"), known_id) for n in KNOWN]
    values += [message(n, schema_with("exp"), new_id) for n in NEW]
    # An id that no registry can have is no matter of waiting.
    values.append(confluent_frame(2**32 - 1) + b"x")
    raw = pl.DataFrame(
        {
            "topic_id": "topic",
            "partition": 0,
            "offset": range(len(values)),
            "kafka_timestamp": NOON,
            "value": values,
        }
    )
    missing = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in RAW_SCHEMA.items()
        if name not in raw.columns
    ]
    raw = raw.with_columns(missing).select(RAW_SCHEMA.names()).cast(RAW_SCHEMA)
    platform.landing(STREAM).commit(raw, "topic", [OffsetRange(0, 0, len(values))])
    assert refine_pending(platform, STREAM, 0) is not None
    return platform


def look(platform: Platform) -> RefinableRejects:
    return refinable_rejects(platform.storage, STREAM, platform.registry)


def test_nothing_is_proposed_while_the_schema_is_unknown(platform: Platform) -> None:
    found = look(platform)

    assert (found.waiting, found.refinable, found.remedy) == (len(NEW) + 1, 0, None)
    assert "wait for their writer schema" in found.explain()


def test_once_it_is_registered_its_rejects_are_named_and_the_remedy_ends_it(
    platform: Platform,
) -> None:
    schema_id = platform.registry.register(SUBJECT, schema_with("exp"))

    found = look(platform)

    assert (found.waiting, found.refinable, found.schema_ids) == (1, len(NEW), (schema_id,))
    assert str(schema_id) in found.explain()
    assert found.remedy is not None
    assert found.remedy.ranges == (OffsetRange(0, NEW.start, NEW.stop),)

    assert carry_out(platform, found.remedy).changed
    after = look(platform)
    assert (after.waiting, after.refinable, after.remedy) == (1, 0, None)


def test_what_the_landing_no_longer_has_is_not_proposed(platform: Platform) -> None:
    platform.registry.register(SUBJECT, schema_with("exp"))
    handle = raw_table(platform.storage, STREAM.topic).find()
    assert handle is not None
    handle.delete('"offset" < 6')

    found = look(platform)

    assert found.remedy is not None
    assert found.remedy.ranges == (OffsetRange(0, 6, NEW.stop),)


def test_an_empty_lake_has_none(tmp_path: Path) -> None:
    platform = open_platform(load_settings(home=tmp_path))

    assert look(platform) == RefinableRejects(0, 0, (), None)


@pytest.mark.parametrize(
    ("reason", "schema_id"),
    [
        (str(UnknownSchemaIdError(7)), 7),
        (str(UnknownSchemaIdError(2**31 - 1)), 2**31 - 1),
        (str(UnknownSchemaIdError(2**31)), None),
        ("schema id 7 is not in the registry today", None),
        ("", None),
    ],
)
def test_the_id_is_read_from_the_reason(reason: str, schema_id: int | None) -> None:
    assert missing_schema_id(reason) == schema_id
