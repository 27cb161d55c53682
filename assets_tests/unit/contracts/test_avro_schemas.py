from __future__ import annotations

import csv
import json
from importlib.resources import files

import pytest

from adx_platform.contracts.ad_impressions import AD_IMPRESSION_COLUMNS, EVENT_TYPES
from adx_platform.contracts.avro_schemas import (
    RECORD_TYPE_BY_NAME,
    VERSIONS,
    avro_schema,
    derived_bid_request_schema,
    render_schema,
    subject_of,
)
from adx_platform.contracts.avro_types import Record, expanded_size, is_recursive, parse_avro
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION
from adx_platform.contracts.evolution import compare
from adx_platform.contracts.streams import BID_REQUESTS

SCHEMAS = files("adx_platform.contracts") / "schemas"
ALL_VERSIONS = [(name, version) for name, versions in VERSIONS.items() for version in versions]


def test_the_committed_bid_request_schema_is_the_derived_one() -> None:
    assert avro_schema("BidRequest") == render_schema(derived_bid_request_schema())


@pytest.mark.parametrize(("name", "version"), ALL_VERSIONS)
def test_schema_files_are_sound(name: str, version: int) -> None:
    record = parse_avro(avro_schema(name, version))
    assert isinstance(record, Record)
    assert record.full_name == subject_of(name)
    assert not is_recursive(record)
    assert expanded_size(record) < 1000
    assert RECORD_TYPE_BY_NAME[record.full_name] in BID_REQUESTS.record_types


@pytest.mark.parametrize(("name", "version"), ALL_VERSIONS)
def test_the_contract_reads_every_version(name: str, version: int) -> None:
    assert compare(avro_schema(name, version), avro_schema(name)).kind != "incompatible"


def test_no_schema_file_is_left_over() -> None:
    expected = {f"{name}.v{version}.avsc" for name, version in ALL_VERSIONS}
    present = {path.name for path in SCHEMAS.iterdir() if path.name.endswith(".avsc")}
    assert present == expected


def test_unknown_names_and_versions_are_refused() -> None:
    with pytest.raises(ValueError, match="BidRequest, BidResponse, BidNotice"):
        avro_schema("Bid")
    with pytest.raises(ValueError, match="no version 9"):
        avro_schema("BidNotice", 9)


def test_the_csv_column_file_says_what_the_code_says() -> None:
    with (SCHEMAS / "clicks_conversions.columns.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_version: dict[int, tuple[str, ...]] = {}
    for row in rows:
        version = int(row["version"])
        columns = by_version.setdefault(version, ())
        assert int(row["position"]) == len(columns)
        by_version[version] = (*columns, row["column"])
    assert by_version == CSV_COLUMNS_BY_VERSION


def test_the_json_schema_requires_what_the_columns_require() -> None:
    schema = json.loads((SCHEMAS / "ad_impressions.v1.schema.json").read_text())
    required = {column.name for column in AD_IMPRESSION_COLUMNS if column.required}
    assert set(schema["required"]) == required | {"event_id", "ts"}
    assert tuple(schema["properties"]["event_type"]["enum"]) == EVENT_TYPES
    flat = set(schema["properties"]) | {"geo_country", "geo_region"}
    assert {column.name for column in AD_IMPRESSION_COLUMNS} <= flat
