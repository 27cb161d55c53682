from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from adx_platform.codecs.framing import encode_avro
from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.streams import STREAMS
from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.refine.context import RefineContext
from adx_platform.settings import PrivacySettings, RefineSettings
from assets_tests.real_data import data_folder

BROKER_TIME = datetime(2026, 9, 21, 12, tzinfo=UTC)
EVENT_US = int(BROKER_TIME.timestamp() * 1_000_000) - 2_000_000
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
CLICK_CELLS = (
    "click,e1,{ts},k1,i1,u1,a1,c1,,,,,198.51.100.7,"
    '"Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0",,'
)


@pytest.fixture(scope="session")
def context_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RefineContext]:
    """context_of(stream, **changes): a context with all schemas registered."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "data_centre_ranges.csv").write_text(
        "cidr,owner\n203.0.113.0/24,Example Hosting\n2001:db8:dc::/48,Example Hosting\n"
    )
    registry = FileSchemaRegistry(tmp_path_factory.mktemp("registry"))
    reference = load_enrichment_reference(folder)

    def build(stream: str, **changes: Any) -> RefineContext:
        context = RefineContext(
            stream=STREAMS[stream],
            registry=registry,
            reference=reference,
            privacy=PrivacySettings(key=SecretStr("test-key"), key_id="k1"),
            rules=RefineSettings(),
        )
        return replace(context, **changes)

    return build


@pytest.fixture(scope="session")
def avro_of(context_of: Callable[..., RefineContext]) -> Callable[..., bytes]:
    """avro_of(record name, **fields): one framed message with sound defaults."""
    registry = context_of("bid_requests").registry
    assert registry is not None
    clocks = {"BidRequest": "received_at", "BidResponse": "responded_at", "BidNotice": "noticed_at"}

    def encode(name: str, **fields: Any) -> bytes:
        schema = avro_schema(name)
        schema_id = registry.register(f"com.advertisex.adx.{name}", schema)
        record = {"event_id": "e1", "exchange_id": "x1", clocks[name]: EVENT_US, **fields}
        return encode_avro(name, [record], schema_id, schema)[0]

    return encode


def raw_frame(messages: Sequence[bytes | None], **columns: Any) -> pl.DataFrame:
    count = len(messages)
    data: dict[str, Any] = {
        "topic_id": ["t1"] * count,
        "partition": [0] * count,
        "offset": list(range(count)),
        "gap_kind": [None] * count,
        "gap_length": [None] * count,
        "kafka_timestamp": [BROKER_TIME] * count,
        "key": [None] * count,
        "value": list(messages),
        "headers": [None] * count,
        **columns,
    }
    return pl.DataFrame(data, schema=RAW_SCHEMA)


@pytest.fixture(scope="session")
def raw_of() -> Callable[..., pl.DataFrame]:
    """raw_of(messages, **columns): raw rows at offsets 0.. of partition 0."""
    return raw_frame


@pytest.fixture(scope="session")
def impression_of() -> Callable[..., bytes]:
    """impression_of(**changes): one JSON message; a change to None leaves the field out."""

    def encode(**changes: Any) -> bytes:
        fields: dict[str, Any] = {
            "event_type": "rendered",
            "event_id": "e1",
            "ts": EVENT_US,
            "impression_id": "i1",
            "exchange_id": "x1",
            "request_id": "r1",
            "imp_id": "1",
            "bid_id": "b1",
            "campaign_id": "c1",
            "creative_id": "cr1",
            "advertiser_id": "a1",
            "publisher_id": "p1",
            "user_id": "visitor-4711",
            "ip": "198.51.100.77",
            "user_agent": BROWSER,
            **changes,
        }
        kept = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(kept).encode()

    return encode


@pytest.fixture(scope="session")
def click_line() -> bytes:
    return CLICK_CELLS.format(ts=EVENT_US).encode()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Third parties' data."""
    return data_folder()
