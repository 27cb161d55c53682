"""Which months are trained, and when a training makes a version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from adx_platform.attribution.training import BILLION
from adx_platform.pipeline.training import train_attribution
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse

FIRST = datetime(2026, 5, 1, tzinfo=UTC)
SECOND = datetime(2026, 5, 2, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBWarehouse]:
    with DuckDBWarehouse(tmp_path / "adx.duckdb") as opened:
        opened.ensure_schema()
        yield opened


@pytest.fixture
def built(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    """The two models that a training reads, as tables that a test fills."""
    warehouse.connection.execute(
        "create schema intermediate;"
        "create table intermediate.int_attribution_touches (advertiser_id varchar, "
        "conversion_event_id varchar, campaign_id varchar, conversion_date date);"
        "create table intermediate.int_attribution_transitions (advertiser_id varchar, "
        "window_start date, from_campaign_id varchar, to_campaign_id varchar, steps bigint, "
        "conversions bigint, revenue_micros bigint, losses bigint)"
    )
    return warehouse


def converts(warehouse: DuckDBWarehouse, advertiser: str, campaign: str, day: date) -> None:
    """One conversion after one touch."""
    warehouse.connection.execute(
        "insert into intermediate.int_attribution_touches values ($a, uuid()::varchar, $c, $d);",
        {"a": advertiser, "c": campaign, "d": day},
    )
    warehouse.connection.execute(
        "insert into intermediate.int_attribution_transitions "
        "values ($a, date_trunc('month', $d::date), null, $c, 1, 1, 0, 0)",
        {"a": advertiser, "c": campaign, "d": day},
    )


def weights(warehouse: DuckDBWarehouse) -> list[tuple[object, ...]]:
    return warehouse.query(
        "select advertiser_id, window_start, window_end, version, campaign_id, weight "
        "from reference.attribution_weights where model = 'shapley' order by all"
    ).rows()


def test_without_models_it_says_what_to_run(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseError, match=r"int_attribution_touches .* run `adx build`"):
        train_attribution(warehouse)


def test_nothing_to_learn_from_is_no_error(built: DuckDBWarehouse) -> None:
    report = train_attribution(built, now=FIRST)
    assert report.explain() == "read 0 attributed conversions of no month: no weight changed"
    assert weights(built) == []


def test_a_version_is_added_only_where_a_weight_changed(built: DuckDBWarehouse) -> None:
    april, may = date(2026, 4, 1), date(2026, 5, 1)
    converts(built, "a", "c1", date(2026, 4, 30))
    converts(built, "b", "c2", date(2026, 4, 1))

    first = train_attribution(built, now=FIRST)
    again = train_attribution(built, now=SECOND)

    assert first.version == "20260501T000000.000000Z"
    assert [key[:2] for key in first.retrained] == [
        ("a", "markov"), ("a", "shapley"), ("b", "markov"), ("b", "shapley"),
    ]  # fmt: skip
    assert again.version is None
    assert again.conversions == 2

    converts(built, "a", "c3", date(2026, 4, 2))
    second = train_attribution(built, now=SECOND)

    assert second.retrained == (("a", "markov", april), ("a", "shapley", april))
    assert weights(built) == [
        ("a", april, may, first.version, "c1", BILLION),
        ("a", april, may, second.version, "c1", BILLION // 2),
        ("a", april, may, second.version, "c3", BILLION // 2),
        ("b", april, may, first.version, "c2", BILLION),
    ]
    # The build compares this with the time of the last build.
    loaded = built.query("select version from control.reference_loads").rows()
    assert loaded == [(second.version,)]


def test_a_campaign_that_earned_nothing_any_more_makes_a_version_too(
    built: DuckDBWarehouse,
) -> None:
    converts(built, "a", "c1", date(2026, 4, 30))
    converts(built, "a", "c2", date(2026, 4, 30))
    train_attribution(built, now=FIRST)
    for model in ("int_attribution_touches", "int_attribution_transitions"):
        column = "to_campaign_id" if model.endswith("transitions") else "campaign_id"
        built.connection.execute(f"delete from intermediate.{model} where {column} = 'c2'")

    second = train_attribution(built, now=SECOND)

    newest = [row for row in weights(built) if row[3] == second.version]
    assert [row[4:] for row in newest] == [("c1", BILLION)]


def test_months_that_no_window_reaches_stay_as_they_are(built: DuckDBWarehouse) -> None:
    for day in (date(2025, 11, 30), date(2025, 12, 1), date(2026, 1, 31)):
        converts(built, "a", "c1", day)
    first = train_attribution(built, now=FIRST)
    assert first.windows == (date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1))

    for day in (date(2025, 11, 29), date(2025, 12, 2)):
        converts(built, "a", "c2", day)
    second = train_attribution(built, now=SECOND)

    # January looks back into December, over the turn of the year, and no further.
    assert second.windows == (date(2025, 12, 1), date(2026, 1, 1))
    assert {window for _, _, window in second.retrained} == {date(2025, 12, 1)}
    assert second.explain() == (
        "read 3 attributed conversions of 2025-12, 2026-01: "
        f"version {second.version} has new weights for 1 advertiser; the next build uses them"
    )
