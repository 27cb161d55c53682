"""The truth about accepted events against their bytes, read by the standard readers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import polars as pl
import pytest

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION
from adx_platform.simulate.encoding import decimal_text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _micros(value: datetime) -> int:
    return (value - EPOCH) // timedelta(microseconds=1)


def _pairs(market_run: Any, topic: str, record_type: str, name: str) -> Iterator[dict[str, Any]]:
    wire = market_run.accepted_wire(topic, record_type)
    truth = market_run.truth(name)
    assert len(wire) == len(truth)
    joined = truth.join(
        wire.select("partition", "sequence", "value", "headers"), on=["partition", "sequence"]
    )
    assert len(joined) == len(truth)
    return joined.iter_rows(named=True)


def test_impressions(market_run: Any) -> None:
    newer = 0
    for row in _pairs(market_run, "ad_impressions", "ad_impression", "ad_impressions"):
        message = json.loads(row["value"])
        device, geo = message.pop("device"), message.pop("geo")
        newer += message.pop("sdk_version", None) is not None
        message.pop("render", None)
        assert message.pop("ts") == _micros(row["event_time"])
        assert device == {"device_type": row["device_type"], "os": row["os"]}
        assert geo == {"country": row["geo_country"], "region": row["geo_region"]}
        assert all(row[name] == value for name, value in message.items())
        unsent = {"has_consent", "is_givt", "givt_reason", "user_key"}
        for name in row.keys() - message.keys() - unsent:
            if name in {"placement_id", "user_id", "ip", "user_agent", "consent"}:
                assert row[name] is None
        if row["user_key"] is not None:
            assert row["user_id"].strip().lower() == row["user_key"].lower()
    assert newer > 0


def test_clicks_and_conversions(market_run: Any) -> None:
    versions = set()
    for record_type in ("click", "conversion"):
        for row in _pairs(market_run, "clicks_conversions", record_type, f"{record_type}s"):
            (cells,) = csv.reader(io.StringIO(row["value"].decode()), strict=True)
            version = {len(columns): v for v, columns in CSV_COLUMNS_BY_VERSION.items()}[len(cells)]
            versions.add(version)
            headers = {item["key"]: item["value"] for item in row["headers"] or []}
            assert headers.get("contract_version", str(version).encode()) == str(version).encode()
            assert version == 1 or headers
            message = dict(zip(CSV_COLUMNS_BY_VERSION[version], cells, strict=True))
            assert message["event_type"] == record_type
            assert int(message["ts"]) == _micros(row["event_time"])
            value = message["value"]
            assert (Decimal(value) * 1_000_000 if value else None) == row.get("value_micros")
            for name in ("click_id", "impression_id", "order_id", "user_id", "ip", "landing_page"):
                assert (message.get(name) or None) == row.get(name)
            for name in ("gdpr_applies", "consent"):
                assert {"true": True, "false": False, "": None}[message[name]] == row[name]
    assert versions == {1, 2}


def test_bid_requests_topic(market_run: Any) -> None:
    registry = FileSchemaRegistry(market_run.folder / "registry")
    schemas = {}
    for record_type, time_field in (
        ("bid_request", "received_at"),
        ("bid_response", "responded_at"),
        ("bid_notice", "noticed_at"),
    ):
        pairs = list(_pairs(market_run, "bid_requests", record_type, f"{record_type}s"))
        for row in pairs[::25]:
            schema_id = int.from_bytes(row["value"][1:5], "big")
            schema = schemas.setdefault(
                schema_id, fastavro.parse_schema(json.loads(registry.schema(schema_id)))
            )
            record = fastavro.schemaless_reader(io.BytesIO(row["value"][5:]), schema, None)
            assert record[time_field] == row["event_time"]
            assert record["event_id"] == row["event_id"]
            if record_type == "bid_request":
                _assert_request(record, row)
            else:
                names = record.keys() - {time_field}
                assert {name: record[name] for name in names} == {name: row[name] for name in names}


def _assert_request(record: dict, row: dict) -> None:
    assert (record["id"], record["at"]) == (row["request_id"], row["auction_type"])
    assert bool(record["test"]) == row["is_test"]
    channel = record[row["channel"]]
    assert channel["publisher"]["id"] == row["publisher_id"]
    device, user = record["device"], record["user"] or {}
    assert (device["ip"] or device["ipv6"]) == row["ip"]
    assert device["ua"] == row["user_agent"]
    assert device["geo"]["country"] == row["geo_country"]
    assert (user.get("buyeruid") or device["ifa"] or user.get("id")) == row["user_id"]
    gdpr = record["regs"]["gdpr"]
    assert row["has_consent"] == (user.get("consent") is not None or not gdpr)
    assert len(record["imp"]) == row["imp_count"]
    for imp, slim in zip(record["imp"], row["imps"], strict=True):
        assert imp["id"] == slim["imp_id"]
        assert imp["tagid"] == slim["placement_id"]
        assert round(imp["bidfloor"] * 1_000_000) == slim["floor_cpm_micros"]
        assert imp["bidfloorcur"] == slim["floor_currency"]
        media = imp[slim["media_type"]]
        assert (media.get("w"), media.get("h")) == (slim["width"], slim["height"])
        assert len(imp["pmp"]["deals"] if imp["pmp"] else []) == slim["deal_count"]


def test_newer_contracts_begin_in_the_middle_of_the_run(market_run: Any) -> None:
    evolved = market_run.messages.filter(pl.col("fault") == "evolved")
    middle = market_run.config.start + (market_run.config.end - market_run.config.start) / 2
    assert evolved["event_time"].min() >= middle
    assert set(evolved["record_type"].unique()) == {
        "bid_notice",
        "ad_impression",
        "click",
        "conversion",
    }


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (10_000, "0.01"), (1_500_000, "1.50"), (1_234_567, "1.234567")],
)
def test_decimals_are_exact(micros: int, text: str) -> None:
    assert decimal_text(micros) == text
