"""The checks find damage that was done to stored data, and say so in Dagster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from deltalake import DeltaTable

from adx_platform.codecs.registry import RegistryUnavailableError
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.landing import LandingHandle
from adx_platform.orchestration import checks, checks_lake, keys
from adx_platform.orchestration.checks_lake import (
    CONSERVATION,
    CONTRACT,
    DELAY,
    HISTORY,
    LATE,
    LOST,
    REFINABLE,
    REJECTS,
)
from adx_platform.orchestration.resources import Line
from adx_platform.settings import QualitySettings, Settings, load_settings

STREAM = STREAMS["clicks_conversions"]
TOPIC_ID = "5b1c"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DISPOSITIONS = ["accepted", "accepted", "rejected", "accepted"]
EVENTS = keys.events_key(STREAM.name)
RAW = keys.raw_key(STREAM.name)
LOADED = checks.warehouse_check_key(STREAM.name)

COLUMNS = {
    "revision": 0,
    "record_type": "conversion",
    "contract_version": 2,
    "event_time": NOON,
    "event_date": NOON.date(),
    "is_late": False,
    "lateness_seconds": 0,
    "payload_fingerprint": "0" * 32,
    "advertiser_id": "adv-1",
    "order_id": "order-1",
    "conversion_type": "purchase",
    "value_micros": 5,
    "currency": "EUR",
}


def ingest(line: Line, **columns: object) -> None:
    """Land and refine four offsets of one partition."""
    offsets = range(len(DISPOSITIONS))
    place = [
        {"topic_id": TOPIC_ID, "partition": 0, "offset": offset, "kafka_timestamp": NOON}
        for offset in offsets
    ]
    span = [OffsetRange(0, 0, len(DISPOSITIONS))]
    raw = pl.DataFrame([row | {"value": b"x"} for row in place], schema=RAW_SCHEMA)
    LandingHandle.open(line.storage, STREAM.topic).commit(raw, TOPIC_ID, span)
    values = COLUMNS | columns
    rows = [
        {name: values.get(name) for name in STREAM.events_schema}
        | row
        | {"disposition": disposition, "event_id": f"e{row['offset']}"}
        | ({"reason_code": "malformed_csv"} if disposition == "rejected" else {})
        for row, disposition in zip(place, DISPOSITIONS, strict=True)
    ]
    refined = pl.DataFrame(rows, schema=STREAM.events_schema)
    RefineHandle.open(line.storage, STREAM.topic, STREAM.events_schema).commit(
        refined, TOPIC_ID, span
    )


def run_checks(line: Line) -> dict[tuple[dg.AssetKey, str], dg.AssetCheckEvaluation]:
    """Run every check of the lake and the raw warehouse; the models are left out."""
    chosen = [
        definition
        for definition in checks.all_checks()
        if not any(key.asset_key.path[1] == "marts" for key in definition.check_keys)
    ]
    defs = dg.Definitions(
        asset_checks=chosen,
        jobs=[dg.define_asset_job("all_checks", dg.AssetSelection.all_asset_checks())],
        resources={"line": line},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("all_checks").execute_in_process(
            instance=instance, raise_on_error=False
        )
    evaluations = result.get_asset_check_evaluations()
    return {(found.asset_key, found.check_name): found for found in evaluations}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(settings_with(tmp_path))


def settings_with(home: Path, **quality: object) -> Settings:
    bounds: dict[str, object] = {"max_reject_share": 0.5}
    return load_settings(home=home, quality=QualitySettings.model_validate(bounds | quality))


def failed(found: dict[tuple[dg.AssetKey, str], dg.AssetCheckEvaluation]) -> set[str]:
    return {f"{key.to_user_string()} {name}" for (key, name), e in found.items() if not e.passed}


def test_an_empty_line_fails_nothing(line: Line) -> None:
    assert failed(run_checks(line)) == set()


def test_sound_data_passes_every_check(line: Line) -> None:
    ingest(line)
    line.load(STREAM.name)

    found = run_checks(line)

    assert failed(found) == set()
    assert found[EVENTS, CONSERVATION].metadata["offsets"].value == 4
    assert found[LOADED, CONSERVATION].metadata["offsets"].value == 4
    assert found[EVENTS, CONTRACT].metadata["checked"].value == {
        "click": 0,
        "conversion": 3,
    }


def test_a_row_missing_in_the_lake_is_found(line: Line) -> None:
    ingest(line)
    DeltaTable(line.storage.table_uri(f"events/{STREAM.topic}")).delete("offset = 1")

    found = run_checks(line)

    broken = {f"{EVENTS.to_user_string()} {name}" for name in (CONSERVATION, HISTORY)}
    assert failed(found) == broken
    evaluation = found[EVENTS, CONSERVATION]
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert "1 missing, the first at offset 1" in str(evaluation.description)


def test_a_first_row_missing_in_the_lake_is_found_by_its_landing(line: Line) -> None:
    ingest(line)
    DeltaTable(line.storage.table_uri(f"events/{STREAM.topic}")).delete("offset = 0")

    evaluation = run_checks(line)[EVENTS, CONSERVATION]

    assert not evaluation.passed
    assert "its first rows are missing" in str(evaluation.description)


def test_what_the_broker_dropped_is_an_alarm_although_conservation_holds(line: Line) -> None:
    ingest(line)
    row = {"topic_id": TOPIC_ID, "partition": 0, "offset": 4, "kafka_timestamp": NOON}
    span = [OffsetRange(0, 4, 11)]
    lost = row | {"gap_length": 7}
    raw = pl.DataFrame([lost | {"gap_kind": "lost"}], schema=RAW_SCHEMA)
    LandingHandle.open(line.storage, STREAM.topic).commit(raw, TOPIC_ID, span)
    refined = pl.DataFrame([lost | {"disposition": "lost"}], schema=STREAM.events_schema)
    RefineHandle.open(line.storage, STREAM.topic, STREAM.events_schema).commit(
        refined, TOPIC_ID, span
    )

    found = run_checks(line)

    assert failed(found) == {f"{RAW.to_user_string()} {LOST}"}
    evaluation = found[RAW, LOST]
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert evaluation.metadata["lost"].value == 7
    assert "7 of partition 0 between offsets 0 and 11" in str(evaluation.description)


def test_a_row_doubled_in_the_warehouse_is_found(line: Line) -> None:
    ingest(line)
    line.load(STREAM.name)
    with line.warehouse() as warehouse:
        warehouse.query(
            "insert into raw.conversions select * from raw.conversions where kafka_offset = 3 "
            "returning kafka_offset"
        )

    found = run_checks(line)

    broken = {f"{LOADED.to_user_string()} {name}" for name in (CONSERVATION, HISTORY)}
    assert failed(found) == broken
    assert "1 doubled, the first at offset 3" in str(found[LOADED, HISTORY].description)


def test_an_accepted_row_against_its_contract_is_found(line: Line) -> None:
    ingest(line, currency="euro")

    found = run_checks(line)

    assert failed(found) == {f"{EVENTS.to_user_string()} {CONTRACT}"}
    assert "currency" in str(found[EVENTS, CONTRACT].description)


@pytest.mark.parametrize(
    ("bounds", "columns", "check"),
    [
        ({"max_reject_share": 0.001}, {}, REJECTS),
        ({"max_late_share": 0.1}, {"is_late": True}, LATE),
        (
            {"max_event_delay": timedelta(minutes=5)},
            {"event_time": NOON - timedelta(minutes=6)},
            DELAY,
        ),
    ],
)
def test_a_measure_beyond_its_bound_warns(
    tmp_path: Path, bounds: dict[str, object], columns: dict[str, object], check: str
) -> None:
    line = Line(settings_with(tmp_path, **bounds))
    ingest(line, **columns)

    found = run_checks(line)

    assert failed(found) == {f"{EVENTS.to_user_string()} {check}"}
    assert found[EVENTS, check].severity == dg.AssetCheckSeverity.WARN


def test_a_registry_that_does_not_answer_is_named_and_stops_no_other_check(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> None:
        raise RegistryUnavailableError("the registry at http://registry does not answer")

    monkeypatch.setattr(checks_lake, "refinable_rejects", unavailable)

    found = run_checks(line)

    bids = keys.events_key("bid_requests")
    assert failed(found) == {f"{bids.to_user_string()} {REFINABLE}"}
    assert "http://registry does not answer" in str(found[bids, REFINABLE].description)
