from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from adx_platform.reference.files import ReferenceData, load_reference
from adx_platform.reference.schemas import REFERENCE_TABLES
from adx_platform.simulate.config import SMALLEST_RUN, MarketConfig
from adx_platform.simulate.reference_files import write_reference_files
from adx_platform.simulate.world import build_world
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.references import load_reference_data


def test_every_table_arrives_exactly_and_only_when_it_changed(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "reference"
    write_reference_files(build_world(MarketConfig(seed=5, events=SMALLEST_RUN)), folder)
    data = load_reference(folder)
    assert load_reference_data(warehouse, data) == tuple(data.tables)
    assert set(data.tables) == {table.name for table in REFERENCE_TABLES}
    for table in REFERENCE_TABLES:
        stored = warehouse.query(f"SELECT * FROM reference.{table.name}").sort(table.key)
        zoned = [
            pl.col(name).dt.replace_time_zone("UTC")
            for name, dtype in stored.schema.items()
            if isinstance(dtype, pl.Datetime)
        ]
        assert stored.with_columns(zoned).equals(data.tables[table.name].sort(table.key))
    assert load_reference_data(warehouse, data) == ()

    with (folder / "data_centre_ranges.csv").open("a", encoding="utf-8") as file:
        file.write("192.0.2.77/32,one more\n")
    assert load_reference_data(warehouse, load_reference(folder)) == ("data_centre_ranges",)
    found = warehouse.query(
        "SELECT owner FROM reference.data_centre_ranges WHERE cidr LIKE '%.77/32'"
    )
    assert found.rows() == [("one more",)]


def test_rates_and_times_are_exact(warehouse: DuckDBWarehouse) -> None:
    rates = pl.DataFrame(
        {"rate_date": [datetime(2026, 3, 2, tzinfo=UTC).date()], "from_currency": ["EUR"]}
    ).with_columns(
        to_currency=pl.lit("USD"),
        rate=pl.lit(Decimal("1234567890.00000001"), pl.Decimal(18, 8)),
    )
    data = ReferenceData({"fx_rates": rates}, {"fx_rates": "v1"}, "v1")
    assert load_reference_data(warehouse, data) == ("fx_rates",)
    assert warehouse.query("SELECT rate FROM reference.fx_rates").item() == Decimal(
        "1234567890.00000001"
    )
