from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from adx_platform.contracts.columns import polars_schema
from adx_platform.reference.files import (
    ReferenceDataError,
    load_reference,
    load_reference_files,
)
from adx_platform.reference.schemas import REFERENCE_FILES, REFERENCE_TABLES
from adx_platform.simulate.config import SMALLEST_RUN, MarketConfig
from adx_platform.simulate.reference_files import write_reference_files
from adx_platform.simulate.world import build_world

FILES = {
    "advertisers.csv": (
        "advertiser_id,name,time_zone,currency,click_lookback_hours,view_lookback_hours,updated_at\n"
        "a1,Acme,Europe/Madrid,EUR,168,24,2026-03-01T00:00:00Z\n"
        'a2,"Blau, Söhne",Asia/Kolkata,USD,24,0,2026-03-01 05:30:00+05:30\n'
    ),
    "campaigns.csv": (
        "campaign_id,advertiser_id,name,objective,status,daily_budget_micros,total_budget_micros,"
        "frequency_cap_per_day,updated_at\n"
        "c1,a1,Spring,sales,active,100000000,,3,2026-03-01T00:00:00.123456\n"
    ),
    "flights.csv": (
        "flight_id,campaign_id,starts_at,ends_at,budget_micros\n"
        "f1,c1,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,5000000000\n"
    ),
    "creatives.csv": (
        "creative_id,campaign_id,name,format,width,height\n"
        "cr1,c1,Top,banner,300,250\ncr2,c1,Feed,native,,\n"
    ),
    "exchanges.csv": "exchange_id,name,currency,auction_type\nx1,Exchange,USD,first_price\n",
    "publishers.csv": "publisher_id,exchange_id,name,domain\np1,x1,News,news.example\n",
    "fx_rates.csv": (
        "rate_date,from_currency,to_currency,rate\n"
        "2026-03-02,EUR,EUR,1\n2026-03-02,EUR,USD,1.08450000\n"
        "2026-03-02,USD,EUR,0.92208391\n2026-03-02,USD,USD,1.00000000\n"
    ),
    "data_centre_ranges.csv": "cidr,owner\n192.0.2.0/24,Cloud\n2001:db8::/32,\n",
    "billing_closes.csv": (
        "advertiser_id,month,closed_at,to_load_id,amount_micros\n"
        "a1,2026-02-01,2026-03-03T09:00:00Z,812,\n"
    ),
    "exchange_invoices.csv": (
        "exchange_id,month,currency,amount_micros\nx1,2026-02-01,USD,123450000\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def change(folder: Path) -> Callable[[str, str, str], None]:
    """Replace a text of a file by another one."""

    def edit(name: str, old: str, new: str) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) >= 1
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return edit


def problems(folder: Path) -> list[str]:
    with pytest.raises(ReferenceDataError) as caught:
        load_reference_files(folder)
    return [str(problem) for problem in caught.value.problems]


def test_values_are_read_exactly(folder: Path) -> None:
    tables = load_reference_files(folder)
    assert list(tables) == [table.name for table in REFERENCE_FILES]
    for table in REFERENCE_FILES:
        assert tables[table.name].schema == polars_schema(table.columns)
    assert tables["advertisers"].row(1) == (
        "a2", "Blau, Söhne", "Asia/Kolkata", "USD", 24, 0, datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    assert tables["campaigns"].row(0) == (
        "c1", "a1", "Spring", "sales", "active", 100_000_000, None, 3,
        datetime(2026, 3, 1, 0, 0, 0, 123456, tzinfo=UTC),
    )  # fmt: skip
    assert tables["fx_rates"].row(2) == (date(2026, 3, 2), "USD", "EUR", Decimal("0.92208391"))
    assert tables["creatives"].row(1) == ("cr2", "c1", "Feed", "native", None, None)
    assert tables["data_centre_ranges"].row(1) == ("2001:db8::/32", None)


def test_derived_tables_and_versions(folder: Path, change: Callable[..., None]) -> None:
    data = load_reference(folder)
    assert set(data.tables) == {table.name for table in REFERENCE_TABLES}
    zones = data.tables["time_zone_offsets"]["time_zone"].unique().sort().to_list()
    assert zones == ["Asia/Kolkata", "Europe/Madrid"]
    assert load_reference(folder).version == data.version
    change("creatives.csv", "Top", "Bottom")
    changed = load_reference(folder)
    assert changed.version != data.version
    differing = {name for name in data.versions if data.versions[name] != changed.versions[name]}
    assert differing == {"creatives"}


def test_the_order_of_lines_does_not_matter(folder: Path) -> None:
    before = load_reference(folder)
    header, *lines = FILES["fx_rates.csv"].splitlines()
    (folder / "fx_rates.csv").write_text("\n".join([header, *reversed(lines)]), encoding="utf-8")
    assert load_reference(folder).version == before.version


def test_more_columns_other_order_and_a_mark_of_windows_pass(folder: Path) -> None:
    (folder / "exchanges.csv").write_bytes(
        b"\xef\xbb\xbfnote,currency,exchange_id,auction_type,name\r\n"
        b"ours,USD,x1,first_price,Exchange\r\n\r\n"
    )
    assert load_reference_files(folder)["exchanges"].row(0) == (
        "x1", "Exchange", "USD", "first_price",
    )  # fmt: skip


def test_optional_files_and_columns(folder: Path) -> None:
    for name in ("data_centre_ranges", "billing_closes", "exchange_invoices"):
        (folder / f"{name}.csv").unlink()
    (folder / "publishers.csv").write_text("publisher_id,exchange_id,name\np1,x1,News\n")
    tables = load_reference_files(folder)
    assert tables["data_centre_ranges"].is_empty()
    assert tables["data_centre_ranges"].schema == {"cidr": pl.String, "owner": pl.String}
    assert tables["billing_closes"].is_empty()
    assert tables["exchange_invoices"].is_empty()
    assert tables["publishers"]["domain"].to_list() == [None]


class Case(NamedTuple):
    """Replacing ``old`` by ``new`` in a file gives the problem ``<file><problem>``."""

    file: str
    old: str
    new: str
    problem: str


CASES = (
    Case(
        "flights.csv",
        "5000000000",
        "5e9",
        ", line 2, column budget_micros: '5e9' is not a whole number",
    ),
    Case(
        "flights.csv",
        "5000000000",
        "9223372036854775808",
        ", line 2, column budget_micros: '9223372036854775808' does not fit in 64 bits",
    ),
    Case(
        "advertisers.csv",
        "168",
        "2147483648",
        ", line 2, column click_lookback_hours: '2147483648' does not fit in 32 bits",
    ),
    Case("advertisers.csv", "168", "-1", ", line 2, column click_lookback_hours: -1 is below 0"),
    Case("advertisers.csv", "168", "", ", line 2, column click_lookback_hours: must not be empty"),
    Case(
        "advertisers.csv",
        "a1,",
        "a1 ,",
        ", line 2, column advertiser_id: 'a1 ' has blanks around it",
    ),
    Case(
        "advertisers.csv",
        "2026-03-01T00:00:00Z",
        "1 March",
        ", line 2, column updated_at: '1 March' is not a time "
        "(write for example 2026-03-01T08:30:00Z)",
    ),
    Case(
        "advertisers.csv",
        "Europe/Madrid",
        "Europe/Madird",
        ", line 2, column time_zone: 'Europe/Madird' is not an IANA time zone: "
        "write for example Europe/Madrid",
    ),
    Case(
        "exchanges.csv",
        "USD",
        "usd",
        ", line 2, column currency: 'usd' is not an ISO 4217 code (three capital letters)",
    ),
    Case(
        "creatives.csv",
        "banner",
        "popup",
        ", line 2, column format: 'popup' is not one of banner, native, video",
    ),
    Case("creatives.csv", "cr2", "cr1", ", line 3: creative_id=cr1 is already on line 2: keep one"),
    Case(
        "campaigns.csv",
        "c1,a1",
        "c1,a9",
        ", line 2, column advertiser_id: 'a9' is not in advertisers.csv",
    ),
    Case("campaigns.csv", ",3,", ",0,", ", line 2, column frequency_cap_per_day: 0 is below 1"),
    Case(
        "flights.csv",
        "2026-04-01",
        "2026-03-01",
        ", line 2, column ends_at: 2026-03-01 00:00:00+00:00 is not after "
        "2026-03-01 00:00:00+00:00",
    ),
    Case(
        "fx_rates.csv",
        "1.08450000",
        "1.084500001",
        ", line 3, column rate: '1.084500001' has 9 decimal places, at most 8 are kept",
    ),
    Case("fx_rates.csv", "1.08450000", "1,0845", ", line 3: has 5 values, the header has 4"),
    Case(
        "fx_rates.csv",
        "1.08450000",
        "NaN",
        ", line 3, column rate: 'NaN' is not a decimal number (write for example 1.08450000)",
    ),
    Case(
        "fx_rates.csv",
        "1.08450000",
        "12345678901",
        ", line 3, column rate: '12345678901' has more than 10 digits before the point",
    ),
    Case("fx_rates.csv", "1.08450000", "0", ", line 3, column rate: 0 is not above 0"),
    Case(
        "fx_rates.csv",
        "EUR,EUR,1",
        "EUR,EUR,1.1",
        ", line 2, column rate: 1.1 from a currency to itself",
    ),
    Case(
        "fx_rates.csv",
        "2026-03-02",
        "2026-02-30",
        ", line 2, column rate_date: '2026-02-30' is not a date: day is out of range for month",
    ),
    Case(
        "fx_rates.csv",
        "2026-03-02",
        "20260302",
        ", line 2, column rate_date: '20260302' is not a date (write YYYY-MM-DD)",
    ),
    Case(
        "billing_closes.csv",
        "2026-02-01",
        "2026-02-28",
        ", line 2, column month: 2026-02-28 is not the first day of a month",
    ),
    Case(
        "exchange_invoices.csv",
        "x1,2026-02-01",
        "x1,2026-02-02",
        ", line 2, column month: 2026-02-02 is not the first day of a month",
    ),
    Case(
        "data_centre_ranges.csv",
        "192.0.2.0/24",
        "192.0.2.1/24",
        ", line 2, column cidr: is not a network: 192.0.2.1/24 has host bits set",
    ),
    Case(
        "advertisers.csv",
        "EUR",
        "CHF",
        ", line 2, column currency: fx_rates.csv has no rates of CHF",
    ),
    Case(
        "fx_rates.csv",
        "2026-03-02,USD,EUR,0.92208391\n",
        "",
        ": no rate from USD to EUR on 2026-03-02",
    ),
    Case(
        "exchanges.csv",
        "name,currency",
        "name,name",
        ", line 1, column name: is in the header twice",
    ),
    Case(
        "exchanges.csv",
        "auction_type",
        "auction",
        ", line 1, column auction_type: is missing from the header",
    ),
    Case(
        "exchanges.csv",
        "Exchange",
        '"Exchange',
        ", line 2: is not RFC 4180 CSV: unexpected end of data",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.problem)
def test_a_problem_is_named_with_its_place(
    folder: Path, change: Callable[..., None], case: Case
) -> None:
    change(case.file, case.old, case.new)
    assert f"{case.file}{case.problem}" in problems(folder)


def test_lines_are_counted_in_the_file_not_in_records(folder: Path) -> None:
    text = 'exchange_id,name,currency,auction_type\nx1,"two\nlines",USD,first_price\nx2,b,,z\n'
    (folder / "exchanges.csv").write_text(text)
    assert problems(folder) == ["exchanges.csv, line 4, column currency: must not be empty"]


def test_days_without_rates_are_found(folder: Path) -> None:
    later = FILES["fx_rates.csv"].partition("\n")[2].replace("03-02", "03-05")
    (folder / "fx_rates.csv").write_text(FILES["fx_rates.csv"] + later)
    assert problems(folder) == [
        "fx_rates.csv, column rate_date: no rates between 2026-03-02 and 2026-03-05"
    ]


def test_all_problems_come_at_once(folder: Path, change: Callable[..., None]) -> None:
    (folder / "flights.csv").unlink()
    (folder / "publishers.csv").write_bytes(b"publisher_id,exchange_id,name\np1,x1,\xff\n")
    change("advertisers.csv", "168", "many")
    change("advertisers.csv", ",24,0,", ",,0,")
    found = problems(folder)
    assert found == [
        "advertisers.csv, line 2, column click_lookback_hours: 'many' is not a whole number",
        "advertisers.csv, line 3, column click_lookback_hours: must not be empty",
        "flights.csv: the file is missing",
        "publishers.csv: is not UTF-8: invalid start byte",
    ]
    with pytest.raises(ReferenceDataError) as caught:
        load_reference_files(folder)
    assert str(caught.value).startswith(f"the reference data in {folder} is not usable:\n  adv")


def test_many_problems_are_counted_but_not_all_shown(tmp_path: Path) -> None:
    rows = "".join(f"x{n},{n},dollars,t\n" for n in range(50))
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "exchanges.csv").write_text("exchange_id,name,currency,auction_type\n" + rows)
    with pytest.raises(ReferenceDataError) as caught:
        load_reference_files(tmp_path)
    assert len(caught.value.problems) >= 90
    message = str(caught.value)
    assert message.count("\n") == 21
    assert message.endswith(f"and {len(caught.value.problems) - 20} more")


def test_the_simulators_files_are_usable(tmp_path: Path) -> None:
    write_reference_files(build_world(MarketConfig(seed=11, events=SMALLEST_RUN)), tmp_path)
    data = load_reference(tmp_path)
    # The market invoices nobody.
    empty = {name for name, frame in data.tables.items() if frame.is_empty()}
    assert empty == {"billing_closes", "exchange_invoices"}
    zones = data.tables["time_zone_offsets"]
    assert zones["time_zone"].n_unique() == data.tables["advertisers"]["time_zone"].n_unique()
