"""Rates and campaigns that the newest events need, against what the warehouse has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adx_platform.quality.reference_coverage import NEWEST_DAYS, coverage
from adx_platform.reference.files import ReferenceData, load_reference
from adx_platform.simulate.config import SMALLEST_RUN, MarketConfig
from adx_platform.simulate.reference_files import write_reference_files
from adx_platform.simulate.world import build_world
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.references import load_reference_data


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReferenceData:
    folder = tmp_path_factory.mktemp("reference")
    write_reference_files(build_world(MarketConfig(seed=5, events=SMALLEST_RUN)), folder)
    return load_reference(folder)


@pytest.fixture
def newest(files: ReferenceData) -> date:
    """The last day that has rates."""
    day = files.tables["fx_rates"]["rate_date"].max()
    assert isinstance(day, date)
    return day


@pytest.fixture
def warehouse(tmp_path: Path, files: ReferenceData) -> Iterator[DuckDBWarehouse]:
    with DuckDBWarehouse(tmp_path / "w.duckdb") as opened:
        opened.ensure_schema()
        load_reference_data(opened, files)
        yield opened


def noon(day: date) -> datetime:
    """As the warehouse keeps times: UTC without a zone."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).replace(tzinfo=None)


def notice(warehouse: DuckDBWarehouse, day: date, currency: str, offset: int = 0) -> None:
    at = noon(day)
    warehouse.connection.execute(
        "insert into raw.bid_notices (topic_id, partition_id, kafka_offset, kafka_timestamp, "
        "revision, disposition, record_type, contract_version, event_id, event_time, event_date, "
        "load_id, price_cpm_micros, currency, exchange_id, request_id, imp_id, bid_id, notice_type)"
        " values ('t', 0, ?, ?, 0, 'accepted', 'bid_notice', 1, ?, ?, ?, 1, 5, ?, 'x', 'r', 'i', "
        "'b', 'billing')",
        [offset, at, f"e{offset}", at, day, currency],
    )


def impressions(warehouse: DuckDBWarehouse, campaign: str, count: int, day: date) -> None:
    warehouse.connection.execute(
        "insert into raw.ad_impressions (topic_id, partition_id, kafka_offset, revision, "
        "disposition, event_date, load_id, campaign_id, contract_version, record_type, event_id, "
        "event_time) select 't', 0, range, 0, 'accepted', ?, 1, ?, 1, 'ad_impression', "
        "? || range, ? from range(?)",
        [day, campaign, campaign, noon(day), count],
    )


def test_without_events_nothing_is_needed(warehouse: DuckDBWarehouse, files: ReferenceData) -> None:
    for table in ("fx_rates", "campaigns"):
        found = coverage(warehouse.query, table, files)
        assert (found.passed, found.needed, found.missing) == (True, 0, 0)


def test_rates_of_the_newest_days_are_needed_and_no_older_ones(
    warehouse: DuckDBWarehouse, files: ReferenceData, newest: date
) -> None:
    notice(warehouse, newest, "USD", 0)
    notice(warehouse, newest - timedelta(days=NEWEST_DAYS), "XXX", 1)
    found = coverage(warehouse.query, "fx_rates", files)
    assert found.passed, found.explain()
    assert found.needed > 0
    notice(warehouse, newest - timedelta(days=NEWEST_DAYS - 1), "XXX", 2)
    lacking = coverage(warehouse.query, "fx_rates", files)
    assert not lacking.passed
    assert "no rate from XXX to" in lacking.explain()


def test_a_file_whose_newest_day_lags_is_found(
    warehouse: DuckDBWarehouse, files: ReferenceData, newest: date
) -> None:
    tomorrow = newest + timedelta(days=1)
    notice(warehouse, tomorrow, "USD")
    found = coverage(warehouse.query, "fx_rates", files)
    assert found.missing == found.needed > 0
    assert f"on {tomorrow}" in found.explain()


def test_rows_deleted_behind_our_back_are_found_and_a_forced_load_brings_them_back(
    warehouse: DuckDBWarehouse, files: ReferenceData, newest: date
) -> None:
    warehouse.connection.execute(
        "delete from reference.fx_rates where rate_date < ?", [newest - timedelta(days=9)]
    )
    found = coverage(warehouse.query, "fx_rates", files)
    assert found.missing == 0
    assert "does not hold what was loaded from fx_rates.csv" in found.explain()
    assert load_reference_data(warehouse, files) == ()
    assert set(load_reference_data(warehouse, files, force=True)) == set(files.tables)
    assert coverage(warehouse.query, "fx_rates", files).passed


def test_a_newer_file_that_is_not_loaded_yet_is_no_damage(
    warehouse: DuckDBWarehouse, files: ReferenceData
) -> None:
    newer = ReferenceData(
        files.tables | {"fx_rates": files.tables["fx_rates"].head(1)},
        files.versions | {"fx_rates": "newer"},
        "newer",
    )
    assert coverage(warehouse.query, "fx_rates", newer).passed


def test_files_that_cannot_be_read_are_a_fault_once_something_was_loaded(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    found = coverage(warehouse.query, "campaigns", None, unreadable="the file is missing")
    assert "cannot be read: the file is missing" in found.explain()
    with DuckDBWarehouse(tmp_path / "empty.duckdb") as empty:
        empty.ensure_schema()
        assert coverage(empty.query, "campaigns", None, unreadable="no files").passed


def test_a_stray_campaign_is_let_pass_and_many_are_not(
    warehouse: DuckDBWarehouse, files: ReferenceData, newest: date
) -> None:
    known = files.tables["campaigns"]["campaign_id"][0]
    impressions(warehouse, known, 99, newest)
    impressions(warehouse, "stray", 1, newest)
    found = coverage(warehouse.query, "campaigns", files)
    assert (found.passed, found.needed, found.missing) == (True, 2, 1)
    impressions(warehouse, "unknown", 10, newest)
    broken = coverage(warehouse.query, "campaigns", files)
    assert not broken.passed
    assert "10.0% of the newest impressions" in broken.explain()
    assert "unknown, stray; bound 2%" in broken.explain()
